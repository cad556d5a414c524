"""One case of the corpus: what is given, what a machine makes of it, and what was expected.

A case is a JSON object and an image, as assembly or as bytes. The page `docs/corpus.md` says what
every key means; whoever writes another machine needs that page and this file, which is meant to
be rewritten in another language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.conformance.reference.compare import TrustingEvidence
from troth.vm.assembly_read import assemble
from troth.vm.codec import decode
from troth.vm.envelope import decode_envelope, encode_envelope
from troth.vm.errors import Malformed, TrothError, Unusable
from troth.vm.events import (
    Event,
    Faulted,
    Opened,
    Printed,
    Rejected,
    StatusChanged,
    Troubled,
)
from troth.vm.fragment import FragmentBuilder
from troth.vm.host_signer import HostSigner
from troth.vm.image_codec import decode_image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.keys import KeyPair, generate
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loaded import LoadedImage
from troth.vm.loader import load
from troth.vm.machine import Machine, Overrides
from troth.vm.statements import derived_hash
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import Meeting

VERBS: Final = (
    *("assert_fragment", "assert_fault", "assert_limit", "assert_invalid", "assert_malformed"),
)
CASE_BYTES_MAX: Final = 1 << 20
ROUNDS_MAX: Final = 20_000

# What a case may say besides, and what is meant when it does not.
DEFAULTS: Final[Mapping[str, Any]] = {
    "seed": bytes(range(32)).hex(),
    "quantum": 64,
    "policy": "cooperative",
    "limits": {},
    "seal": None,
    "replay": None,
    "round_ns": 0,
    "host": [],
    "effects": [],
    "home": None,
    "keyless": [],
}
REQUIRED: Final = ("about", "verb", "expect")


def read_case(data: bytes) -> Mapping[str, Any]:
    """
    Raises:
        Malformed: code `corpus.case`.
    """
    try:
        case = json.loads(data.decode()) if len(data) <= CASE_BYTES_MAX else None
    except (ValueError, RecursionError) as error:
        raise _malformed("JSON", str(error)[:80]) from error
    if not isinstance(case, dict) or not all(key in case for key in REQUIRED):
        raise _malformed(f"an object with {', '.join(REQUIRED)}", "something else")
    strangers = sorted(case.keys() - DEFAULTS.keys() - set(REQUIRED))
    if strangers or case["verb"] not in VERBS:
        raise _malformed(f"known keys, and a verb of {', '.join(VERBS)}", str(strangers)[:80])
    return {**DEFAULTS, **case}


def observe(case: Mapping[str, Any], image: bytes, *, assembly: bool) -> dict[str, Any]:
    """What happens: to be compared with `case["expect"]`.

    Raises:
        Malformed: code `corpus.case`, when the case does not have the form of one.
    """
    try:
        parsed = assemble(image.decode(), "image.asm") if assembly else decode_image(image)
        loaded = load(parsed)
    except TrothError as error:
        return {"refused": error.code, "root": type(error).__name__}
    try:
        return _Run(case, loaded).observe()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _malformed("settings and inputs as the page says", str(error)[:80]) from error


def keeps_its_verb(verb: str, seen: Mapping[str, Any]) -> bool:
    """Whether what happened is of the kind that the case is about."""
    if "refused" in seen:
        root = {"Invalid": "assert_invalid", "Malformed": "assert_malformed"}
        return root.get(seen["root"], "assert_limit") == verb
    limits = ("vm.fault.limit", "vm.fault.credits")
    limited = seen["stopped"].startswith("limit.") or any(f[0] in limits for f in seen["faults"])
    refused = [code for code in seen["delivered"] if code.startswith("vm.fault.")]
    failed = bool(seen["faults"] or seen["rejected"] or refused)
    return verb == ("assert_limit" if limited else "assert_fault" if failed else "assert_fragment")


class CorpusKeys:
    """The key of a role is made from its name alone, so that everybody has the same."""

    def __init__(self, keyless: Sequence[str]) -> None:
        self._keyless = frozenset(keyless)

    def make(self, role: str) -> KeyPair:
        """
        Raises:
            Unusable: code `key.missing`.
        """
        if role in self._keyless:
            raise Unusable("key.missing", f"nobody has a key for {role}", actual=role)
        return generate(role, role.encode()[:32].ljust(32, b"."))


class _Run:
    """A machine and the world around it, as the case describes it."""

    def __init__(self, case: Mapping[str, Any], loaded: LoadedImage) -> None:
        keys = HostSigner({}, CorpusKeys(case["keyless"]))
        self.case = case
        self.machine = Machine(
            loaded,
            seed=bytes.fromhex(case["seed"]),
            signer=keys,
            roster=keys,
            limits=replace(DEFAULT_LIMITS, **case["limits"]),
            quantum=case["quantum"],
            policy=case["policy"],
            overrides=Overrides(
                replay=case["replay"] and ReplayMode(case["replay"]),
                seal=case["seal"] and Seal(case["seal"]),
            ),
            evidence=TrustingEvidence(),
            home=case["home"],
        )
        self.fragment = FragmentBuilder()
        self.answers = list(case["effects"])
        self.inputs = [dict(act) for act in case["host"]]
        self.sessions: list[bytes] = []
        self.meetings: list[Meeting] = []
        self.now_ns = 0
        self.seen: dict[str, Any] = {
            "stopped": "",
            **{
                key: []
                for key in ("faults", "rejected", "statuses", "printed", "delivered", "told")
            },
        }

    def observe(self) -> dict[str, Any]:
        try:
            self.machine.start()
            while self._goes_on():
                continue
        except TrothError as error:
            self.seen["stopped"] = error.code
        self._take(self.machine.poll_events())
        return {
            **self.seen,
            "fragment": self.fragment.digest().hex(),
            "outcome": self.machine.outcome().value,
            "rounds": self.machine.rounds,
        }

    def _goes_on(self) -> bool:
        """One round with all that the host does before it; False when nothing can happen."""
        acted = False
        while self.inputs and self.inputs[0]["after"] <= self.machine.rounds:
            self._act(self.inputs.pop(0))
            acted = True
        ran = self.machine.run_round(self.now_ns)
        self._take(self.machine.poll_events())
        self.meetings += self.machine.poll_meetings()
        for outgoing in self.machine.poll_outgoing():
            said = derived_hash("troth/v1 corpus", encode_envelope(outgoing.envelope))
            self.seen["told"].append([*outgoing.roles, said[:8].hex()])
        requests = self.machine.poll_effects()
        for request in requests:
            answer = self.answers.pop(0)
            if "failed" in answer:
                self.machine.complete_failed(request.effect_id, answer["failed"])
            else:
                value = decode(bytes.fromhex(answer["value"]))
                self.machine.complete(request.effect_id, value)
        self.now_ns += self.case["round_ns"]
        if ran or acted or requests:
            return self.machine.rounds < ROUNDS_MAX
        return self._jumps()

    def _jumps(self) -> bool:
        """Nothing is ready: on to the next deadline, or to what the host does next."""
        deadline_ns = self.machine.deadline_ns()
        if deadline_ns is not None:
            self.now_ns = max(self.now_ns, deadline_ns)
            return True
        if self.inputs:
            self.inputs[0]["after"] = 0
        return bool(self.inputs)

    def _act(self, act: dict[str, Any]) -> None:
        match act:
            case {"cancel": number, "reason": reason}:
                self.machine.cancel_session(self.sessions[number], reason)
            case {"end": number}:
                self.machine.end_session(self.sessions[number], self.now_ns)
            case {"trouble": what, "session": number, "role": role}:
                peer, until_ns = act.get("peer", ""), act.get("until_ns")
                roles, rounds = (role, peer), self.machine.rounds
                trouble = Trouble[what.upper()]
                said = Troubled(self.sessions[number], trouble, *roles, until_ns, rounds)
                self.machine.apply_trouble(said)
            case {"meet": parties}:
                met = [(role, *map(bytes.fromhex, rest)) for role, *rest in parties]
                self.machine.meet(self.meetings.pop(0).coroutine, met)
            case {"deliver": envelope}:
                delivery = self.machine.deliver(decode_envelope(bytes.fromhex(envelope)))
                self.seen["delivered"].append(delivery.code)
        self._take(self.machine.poll_events())

    def _take(self, events: Sequence[Event]) -> None:
        seen = self.seen
        for event in events:
            self.fragment.add(event)
            match event:
                case Opened():
                    self.sessions.append(event.session)
                case Faulted():
                    seen["faults"].append([event.code, event.program, event.pc])
                case Rejected():
                    seen["rejected"].append([event.sender, event.receiver, event.code])
                case Printed():
                    seen["printed"].append(event.text)
                case StatusChanged():
                    number = self.sessions.index(event.session)
                    seen["statuses"].append([number, event.status.name.lower(), event.detail])


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "corpus.case",
        "this is not a case of the corpus",
        expected=expected,
        actual=actual,
        advice="The page on the corpus says what a case holds",
    )
