"""Results as SARIF 2.1.0, the form in which systems for code scanning take findings.

Every finding is a result whose rule is its code. What makes a verdict less than valid without a
finding is a result, too; a file that could not be judged is a notification of the tool.
"""

from __future__ import annotations

import json
from typing import Final, TypeAlias

from troth.conformance.batch import FileResult
from troth.conformance.codes import CODES, EXIT_INVALID, EXIT_USAGE, EXIT_VALID
from troth.conformance.verdict import Finding
from troth.vm.escape import PATH_CHARACTERS_MAX, plain

Form: TypeAlias = dict[str, object]

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
VERDICT_RULE: Final = "verdict.not-valid"
_RULE_INDEX: Final = {code.code: number for number, code in enumerate(CODES)}
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
)


def head(version: str) -> str:
    """The beginning of the file, up to its results; they follow, with commas between them."""
    rules = [_rule(code.code, code.cause, code.advice, code.exit_code) for code in CODES]
    cause = "Nothing in the file is wrong, but it is not shown to be what you trust."
    rules.append(_rule(VERDICT_RULE, cause, "Read the verdict's reason", EXIT_VALID))
    driver = {"name": "troth", "version": version, "rules": rules}
    tool = json.dumps({"driver": driver})
    return f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{{"tool": {tool}, "results": ['


def tail(exit_code: int, notifications: list[Form]) -> str:
    invocation: Form = {"executionSuccessful": not notifications, "exitCode": exit_code}
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    return f'], "invocations": [{json.dumps(invocation)}], "columnKind": "unicodeCodePoints"}}]}}\n'


def results(result: FileResult) -> list[Form]:
    """None for a valid file, and for one that was not judged; see `notification`."""
    if result.exit_code in (EXIT_VALID, EXIT_USAGE):
        return []
    if not result.findings:
        return [
            {
                "ruleId": VERDICT_RULE,
                "ruleIndex": len(CODES),
                "level": _level(result.exit_code),
                "message": {"text": _message(result.reason)},
                "locations": [_location(result.file, None)],
            }
        ]
    return [_result(result, finding) for finding in result.findings]


def notification(result: FileResult) -> Form:
    """Why a file was not judged."""
    return {
        "level": "error",
        "message": {"text": _message(result.reason)},
        "descriptor": {"id": result.failure or result.status},
        "locations": [_location(result.file, None)],
    }


def _rule(identifier: str, cause: str, advice: str, exit_code: int) -> Form:
    return {
        "id": identifier,
        "shortDescription": {"text": cause},
        "help": {"text": f"{advice}."},
        "defaultConfiguration": {"level": _level(exit_code)},
    }


def _level(exit_code: int) -> str:
    return "error" if exit_code == EXIT_INVALID else "warning"


def _result(result: FileResult, finding: Finding) -> Form:
    said = {
        "record": finding.said,
        "session": finding.session,
        "edge": finding.edge,
        "role": finding.role,
        "expected": finding.expected,
        "found": finding.actual,
    }
    known = {name: plain(text) for name, text in said.items() if text}
    return {
        "ruleId": finding.code,
        "ruleIndex": _RULE_INDEX[finding.code],
        "level": _level(result.exit_code),
        "message": {"text": _message(f"{finding.message}. {finding.advice}.")},
        "locations": [_location(result.file, finding)],
        "properties": {"category": finding.category.value, **known},
    }


def _location(file: str, finding: Finding | None) -> Form:
    place: Form = {"artifactLocation": {"uri": _uri(file)}}
    if finding is not None:
        place["region"] = {"byteOffset": finding.offset}
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    path = file.encode("utf-8", "surrogateescape")
    quoted = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in path)
    return f"file://{quoted}" if quoted.startswith("/") else quoted


def _message(text: str) -> str:
    """Braces are placeholders in such a text, and brackets before a parenthesis are links."""
    shown = plain(text, characters_max=PATH_CHARACTERS_MAX).replace("](", "] (")
    return shown.replace("{", "{{").replace("}", "}}")
