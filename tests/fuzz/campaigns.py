"""What is fuzzed: the decoders and the verifier, with real artifacts to begin with.

An artifact changed in its bytes may be refused or incomplete, and must not be accepted unless it
is one of those that were there. Where all principals sign what a changed record says, it may be
accepted, since they all agree; but nothing may be thrown.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from artifact_surgery import Sample, collude, join, parse
from fuzz.fuzzer import Campaign
from fuzz.mutations import changed_bytes, changed_records
from troth.conformance import Budget, Verdict, to_json, to_prose, verify
from troth.conformance.inspection import Inspection, to_text
from troth.vm.errors import InternalError, LimitExceeded, Malformed, TrothError
from troth.vm.fragment import FragmentBuilder
from troth.vm.image_codec import decode_image
from troth.vm.keys import TrustFile, parse_trust
from troth.vm.loader import load
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from verify_samples import sample

SAMPLES: Final = (
    "hello", "delegation", "drain", "guarded", "cancelled", "faulted", "hidden", "late_fault",
    "undone", "nobody",
)  # fmt: skip
BUDGET: Final = Budget(work=20_000, work_per_record=500, memory_bytes=4 << 20)
LINES_MAX: Final = 3_000_000
MEMORY_BYTES_MAX: Final = 48 << 20


class WrongOutcomeError(Exception):
    """The verifier said what it must not say."""


def corpus(names: Sequence[str] = SAMPLES) -> list[Sample]:
    return [sample(name) for name in names]


def verify_bytes(samples: Sequence[Sample]) -> Campaign:
    """Bytes changed: caught by every level that they get to."""
    trust = _trust(samples)
    genuine = frozenset(entry.data for entry in samples)

    def run(data: bytes) -> str:
        verdict = _judge(data, trust)
        if verdict.exit_code == 0 and data not in genuine:
            raise WrongOutcomeError(f"{verdict.status}: {verdict.reason}")
        return verdict.findings[0].code if verdict.findings else str(verdict.status)

    return _campaign("verify, bytes changed", run, changed_bytes, [s.data for s in samples])


def verify_records(samples: Sequence[Sample]) -> Campaign:
    """Records changed, and then signed by all principals: gets to the levels of meaning."""
    trust = _trust(samples)
    everybody = Sample(samples[0].data, {n: k for s in samples for n, k in s.keys.items()})

    def change(data: bytes, other: bytes, rng: Random) -> bytes:
        records = changed_records(_records(data), _records(other), rng)
        if rng.random() < 0.2:
            return join(records)
        try:
            return collude(records, everybody)
        except (TrothError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            # What the tests' own tools cannot sign goes as it is.
            return join(records)

    def run(data: bytes) -> str:
        verdict = _judge(data, trust)
        return verdict.findings[0].code if verdict.findings else str(verdict.status)

    return _campaign("verify, records changed and signed", run, change, [s.data for s in samples])


def read_artifacts(samples: Sequence[Sample]) -> Campaign:
    """The decoder alone, and what shows an artifact without verifying it."""

    def run(data: bytes) -> str:
        lines: list[str] = []
        inspection = Inspection(io.BytesIO(data), lines.append)
        lines += to_text(inspection, "x").splitlines()
        assert all(line.isprintable() for line in lines)
        builder, decoder = FragmentBuilder(keep=True), EventDecoder()
        for record in ArtifactReader(io.BytesIO(data)):
            event = decoder.decode(record)
            if event is not None:
                builder.add(event)
        builder.encode()
        return "read"

    return _campaign("read", _typed(run), changed_bytes, [s.data for s in samples])


def read_images(samples: Sequence[Sample]) -> Campaign:
    """Images, decoded and loaded."""
    images = [items[1] for s in samples for items in parse(s.data)[:3] if items[0] == 1]

    def run(data: bytes) -> str:
        load(decode_image(data))
        return "loaded"

    return _campaign("image", _typed(run), changed_bytes, images)


def read_trust(samples: Sequence[Sample]) -> Campaign:
    """Trust files."""
    text = "".join(f"{key.text}\n" for key in _trust(samples).keys)

    def run(data: bytes) -> str:
        return f"{len(parse_trust(data, 'trust').keys)} keys"

    return _campaign("trust file", _typed(run), changed_bytes, [text.encode(), b"# none\n"])


ALL: Final[tuple[Callable[[Sequence[Sample]], Campaign], ...]] = (
    verify_bytes,
    verify_records,
    read_artifacts,
    read_images,
    read_trust,
)


def _campaign(
    name: str,
    run: Callable[[bytes], str],
    change: Callable[[bytes, bytes, Random], bytes],
    inputs: Sequence[bytes],
) -> Campaign:
    return Campaign(
        name=name,
        run=run,
        change=change,
        corpus=tuple(inputs),
        lines_max=LINES_MAX,
        memory_bytes_max=MEMORY_BYTES_MAX,
    )


def _judge(data: bytes, trust: TrustFile) -> Verdict:
    """The verifier throws nothing; its verdict can be shown."""
    verdict = verify(io.BytesIO(data), trust=trust, replay=BUDGET, fragment=True)
    assert all(line.isprintable() for line in to_prose(verdict).splitlines())
    assert to_json(verdict).isascii()
    for finding in verdict.findings:
        assert 0 <= finding.offset <= len(data)
    return verdict


def _typed(run: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """Errors of the hierarchy are an answer, but for those that say that Troth is wrong."""

    def answered(data: bytes) -> str:
        try:
            return run(data)
        except InternalError:
            raise
        except TrothError as error:
            return f"{error.code}{'' if str(error) else ' without a word'}"

    return answered


def _records(data: bytes) -> list[tuple[object, ...]]:
    """As many as can be read."""
    found: list[tuple[object, ...]] = []
    try:
        for record in ArtifactReader(io.BytesIO(data)):
            found.append(record.items)
    except (Malformed, LimitExceeded):
        return found
    return found


def _trust(samples: Sequence[Sample]) -> TrustFile:
    keys = {pair.verifier: None for entry in samples for pair in entry.keys.values()}
    return TrustFile(tuple(keys))
