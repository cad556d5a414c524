"""Opens what the doctor is given: files, folders, and the metrics of roles that run."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from troth.streaming.doctor.case import Reach, ReachState, Source
from troth.streaming.doctor.reading import epochs_of, read_events, read_metrics
from troth.streaming.session.recorded import read_recorded
from troth.streaming.shell_recorded import open_record
from troth.vm.errors import LimitExceeded, Place, TrothError, Unusable
from troth.vm.shell_line import Address

FILES_MAX: Final = 64
TEXT_BYTES_MAX: Final = 64 << 20
PAGE_BYTES_MAX: Final = 4 << 20
ANSWER_S: Final = 2.0
SUFFIXES: Final = (".events", ".prom", ".replay")
_UTF8: Final = "utf-8"


def sources_at(paths: list[Path]) -> list[Source]:
    """What is at each path; of a folder, its events, metrics and records.

    Raises:
        TrothError: something cannot be read as what it should be.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) > FILES_MAX:
        raise LimitExceeded(
            "doctor.files",
            "there are too many files",
            expected=f"at most {FILES_MAX}",
            actual=str(len(files)),
            advice="Give those of one session",
        )
    return [_source(file) for file in files]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise Unusable(
            "doctor.files",
            "there is nothing of a session in this folder",
            place=Place(file=str(path)),
            expected=f"files that end in {', '.join(SUFFIXES)}",
            advice="Give the folder that was given to --record",
        )
    return found


def _source(path: Path) -> Source:
    if path.suffix == ".prom":
        samples = read_metrics(_text(path))
        role = next((sample.labels["role"] for sample in samples if "role" in sample.labels), "")
        return Source(name=path.name, role=role.lower(), samples=samples)
    if path.suffix == ".events":
        return _events(path.name, _text(path).splitlines())
    with open_record(path) as stream:
        recorded = read_recorded(stream)
    return Source(name=path.name, recorded=recorded, epochs=epochs_of(recorded))


def _events(name: str, lines: list[str], *, live: bool = False, role: str = "") -> Source:
    found, unread = read_events(lines)
    said = next((line.text("role").lower() for line in found), role)
    return Source(name=name, role=said, live=live, lines=found, unread=unread)


def _text(path: Path) -> str:
    """
    Raises:
        Unusable, LimitExceeded: code `doctor.files`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unusable(
            "doctor.files",
            f"the file cannot be read: {reason or error}",
            place=Place(file=str(path)),
            advice="Check the path",
        ) from error
    if len(data) > TEXT_BYTES_MAX:
        raise LimitExceeded(
            "doctor.files",
            "the file is too long",
            place=Place(file=str(path)),
            expected=f"at most {TEXT_BYTES_MAX} bytes",
            actual="more",
            advice="Give the part around the trouble",
        )
    return data.decode(_UTF8, errors="replace")


# --- roles that run --------------------------------------------------------------------------


def ask(role: str, address: Address) -> tuple[Reach, list[Source]]:
    """Whether a role answers at its metrics, and what it says of itself."""
    try:
        status, text = get_page(address, "/ready")
    except ConnectionError as error:
        return Reach(role, str(address), ReachState.UNREACHABLE, _said(error)), []
    except TimeoutError:
        state = ReachState.UNRESPONSIVE if _connects(address) else ReachState.UNREACHABLE
        return Reach(role, str(address), state, f"nothing within {ANSWER_S:g} s"), []
    except OSError as error:
        return Reach(role, str(address), ReachState.UNREACHABLE, _said(error)), []
    state = ReachState.READY if status == 200 else ReachState.NOT_READY
    reach = Reach(role, str(address), state, text.strip()[:200])
    return reach, list(_pages(role, address))


def _pages(role: str, address: Address) -> Iterator[Source]:
    try:
        status, text = get_page(address, "/metrics")
        if status == 200:
            name = f"{role} {address}"
            yield Source(name=name, role=role, live=True, samples=read_metrics(text))
        status, text = get_page(address, "/events")
        if status == 200:
            name = f"{role} {address} /events"
            yield _events(name, text.splitlines(), live=True, role=role)
    except (OSError, TrothError):
        # It said that it is ready and then fell silent, or says what is no metric: what it
        # did say is used, and the next look will find it gone.
        return


def _connects(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), ANSWER_S):
            return True
    except OSError:
        return False


def _said(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__)[:200]


def get_page(address: Address, path: str) -> tuple[int, str]:
    """One page: its status and text.

    Raises:
        OSError: nobody answers, or says too much, or what is no HTTP.
    """
    with socket.create_connection((address.host, address.port), ANSWER_S) as line:
        line.settimeout(ANSWER_S)
        request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        line.sendall(request.encode())
        data, ends_s = bytearray(), time.monotonic() + ANSWER_S
        while chunk := line.recv(65_536):
            data += chunk
            if time.monotonic() > ends_s:
                raise TimeoutError
            if len(data) > PAGE_BYTES_MAX:
                raise OSError("it says more than a page of metrics has")
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError("what answers there speaks no HTTP")
    return int(words[1][:4]), body.decode(_UTF8, errors="replace")
