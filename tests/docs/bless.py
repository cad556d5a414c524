"""Writes the generated parts and pictures of the documentation: `python tests/docs/bless.py`.

Look at the difference before you commit it.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    for folder in ("tests", "vm", "dsl", "streaming", "conformance"):
        sys.path.insert(0, str(_ROOT / folder))
    from docs import pictures, regions  # noqa: PLC0415 - needs the path set just above

    for page in regions.pages():
        text = page.read_text(encoding="utf-8")
        rendered = regions.render(text)
        if rendered != text:
            page.write_text(rendered, encoding="utf-8")
            print(f"wrote {page.relative_to(_ROOT)}")
    for file in pictures.PICTURES:
        (_ROOT / file).write_text(pictures.draw(file), encoding="utf-8")


if __name__ == "__main__":
    main()
