"""The event socket's tables, made from the code."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

from docs.region_tables import attributes, table
from event_socket_behaviours import BEHAVIOURS, shown
from troth.streaming.eventsocket import Limits
from troth.streaming.eventsocket import endings as endings_module
from troth.streaming.eventsocket.latch import TRANSITIONS


def limits(_: str) -> str:
    meaning = attributes(Limits)
    rows = [
        (f"`{field.name}`", f"{getattr(Limits(), field.name):,}", meaning[field.name])
        for field in fields(Limits)
    ]
    return table(("limit", "default", "counts"), rows)


def latch(_: str) -> str:
    rows = [
        (source.value, signal.value, target.value, action.value)
        for (source, signal), (target, action) in TRANSITIONS.items()
    ]
    return table(("phase", "what happens", "phase after", "what the session does"), rows)


def behaviours(_: str) -> str:
    """Each behaviour with the first test that shows it."""
    tests = shown()
    rows = []
    for name, text in BEHAVIOURS.items():
        file, _, test = tests[name][0].partition("::")
        rows.append((name, text, f"`{test}` in `{file}`"))
    return table(("name", "what holds", "shown by"), rows)


def endings(_: str) -> str:
    """Each ending with the text that stands beneath it."""
    tree = ast.parse(inspect.getsource(endings_module))
    (found,) = (node for node in tree.body if getattr(node, "name", "") == "Ending")
    assert isinstance(found, ast.ClassDef)
    rows = []
    for assigned, said in zip(found.body[1::2], found.body[2::2], strict=True):
        assert isinstance(assigned, ast.Assign)
        assert isinstance(said, ast.Expr)
        value, text = ast.literal_eval(assigned.value), ast.literal_eval(said.value)
        (name,) = assigned.targets
        rows.append((f"`{ast.unparse(name)}`", value, " ".join(text.split())))
    return table(("`Ending`", "in logs", "what it means"), rows)
