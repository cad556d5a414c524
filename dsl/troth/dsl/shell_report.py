"""Telling a user what went wrong, on standard error."""

from __future__ import annotations

import sys

from troth.dsl.compile import ScriptErrors
from troth.vm.error_text import describe_error
from troth.vm.errors import TrothError


def print_error(error: TrothError) -> None:
    """A script's errors as their own text, which shows the script; any other in one line."""
    if isinstance(error, ScriptErrors):
        print(error.message, file=sys.stderr)
    else:
        print(f"troth: {describe_error(error)}", file=sys.stderr)
