"""Small changes to the machine's own source: where they can be made, and how one is made.

A change is to what the machine does, not to what it says in prose: nothing inside a call of
`fault`, a `raise`, an `assert`, an annotation or a description is touched.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Final, NamedTuple

VM: Final = Path(__file__).parents[1] / "vm" / "troth" / "vm"
MODULES: Final = (
    *("admission", "buffer", "consumption", "guards", "lanes", "merkle_set", "operators"),
    *("run_coop", "scheduler", "scheduling", "session", "settings", "speculation", "step_bundle"),
    *("step_common", "step_data", "step_decode", "step_delegate", "step_end", "step_guard"),
    *("step_hold", "step_invoke", "step_loss", "step_message", "step_open", "step_receive"),
    *("step_session", "step_spawn", "step_speculate", "step_tables", "step_timer", "store"),
    *("timer", "turn", "value_ops"),
)
PROSE: Final = ("describe", "__str__", "cell_name", "kind_name", "why_over", "_types")
_COMPARE: Final[dict[type, type]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: Final[dict[type, type]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
}


class Mutant(NamedTuple):
    """The `place`th change that can be made to a module."""

    module: str
    place: int


class _Place(NamedTuple):
    node: ast.AST
    kind: str
    function: str


def places(tree: ast.Module) -> list[_Place]:
    """Everywhere something can be changed, in the order of the source."""
    found: list[_Place] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += _inside(node, "")
    return found


def _inside(node: ast.AST, function: str) -> Iterator[_Place]:
    if isinstance(node, ast.Raise | ast.Assert | ast.AnnAssign | ast.arguments):
        return
    if isinstance(node, ast.FunctionDef):
        if node.name in PROSE or _is_refusal(node):
            return
        parts: Sequence[ast.AST] = node.body
        function = node.name
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fault":
        return
    else:
        parts = list(ast.iter_child_nodes(node))
    kind = _kind(node)
    if kind:
        yield _Place(node, kind, function)
    for part in parts:
        yield from _inside(part, function)


def _is_refusal(node: ast.FunctionDef) -> bool:
    """A function that only makes an error, or only raises one."""
    returns = ast.unparse(node.returns) if node.returns else ""
    return returns in ("Fault", "NoReturn", "Unusable", "LimitExceeded", "MessageRefused")


def _kind(node: ast.AST) -> str:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARE:
            return "another comparison"
        case ast.BoolOp():
            return "and for or"
        case ast.BinOp(op=operator) if type(operator) in _ARITHMETIC:
            return "another operator"
        case ast.Constant(value=bool()):
            return "the other truth"
        case ast.Constant(value=int()):
            return "one more"
        case ast.If() | ast.While() | ast.IfExp():
            return "the other way"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete():
            return "left out"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return "left out"
    return ""


def _changed(place: _Place) -> None:
    node = place.node
    match node:
        case ast.Compare():
            node.ops = [_COMPARE[type(node.ops[0])]()]
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BinOp():
            node.op = _ARITHMETIC[type(node.op)]()
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() as value):
            node.value = value + 1
        case ast.If() | ast.While() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)


class _LeftOut(ast.NodeTransformer):
    def __init__(self, node: ast.AST) -> None:
        self.node = node

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.node:
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


class Change(NamedTuple):
    """What was changed, in words. The line is left to go its own way when the source is edited."""

    line: int
    function: str
    words: str


def mutate(source: str, place: int) -> tuple[ast.Module, Change]:
    """The changed module, and the change."""
    tree = ast.parse(source)
    chosen = places(tree)[place]
    before = _first_line(chosen.node)
    if chosen.kind == "left out":
        _LeftOut(chosen.node).visit(tree)
        after = "nothing"
    else:
        _changed(chosen)
        ast.fix_missing_locations(tree)
        after = _first_line(chosen.node)
    line = getattr(chosen.node, "lineno", 0)
    change = Change(line, chosen.function, f"{before}  ->  {after}")
    return ast.fix_missing_locations(tree), change


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0][:90]


def draw(seed: int, count: int) -> list[Mutant]:
    """`count` different mutants of the machine, each equally likely."""
    every = [
        Mutant(module, place)
        for module in MODULES
        for place in range(len(places(ast.parse(_source(module)))))
    ]
    return sorted(Random(seed).sample(every, count))


def _source(module: str) -> str:
    return (VM / f"{module}.py").read_text(encoding="utf-8")


def key(mutant: Mutant) -> str:
    """Names a mutant of this very source: another source has other places."""
    digest = hashlib.sha256(_source(mutant.module).encode()).hexdigest()[:12]
    return f"{mutant.module}@{digest} {mutant.place}"


def change_of(mutant: Mutant) -> Change:
    return mutate(_source(mutant.module), mutant.place)[1]


class _Loader(importlib.abc.Loader):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        tree, _ = mutate(_source(self.mutant.module), self.mutant.place)
        exec(compile(tree, f"{self.mutant.module}.py", "exec"), module.__dict__)


class Finder(importlib.abc.MetaPathFinder):
    """Gives a changed module to whoever imports it. It has to be there before anything of ours."""

    def __init__(self, mutant: Mutant) -> None:
        assert f"troth.vm.{mutant.module}" not in sys.modules, "too late"
        self.mutant = mutant

    def find_spec(
        self,
        name: str,
        path: object = None,  # noqa: ARG002
        target: object = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if name != f"troth.vm.{self.mutant.module}":
            return None
        return importlib.util.spec_from_loader(name, _Loader(self.mutant))
