"""Results as JUnit XML, the form in which most systems for continuous integration take tests.

A file is a test case, which passes exactly when the exit code of its verdict is 0. Elements and
attributes are those that the common schemas of the form share.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape as escape_xml
from xml.sax.saxutils import quoteattr

from troth.conformance.batch import FileResult
from troth.conformance.codes import EXIT_USAGE, EXIT_VALID
from troth.conformance.render import finding_lines
from troth.vm.escape import PATH_CHARACTERS_MAX, escape

SUITE: Final = "troth verify"
TAIL: Final = "  </testsuite>\n</testsuites>\n"


def head(tests: int, failures: int, errors: int) -> str:
    counts = f'tests="{tests}" failures="{failures}" errors="{errors}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites {counts}>\n"
        f'  <testsuite name="{SUITE}" {counts} skipped="0">\n'
    )


def is_error(result: FileResult) -> bool:
    """Nothing is known of the file; all others that do not pass have failed."""
    return result.exit_code == EXIT_USAGE


def case(result: FileResult) -> str:
    """One test case. What comes from files is printable when it gets here, and then escaped."""
    name = quoteattr(escape(result.file, characters_max=PATH_CHARACTERS_MAX))
    opened = f'    <testcase classname="{SUITE}" name={name}'
    if result.exit_code == EXIT_VALID:
        return f"{opened}/>\n"
    element = "error" if is_error(result) else "failure"
    lines = [escape(result.reason, characters_max=600)]
    for number, finding in enumerate(result.findings, start=1):
        lines += ["", *finding_lines(finding, f"finding {number}")]
    text = escape_xml("\n".join(lines))
    message = quoteattr(escape(result.reason, characters_max=600))
    kind = quoteattr(
        result.findings[0].code if result.findings else result.failure or result.status
    )
    return (
        f"{opened}>\n"
        f"      <{element} type={kind} message={message}>{text}</{element}>\n"
        "    </testcase>\n"
    )
