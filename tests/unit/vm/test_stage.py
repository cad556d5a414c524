"""Sessions whose roles the host plays itself, and roles that are only watched."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import join, parse
from proof_samples import check
from second_verifier import INVALID, VALID, judge
from troth import conformance, dsl, vm
from troth.conformance.judge import verify_stream
from troth.conformance.proof_check import Known
from troth.conformance.proof_render import to_prose as proof_prose
from troth.conformance.proving import event_of
from troth.conformance.render import to_prose
from troth.vm.instructions import OpenOptions
from troth.vm.records import Kind

CALLS: Final = dsl.compile_module(
    """
type Pair = {name: str, value: str}

protocol Watch(App, Switch):
    rec More:
        choice at Switch:
            Switch -> App: event(name: str, pairs: list[Pair])
            continue More
        or:
            Switch -> App: over()

protocol Ask(App, Switch):
    App -> Switch: question(n: int)
    Switch -> App: answer(n: int)
""",
    "calls.troth",
).image


def verdict(path: Path) -> conformance.Verdict:
    return conformance.verify(path)


def _record(path: Path, **options: object) -> conformance.Verdict:
    stage = vm.Stage(CALLS, vm.RunOptions(record=path, **options))  # type: ignore[arg-type]  # by name
    watch, ask = stage.open("Watch"), stage.open("Ask")
    watch.say("Switch", "App", "event", "ring", [{"name": "a", "value": "b"}])
    ask.say("App", "Switch", "question", 1)
    watch.say("Switch", "App", "event", "answered", [])
    ask.say("Switch", "App", "answer", 2)
    watch.say("Switch", "App", "over")
    watch.close()
    ask.close()
    assert stage.finish().ok
    return verdict(path)


@pytest.mark.parametrize("seal", list(vm.Seal))
def test_what_was_seen_is_the_observers_word(tmp_path: Path, seal: vm.Seal) -> None:
    path = tmp_path / "seen.replay"
    found = _record(path, observed=("Switch",), seal=seal)
    assert [level.ok for level in found.levels] == [True] * 4 + [False]
    assert "Python code played all roles" in found.levels[4].why
    app, observer = found.principals
    assert (app.roles, app.observed) == (("Ask.App", "Watch.App"), ())
    assert (observer.name, observer.roles) == ("observer", ())
    assert observer.observed == ("Ask.Switch", "Watch.Switch")
    assert "observed Ask.Switch, Watch.Switch, which signed nothing itself" in to_prose(found)
    assert judge(path.read_bytes()).word == VALID


def test_a_stage_plays_protocols_that_say_what_follows_a_crash(tmp_path: Path) -> None:
    """It says what was said, so nobody crashes there."""
    text = """
protocol Call(Switch, App, Log):
    choice at Switch:
        Switch -> App: event(n: int)
        App -> Log: wrote()
    on crash Switch:
        App -> Log: lost()
"""
    path = tmp_path / "call.replay"
    image = dsl.compile_module(text, "call.troth").image
    stage = vm.Stage(image, vm.RunOptions(record=path))
    call = stage.open("Call")
    call.say("Switch", "App", "event", 1)
    call.say("App", "Log", "wrote")
    call.close()
    assert stage.finish().ok
    assert verdict(path).findings == ()
    assert judge(path.read_bytes()).word == VALID


def test_one_protocol_of_two_can_be_observed(tmp_path: Path) -> None:
    found = _record(tmp_path / "seen.replay", observed=("Ask.Switch",))
    by_name = {one.name: (one.roles, one.observed) for one in found.principals}
    assert by_name["observer"] == ((), ("Ask.Switch",))
    assert by_name["Switch"] == (("Watch.Switch",), ())


def test_without_observed_roles_the_host_signs_for_all(tmp_path: Path) -> None:
    found = _record(tmp_path / "seen.replay")
    assert [one.observed for one in found.principals] == [(), ()]


def test_an_observers_word_cannot_be_passed_off_as_the_roles(tmp_path: Path) -> None:
    path = tmp_path / "seen.replay"
    _record(path, observed=("Switch",))
    records = parse(path.read_bytes())
    header = records[0]
    assert header[-1] == ("Switch",)
    for changed, code in (
        ([(*header[:-1], None), *records[1:]], "structure.setting"),
        ([(*one[:-1], ()) if one[0] == Kind.OPEN else one for one in records], "structure.setting"),
        (
            [(*one[:-1], (0, 1)) if one[0] == Kind.OPEN else one for one in records],
            "structure.setting",
        ),
    ):
        data = join(changed)
        (finding, *_) = verify_stream(io.BytesIO(data)).findings
        assert finding.code == code
        assert judge(data).word == INVALID


def test_a_proof_says_that_the_role_was_observed(tmp_path: Path) -> None:
    path = tmp_path / "seen.replay"
    _record(path, observed=("Switch",))
    records = parse(path.read_bytes())
    for number, record in enumerate(records):
        if record[0] == Kind.SEND:
            event = event_of(io.BytesIO(path.read_bytes()), number)
            proved = check(event, Known())
            assert proved.event is not None
            assert proved.event.observed == (proved.event.role == "Switch")
            watched = "as that of who observes Switch" in proof_prose(proved)
            assert watched == proved.event.observed


def test_what_the_protocol_does_not_allow_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "seen.replay"
    stage = vm.Stage(CALLS, vm.RunOptions(record=path, observed=("Switch",)))
    ask = stage.open("Ask")
    with pytest.raises(vm.Fault) as caught:
        ask.say("Switch", "App", "answer", 2)
    assert caught.value.code == "vm.fault.type"
    assert stage.failed
    assert not stage.finish().ok
    found = verdict(path)
    assert [level.ok for level in found.levels[:4]] == [True] * 4
    assert found.counts.faulted == 1


def test_a_session_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "seen.replay"
    stage = vm.Stage(CALLS, vm.RunOptions(record=path, observed=("Switch",)))
    stage.open("Ask").cancel("App", "no more")
    stage.finish()
    assert verdict(path).counts.cancelled == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"observed": ("Swich",)}, "run.observed"),
        ({"observed": "Switch"}, "run.observed"),
        ({"observed": ("",)}, "run.observed"),
        ({"observed": ("Switch",), "roles": ("App",)}, "run.observed"),
        ({"roles": ("App",)}, "stage.roles"),
    ],
)
def test_unusable_options(options: dict[str, object], code: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.Stage(CALLS, vm.RunOptions(**options))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_unusable_sessions_and_values() -> None:
    stage = vm.Stage(CALLS, vm.RunOptions())
    for _ in range(8):
        stage.open("Ask")
    with pytest.raises(vm.Unusable, match=r"stage\.sessions"):
        stage.open("Ask")
    with pytest.raises(vm.Unusable, match=r"stage\.protocol"):
        stage.open("Nothing")
    ask = vm.Stage(CALLS, vm.RunOptions()).open("Ask")
    with pytest.raises(vm.Unusable, match=r"role\.value"):
        ask.say("App", "Switch", "question", object())


TALK: Final = dsl.compile_module(
    """
protocol Ask(App, Switch):
    edge App -> Switch: capacity = 2
    rec More:
        choice at App:
            App -> Switch: question(n: int)
            Switch -> App: answer(n: int)
            continue More
        or:
            App -> Switch: hint(text: str)
            continue More
        or:
            App -> Switch: enough()

protocol Watch(App, Switch):
    rec More:
        choice at Switch:
            Switch -> App: event(n: int)
            continue More
        or:
            Switch -> App: over()

bundle Talk(App, Switch):
    ask: Ask(App, Switch)
    watch: Watch(App, Switch)
""",
    "talk.troth",
).image


def _talk(path: Path, seal: vm.Seal, *, at_once: bool) -> tuple[vm.RunResult, bytes]:
    """The same conversation, each message by itself or all together."""
    options = vm.RunOptions(record=path, observed=("Switch",), seed=vm.seed_from_number(1))
    stage = vm.Stage(vm.load(TALK), options)
    talk = stage.open_bundle("Talk", OpenOptions(seal=seal))
    ask, watch = talk["ask"], talk["watch"]
    for n in range(50):
        for session, *message in (
            (watch, "Switch", "App", "event", n),
            (ask, "App", "Switch", "hint", "é"),
            (ask, "App", "Switch", "question", n),
            (ask, "Switch", "App", "answer", n + 1),
        ):
            (session.queue if at_once else session.say)(*message)
    watch.queue("Switch", "App", "over")
    watch.queue_close()
    for _ in range(5):
        ask.queue("App", "Switch", "hint", "no more")
    assert not ask.is_over
    ask.queue("App", "Switch", "enough")
    assert ask.is_over
    ask.queue_close()
    return stage.finish(), path.read_bytes()


def _messages(data: bytes) -> list[tuple[object, ...]]:
    kinds = {Kind.SEND: "sent", Kind.RECEIVE: "received"}
    found = [(kinds[r[0]], *r[1:5]) for r in parse(data) if r[0] in kinds]
    return sorted(found, key=repr)


@pytest.mark.parametrize("seal", list(vm.Seal))
def test_what_is_queued_is_what_is_said_one_by_one(tmp_path: Path, seal: vm.Seal) -> None:
    one, together = tmp_path / "one.replay", tmp_path / "together.replay"
    slow, said = _talk(one, seal, at_once=False)
    fast, queued = _talk(together, seal, at_once=True)
    assert slow.ok
    assert fast.ok
    assert fast.rounds < slow.rounds
    assert _messages(said) == _messages(queued)
    for path in (one, together):
        assert [level.ok for level in verdict(path).levels[:4]] == [True] * 4
        assert judge(path.read_bytes()).word == VALID
        assert verdict(path).counts.closed == 2


def test_a_burst_sealed_by_round_costs_one_seal(tmp_path: Path) -> None:
    path = tmp_path / "burst.replay"
    stage = vm.Stage(TALK, vm.RunOptions(record=path, observed=("Switch",)))
    watch = stage.open_bundle("Talk", OpenOptions(seal=vm.Seal.ROUND))["watch"]
    for n in range(30):
        watch.queue("Switch", "App", "event", n)
    assert not [record for record in parse(path.read_bytes()) if record[0] == Kind.SEND]
    stage.flush()
    records = parse(path.read_bytes())
    assert len([record for record in records if record[0] == Kind.SEND]) == 30
    assert len([record for record in records if record[0] == Kind.SEAL]) == 1


def test_what_is_queued_before_a_fault_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "fault.replay"
    stage = vm.Stage(TALK, vm.RunOptions(record=path, observed=("Switch",)))
    talk = stage.open_bundle("Talk", OpenOptions(seal=vm.Seal.ROUND))
    for label in ("event", "event", "ring", "event"):
        talk["watch"].queue("Switch", "App", label, 1)
    with pytest.raises(vm.Fault) as caught:
        stage.flush()
    assert caught.value.code == "vm.fault.label"
    assert stage.failed
    assert not stage.finish().ok
    assert [level.ok for level in verdict(path).levels[:4]] == [True] * 4
    assert verdict(path).counts.faulted == 2
    assert [r[0] for r in parse(path.read_bytes())].count(Kind.SEND) == 2


def test_an_unknown_bundle_is_unusable() -> None:
    with pytest.raises(vm.Unusable, match=r"stage\.bundle"):
        vm.Stage(TALK, vm.RunOptions()).open_bundle("Walk")
    with pytest.raises(vm.Unusable, match="it has none"):
        vm.Stage(CALLS, vm.RunOptions()).open_bundle("Walk")
