"""From what the pipeline found to the verdict: levels, principals, exit code, reason."""

from __future__ import annotations

from typing import BinaryIO, Final

from troth.conformance.codes import (
    EXIT_INCOMPLETE,
    EXIT_INVALID,
    EXIT_SELF_CONSISTENT,
    EXIT_UNSUPPORTED,
    EXIT_VALID,
    LEVEL_NAMES,
)
from troth.conformance.image_pin import ImagePin
from troth.conformance.pipeline import FINDINGS_MAX, Observer, Pipeline
from troth.conformance.protocols import Pins
from troth.conformance.replay import ReplayResult
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.verdict import (
    Counts,
    Finding,
    LevelResult,
    PinReport,
    PrincipalReport,
    Protection,
    Sealing,
    Verdict,
    Word,
)
from troth.conformance.world import Principal, ProtocolEntry, World
from troth.vm.keys import Standing, TrustFile, VerifierKey

_WORDS: Final = {
    EXIT_VALID: Word.VALID,
    EXIT_INVALID: Word.INVALID,
    EXIT_UNSUPPORTED: Word.UNSUPPORTED,
    EXIT_INCOMPLETE: Word.INCOMPLETE,
    EXIT_SELF_CONSISTENT: Word.SELF_CONSISTENT,
}
PRINCIPALS_NAMED_MAX: Final = 32
_NOT_ASKED: Final = "it was not asked for"


def verify_stream(
    stream: BinaryIO,
    *,
    file: str = "",
    trust: TrustFile | None = None,
    pins: Pins | None = None,
    with_fragment: bool = False,
    image: ImagePin | None = None,
    budget: Budget | None = DEFAULT_BUDGET,
    observer: Observer | None = None,
) -> Verdict:
    """Verifies one artifact at all levels that can run.

    `trust` holds the keys you trust, `pins` the protocols that sessions may follow, `image` what
    has to have run; `file` is a name for messages. `budget` bounds level 5, which is left out
    with None. The fragment's digest costs some time and is left out by default. `observer` gets
    to see every record that is read.

    Raises:
        Unusable: code `artifact.io`, when the stream cannot be read. What is wrong with the
            artifact itself is never raised, it is in the verdict.
    """
    pipeline = Pipeline(
        stream,
        pins=pins,
        with_fragment=with_fragment,
        image=image,
        budget=budget,
        observer=observer,
    )
    pipeline.run()
    world = pipeline.world
    contradictions, contradictions_cut = _contradictions(
        world, trust, max(1, FINDINGS_MAX - len(pipeline.findings))
    )
    findings = pipeline.findings + contradictions
    if pipeline.replay is not None and pipeline.replay.finding is not None:
        findings.append(pipeline.replay.finding)
    findings.sort(key=_place)
    principals = tuple(_principal(principal, trust) for principal in world.principals)
    exit_code, reason = _conclude(pipeline, findings, principals, trust)
    whole = not findings and pipeline.fragment is not None
    header = world.header
    return Verdict(
        file=file,
        exit_code=exit_code,
        status=_WORDS[exit_code],
        reason=reason,
        levels=_levels(pipeline, findings),
        findings=tuple(findings),
        findings_cut=pipeline.findings_cut or contradictions_cut,
        principals=principals,
        pins=_pins(pipeline),
        image=None if header is None else header.image_id.hex(),
        image_in_file=pipeline.image_in_file,
        image_pinned=image is not None,
        runner=None if header is None else header.runner,
        anchor_unix_ns=None if header is None else header.anchor_unix_ns,
        counts=_counts(pipeline),
        sealing=_sealing(pipeline),
        protection=_protection(world),
        fragment=pipeline.fragment.digest() if whole and pipeline.fragment else None,
        hosting=_hosting(world),
        outcome_recorded=world.outcome,
        trust_given=trust is not None,
    )


def _place(finding: Finding) -> tuple[bool, bool, int]:
    """By their place in the file, but what is wrong comes before what is missing at its end.

    Level 5 takes for granted what the others establish, so what they find comes before that.
    """
    return finding.code.startswith("incomplete."), finding.level == 5, finding.offset


# --- trust ---------------------------------------------------------------------------------


def _contradictions(
    world: World, trust: TrustFile | None, findings_max: int
) -> tuple[list[Finding], bool]:
    """At most so many, and whether there are more."""
    found: list[Finding] = []
    for principal in world.principals:
        if _contradicted(principal, trust):
            if len(found) == findings_max:
                return found, True
            assert trust is not None
            keys = " or ".join(key.hex() for key in trust.keys_named(principal.name))
            found.append(
                Finding(
                    code="trust.contradicted",
                    message=f"{principal.name} has another key than the trust file says",
                    offset=principal.offset,
                    record=principal.record,
                    role=", ".join(sorted(principal.roles)) or None,
                    expected=f"key {keys}",
                    expected_side="trust file",
                    actual=f"key {principal.key.hex()}",
                )
            )
    return found, False


def _contradicted(principal: Principal, trust: TrustFile | None) -> bool:
    if trust is None:
        return False
    return trust.standing(principal.name, principal.key) is Standing.CONTRADICTED


def _principal(principal: Principal, trust: TrustFile | None) -> PrincipalReport:
    names = trust.lookup(principal.key) if trust is not None else ()
    contradicted = _contradicted(principal, trust)
    return PrincipalReport(
        name=principal.name,
        key=VerifierKey(principal.name, principal.key).text,
        trusted_as=names[0] if names and not contradicted else None,
        contradicted=contradicted,
        roles=tuple(sorted(principal.roles)),
        here=principal.here,
        observed=tuple(sorted(principal.observed)),
    )


def _hosting(world: World) -> str:
    """Who sat at this machine, and who at others: names come last, as the file's own words."""
    away = [principal for principal in world.principals if not principal.here]
    elsewhere = ""
    if away:
        elsewhere = f" Other machines, whose records are not in the file, held: {_named(away)}."
    principals = world.keepers
    if len(principals) < 2:
        return f"What the file holds was recorded by one process.{elsewhere}"
    runner = world.header.runner if world.header is not None else "unknown"
    return (
        "One process hosted all of these principals; its operator could have signed for any of "
        f"them: {_named(principals)} (runner {_quoted(runner)}).{elsewhere}"
    )


def _named(principals: list[Principal]) -> str:
    # What another machine calls a principal is not known: its roles are.
    known = dict.fromkeys(one.name or ", ".join(sorted(one.roles)) for one in principals)
    names = ", ".join(map(_quoted, list(known)[:PRINCIPALS_NAMED_MAX]))
    if len(known) > PRINCIPALS_NAMED_MAX:
        names += f" and {len(known) - PRINCIPALS_NAMED_MAX} more"
    return names


def _quoted(name: str) -> str:
    return '"' + name.replace('"', "'") + '"'


# --- levels --------------------------------------------------------------------------------


def _levels(pipeline: Pipeline, findings: list[Finding]) -> tuple[LevelResult, ...]:
    levels = [_level(pipeline, findings, level) for level in (1, 2, 3, 4)]
    replay = pipeline.replay
    result = ReplayResult(ran=False, ok=False, why=_NOT_ASKED) if replay is None else replay.result
    own = [finding for finding in findings if finding.level == 5]
    if own:
        why = f"{own[0].code} at byte {own[0].offset}"
        result = ReplayResult(ran=result.ran, ok=False, why=why)
    return (*levels, LevelResult(5, LEVEL_NAMES[4], *result))


def _level(pipeline: Pipeline, findings: list[Finding], level: int) -> LevelResult:
    name = LEVEL_NAMES[level - 1]
    own = [finding for finding in findings if finding.level == level]
    if own:
        more = f" (+{len(own) - 1} more)" if len(own) > 1 else ""
        why = f"{own[0].code} at byte {own[0].offset}{more}"
        return LevelResult(level, name, ran=True, ok=False, why=why)
    unjudged = _unjudged(pipeline.world)
    if level == 4 and unjudged:
        ran = any(entry.sessions for entry in pipeline.world.protocols if entry.tables)
        return LevelResult(level, name, ran=ran, ok=False, why=_no_protocol(unjudged))
    if pipeline.stopped:
        why = f"could not go on after record {pipeline.records}"
        return LevelResult(level, name, ran=pipeline.records > 0, ok=False, why=why)
    remarks = []
    if any(finding.code.startswith("incomplete.") for finding in findings):
        remarks.append("as far as the file goes")
    withheld = pipeline.world.tally.withheld
    if level == 4 and withheld:
        remarks.append(_withheld(withheld))
    return LevelResult(level, name, ran=True, ok=True, why="; ".join(remarks))


def _withheld(count: int) -> str:
    if count == 1:
        return "the payload of 1 message is not in the file: its type was not checked"
    return f"payloads of {count} messages are not in the file: their types were not checked"


def _unjudged(world: World) -> list[ProtocolEntry]:
    return [entry for entry in world.protocols if entry.sessions and entry.tables is None]


def _no_protocol(entries: list[ProtocolEntry]) -> str:
    names = ", ".join(f"{entry.name} id {entry.id.hex()}" for entry in entries)
    return f"the file does not hold the protocol {names}; give its script with --protocol"


# --- the conclusion ------------------------------------------------------------------------


def _conclude(
    pipeline: Pipeline,
    findings: list[Finding],
    principals: tuple[PrincipalReport, ...],
    trust: TrustFile | None,
) -> tuple[int, str]:
    if pipeline.unsupported:
        return EXIT_UNSUPPORTED, sentence(findings[0].message)
    wrong = [finding for finding in findings if not finding.code.startswith("incomplete.")]
    if wrong:
        return EXIT_INVALID, sentence(wrong[0].message) + _suspect(wrong)
    if findings:
        unsealed = _sealing(pipeline).unsealed
        holds = f"fits together, {unsealed} records of it not sealed" if unsealed else "holds"
        return EXIT_INCOMPLETE, sentence(f"{findings[0].message}; what comes before {holds}")
    unjudged = _unjudged(pipeline.world)
    if unjudged:
        return EXIT_SELF_CONSISTENT, f"Level 4 could not run: {_no_protocol(unjudged)}."
    if not principals:
        return EXIT_SELF_CONSISTENT, "Nobody signed anything in this file: it opens no session."
    held, but_not = _held(pipeline)
    if trust is None:
        return EXIT_SELF_CONSISTENT, (
            f"{held}, but without a trust file nothing says whose keys these are{but_not}."
        )
    strangers = [principal.name for principal in principals if principal.trusted_as is None]
    if strangers:
        names = ", ".join(name or "(no name)" for name in strangers)
        return EXIT_SELF_CONSISTENT, (
            f"{held}, but {names} {'is' if len(strangers) == 1 else 'are'} "
            f"not in the trust file{but_not}."
        )
    return EXIT_VALID, f"{held}, and every acting principal is trusted{but_not}."


def _suspect(wrong: list[Finding]) -> str:
    """A seal says that one of its records was changed; running the image again may say which."""
    first, last = wrong[0], wrong[-1]
    if first.code != "integrity.root" or last.level != 5:
        return ""
    if last.record is None or first.record is None or last.record > first.record:
        return ""
    return f" Record {last.record} is not what running the image again gives."


def _held(pipeline: Pipeline) -> tuple[str, str]:
    """Which levels hold, and a remark about the one that did not run."""
    replay = pipeline.replay
    if replay is not None and replay.result.ok:
        return "Levels 1 to 5 hold", ""
    why = _NOT_ASKED if replay is None else replay.result.why
    return "Levels 1 to 4 hold", f"; level 5 did not run: {why}"


def sentence(text: str) -> str:
    """A message as a sentence."""
    return text[:1].upper() + text[1:] + "."


# --- what is in it -------------------------------------------------------------------------


def _pins(pipeline: Pipeline) -> tuple[PinReport, ...]:
    source = pipeline.source
    return tuple(
        PinReport(entry.name, entry.id.hex(), source.is_pinned(entry.id), entry.sessions)
        for entry in pipeline.world.protocols
        if entry.sessions
    )


def _counts(pipeline: Pipeline) -> Counts:
    world, tally = pipeline.world, pipeline.world.tally
    return Counts(
        bytes=pipeline.bytes,
        records=pipeline.records,
        sessions=world.sessions_opened,
        closed=tally.closed,
        cancelled=tally.cancelled,
        faulted=tally.faulted,
        open=len(world.sessions),
        messages=tally.messages,
        received=tally.received,
        undelivered=tally.undelivered,
        overwritten=tally.overwritten,
        dropped=tally.dropped,
        delegations=tally.delegations,
        rejects=tally.rejects,
        refused=tally.refused,
        withheld=tally.withheld,
        coroutines=world.coroutines_spawned,
        faults=tally.faults,
        effects=tally.effects,
        prints=tally.prints,
        seals=tally.seals,
        rounds=world.round,
        incarnations=world.incarnations,
    )


def _protection(world: World) -> Protection:
    header = world.header
    return Protection(
        replay_override=None if header is None else header.replay,
        seal_override=None if header is None else header.seal,
        sessions_off=world.tally.unprotected,
        edges_off=tuple(world.edges_off),
    )


def _sealing(pipeline: Pipeline) -> Sealing:
    principals = pipeline.world.keepers
    if not principals:
        return Sealing(records=0, unsealed=pipeline.records, complete=False)
    first = [p.unsealed_from for p in principals if p.unsealed_from is not None]
    unsealed = sum(p.log.size - p.sealed_size for p in principals)
    complete = not first and all(p.final_sealed for p in principals)
    return Sealing(min(first, default=pipeline.records), unsealed, complete)
