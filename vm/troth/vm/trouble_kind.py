"""What can happen to the parties of a session from outside, as a host says it."""

from __future__ import annotations

from enum import IntEnum


class Trouble(IntEnum):
    """CRASH: who plays a role is gone for good. PARTITION: nothing passes between two roles any
    more, and HEAL: it does again. CORRUPT: a message was changed after it had been signed.
    TIMEOUT: who plays a role does nothing until a time.
    """

    CRASH = 0
    PARTITION = 1
    HEAL = 2
    CORRUPT = 3
    TIMEOUT = 4
