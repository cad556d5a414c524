"""Tables of the reference pages that are made from tables of the code."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from troth.conformance import report_model, view_facts
from troth.conformance.equivocation import DELEGATIONS_MAX, EQUIVOCATION_BYTES_MAX
from troth.conformance.event_proof import EVENT_PROOF_BYTES_MAX, PATH_HASHES_MAX
from troth.conformance.merge_proofs import LEAVES_MAX
from troth.conformance.notes import NOTE_BYTES_MAX, SIGNATURES_MAX
from troth.conformance.publications import PUBLICATIONS_BYTES_MAX, PUBLICATIONS_MAX
from troth.conformance.replay import CAPPED, QUANTUM_MAX
from troth.conformance.replay_meter import Budget
from troth.conformance.run_diff import WAITING_MAX
from troth.conformance.shell_views import VIEWS_MAX
from troth.vm import limits, link, turned_away, unsent
from troth.vm.assembly_codes import CODES as ASSEMBLY_CODES
from troth.vm.assembly_syntax import SYNTAX, form
from troth.vm.effect_traits import TIMEOUT_SECONDS_MAX
from troth.vm.faults import FAULT_CODES
from troth.vm.keys import TRUST_BYTES_MAX
from troth.vm.lifecycle import TRANSITIONS, mermaid
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.record_codec import FIELDS, NIL_TOGETHER, Field
from troth.vm.records import Kind
from troth.vm.scheduler import FAILURE_CHARACTERS_MAX
from troth.vm.shell_blobs import MEMORY_BLOBS_BYTES_MAX
from troth.vm.shell_effect_threads import CLOSE_SECONDS, EFFECT_THREADS_MAX
from troth.vm.values import INT_MAX

_READING: Final = {
    "NESTING_DEPTH_MAX": "levels of lists and records inside each other in one value or record",
    "RECORD_BYTES_MAX": "bytes of one record of an artifact",
    "IMAGE_BYTES_MAX": "bytes of one image",
    "NAME_BYTES_MAX": "bytes of one name: role, label, field, protocol, program, effect, key",
    "STATES_MAX": "states of one local type",
    "WITHIN_NS_MAX": "nanoseconds that the clock of a timed choice runs",
    "INSTRUCTIONS_PER_PROGRAM_MAX": "instructions of one program",
    "PROGRAMS_MAX": "programs of one image",
    "PROTOCOLS_MAX": "protocols of one image",
    "GUARDS_MAX": "guards of one image",
    "BUNDLES_MAX": "bundles of one image",
    "BUNDLE_CHILDREN_MAX": "sessions of one bundle",
}


_PAGES: Final = {
    "ROWS_MAX": "records shown one by one",
    "TEXT_BYTES_MAX": "bytes of what records say",
    "TEXT_CHARACTERS_MAX": "characters of what one record says",
    "SESSIONS_MAX": "sessions with a line of their own",
    "EDGES_MAX": "edges with counters of their own, of all sessions together",
    "PROTOCOLS_MAX": "protocols shown",
    "NAME_BYTES_MAX": "bytes of the names of roles and labels",
    "SIGNERS_MAX": "roles of a session whose principals are named",
    "STATES_MAX": "states and branches of all local types",
    "PICTURED_MAX": "states and branches of a local type that is drawn; a larger one is listed",
    "PICTURES_MAX": "local types that are drawn",
}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines)


def faults(_: str) -> str:
    rows = [(f"`{code}`", info.title, info.advice) for code, info in FAULT_CODES.items()]
    return table(("code", "what happened", "what to do"), rows)


def assembly_codes(_: str) -> str:
    rows = [
        (f"`{code}`", row.message, row.advice.replace("|", "\\|"))
        for code, row in ASSEMBLY_CODES.items()
    ]
    return table(("code", "what is wrong", "what to do"), rows)


def assembly_forms(_: str) -> str:
    return "```text\n" + "\n".join(form(kind) for kind in SYNTAX) + "\n```"


def lifecycle(_: str) -> str:
    rows = [
        (source.name.lower(), event.value, target.name.lower(), action.value)
        for (source, event), (target, action) in TRANSITIONS.items()
    ]
    head = ("status", "what happens", "status after", "what the machine does")
    return f"{lifecycle_diagram('')}\n{table(head, rows)}"


def lifecycle_diagram(_: str) -> str:
    return f"```text\n{mermaid()}```\n"


def limits_of_running(_: str) -> str:
    meaning = attributes(Limits)
    rows = [
        (f"`{field.name}`", f"{getattr(DEFAULT_LIMITS, field.name):,}", meaning[field.name])
        for field in fields(Limits)
    ]
    return table(("limit", "default", "counts"), rows)


def attributes(described: type) -> dict[str, str]:
    """The `name: meaning` lines of a class's docstring."""
    text = inspect.getdoc(described) or ""
    lines = text.partition("Attributes:\n")[2].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): meaning.strip().removesuffix(".") for name, _, meaning in pairs}


def limits_of_reading(_: str) -> str:
    named = {name: value for name, value in vars(limits).items() if name.endswith("_MAX")}
    assert set(named) == set(_READING), "a limit of reading has no description, or no value"
    rows = [(f"`{name}`", f"{value:,}", _READING[name]) for name, value in named.items()]
    return table(("limit", "value", "counts"), rows)


def limits_of_proofs(_: str) -> str:
    rows = [
        ("`EVENT_PROOF_BYTES_MAX`", EVENT_PROOF_BYTES_MAX, "bytes of the proof of one event"),
        ("`PATH_HASHES_MAX`", PATH_HASHES_MAX, "hashes from a leaf to its root"),
        ("`NOTE_BYTES_MAX`", NOTE_BYTES_MAX, "bytes of one checkpoint"),
        ("`SIGNATURES_MAX`", SIGNATURES_MAX, "signatures of one checkpoint"),
        ("`PUBLICATIONS_MAX`", PUBLICATIONS_MAX, "runs in the publication log of one key"),
        ("`PUBLICATIONS_BYTES_MAX`", PUBLICATIONS_BYTES_MAX, "bytes of its file"),
        ("`TRUST_BYTES_MAX`", TRUST_BYTES_MAX, "bytes of a trust file, or of one of witnesses"),
        ("`WAITING_MAX`", WAITING_MAX, "actions of one track that wait in `troth diff`"),
    ]
    return table(
        ("limit", "value", "counts"), [(name, f"{value:,}", text) for name, value, text in rows]
    )


def limits_of_lines(_: str) -> str:
    rows = [
        ("`WINDOW_MAX`", link.WINDOW_MAX, "envelopes under way at once on one line"),
        ("`WINDOW_BYTES_MAX`", link.WINDOW_BYTES_MAX, "their bytes together, if not of one"),
        ("`LOSSY_MAX`", unsent.LOSSY_MAX, "messages that may be lost and wait for the line"),
        ("`LOSSY_BYTES_MAX`", unsent.LOSSY_BYTES_MAX, "their bytes together"),
        ("`MESSAGES_MAX`", turned_away.MESSAGES_MAX, "messages that were turned away"),
        ("`BYTES_MAX`", turned_away.BYTES_MAX, "their bytes together"),
    ]
    return table(
        ("limit", "value", "counts"), [(name, f"{value:,}", text) for name, value, text in rows]
    )


def limits_of_effects(_: str) -> str:
    rows = [
        ("`EFFECT_THREADS_MAX`", f"{EFFECT_THREADS_MAX:,}", "worker threads; more calls wait"),
        (
            "`MEMORY_BLOBS_BYTES_MAX`",
            f"{MEMORY_BLOBS_BYTES_MAX:,}",
            "bytes of all blobs together, when they are kept in memory",
        ),
        ("`TIMEOUT_SECONDS_MAX`", f"{TIMEOUT_SECONDS_MAX:,}", "seconds of a timeout"),
        ("`CLOSE_SECONDS`", f"{CLOSE_SECONDS:g}", "seconds that a cancelled effect gets"),
        (
            "`FAILURE_CHARACTERS_MAX`",
            f"{FAILURE_CHARACTERS_MAX:,}",
            "characters of a failure's text that are recorded",
        ),
    ]
    return table(("limit", "value", "counts"), rows)


def limits_of_replay(_: str) -> str:
    """The budget, what its command-line option changes, and the caps on a header."""
    meaning = attributes(Budget)
    rows = [(f"`{name}`", f"{getattr(Budget(), name):,}", meaning[name]) for name in meaning]
    rows.append(("`QUANTUM_MAX`", f"{QUANTUM_MAX:,}", "instructions of one turn, in the header"))
    limits_of = attributes(Limits)
    rows += [
        (f"`{name}`", f"{getattr(DEFAULT_LIMITS, name):,}", f"{limits_of[name]}, in the header")
        for name in CAPPED
    ]
    return table(("limit", "value", "counts"), rows)


def limits_of_pages(_: str) -> str:
    named = {name: value for name, value in vars(report_model).items() if name.endswith("_MAX")}
    assert set(named) == set(_PAGES), "a limit of a page has no description, or no value"
    rows = [(f"`{name}`", f"{value:,}", _PAGES[name]) for name, value in named.items()]
    return table(("limit", "value", "counts"), rows)


def limits_of_views(_: str) -> str:
    rows = [
        ("`VIEWS_MAX`", f"{VIEWS_MAX:,}", "records judged together"),
        *(
            (f"`{name}`", f"{getattr(view_facts, name):,}", meaning)
            for name, meaning in (
                ("MESSAGES_MAX", "messages of one record, 56 bytes of memory each"),
                ("STATEMENTS_MAX", "notices, receipts, cancellations and refusals of one record"),
                ("HEADS_MAX", "signed heads in one record"),
                ("SESSIONS_MAX", "sessions of one record"),
            )
        ),
        ("`LEAVES_MAX`", f"{LEAVES_MAX:,}", "leaves of a log in which a head is looked for"),
        ("`DELEGATIONS_MAX`", f"{DELEGATIONS_MAX:,}", "delegations in a proof of an equivocation"),
        ("`EQUIVOCATION_BYTES_MAX`", f"{EQUIVOCATION_BYTES_MAX:,}", "bytes of such a proof"),
    ]
    return table(("limit", "value", "counts"), rows)


def record(kind_name: str) -> str:
    """The fields of one kind of record, with its number."""
    kind = Kind[kind_name]
    nil_sets = NIL_TOGETHER.get(kind, (frozenset[str](),))
    may_be_nil = frozenset[str]().union(*nil_sets)
    rows: list[tuple[str, ...]] = [("0", "kind", str(int(kind)))]
    for number, item in enumerate(FIELDS[kind], start=1):
        nil = ", or nil" if item.name in may_be_nil else ""
        rows.append((str(number), item.name, _described(item) + nil))
    return table(("item", "field", "value"), rows)


def _described(item: Field) -> str:
    if not item.row:
        return item.described.replace(str(INT_MAX), "2^63-1")
    if len(item.row) == 1 and not item.row[0].name:
        return f"an array, each item {_described(item.row[0])}"
    columns = "; ".join(f"{column.name}: {_described(column)}" for column in item.row)
    return f"an array of rows, each an array of {columns}"


def public(component: str) -> str:
    """The public names of one package, with the first sentence of what each says of itself."""
    package = importlib.import_module(f"troth.{component}")
    rows = []
    for name in package.__all__:
        thing = getattr(package, name)
        said = (inspect.getdoc(thing) or "").split("\n\n", 1)[0].replace("\n", " ")
        assert said, f"troth.{component}.{name} has no docstring"
        kind = "class" if inspect.isclass(thing) else "function"
        rows.append((f"`{name}`", kind, said.replace("|", "\\|")))
    return table(("name", "what", "says of itself"), rows)
