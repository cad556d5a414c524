"""Whose keys, whose protocol: what the verifier is told from outside."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from artifact_surgery import EXAMPLES, join, key_pair, parse, reseal
from troth.conformance import Pins, Verdict, Word, load_pins, verify
from troth.dsl import shell_load
from troth.vm.errors import Unusable
from troth.vm.keys import TrustFile, VerifierKey
from troth.vm.loader import load
from troth.vm.records import Kind
from verify_samples import sample


def _verdict(trust: TrustFile | None, *, pins: Pins | None = None, name: str = "hello") -> Verdict:
    return verify(io.BytesIO(sample(name).data), trust=trust, protocols=pins)


def _trust(*names: str, variant: int = 0) -> tuple[VerifierKey, ...]:
    return tuple(key_pair(name, variant=variant).verifier for name in names)


def test_all_keys() -> None:
    verdict = _verdict(TrustFile(_trust("Client", "Server")))
    assert (verdict.exit_code, verdict.status) == (0, Word.VALID)
    assert [report.trusted_as for report in verdict.principals] == ["Client", "Server"]


def test_no_trust_file() -> None:
    verdict = _verdict(None)
    assert (verdict.exit_code, verdict.status) == (5, Word.SELF_CONSISTENT)
    assert not verdict.trust_given
    assert "without a trust file" in verdict.reason


def test_a_key_missing() -> None:
    verdict = _verdict(TrustFile(_trust("Server", "Somebody")))
    assert (verdict.exit_code, verdict.findings) == (5, ())
    assert "Client is not in the trust file" in verdict.reason
    assert [report.trusted_as for report in verdict.principals] == [None, "Server"]


def test_an_empty_trust_file() -> None:
    verdict = _verdict(TrustFile(()))
    assert verdict.exit_code == 5
    assert verdict.trust_given


def test_another_key_for_the_name() -> None:
    trust = TrustFile((*_trust("Client"), *_trust("Server", variant=1)))
    verdict = _verdict(trust)
    assert (verdict.exit_code, verdict.status) == (2, Word.INVALID)
    (finding,) = verdict.findings
    assert finding.code == "trust.contradicted"
    assert finding.expected == f"key {key_pair('Server', variant=1).public_key.hex()}"
    assert finding.actual == f"key {key_pair('Server').public_key.hex()}"
    assert parse(sample("hello").data)[finding.record or 0][0] == Kind.PRINCIPAL
    reports = {report.name: report for report in verdict.principals}
    assert reports["Server"].contradicted
    assert reports["Server"].trusted_as is None
    assert not reports["Client"].contradicted


def test_two_keys_for_one_name() -> None:
    """While keys are being changed both are good."""
    trust = TrustFile((*_trust("Client", "Server"), *_trust("Server", variant=1)))
    assert _verdict(trust).exit_code == 0


def test_a_key_trusted_under_another_name() -> None:
    alias = VerifierKey("Bob", key_pair("Server").public_key)
    verdict = _verdict(TrustFile((*_trust("Client"), alias)))
    assert verdict.exit_code == 0
    assert [report.trusted_as for report in verdict.principals] == ["Client", "Bob"]


def test_a_contradiction_wins_over_what_is_missing() -> None:
    recorded = sample("hello")
    trust = TrustFile((*_trust("Client"), *_trust("Server", variant=1)))
    verdict = verify(io.BytesIO(recorded.data[:-10]), trust=trust)
    assert verdict.exit_code == 2
    assert [finding.code for finding in verdict.findings] == [
        "trust.contradicted",
        "incomplete.torn",
    ]


# --- pins ----------------------------------------------------------------------------------


def test_the_protocol_of_a_script() -> None:
    trust = sample("hello").trust
    verdict = _verdict(trust, pins=load_pins([str(EXAMPLES / "hello.troth")]))
    assert verdict.exit_code == 0
    assert [(pin.protocol, pin.pinned) for pin in verdict.pins] == [("Hello", True)]
    assert [pin.pinned for pin in _verdict(trust).pins] == [False]


def test_another_protocol() -> None:
    verdict = _verdict(sample("hello").trust, pins=load_pins([str(EXAMPLES / "drain.troth")]))
    assert verdict.exit_code == 2
    (finding,) = verdict.findings
    assert finding.code == "protocol.pinned"
    assert finding.expected is not None
    assert finding.expected.startswith("Burst ")
    assert finding.actual == f"Hello {verdict.pins[0].id}"


def test_a_laxer_protocol_of_the_same_name(tmp_path: Path) -> None:
    """The file's own word is not enough: its Hello allows what yours does not."""
    script = tmp_path / "mine.troth"
    text = (EXAMPLES / "hello.troth").read_text()
    script.write_text(
        text.replace("reply(text: str)", "reply(text: str)", 1).replace(
            "greet(name: str)", "greet(who: str)"
        )
    )
    verdict = _verdict(sample("hello").trust, pins=load_pins([str(script)]))
    assert [finding.code for finding in verdict.findings] == ["protocol.pinned"]


def test_the_id_of_a_protocol() -> None:
    trust = sample("hello").trust
    content_id = _verdict(trust).pins[0].id
    assert _verdict(trust, pins=load_pins([content_id])).exit_code == 0
    assert _verdict(trust, pins=load_pins(["0" * 64])).exit_code == 2


def test_every_session_must_be_pinned() -> None:
    trust = sample("delegation").trust
    ids = [pin.id for pin in _verdict(trust, name="delegation").pins]
    assert _verdict(trust, pins=load_pins(ids), name="delegation").exit_code == 0
    verdict = _verdict(trust, pins=load_pins(ids[:1]), name="delegation")
    assert [finding.code for finding in verdict.findings] == ["protocol.pinned"]


def test_a_pin_that_is_nothing() -> None:
    with pytest.raises(Unusable) as caught:
        load_pins(["no-such-file"])
    assert caught.value.code == "verify.protocol"


# --- without the image ---------------------------------------------------------------------


def _without_image() -> bytes:
    recorded = sample("hello")
    records = [record for record in parse(recorded.data) if record[0] != Kind.IMAGE]
    data = reseal(records, list(recorded.keys.values()))
    assert data != join(records)
    return data


def test_without_the_image_level_4_cannot_run() -> None:
    verdict = verify(io.BytesIO(_without_image()), trust=sample("hello").trust)
    assert (verdict.exit_code, verdict.findings) == (5, ())
    level = verdict.levels[3]
    assert (level.ran, level.ok) == (False, False)
    assert "give its script with --protocol" in level.why
    assert not verdict.image_in_file


def test_a_script_stands_in_for_the_image() -> None:
    image = load(shell_load.load(EXAMPLES / "hello.troth").image)
    verdict = verify(
        io.BytesIO(_without_image()), trust=sample("hello").trust, protocols=Pins(loaded=[image])
    )
    assert verdict.exit_code == 0
    assert verdict.levels[3].ok
