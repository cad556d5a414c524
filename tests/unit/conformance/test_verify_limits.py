"""A header whose limits no run could have had is refused, not believed."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import EXAMPLES, join, parse, record_script, with_field
from troth.conformance import verify
from troth.vm.limits import Limits

LIMITS_FIELD: Final = 6


@pytest.mark.parametrize("value", [0, -1, 1 << 63])
def test_a_limit_that_no_run_has(tmp_path: Path, value: int) -> None:
    records = parse(record_script(EXAMPLES / "hello.troth", tmp_path).data)
    limits = records[0][LIMITS_FIELD]
    assert len(limits) == len(fields(Limits))
    records[0] = with_field(records[0], LIMITS_FIELD, (value, *limits[1:]))
    verdict = verify(io.BytesIO(join(records)))
    assert verdict.exit_code == 2
    assert verdict.findings
