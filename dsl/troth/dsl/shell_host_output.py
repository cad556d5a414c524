"""Standard output belongs to the script: what the host's functions print goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from troth.vm.shell_effect_threads import left_behind


@contextmanager
def host_output_aside() -> Iterator[None]:
    """Within it `print` writes to standard error.

    It stays so when a function of the host runs on that nobody can stop: the process is about to
    end, and until then that function must not write into the script's output.
    """
    stdout = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield
    except OSError:
        # Whoever handles this looks at the stream that could not be written.
        sys.stdout = stdout
        raise
    finally:
        if not left_behind():
            sys.stdout = stdout
