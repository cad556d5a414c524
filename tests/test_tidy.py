"""What a reader may rely on in every module, held by a machine instead of a reviewer.

Modules and functions stay short, components import one way only, the core touches nothing that
would make a run depend on where and when it happens, and nothing swallows an error.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX: Final = 600
FUNCTION_LINES_MAX: Final = 70

MAY_IMPORT: Final = {
    "vm": {"vm"},
    "dsl": {"vm", "dsl"},
    "streaming": {"vm", "dsl", "streaming"},
    "conformance": {"vm", "dsl", "conformance"},
}
CORE_COMPONENTS: Final = ("vm", "dsl", "streaming", "conformance")

_OUTSIDE_WORLD: Final = """
    asyncio builtins concurrent ctypes datetime fcntl gc getpass glob http importlib.metadata
    importlib.util inspect locale logging mmap multiprocessing os pathlib platform random
    resource runpy sched secrets select selectors shutil signal site socket socketserver ssl
    subprocess sys syslog tempfile threading time urllib uuid weakref zoneinfo
"""
OUTSIDE_WORLD: Final = frozenset(_OUTSIDE_WORLD.split())
"""Modules that only `shell_*.py` may import: clocks, files, processes, threads, networks."""

OUTSIDE_CALLS: Final = frozenset({"breakpoint", "eval", "exec", "input", "open", "print"})
ORDER_CALLS: Final = frozenset({"id", "hash"})
"""Their results differ from one process to the next."""

SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "build", "dist"})


class Module(NamedTuple):
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def component(self) -> str:
        return self.path.relative_to(ROOT).parts[0]

    @property
    def is_shell(self) -> bool:
        return self.path.name.startswith("shell_")


def _python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not SKIPPED_FOLDERS & set(path.parts):
                yield path


def _load(*folders: str) -> list[Module]:
    found = []
    for path in _python_files(*folders):
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, text, ast.parse(text, str(path))))
    return found


PACKAGES: Final = _load("vm", "dsl", "streaming", "conformance")
EVERYTHING: Final = [*PACKAGES, *_load("tests")]
CORE: Final = [m for m in PACKAGES if m.component in CORE_COMPONENTS and not m.is_shell]


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every imported name in full: `from a import b` gives both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _refuse(found: list[str], rule: str) -> None:
    assert not found, f"{rule}:\n  " + "\n  ".join(found)


def test_there_is_something_to_look_at() -> None:
    assert {module.component for module in CORE} == set(CORE_COMPONENTS)
    assert len(CORE) > 20


def test_modules_are_short() -> None:
    found = [
        f"{module.name}: {count} lines"
        for module in EVERYTHING
        if (count := module.text.count("\n")) > MODULE_LINES_MAX
    ]
    _refuse(found, f"split modules of more than {MODULE_LINES_MAX} lines")


def _long_functions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            count = node.end_lineno - node.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield f"{module.name}:{node.lineno}: {node.name} has {count} lines"


def test_functions_are_short() -> None:
    found = [line for module in EVERYTHING for line in _long_functions(module)]
    _refuse(found, f"split functions of more than {FUNCTION_LINES_MAX} lines")


def test_every_module_says_what_it_is_for() -> None:
    found = [module.name for module in EVERYTHING if not ast.get_docstring(module.tree)]
    _refuse(found, "begin these modules with a docstring")


def _foreign_components(module: Module) -> Iterator[str]:
    allowed = MAY_IMPORT[module.component]
    for line, name in _imports(module.tree):
        parts = name.split(".")
        if parts[0] == "" or name.startswith("."):
            yield f"{module.name}:{line}: relative import {name}"
        elif parts[0] == "troth" and len(parts) > 1 and parts[1] not in allowed:
            yield f"{module.name}:{line}: {module.component} must not import {name}"


def test_imports_go_one_way() -> None:
    found = [line for module in PACKAGES for line in _foreign_components(module)]
    _refuse(found, "imports go conformance, streaming -> dsl -> vm and are absolute")


def _prefixes(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


def _outside_imports(module: Module) -> Iterator[str]:
    for line, name in _imports(module.tree):
        if _prefixes(name) & OUTSIDE_WORLD:
            yield f"{module.name}:{line}: imports {name}"
        elif name.startswith("troth.") and ".shell_" in name and module.path.name != "__init__.py":
            yield f"{module.name}:{line}: core imports {name}"


def test_only_shell_modules_touch_the_world() -> None:
    found = [line for module in CORE for line in _outside_imports(module)]
    _refuse(found, "move this into a shell_*.py module, or pass in what is needed")


def _calls(module: Module, names: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield f"{module.name}:{node.lineno}: calls {node.func.id}()"


def test_the_core_reads_and_writes_nothing() -> None:
    found = [line for module in CORE for line in _calls(module, OUTSIDE_CALLS)]
    _refuse(found, "only shell_*.py modules read, write or run anything")


def _is_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("set", "frozenset")
    )


def _set_orders(module: Module) -> Iterator[str]:
    """Iterations whose order is a set's, where that can be seen without types."""
    for node in ast.walk(module.tree):
        iterated: list[ast.expr] = []
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            iterated = [node.iter]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("list", "tuple", "enumerate", "iter", "next")
        ):
            iterated = node.args[:1]
        elif isinstance(node, ast.Starred):
            iterated = [node.value]
        for expression in iterated:
            if _is_set(expression):
                yield f"{module.name}:{expression.lineno}: takes a set's order"


def test_nothing_depends_on_hash_order() -> None:
    found = [line for module in CORE for line in _calls(module, ORDER_CALLS)]
    found += [line for module in CORE for line in _set_orders(module)]
    _refuse(found, "sort it, or use a dict or a tuple")


def _swallowed(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield f"{module.name}:{node.lineno}: bare except"
        if all(_says_nothing(statement) for statement in node.body):
            yield f"{module.name}:{node.lineno}: except that does nothing"


def _says_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def test_no_error_is_swallowed() -> None:
    found = [line for module in EVERYTHING for line in _swallowed(module)]
    _refuse(found, "name the exception and handle it")


def _exported(module: Module) -> list[str] | None:
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                assert node.value is not None
                names: list[str] = ast.literal_eval(node.value)
                return names
    return None


def _by_kind(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize(
    "module",
    [m for m in PACKAGES if _exported(m) is not None],
    ids=lambda module: module.name,
)
def test_exported_names_exist_and_are_sorted(module: Module) -> None:
    names = _exported(module)
    assert names is not None
    assert list(names) == sorted(set(names), key=_by_kind), f"sort __all__ of {module.name}"
    dotted = ".".join(module.path.relative_to(ROOT).with_suffix("").parts[1:])
    loaded = importlib.import_module(dotted.removesuffix(".__init__"))
    _refuse([name for name in names if not hasattr(loaded, name)], f"missing in {module.name}")


UNFINISHED: Final = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
MACHINE_PATH: Final = re.compile(r"(?<![\w.$}-])/(?:home|root|work|Users|mnt|opt)/|~/\.\w")
TEXT_SUFFIXES: Final = (".py", ".md", ".sh", ".toml", ".lark", ".troth", ".txt", ".yml", ".cfg")


def _text_lines() -> Iterator[tuple[str, int, str]]:
    folders = ("vm", "dsl", "streaming", "conformance", "tests", "docs", ".ci")
    files = [path for path in ROOT.iterdir() if path.suffix in TEXT_SUFFIXES]
    for folder in folders:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT_SUFFIXES]
    for path in sorted(files):
        if path.is_file() and not SKIPPED_FOLDERS & set(path.parts):
            text = path.read_text(encoding="utf-8", errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                yield path.relative_to(ROOT).as_posix(), number, line


def test_nothing_is_left_unfinished() -> None:
    found = [f"{name}:{n}: {line}" for name, n, line in _text_lines() if UNFINISHED.search(line)]
    _refuse(found, "finish it, or open an issue")


def test_no_path_of_one_machine_is_written_down() -> None:
    found = [f"{name}:{n}: {line}" for name, n, line in _text_lines() if MACHINE_PATH.search(line)]
    _refuse(found, "use a path relative to the project, or one that is passed in")


def test_there_is_no_module_above_the_components() -> None:
    """`troth` is a namespace: an `__init__.py` there would hide the other components."""
    found = [str(p) for p in ROOT.glob("*/troth/__init__.py")]
    _refuse(found, "remove it")
