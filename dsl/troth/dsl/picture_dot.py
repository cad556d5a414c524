"""A local type as a graph in the DOT language, for Graphviz and the tools that read it."""

from __future__ import annotations

from troth.dsl.picture_graph import arcs_of
from troth.vm.types import LocalType, StateKind


def to_dot(local: LocalType, title: str) -> str:
    """One `digraph`; `title` is its name and is written above it."""
    lines = [
        f"digraph {_quoted(title)} {{",
        f"  label={_quoted(title)}; labelloc=t; fontname=monospace;",
        "  node [shape=circle, fontname=monospace];",
        "  edge [fontname=monospace];",
        '  start [shape=point, label=""];',
    ]
    for number, state in enumerate(local.states):
        shape = " [shape=doublecircle]" if state.kind is StateKind.END else ""
        lines.append(f"  {number}{shape};")
    lines.append("  start -> 0;")
    for arc in arcs_of(local):
        label = _quoted("\n".join(arc.lines))
        lines.append(f"  {arc.source} -> {arc.target} [label={label}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    r"""A double-quoted string. DOT reads `\` before anything, so it is doubled."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\l")
    # Lines are set flush left, each ended by `\l`; a single one is centred.
    return f'"{escaped}\\l"' if "\n" in text else f'"{escaped}"'
