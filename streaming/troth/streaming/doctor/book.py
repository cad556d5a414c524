"""The order in which a session is looked at, step by step, and what may be found at each.

The order is that of a person who has to find the trouble: is anybody there, then is the network
good enough, then sound, then relays, and whether what was looked at can be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONTROL: Final = "control"
MEDIA: Final = "media"


class Weight(StrEnum):
    """Whether somebody has to act."""

    TROUBLE = "trouble"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Step:
    """`needs` is what has to be given to the doctor for it to be looked at."""

    number: str
    text: str
    needs: str


@dataclass(frozen=True, slots=True)
class Illness:
    """Something that may be found: at which step, in which plane, why, and what to do."""

    step: str
    plane: str
    weight: Weight
    text: str
    cause: str
    advice: str


STEPS: Final = (
    Step("1", "does a session begin, and does it end as it should", "events or a record"),
    Step("1.1", "do gateway and relay run", "--gateway, --relay"),
    Step("1.2", "is the host there, and can it be reached", "events, --host or --target"),
    Step("1.3", "is the address the right one", "--target"),
    Step("1.4", "is UDP let through in both directions", "--host or --stun"),
    Step("1.5", "do the versions fit", "events, a record or --target"),
    Step("2", "does the picture stand, does input come late", "events or metrics"),
    Step("2.1", "direct or through a relay, and for how long", "events or metrics"),
    Step("2.2", "loss, delay and jitter, and when", "a record or metrics"),
    Step("2.3", "does the host's process keep up", "events or metrics of the host"),
    Step("2.4", "was bitrate, frame rate or resolution taken down", "events or a record"),
    Step("2.5", "is the host's machine busy with something else", "events of the host"),
    Step("3", "is there sound, and is it the right one", "events or a record of the client"),
    Step("5", "do most sessions go through a relay", "metrics"),
    Step("5.1", "what does the translator in front of us do", "--stun"),
    Step("5.2", "is UDP blocked altogether", "--stun"),
    Step("5.3", "are the candidates good", "events"),
    Step("5.4", "was it policy", "events or --gateway"),
    Step("W2", "is what is looked at whole, and of one session", "events or a record"),
    Step("W4", "does a limit or a check of security drop something", "metrics"),
)
"""Chapter 4 is about development and 6 about building; they have nothing of the transport."""

_T, _N = Weight.TROUBLE, Weight.NOTE

ILLNESSES: Final[Mapping[str, Illness]] = {
    "gateway.unreachable": Illness(
        "1.1", CONTROL, _T, "the gateway's metrics cannot be reached",
        "the process does not run, or a firewall is in between",
        "Start it, and see what its log says; media of running sessions goes on without it",
    ),
    "gateway.unresponsive": Illness(
        "1.1", CONTROL, _T, "the gateway takes connections and does not answer",
        "the process is stopped or hangs", "Look at the process; start it again",
    ),
    "gateway.not_ready": Illness(
        "1.1", CONTROL, _T, "the gateway runs and is of no use now",
        "it does not listen yet, or goes down", "Wait, or see its log",
    ),
    "gateway.no_relay": Illness(
        "1.1", CONTROL, _N, "no relay is registered with the gateway",
        "sessions without a direct path cannot begin", "Start a relay, or see its /ready page",
    ),
    "relay.unreachable": Illness(
        "1.1", MEDIA, _T, "the relay's metrics cannot be reached",
        "the process does not run, or a firewall is in between",
        "Start it; parties present their leases again by themselves",
    ),
    "relay.unresponsive": Illness(
        "1.1", MEDIA, _T, "the relay takes connections and does not answer",
        "the process is stopped or hangs", "Look at the process; start it again",
    ),
    "relay.not_ready": Illness(
        "1.1", MEDIA, _T, "the relay runs and is of no use now",
        "it is not registered with the gateway, or drains",
        "See its log for gateway.unreachable, gateway.identity or not_admitted",
    ),
    "host.unreachable": Illness(
        "1.2", CONTROL, _T, "the host's metrics cannot be reached",
        "the process does not run, or a firewall is in between", "Start the host, check the port",
    ),
    "host.unresponsive": Illness(
        "1.2", CONTROL, _T, "the host takes connections and does not answer",
        "the process is stopped or hangs", "Look at the process; start it again",
    ),
    "host.not_ready": Illness(
        "1.2", CONTROL, _T, "the host runs and takes no session", "it is about to end",
        "Start it again",
    ),
    "client.unreachable": Illness(
        "1", CONTROL, _T, "the client's metrics cannot be reached",
        "the process does not run, or a firewall is in between", "Start the client",
    ),
    "client.unresponsive": Illness(
        "1", CONTROL, _T, "the client takes connections and does not answer",
        "the process is stopped or hangs", "Look at the process",
    ),
    "client.not_ready": Illness(
        "1", CONTROL, _T, "the client runs and has no session", "its handshake is not done",
        "Look at the host, and at the address that the client has",
    ),
    "gateway.no_host": Illness(
        "1.2", CONTROL, _T, "no host is registered with the gateway",
        "none runs, or none is admitted", "Start the host, and see the gateway's refusals",
    ),
    "gateway.peer_offline": Illness(
        "1.2", CONTROL, _T, "clients have asked for a host that is not connected",
        "the host does not run, or was given another name",
        "`troth stream admin parties` shows who is there",
    ),
    "connect.no_answer": Illness(
        "1.2", CONTROL, _T, "nobody answered the handshake",
        "no host is at that address, or UDP does not get there or back",
        "Check that the host runs, its address and port, and the firewall on the way",
    ),
    "connect.refused": Illness(
        "1.3", CONTROL, _T, "the machine is there, and nothing listens at that port",
        "the port is wrong, or the host does not run",
        "Compare with what the host says at its start",
    ),
    "connect.stranger": Illness(
        "1.3", CONTROL, _T, "what answers there is no host of this transport",
        "the address or port belongs to something else",
        "Compare with what the host says at its start",
    ),
    "connect.host_busy": Illness(
        "1.2", CONTROL, _T, "the host has a viewer already", "one client at a time is served",
        "Wait, or end the other session",
    ),
    "connect.one_way": Illness(
        "1.4", CONTROL, _T, "the host was asked, answered, and heard no more",
        "datagrams get to the host and not back to the client",
        "Let UDP in at the client's side, from the host's address and port",
    ),
    "connect.identity_refused": Illness(
        "1", CONTROL, _T, "a key was not the one that was expected",
        "somebody else is there, or a key was made anew",
        "Compare the public keys on both sides; copy the new one only when you know why it changed",
    ),
    "connect.identity_mismatch": Illness(
        "1", CONTROL, _T, "the two sides do not see the same encrypted channel",
        "somebody sits in between", "Compare the fingerprints over another way",
    ),
    "connect.version_mismatch": Illness(
        "1.5", CONTROL, _T, "the two sides speak different versions", "one of them is older",
        "Update the older one",
    ),
    "connect.no_common_codec": Illness(
        "1.5", CONTROL, _T, "there is no codec that both sides have",
        "the builds have different codecs", "Install one of the other side's",
    ),
    "connect.failed": Illness(
        "1", CONTROL, _T, "the handshake did not come to its end",
        "the reason is in the evidence", "See the events of the other side",
    ),
    "ending.peer_lost": Illness(
        "1", CONTROL, _T, "the other side fell silent without a farewell",
        "its process was killed, its machine is off, or nothing gets through",
        "See whether its process is there, and its own record",
    ),
    "ending.connection_lost": Illness(
        "1", MEDIA, _T, "the client ended it: no new picture for longer than policy allows",
        "the media plane stopped and the control plane did not",
        "See the loss before the end, and whether the host still captured",
    ),
    "ending.fault": Illness(
        "1", CONTROL, _T, "a program of the session faulted, or the run broke off",
        "the record has the fault", "`troth report` on the record",
    ),
    "ending.differs": Illness(
        "1", CONTROL, _T, "the two sides do not say the same about the end",
        "the farewell was lost, or one side ended before it came",
        "Believe the side that says who ended it; the other only fell silent",
    ),
    "ending.revoked": Illness(
        "5.4", CONTROL, _T, "an administrator took the session away", "a policy or a person",
        "`troth stream admin audit` says who and why",
    ),
    "view.freezes": Illness(
        "2", MEDIA, _T, "the picture stood for more than 200 ms",
        "frames came late or not at all", "Look at step 2.2 and 2.3 for the same time",
    ),
    "view.missed": Illness(
        "2", MEDIA, _T, "many frames were not shown", "they were lost, late or broken",
        "Look at step 2.2",
    ),
    "input.slow": Illness(
        "2", MEDIA, _T, "acts of the user reach the host late",
        "a queue on the way to the host, or a busy host", "Look at step 2.2 and 2.3",
    ),
    "path.relay": Illness(
        "2.1", MEDIA, _N, "the session goes through a relay",
        "no direct path works, or it was given up", "Look at step 5",
    ),
    "path.flapping": Illness(
        "2.1", MEDIA, _T, "the path changes again and again", "both paths are poor by turns",
        "Look at the paths' events; take the better network",
    ),
    "network.silence": Illness(
        "2.2", MEDIA, _T, "for a while nothing came at all",
        "the way was interrupted, or the other process was stopped",
        "Compare with the other side's events at the same time",
    ),
    "control.stalled": Illness(
        "2.2", CONTROL, _T, "frames went out and no report came back",
        "the control stream does not get through: the way is too narrow for it, or lossy",
        "Cap the bitrate, or take another network",
    ),
    "network.loss": Illness(
        "2.2", MEDIA, _N, "datagrams are lost, and repair brings them back",
        "a poor link or a full queue", "Nothing has to be done while it is repaired",
    ),
    "network.loss_unrepaired": Illness(
        "2.2", MEDIA, _T, "more is lost than repair brings back",
        "a poor link or a full queue", "Take another network, or cap the bitrate",
    ),
    "network.bursts": Illness(
        "2.2", MEDIA, _N, "datagrams are lost many in a row",
        "a wireless link, or a queue that overflows", "Prefer a cable; cap the bitrate",
    ),
    "network.queue": Illness(
        "2.2", MEDIA, _T, "frames wait on the way", "more is sent than the way carries",
        "Cap the bitrate; see who else uses the link",
    ),
    "network.jitter": Illness(
        "2.2", MEDIA, _T, "the delay jumps", "a wireless link, or others on the same link",
        "Prefer a cable; see who else uses the link",
    ),
    "host.processor": Illness(
        "2.3", MEDIA, _T, "the host's process uses all that one core gives",
        "the picture is too large or too frequent for this machine",
        "Ask for a smaller picture or fewer frames a second",
    ),
    "host.capture_slow": Illness(
        "2.3", MEDIA, _T, "capturing a picture takes longer than a frame lasts",
        "the picture is too large for this machine", "Ask for a smaller picture",
    ),
    "host.skipped": Illness(
        "2.2", MEDIA, _T, "the host leaves frames out because what was sent still waits",
        "the way carries less than the frames need", "Cap the bitrate",
    ),
    "ladder.bitrate": Illness(
        "2.4", MEDIA, _N, "the bitrate was taken down to less than half",
        "the cause is in the evidence", "Look at step 2.2",
    ),
    "ladder.frame_rate": Illness(
        "2.4", MEDIA, _N, "the frame rate was taken down", "the bitrate alone did not help",
        "Look at step 2.2",
    ),
    "ladder.resolution": Illness(
        "2.4", MEDIA, _N, "the resolution was taken down",
        "bitrate and frame rate alone did not help", "Look at step 2.2",
    ),
    "user.cap": Illness(
        "2.4", MEDIA, _N, "the user has capped the bitrate", "somebody asked for it",
        "Raise the cap",
    ),
    "host.other_work": Illness(
        "2.5", MEDIA, _T, "the host's machine is busy with other processes",
        "something else runs there", "See what it is, and end or move it",
    ),
    "sound.none": Illness(
        "3", MEDIA, _T, "pictures were sent and no sound", "the host has no source of sound",
        "Check the host's source",
    ),
    "sound.gone": Illness(
        "3", MEDIA, _T, "for half a second or more nobody heard anything",
        "it was lost, or the source is silent or another one: the evidence says which",
        "`lost`: look at step 2.2; `broken`: check the host's source",
    ),
    "relay.mostly": Illness(
        "5", MEDIA, _T, "most of the time goes through relays",
        "direct paths are blocked, or not tried", "Look at steps 5.1 to 5.3",
    ),
    "nat.dependent": Illness(
        "5.1", MEDIA, _N, "the translator gives another address to each destination",
        "a symmetric translator", "With one on both sides a relay is needed",
    ),
    "network.udp_blocked": Illness(
        "5.2", MEDIA, _T, "no STUN server answered", "UDP is blocked, on the way out or back",
        "Let UDP out; a relay works no better",
    ),
    "candidate.invalid": Illness(
        "5.3", CONTROL, _N, "a candidate was not tried", "the reason is in the evidence",
        "Check the addresses of that machine",
    ),
    "gateway.refused": Illness(
        "5.4", CONTROL, _N, "the gateway has refused something", "the code is in the evidence",
        "The page of gateway and relay says what each code means",
    ),
    "evidence.torn": Illness(
        "W2", CONTROL, _N, "the record stops early", "the process was killed",
        "What is there can be believed; `troth verify` says up to where",
    ),
    "evidence.no_end": Illness(
        "W2", CONTROL, _T, "nothing says that the session ended",
        "the process was killed, or still runs", "See whether it runs, and the other side's events",
    ),
    "evidence.mixed": Illness(
        "W2", CONTROL, _N, "what was given is of several sessions",
        "files of different runs", "Give the files of one session to compare two sides",
    ),
    "evidence.unread": Illness(
        "W2", CONTROL, _N, "lines of the events are no events", "the file was cut or changed",
        "What could be read was used",
    ),
    "security.rejected": Illness(
        "W4", MEDIA, _N, "datagrams came that changed nothing",
        "a network that repeats them, or somebody who forges them",
        "Nothing was harmed; look for the sender when there are many",
    ),
    "relay.limited": Illness(
        "W4", MEDIA, _T, "the relay drops what is over the lease's limit",
        "a session sends more than it may", "Cap its bitrate, or give larger leases",
    ),
    "relay.lease_rejected": Illness(
        "W4", CONTROL, _T, "the relay has refused leases", "the reason is in the evidence",
        "`expired`, `not_yet`: compare the clocks; `wrong_relay`: compare the keys",
    ),
    "relay.forged": Illness(
        "W4", MEDIA, _N, "the relay has dropped forged or repeated datagrams",
        "a network that repeats them, or somebody who forges them",
        "Nothing was harmed; look for the sender when there are many",
    ),
    "gateway.limited": Illness(
        "W4", CONTROL, _T, "a limit of the gateway was hit", "the limit is in the evidence",
        "See who asks so often, or raise the limit",
    ),
}  # fmt: skip
