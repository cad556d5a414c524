"""The reports for continuous integration have the published forms, whatever is in the files.

The tables below are what the schemas of SARIF 2.1.0 (OASIS) and JUnit (as Jenkins and Ant publish
it) say of the objects and elements that are used here.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from artifact_surgery import EXAMPLES, record_script
from troth.conformance import verify
from troth.conformance.batch import FileResult, judged, not_judged
from troth.conformance.shell_ci_reports import CiReports
from troth.conformance.verdict import Finding
from troth.vm.errors import Unusable

HOSTILE = "\x1b[31m\x00\u202e<b>&\"']]>\ud800{0}[link](1)\n\x85"
FILE = HOSTILE.replace("\ud800", "\udcff")
"""Names of files hold other surrogates: those that stand for bytes which are no UTF-8."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return record_script(EXAMPLES / "hello.troth", tmp_path_factory.mktemp("run")).data


def _hostile(word: str = "invalid", exit_code: int = 2) -> FileResult:
    finding = Finding(
        code="integrity.seal",
        message=HOSTILE,
        offset=7,
        record=1,
        said=HOSTILE,
        session=HOSTILE,
        edge=HOSTILE,
        role=HOSTILE,
        position=HOSTILE,
        expected=HOSTILE,
        actual=HOSTILE,
        context=(HOSTILE, HOSTILE),
    )
    return FileResult(
        file=f"a b/{FILE}%é",
        exit_code=exit_code,
        status=word,
        reason=HOSTILE,
        findings=(finding,),
        text="",
    )


def _results(data: bytes) -> list[FileResult]:
    bad = bytearray(data)
    bad[-1] ^= 1
    return [
        judged(verify(io.BytesIO(data))),
        judged(verify(io.BytesIO(bad))),
        judged(verify(io.BytesIO(data[:-1]))),
        not_judged(FILE, "batch.crash", HOSTILE),
        _hostile(),
        FileResult(file="ok", exit_code=0, status="valid", reason="", text=""),
    ]


def _write(folder: Path, results: list[FileResult]) -> tuple[ElementTree.Element, dict[str, Any]]:
    junit, sarif = folder / "junit.xml", folder / "out.sarif"
    with CiReports(junit, sarif) as reports:
        for result in results:
            reports.add(result)
        reports.finish(2)
    text = junit.read_text(encoding="utf-8")
    assert sarif.read_bytes().isascii()
    for content in (text, sarif.read_text()):
        assert not re.search("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]|\u202e", content)
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "out.sarif"]
    return ElementTree.fromstring(text), json.loads(sarif.read_text())


# --- JUnit ---------------------------------------------------------------------------------

JUNIT: dict[str, tuple[set[str], set[str], set[str]]] = {
    # element: (attributes required here, attributes allowed, children)
    "testsuites": (set(), {"tests", "failures", "errors", "name", "time"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "skipped", "time"},
        {"testcase"},
    ),
    "testcase": ({"name", "classname"}, {"name", "classname", "time"}, {"failure", "error"}),
    "failure": ({"type", "message"}, {"type", "message"}, set()),
    "error": ({"type", "message"}, {"type", "message"}, set()),
}


def _check_junit(element: ElementTree.Element) -> None:
    required, allowed, children = JUNIT[element.tag]
    assert required <= set(element.attrib) <= allowed
    for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
        assert element.attrib[name].isdecimal()
    for child in element:
        assert child.tag in children
        _check_junit(child)


def test_junit_has_its_form(data: bytes, tmp_path: Path) -> None:
    root, _ = _write(tmp_path, _results(data))
    assert root.tag == "testsuites"
    _check_junit(root)
    (suite,) = root
    cases = list(suite)
    assert suite.attrib["tests"] == str(len(cases)) == "6"
    assert suite.attrib["failures"] == "4"
    assert suite.attrib["errors"] == "1"
    found = [[child.tag for child in case] for case in cases]
    assert found == [["failure"], ["failure"], ["failure"], ["error"], ["failure"], []]
    assert cases[1][0].attrib["type"] == "integrity.seal"
    assert "first" not in (cases[0][0].text or "")
    assert "expected" in (cases[1][0].text or "")
    assert "\\u{1b}[31m" in cases[4].attrib["name"]


def test_a_report_of_nothing_has_its_form(tmp_path: Path) -> None:
    root, log = _write(tmp_path, [])
    _check_junit(root)
    assert len(root[0]) == 0
    _check_sarif(log)
    assert log["runs"][0]["results"] == []


# --- SARIF ---------------------------------------------------------------------------------

LEVELS = {"none", "note", "warning", "error"}
SARIF: dict[str, tuple[set[str], dict[str, Any]]] = {
    # object: (required properties, the kind of every property that is used)
    "log": ({"version", "runs"}, {"$schema": str, "version": {"2.1.0"}, "runs": ["run"]}),
    "run": (
        {"tool"},
        {
            "tool": "tool",
            "results": ["result"],
            "invocations": ["invocation"],
            "columnKind": {"utf16CodeUnits", "unicodeCodePoints"},
        },
    ),
    "tool": ({"driver"}, {"driver": "toolComponent"}),
    "toolComponent": ({"name"}, {"name": str, "version": str, "rules": ["reportingDescriptor"]}),
    "reportingDescriptor": (
        {"id"},
        {
            "id": str,
            "shortDescription": "message",
            "help": "message",
            "defaultConfiguration": "reportingConfiguration",
        },
    ),
    "reportingConfiguration": (set(), {"level": LEVELS}),
    "result": (
        {"message"},
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": LEVELS,
            "message": "message",
            "locations": ["location"],
            "properties": dict,
        },
    ),
    "message": ({"text"}, {"text": str}),
    "location": (set(), {"physicalLocation": "physicalLocation"}),
    "physicalLocation": (
        {"artifactLocation"},
        {"artifactLocation": "artifactLocation", "region": "region"},
    ),
    "artifactLocation": (set(), {"uri": str}),
    "region": (set(), {"byteOffset": int}),
    "invocation": (
        {"executionSuccessful"},
        {
            "executionSuccessful": bool,
            "exitCode": int,
            "toolExecutionNotifications": ["notification"],
        },
    ),
    "notification": (
        {"message"},
        {
            "level": LEVELS,
            "message": "message",
            "descriptor": "reportingDescriptorReference",
            "locations": ["location"],
        },
    ),
    "reportingDescriptorReference": (set(), {"id": str}),
}


def _check_sarif(value: Any, kind: Any = "log") -> None:
    if isinstance(kind, list):
        assert isinstance(value, list)
        for item in value:
            _check_sarif(item, kind[0])
    elif isinstance(kind, set):
        assert value in kind
    elif isinstance(kind, str):
        required, properties = SARIF[kind]
        assert isinstance(value, dict)
        assert required <= set(value) <= set(properties), kind
        for name, item in value.items():
            _check_sarif(item, properties[name])
    else:
        assert type(value) is kind


def test_sarif_has_its_form(data: bytes, tmp_path: Path) -> None:
    _, log = _write(tmp_path, _results(data))
    _check_sarif(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*", uri)
    codes = [result["ruleId"] for result in run["results"]]
    assert codes == ["verdict.not-valid", "integrity.seal", "incomplete.torn", "integrity.seal"]
    levels = [result["level"] for result in run["results"]]
    assert levels == ["warning", "error", "warning", "error"]
    (invocation,) = run["invocations"]
    assert invocation["exitCode"] == 2
    assert invocation["executionSuccessful"] is False
    assert len(invocation["toolExecutionNotifications"]) == 1
    text = run["results"][3]["message"]["text"]
    assert "{{0}}" in text
    assert "](1)" not in text


def test_absolute_paths_become_uris(tmp_path: Path) -> None:
    result = FileResult(file="/x y", exit_code=5, status="self-consistent", reason="r", text="")
    _, log = _write(tmp_path, [result])
    (found,) = log["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///x%20y"


# --- files ---------------------------------------------------------------------------------


def test_what_cannot_be_made_again_is_not_replaced(data: bytes, tmp_path: Path) -> None:
    artifact = tmp_path / "a.replay"
    artifact.write_bytes(data)
    for arguments in ((artifact, None), (None, artifact)):
        with pytest.raises(Unusable) as caught:
            CiReports(*arguments)
        assert caught.value.code == "output.precious"
    assert artifact.read_bytes() == data


def test_an_interrupted_report_leaves_the_earlier_one(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text("earlier")
    with CiReports(report, None) as reports:
        reports.add(_hostile())
    assert report.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [report]


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with (
        CiReports(tmp_path / "no" / "such.xml", None) as reports,
        pytest.raises(Unusable) as caught,
    ):
        reports.finish(0)
    assert caught.value.code == "output.io"
