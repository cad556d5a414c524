"""The transport's protocols check, project and run, and no branch of them is without a test."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import pytest

from stream_scenarios import CLOCK, LATE, Scenario, run, without_one_branch
from troth import dsl
from troth.dsl import ScriptErrors
from troth.streaming.shell_protocols import NAMES, load_protocol, protocol_path
from troth.vm.errors import Unusable

PICTURE: Final = {"width": 320, "height": 180, "frames_per_second": 60}
ADMITTED: Final[dict[str, Any]] = {"refusal": "", "codec": "synthetic", "picture": PICTURE}
LEAVE: Final = {"kind": "leave", "text": "user_disconnect"}
BLOB: Final = b"frame"
REFUSED: Final = {"code": "policy", "text": "", "limit": "", "wait_ms": 0}
NOT_SO: Final = {"code": "policy"}


def session(
    name: str, demands: list[dict[str, Any]], expected: dict[str, list[str]], **more: list[Any]
) -> Scenario:
    answers: dict[str, list[Any]] = {
        "admit": [ADMITTED],
        "channel_binding": [b"same", b"same"],
        "next_demand": demands,
        **more,
    }
    return Scenario(name, "session", answers, expected)


SESSIONS: Final = (
    session(
        "left by the client",
        [{"kind": "report"}, LEAVE],
        {"ended": ["Client, user_disconnect"] * 2, "adapted": ["{epoch: 7}"]},
        decide=[{"epoch": 7}],
    ),
    session(
        "left by the host",
        [{"kind": "report"}],
        {"ended": ["Host, revoked"] * 2},
        host_order=["revoked"],
    ),
    session(
        "another channel",
        [],
        {"ended": ["Client, identity_mismatch"] * 2, "admit": [], "begin_media": []},
        channel_binding=[b"one", b"other"],
    ),
    session(
        "refused",
        [],
        {"ended": ["Host, version_mismatch"] * 2, "begin_media": []},
        admit=[{"refusal": "version_mismatch"}],
    ),
    session(
        "key frame",
        [{"kind": "key_frame", "number": 5}, LEAVE],
        {"force_key_frame": ["5"], "key_frame_promised": ["6"]},
        force_key_frame=[6],
    ),
    session(
        "another monitor",
        [{"kind": "monitor", "number": 1}, {"kind": "monitor", "number": 9}, LEAVE],
        {"select_monitor": ["1", "9"]},
        select_monitor=[{"refusal": ""}, {"refusal": "media.monitor"}],
    ),
    session(
        "capped",
        [{"kind": "cap", "number": 900}, LEAVE],
        {"cap_bitrate": ["900"], "capped": ["800"]},
        cap_bitrate=[800],
    ),
    session(
        "another path",
        [{"kind": "path", "number": 1}, LEAVE],
        {"take_path": ["1"], "path_taken": ["1"], "path_kept": []},
        path_nonce=[b"nonce"],
        path_reached=[True],
        path_answered=[True],
    ),
    session(
        "a path that answers wrongly",
        [{"kind": "path", "number": 1}, LEAVE],
        {"take_path": [], "path_kept": ["1", "1"]},
        path_reached=[True],
        path_answered=[False],
    ),
    session(
        "a path that is not there",
        [{"kind": "path", "number": 1}, LEAVE],
        {"take_path": [], "path_kept": ["1"]},
        path_reached=[False],
    ),
    session(
        "media both ways",
        [LEAVE],
        {
            "transmit_frame": ["0, True, blob of 5"],
            "show": ["0, True, 3, blob of 5"],
            "transmit_sound": ["0, blob of 5"],
            "play": ["0, 4, blob of 5"],
            "move_pointer": ["1, 2, 5"],
            "press": ["30, 6"],
            "release": ["30, 7"],
            "release_all": [""],
        },
        next_frame=[{"more": True, "key": True, "at_us": 3, "data": BLOB}, {"more": False}],
        next_sound=[{"more": True, "at_us": 4, "data": BLOB}, {"more": False}],
        next_act=[
            {"kind": "move", "x": 1, "y": 2, "at_us": 5},
            {"kind": "press", "x": 30, "at_us": 6},
            {"kind": "release", "x": 30, "at_us": 7},
            {"kind": "end"},
        ],
    ),
)

OTHERS: Final = (
    Scenario(
        "bound",
        "bind",
        {"register": [{"signature": b"s"}]},
        {"bound": ["b's'"], "not_bound": [], "party_leaves": []},
    ),
    Scenario(
        "not bound",
        "bind",
        {"register": [{"refusal": REFUSED}]},
        {"not_bound": ["{code: policy}"], "bound": []},
    ),
    Scenario(
        "another gateway",
        "bind",
        {"answer_challenge": [{"refusal": "wrong_gateway"}]},
        {"party_leaves": ["wrong_gateway"], "register": []},
    ),
    Scenario(
        "a policy kept",
        "consent",
        {"own_policy": ["ask"]},
        {"keep_policy": ["ask, []"], "policy_kept": [""], "policy_refused": []},
    ),
    Scenario(
        "a policy refused",
        "consent",
        {"keep_policy": [NOT_SO]},
        {"policy_refused": ["{code: policy}"], "policy_kept": []},
    ),
    Scenario(
        "a session",
        "asking",
        {"ask_host": [{"offer": b"1"}]},
        {"delivered": ["b'1'"], "opened": ["{session: }"], "not_opened": [], "withdraw": []},
    ),
    Scenario(
        "no host",
        "asking",
        {"ask_host": [{"refusal": REFUSED}]},
        {"not_opened": ["{code: policy}"], "host_has_offer": [], "delivered": []},
    ),
    Scenario(
        "a host that goes",
        "asking",
        {"host_has_offer": [NOT_SO]},
        {"not_opened": ["{code: policy}"], "host_answer": [], "delivered": []},
    ),
    Scenario(
        "a host that says no",
        "asking",
        {"host_answer": [{"refusal": REFUSED}]},
        {"delivered": ["b''"], "not_opened": ["{code: policy}"], "opened": []},
    ),
    Scenario(
        "an offer that does not arrive",
        "asking",
        {"host_has_offer": [LATE]},
        {"too_late": ["not_delivered"], "withdraw": [""], "delivered": []},
    ),
    Scenario(
        "no answer",
        "asking",
        {"host_answer": [LATE]},
        {"too_late": ["no_answer"], "withdraw": [""], "opened": []},
    ),
    Scenario(
        "consent",
        "consulting",
        {},
        {"host_has_it": [""], "opened": ["{session: }"], "not_opened": []},
    ),
    Scenario(
        "an offer that is over",
        "consulting",
        {"open_session": [{"refusal": REFUSED}]},
        {"not_opened": ["{code: policy}"], "opened": []},
    ),
    Scenario(
        "no consent",
        "consulting",
        {"consent": [{"refusal": "busy"}]},
        {"host_refuses": ["busy"], "open_session": []},
    ),
    Scenario(
        "an end that is kept",
        "ending",
        {"session_to_end": [{"session": b"s", "reason": "user"}]},
        {"end_session": ["{reason: user}"], "end_kept": [""], "end_refused": []},
    ),
    Scenario(
        "an end of nothing",
        "ending",
        {"end_session": [NOT_SO]},
        {"end_refused": ["{code: policy}"], "end_kept": []},
    ),
    Scenario(
        "an end that is told", "ended", {}, {"session_ended": ["{reason: }"], "end_heard": [""]}
    ),
    Scenario(
        "no consent in time",
        "consulting",
        {"consent": [LATE]},
        {"consent_is_late": [""], "host_is_late": [""], "open_session": []},
    ),
    Scenario(
        "one pair passes, one answers wrongly, one is silent",
        "paths",
        {
            "next_check": [
                {"kind": "check", "pair": 0, "nonce": b"a"},
                {"kind": "check", "pair": 1, "nonce": b"b"},
                {"kind": "check", "pair": 2, "nonce": b"c"},
                {"kind": "nominate", "pair": 1},
            ],
            "check_heard": [b"stale", b"b", b""],
        },
        {
            "check_failed": ["0"],
            "check_silent": ["2"],
            "check_passed": ["1, b'b'"],
            "nominated": ["1", "1"],
        },
    ),
    Scenario(
        "no pair passes", "paths", {"next_check": [{"kind": "none"}]}, {"relay_needed": ["", ""]}
    ),
    Scenario(
        "leased, renewed and left",
        "lease",
        {
            "next_want": [{"kind": "relay"}, {"kind": "renewal"}, {"kind": "leave"}],
            "relay_for": ["rita", "rita"],
            "relay_taken": [""],
        },
        {
            "lease_session": ["{relay: , session: b''}"],
            "relay_for": ["{except_relays: [], kind: relay}", "{except_relays: [], kind: renewal}"],
            "issue_lease": ["rita", "rita"],
            "use_lease": ["{host: , port: 0, relay: , token: b''}"] * 2,
            "session_left": [""],
            "lease_refused": [],
            "no_relay_there": [],
        },
    ),
    Scenario(
        "handed a lease, and another",
        "lease",
        {"next_want": [{"kind": "leave"}], "relay_taken": ["rita", "rob", ""]},
        {"issue_lease": ["rita", "rob"], "use_lease": ["{host: , port: 0"] * 2},
    ),
    Scenario(
        "no lease",
        "lease",
        {
            "next_want": [{"kind": "relay"}, {"kind": "leave"}],
            "refusal": [{"code": "revoked"}],
            "relay_taken": [""],
        },
        {"issue_lease": [], "use_lease": [], "lease_refused": ["{code: revoked"]},
    ),
    Scenario(
        "no relay in time",
        "lease",
        {
            "next_want": [{"kind": "relay"}, {"kind": "leave"}],
            "relay_for": [LATE],
            "relay_taken": [""],
        },
        {
            "relay_for": ["late"],
            "no_relay_came": [""],
            "no_relay_there": [""],
            "use_lease": [],
            "lease_refused": [],
        },
    ),
    Scenario(
        "revoked",
        "revoke",
        {"next_orders": [[{"session": b"s", "reason": "r"}], []]},
        {
            "stop_sessions": ["[{'reason': 'r', 'session': b's'}]"],
            "sessions_stopped": [""],
            "sessions_late": [],
        },
    ),
    Scenario(
        "one that takes too long to stop, and another",
        "revoke",
        {
            "next_orders": [
                [{"session": b"s", "reason": ""}],
                [{"session": b"t", "reason": ""}],
                [],
            ],
            "stop_sessions": [LATE, None],
        },
        {"stop_sessions": ["late", ""], "sessions_late": [""], "sessions_stopped": [""]},
    ),
    Scenario(
        "registered, beats, drained",
        "registration",
        {"relay_leaving": [LATE, LATE], "relay_load": [3, 4], "take_beat": [True, False]},
        {"take_beat": ["3", "4"], "drain": [""], "relay_gone": ["drained"], "registered": [""]},
    ),
    Scenario(
        "registered, beats and leaves",
        "registration",
        {"relay_leaving": [LATE, None], "take_beat": [True]},
        {"take_beat": ["0"], "relay_gone": ["left"], "drain": []},
    ),
    Scenario(
        "not registered",
        "registration",
        {"register_relay": ["address"]},
        {"registration_refused": ["address"], "registered": [], "relay_leaving": []},
    ),
)

STRAIGHT: Final = ("ended",)
"""Their programs have no branches."""

SCENARIOS: Final = SESSIONS + OTHERS


@functools.cache
def module(name: str) -> dsl.Module:
    return dsl.compile_module(text_of(name), f"{name}.troth")


def text_of(name: str) -> str:
    """The script, but that nobody has to wait for its clocks."""
    return re.sub(r"within \d+\w+:", CLOCK, protocol_path(name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_projects_to_every_role(name: str) -> None:
    loaded = module(name)
    assert loaded.protocol_names
    for protocol in loaded.protocol_names:
        view = loaded.protocol(protocol)
        for role in view.roles:
            assert view.describe(role)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_goes_as_it_should(scenario: Scenario) -> None:
    ran = run(module(scenario.protocol), scenario)
    assert ran.ok
    for effect, expected in scenario.expected.items():
        found = ran.calls(effect)
        assert len(found) == len(expected), (effect, found)
        for one, other in zip(found, expected, strict=True):
            # A record is compared by the fields that the scenario names.
            assert one == other or other.strip("{}") in one, effect


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_branch_can_be_taken_out_unseen(name: str) -> None:
    scenarios = [scenario for scenario in SCENARIOS if scenario.protocol == name]
    before = [run(module(name), scenario) for scenario in scenarios]
    cut, refused, unseen = 0, 0, []
    for place, text in without_one_branch(text_of(name)):
        cut += 1
        try:
            changed = dsl.compile_module(text, f"{name}.troth")
        except ScriptErrors:
            refused += 1
            continue
        if all(run(changed, one) == ran for one, ran in zip(scenarios, before, strict=True)):
            unseen.append(place)
    assert not unseen
    if name in STRAIGHT:
        assert cut == 0
        return
    assert cut > refused, "some branches are seen only by what happens"
    assert cut >= 4


def test_a_protocol_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unusable) as refused:
        load_protocol("telepathy")
    assert refused.value.code == "stream.protocol"
