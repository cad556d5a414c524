"""A second verifier of levels 1 to 4, written from docs/reference/format.md alone.

It is for reading and for comparing: nothing in it is fast, and nothing in it comes from the
project's packages.
"""

from second_verifier.second_judge import (
    INCOMPLETE,
    INVALID,
    VALID,
    Judgement,
    Reading,
    judge,
    read,
)
from second_verifier.second_views import judge_together

__all__ = [
    "INCOMPLETE",
    "INVALID",
    "VALID",
    "Judgement",
    "Reading",
    "judge",
    "judge_together",
    "read",
]
