"""Writes docs/reference/diagnostics.md anew: `python tests/unit/dsl/bless_diagnostics.py`.

Look at the difference before you commit it.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    for folder in ("vm", "dsl"):
        sys.path.insert(0, str(_ROOT / folder))
    from troth.dsl.codes_page import render  # noqa: PLC0415 - needs the path set just above

    corpus = sorted((_ROOT / "tests" / "broken").glob("*.troth"))
    samples = {path.stem: path.read_bytes().decode("utf-8") for path in corpus}
    page = _ROOT / "docs" / "reference" / "diagnostics.md"
    page.write_text(render(samples), encoding="utf-8")
    print(f"wrote {page.relative_to(_ROOT)}")


if __name__ == "__main__":
    main()
