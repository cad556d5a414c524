"""What a proof that holds lets anybody conclude from public keys alone, and what it does not."""

from __future__ import annotations

from typing import Final

from troth.conformance.proof_verdict import EquivocationReport, ProofVerdict, PublicationReport

_STATEMENTS: Final = frozenset(
    {"message", "notice", "receipt", "rotate", "cancel", "delegation", "join", "fail"}
)


def proves(verdict: ProofVerdict) -> tuple[str, ...]:
    """Sentences for people, in the order in which one follows from the other."""
    found: list[str] = []
    event, run = verdict.event, verdict.run
    if event is not None and run is not None:
        what = "states this" if event.kind in _STATEMENTS else f"holds this {event.kind} record"
        found.append(
            f"The signer's log of the run {what}, as record {event.record} of the run, leaf "
            f"{run.leaf} of {run.size}."
        )
        found.append(
            "The signer ended the log there: the head is final."
            if run.final
            else "The signer signed this head on the way; the log may have gone on."
        )
        if event.in_descriptor is not None:
            found.append(_authority(verdict))
        if event.payload_open:
            found.append("The content shown is the one that was signed.")
    if verdict.equivocation is not None:
        found.append(_equivocation(verdict.equivocation))
    if verdict.publication is not None:
        found += _publication(verdict.publication)
    return tuple(found)


def _authority(verdict: ProofVerdict) -> str:
    event = verdict.event
    assert event is not None
    if event.in_descriptor and event.observed:
        return f"The session was opened with the signer's key as that of who observes {event.role}."
    if event.in_descriptor:
        return f"The session was opened with the signer's key for {event.role}."
    return (
        f"The session was opened with another key for {event.role}; whether the signer had the "
        "role by delegation is not shown."
    )


def _equivocation(report: EquivocationReport) -> str:
    if report.role is None:
        return (
            "The signer has signed two histories of one log: neither head continues the other, "
            "so at least one of the records of that run is not what it kept."
        )
    who = "The signer" if len(report.signers) == 1 else "Those who had authority"
    return (
        f"{who} for {report.role} signed both, and only one can be true: whoever was shown the "
        "one was told another story than whoever was shown the other."
    )


def _publication(report: PublicationReport) -> list[str]:
    found = []
    if report.entry is not None:
        found.append(
            f"The signer has published the head of that run, as entry {report.entry} of "
            f"{report.size} in its publication log."
        )
    else:
        found.append(f"The signer's publication log had this root with {report.size} entries.")
    if report.grown_from is not None:
        found.append(
            f"The log begins with the {report.grown_from} entries of the earlier checkpoint."
        )
    found += [
        f"Witnessed by {one.name}: it had seen the log in this state by {one.unix_time} (Unix "
        "time in seconds)."
        for one in report.witnesses
    ]
    return found


def does_not_prove(verdict: ProofVerdict) -> tuple[str, ...]:
    found: list[str] = []
    if verdict.equivocation is not None:
        found.append("which of the two is true, or whether either is")
        found.append("that it was meant: a stolen key, or a run begun again, looks the same")
        return tuple(found)
    event = verdict.event
    if event is not None:
        found.append("that the rest of the run holds, or follows its protocol: verify the artifact")
        found.append("that what is stated is true, or when it was said")
        if event.kind == "message":
            found.append("that the message was received")
        if event.kind == "message" and not event.payload_open:
            found.append("what the message said: the proof has the commitment only")
    report = verdict.publication
    if report is None:
        found.append("that the run was published where a witness could see it")
    else:
        found.append("that every run of the signer was published")
        if not report.witnesses:
            found.append("that others are shown the same log: none of your witnesses has cosigned")
    return tuple(found)
