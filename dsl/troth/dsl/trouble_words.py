"""Trouble as it is written on the command line: `3: partition Alice Bob`."""

from __future__ import annotations

import re
from typing import Final

from troth.dsl.durations import nanoseconds
from troth.vm.trouble_kind import Trouble
from troth.vm.trouble_schedule import Planned

_PLANNED: Final = re.compile(r"([0-9]{1,9}): *([a-z]+) +(?:([0-9]{1,9})\.)?(\S+)(?: +(\S+))?")
_WORDS: Final = {trouble.name.lower(): trouble for trouble in Trouble}

FORM: Final = (
    "N: crash ROLE, N: timeout ROLE 5ms, N: corrupt SENDER RECEIVER, "
    "N: partition ROLE ROLE, or N: heal ROLE ROLE"
)


def planned(text: str) -> Planned | None:
    """What is meant; None for what has no such form."""
    match = _PLANNED.fullmatch(text.strip())
    trouble = None if match is None else _WORDS.get(match[2])
    if match is None or trouble is None:
        return None
    after, session, role, last = int(match[1]), int(match[3] or 0), match[4], match[5] or ""
    if trouble is Trouble.TIMEOUT:
        for_ns = nanoseconds(last)
        return Planned(after, trouble, role, for_ns=for_ns, session=session) if for_ns else None
    if (trouble is Trouble.CRASH) == bool(last):
        return None
    return Planned(after, trouble, role, last, session=session)
