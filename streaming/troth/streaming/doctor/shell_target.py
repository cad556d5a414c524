"""Asks an address for a handshake, to see whether a host is there. No session begins.

The key is made for this and thrown away, so a host that expects a certain client turns it away;
that it answered at all is what is asked for.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Final

from troth.streaming.doctor.case import Target, TargetState
from troth.streaming.link import CloseReason, Established, SecureLink
from troth.streaming.link.outputs import Closed
from troth.streaming.session.shell_transport import link_options
from troth.vm.errors import TrothError
from troth.vm.shell_keys import new_key
from troth.vm.shell_line import Address

TARGET_S: Final = 3.0
CONTEXT: Final = b"troth stream"
_BYTES: Final = 2_048


def look_at_target(address: Address, seconds: float = TARGET_S) -> Target:
    """What answers there."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as opened:
            opened.connect((address.host, address.port))
            state, text = _ask(opened, (address.host, address.port), seconds)
    except ConnectionRefusedError:
        state, text = TargetState.REFUSED, "the system there says that the port is closed"
    except (OSError, UnicodeError) as error:
        state, text = TargetState.SILENT, str(error)[:200]
    return Target(str(address), state, text)


def _ask(opened: socket.socket, place: tuple[str, int], seconds: float) -> tuple[TargetState, str]:
    options = link_options(new_key("Doctor"), None, CONTEXT, 1)
    link = SecureLink.connect(options, place, entropy=os.urandom, now_ns=time.monotonic_ns())
    ends_ns = time.monotonic_ns() + int(seconds * 1e9)
    foreign = 0
    while (now_ns := time.monotonic_ns()) < ends_ns:
        if link.deadline_ns is not None and link.deadline_ns <= now_ns:
            link.tick(now_ns)
        for _, data in link.datagrams():
            opened.send(data)
        found = _told(link)
        if found is not None:
            _say_goodbye(opened, link)
            return found
        due_ns = min(ends_ns, link.deadline_ns or ends_ns)
        opened.settimeout(max(0.001, (due_ns - time.monotonic_ns()) / 1e9))
        try:
            data = opened.recv(_BYTES)
        except TimeoutError:
            continue
        before = link.counts.bad_header + link.counts.bad_handshake
        link.receive(data, place, time.monotonic_ns())
        foreign += link.counts.bad_header + link.counts.bad_handshake - before
    if foreign:
        return TargetState.STRANGER, f"{foreign} answers that are none of a host"
    return TargetState.SILENT, f"nothing within {seconds:g} s"


def _told(link: SecureLink) -> tuple[TargetState, str] | None:
    for event in link.events():
        if isinstance(event, Established):
            return TargetState.HOST, f"a host with the key {event.peer.public_key.hex()[:16]}"
        if isinstance(event, Closed):
            if event.reason is CloseReason.VERSION_MISMATCH:
                return TargetState.OTHER_VERSION, event.text
            return TargetState.HOST, f"it answered: {event.reason.name.lower()}"
    return None


def _say_goodbye(opened: socket.socket, link: SecureLink) -> None:
    try:
        link.close(CloseReason.USER, "only looking", time.monotonic_ns())
        for _, data in link.datagrams():
            opened.send(data)
    except (OSError, TrothError):
        # It has gone, or ended first: there is nobody to say goodbye to.
        return
