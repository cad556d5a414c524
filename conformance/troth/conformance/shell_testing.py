"""For other people's tests: an artifact must be valid, and a run must mean what it meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from troth.conformance.codes import EXIT_SELF_CONSISTENT, EXIT_VALID, LEVEL_NAMES
from troth.conformance.fragment_text import first_difference, fragment_text
from troth.conformance.image_pin import ImagePin
from troth.conformance.protocols import Pins
from troth.conformance.render import finding_lines
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.shell_canon import build_fragment
from troth.conformance.shell_files import verify
from troth.conformance.verdict import Verdict
from troth.vm.error_text import describe_error
from troth.vm.errors import TrothError
from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.keys import TrustFile
from troth.vm.shell_keys import load_trust

UPDATE_OPTION: Final = "--troth-update"


def assert_replay_valid(
    artifact: str | os.PathLike[str],
    *,
    trust: TrustFile | str | os.PathLike[str] | None = None,
    protocols: Pins | None = None,
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
    levels: int = 4,
) -> Verdict:
    """Fails with the first divergence in prose unless the artifact is valid; the verdict if it is.

    `trust` is a trust file, or its path: every acting principal has to be in it. Without it the
    artifact has to be right by the keys that it names itself. `levels` is the highest level that
    must have run and held: 5 where the image has to have been run again. The other arguments
    are those of `verify`.

    Raises:
        AssertionError: it is not valid.
        TrothError: the trust file cannot be used.
    """
    __tracebackhide__ = True
    if trust is not None and not isinstance(trust, TrustFile):
        trust = load_trust(Path(trust))
    try:
        verdict = verify(artifact, trust=trust, protocols=protocols, image=image, replay=replay)
    except TrothError as error:
        raise AssertionError(describe_error(error)) from None
    why = _why_not(verdict, levels)
    if why:
        raise AssertionError(why)
    return verdict


def _why_not(verdict: Verdict, levels: int) -> str:
    """Nothing, when the verdict is good enough."""
    file = plain(verdict.file, characters_max=PATH_CHARACTERS_MAX)
    enough = (EXIT_VALID,) if verdict.trust_given else (EXIT_VALID, EXIT_SELF_CONSISTENT)
    if verdict.exit_code in enough:
        for level in verdict.levels[:levels]:
            if not level.ok:
                name = LEVEL_NAMES[level.level - 1]
                return f"{file}: level {level.level} ({name}) does not hold: {plain(level.why)}"
        return ""
    head = f"{file} is {verdict.status.value} (exit {verdict.exit_code}): {plain(verdict.reason)}"
    if not verdict.findings:
        return head
    lines = [head, "", *finding_lines(verdict.findings[0], "first finding")]
    if len(verdict.findings) > 1:
        lines += ["", f"and {len(verdict.findings) - 1} more; `troth verify` shows them"]
    return "\n".join(lines)


def compare_golden(artifact: str | os.PathLike[str], golden: Path, *, update: bool) -> bool:
    """Compares what a run means with the text in `golden`; True when that was written anew.

    Raises:
        AssertionError: the run means something else, or there is no golden text to compare with.
        OSError: the golden text cannot be read or written.
    """
    __tracebackhide__ = True
    try:
        found = fragment_text(build_fragment(Path(artifact), keep=True).encode())
    except TrothError as error:
        raise AssertionError(describe_error(error)) from None
    known = golden.read_text(encoding="utf-8") if golden.exists() else None
    if known == found:
        return False
    if update:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(found, encoding="utf-8")
        return True
    raise AssertionError(_what_differs(Path(artifact), golden, known, found))


def _what_differs(artifact: Path, golden: Path, known: str | None, found: str) -> str:
    names = [plain(str(path), characters_max=PATH_CHARACTERS_MAX) for path in (artifact, golden)]
    advice = f"When this is what you want, run pytest with {UPDATE_OPTION}"
    if known is None:
        return f"there is no golden fragment {names[1]} yet. {advice}, and look at what it writes."
    difference = first_difference(known, found)
    if difference is None:
        return f"{names[1]} differs from {names[0]} in its line ends. {advice}."
    lines = [
        f"{names[0]} does not mean what {names[1]} says",
        f"  first difference in line {difference.line} of it",
    ]
    if difference.where:
        lines.append(f"  where     {difference.where}")
    lines += [
        f"  expected  {difference.expected or 'nothing more'}  [golden]",
        f"  found     {difference.found or 'nothing more'}  [{names[0]}]",
        f"{advice}, and look at the difference.",
    ]
    return "\n".join(lines)
