"""The digests of what generated machines record: `python -m parity_digest`.

Two Pythons, or two processes with other hash seeds, have to print the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from parity_population import drawn_member
from parity_samples import Backwards, run

MEMBERS: Final = 20


def digests() -> Iterator[str]:
    """One for each machine, of its record and of its image, which the compiler has made."""
    for number in range(MEMBERS):
        member = drawn_member(number)
        outcome = run(member, Backwards())
        yield sha256(member.data + outcome.artifact + outcome.fragment).hexdigest()


if __name__ == "__main__":
    print("\n".join(digests()))
