"""Where the corpus is, how a case is written, and `python -m corpus_files` to bless it.

Blessing runs every case and writes what happened as what is expected; what other machines say in
a case is said anew. Look at the difference before you commit it: it is a change of what programs
mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from troth.conformance.corpus import keeps_its_verb, observe, read_case

CORPUS: Final = Path(__file__).parents[1] / "conformance" / "corpus"


def folders() -> list[Path]:
    return sorted(path for path in CORPUS.iterdir() if path.is_dir())


def image_of(folder: Path) -> tuple[bytes, bool]:
    """The image's bytes, and whether they are assembly."""
    assembly = folder / "image.asm"
    if assembly.exists():
        return assembly.read_bytes(), True
    return (folder / "image.bin").read_bytes(), False


def written(case: Mapping[str, Any]) -> str:
    """A case as its file has it: one key a line."""
    return "{\n" + ",\n".join(_rows(case, "  ")) + "\n}\n"


def _rows(part: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in part.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(_rows(value, indent + "  "))
            yield f'{indent}"{key}": {{\n{inner}\n{indent}}}'
        else:
            yield f'{indent}"{key}": {json.dumps(value)}'


def bless() -> int:
    changed = 0
    for folder in folders():
        path = folder / "case.json"
        given = json.loads(path.read_text())
        image, assembly = image_of(folder)
        given["expect"] = observe(read_case(path.read_bytes()), image, assembly=assembly)
        assert keeps_its_verb(given["verb"], given["expect"]), f"{folder.name} changes its verb"
        text = written(given)
        if text != path.read_text():
            path.write_text(text)
            changed += 1
            print(f"blessed {folder.name}")
    return changed


if __name__ == "__main__":
    from corpus_peers import main as write_peers  # It needs this module.

    write_peers()
    print(f"{bless()} of {len(folders())} cases changed")
    sys.exit(0)
