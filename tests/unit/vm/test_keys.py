"""Keys as text, trust files, key files, and the signer that holds keys."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_samples import CLIENT, KEYS, signer
from troth.vm import shell_keys
from troth.vm.errors import LimitExceeded, Malformed, Place, TrothError, Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.keys import (
    KeyPair,
    Standing,
    VerifierKey,
    generate,
    key_id,
    parse_private,
    parse_trust,
    parse_verifier,
    valid_name,
)
from troth.vm.signatures import verify

ALICE = generate("Alice", b"a" * 32)
BOB = generate("Bob", b"b" * 32)
PLACE = Place(file="trust")


def _verifier_text(name: str, data: bytes) -> str:
    encoded = base64.b64encode(data).decode()
    return f"{name}+{key_id(name, data[1:]).hex()}+{encoded}"


def test_round_trip() -> None:
    assert parse_verifier(ALICE.public_text, PLACE) == VerifierKey("Alice", ALICE.public_key)
    assert parse_private(ALICE.private_text, PLACE) == ALICE
    assert ALICE.private_text.startswith("PRIVATE+KEY+Alice+")


@given(st.text(max_size=40), st.binary(min_size=32, max_size=32))
def test_every_valid_name_round_trips(name: str, seed: bytes) -> None:
    if valid_name(name):
        pair = generate(name, seed)
        assert parse_verifier(pair.public_text, PLACE).name == name
        assert parse_private(pair.private_text, PLACE) == pair
    else:
        with pytest.raises(Unusable) as caught:
            generate(name, seed)
        assert caught.value.code == "key.name"


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", "a+b", "a\nb", "a\tb", "\u202e", "\ud800", "a\u00a0b", "ä" * 128),
        "Ali\u3164ce",
        "Alice\ufe0f",
        "Al\u034fice",
        "Alice\U000e0041",
        "A\u2800",
        "e" + 5 * "\u0301",
    ],
)
def test_names_that_cannot_be(name: str) -> None:
    assert not valid_name(name)


@pytest.mark.parametrize(
    "name", ["Alice", "example.com/foo", "ä" * 127, "a" * 255, "名前", "Zoe\u0308"]
)
def test_names_that_can_be(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "key.malformed"),
        ("Alice", "key.malformed"),
        ("Alice+12345678", "key.malformed"),
        ("Alice+1234567+AQ==", "key.malformed"),
        ("Alice+1234567G+AQ==", "key.malformed"),
        ("Alice+12345678+!!!!", "key.malformed"),
        ("Alice+12345678+AQ==", "key.malformed"),
        ("Alice+12345678+ÄÄ", "key.malformed"),
        (ALICE.public_text.upper(), "key.malformed"),
        (ALICE.public_text + "+", "key.malformed"),
        (_verifier_text("Alice", b"\x02" + ALICE.public_key), "key.malformed"),
        (_verifier_text("Alice", b"\x01" + bytes(31)), "key.malformed"),
        (_verifier_text("Alice", b"\x01" + bytes(32)), "key.weak"),
        (ALICE.public_text.replace("Alice", "Alicia"), "key.id"),
        (ALICE.private_text, "key.private"),
        ("A" * 5000, "key.malformed"),
    ],
)
def test_texts_that_are_no_verifier_key(text: str, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_verifier(text, Place(file="trust", line=3))
    assert caught.value.code == code
    assert caught.value.place.line == 3
    assert caught.value.advice


def test_another_spelling_of_the_base64_is_refused() -> None:
    """The last character of 33 bytes has no spare bits, but the padding can be played with."""
    with pytest.raises(Malformed):
        parse_verifier(ALICE.public_text + "=", PLACE)
    with pytest.raises(Malformed):
        parse_verifier(ALICE.public_text + "\n", PLACE)


@pytest.mark.parametrize("text", ["", ALICE.public_text, ALICE.private_text[:-4]])
def test_texts_that_are_no_private_key(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_private(text, PLACE)
    assert caught.value.code == "key.malformed"


def test_a_damaged_private_key_is_noticed_and_not_shown() -> None:
    damaged = ALICE.private_text[:-2] + ("B" if ALICE.private_text[-2] != "B" else "C") + "E"
    with pytest.raises(Malformed) as caught:
        parse_private(damaged, PLACE)
    assert damaged[-20:] not in str(caught.value)


@given(st.text(max_size=200))
def test_parsers_raise_nothing_else(text: str) -> None:
    for parse in (parse_verifier, parse_private):
        with pytest.raises(TrothError):
            parse(text, PLACE)
        with pytest.raises(TrothError):
            parse("PRIVATE+KEY+" + text, PLACE)


def test_a_private_key_does_not_show_itself() -> None:
    assert "signing_key" not in repr(ALICE)
    assert repr(ALICE.signing_key) not in repr(ALICE)


# --- trust files ---------------------------------------------------------------------------


def _trust(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def test_trust_file_with_comments_blank_lines_and_repetitions() -> None:
    data = _trust("# ours", "", ALICE.public_text, "  \r", BOB.public_text, ALICE.public_text)
    trust = parse_trust(data, "trust")
    assert trust.keys == (ALICE.verifier, BOB.verifier)
    assert trust.lookup(ALICE.public_key) == ("Alice",)
    assert trust.lookup(bytes(32)) == ()
    assert trust.keys_named("Bob") == (BOB.public_key,)


def test_empty_trust_file_trusts_nobody() -> None:
    assert parse_trust(b"", "trust").keys == ()


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    data = b"\xef\xbb\xbf" + ALICE.public_text.encode() + b"\r\n"
    assert parse_trust(data, "trust").keys == (ALICE.verifier,)


def test_what_a_trust_file_says_of_a_claim() -> None:
    second = generate("Alice", b"c" * 32)
    trust = parse_trust(_trust(ALICE.public_text, second.public_text), "trust")
    assert trust.keys_named("Alice") == (ALICE.public_key, second.public_key)
    assert trust.standing("Alice", second.public_key) is Standing.TRUSTED
    assert trust.standing("Alice", BOB.public_key) is Standing.CONTRADICTED
    assert trust.standing("Bob", BOB.public_key) is Standing.UNKNOWN
    assert trust.standing("Alias", ALICE.public_key) is Standing.TRUSTED


def test_a_trusted_key_under_somebody_elses_name_is_contradicted() -> None:
    trust = parse_trust(_trust(ALICE.public_text, BOB.public_text), "trust")
    assert trust.standing("Bob", ALICE.public_key) is Standing.CONTRADICTED


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\xff\xfe", "key.text"), (b"# fine\nnonsense\n", "key.malformed")],
)
def test_trust_files_that_are_none(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_trust(data, "trust")
    assert caught.value.code == code
    assert caught.value.place.file == "trust"


def test_trust_file_limit() -> None:
    assert parse_trust(b"#" * (1 << 20), "trust").keys == ()
    with pytest.raises(LimitExceeded):
        parse_trust(b"#" * ((1 << 20) + 1), "trust")


# --- key files -----------------------------------------------------------------------------


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_key_files(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    pair = shell_keys.create_key_files(folder, "Alice")
    assert _mode(folder / "Alice.key") == 0o600
    assert (folder / "Alice.pub").read_text() == pair.public_text + "\n"
    assert shell_keys.load_key(folder / "Alice.key") == pair
    assert shell_keys.load_trust(folder / "Alice.pub").keys == (pair.verifier,)
    assert shell_keys.load_or_create(folder, "Alice") == pair


def test_cat_of_public_keys_is_a_trust_file(tmp_path: Path) -> None:
    names = ("Alice", "Bob")
    pairs = [shell_keys.create_key_files(tmp_path, name) for name in names]
    joined = b"".join((tmp_path / f"{name}.pub").read_bytes() for name in names)
    (tmp_path / "trust").write_bytes(joined)
    trust = shell_keys.load_trust(tmp_path / "trust")
    assert trust.keys == tuple(pair.verifier for pair in pairs)


@pytest.mark.parametrize("there", ["Alice.key", "Alice.pub"])
def test_nothing_is_replaced(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(Unusable) as caught:
        shell_keys.create_key_files(tmp_path, "Alice")
    assert caught.value.code == "key.exists"
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "Alice.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unusable):
        shell_keys.create_key_files(tmp_path, "Alice")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_an_exposed_private_key_is_refused(tmp_path: Path, mode: int) -> None:
    shell_keys.create_key_files(tmp_path, "Alice")
    (tmp_path / "Alice.key").chmod(mode)
    with pytest.raises(Unusable) as caught:
        shell_keys.load_or_create(tmp_path, "Alice")
    assert caught.value.code == "key.exposed"
    assert "chmod 600" in (caught.value.advice or "")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a b", "nul\0"])
def test_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unusable) as caught:
        shell_keys.create_key_files(tmp_path, name)
    assert caught.value.code == "key.name"
    assert list(tmp_path.iterdir()) == []


def test_key_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unusable) as missing:
        shell_keys.load_key(tmp_path / "Nobody.key")
    assert missing.value.code == "key.missing"
    (tmp_path / "Folder.key").mkdir()
    with pytest.raises(Unusable) as folder:
        shell_keys.load_key(tmp_path / "Folder.key")
    assert folder.value.code == "key.io"
    damaged = tmp_path / "Damaged.key"
    damaged.write_bytes(b"\xff" * 40)
    damaged.chmod(0o600)
    with pytest.raises(Malformed):
        shell_keys.load_key(damaged)
    with pytest.raises(Unusable):
        shell_keys.load_trust(tmp_path / "no trust")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable) as caught:
        shell_keys.create_key_files(tmp_path / "file" / "keys", "Alice")
    assert caught.value.code == "key.io"


# --- the signer ----------------------------------------------------------------------------


def test_signer_signs_for_its_principals() -> None:
    host = signer()
    assert host.principal("Any", "Client") == CLIENT
    assert host.name_of(CLIENT) == "Client"
    assert verify(CLIENT, b"statement", host.sign(CLIENT, b"statement"))
    assert host.sign(CLIENT, b"statement") == host.sign(CLIENT, b"statement")


def test_salts_differ_by_key_and_position_and_repeat() -> None:
    host = signer()
    salts = {host.salt(pair.public_key, p) for pair in KEYS.values() for p in (b"1", b"2")}
    assert len(salts) == 2 * len(KEYS)
    assert {len(salt) for salt in salts} == {16}
    assert host.salt(CLIENT, b"1") in salts


def test_signer_without_the_key() -> None:
    host = signer()
    calls: list[Callable[[], bytes]] = [
        partial(host.sign, bytes(32), b""),
        partial(host.salt, bytes(32), b""),
        partial(host.principal, "Hello", "Nobody"),
    ]
    for call in calls:
        with pytest.raises(Unusable) as caught:
            call()
        assert caught.value.code == "key.missing"
    assert host.name_of(bytes(32)) == ""


def test_signer_asks_its_source_once() -> None:
    asked = []

    class Source:
        def make(self, role: str) -> KeyPair:
            asked.append(role)
            return generate(f"key of {role}".replace(" ", "-"), b"s" * 32)

    host = HostSigner({}, Source())
    key = host.principal("Hello", "Client")
    assert host.principal("Other", "Client") == key
    assert host.name_of(key) == "key-of-Client"
    assert asked == ["Client"]


def test_directory_signer_makes_keys_and_finds_them_again(tmp_path: Path) -> None:
    first = shell_keys.directory_signer(tmp_path).principal("Hello", "Client")
    second = shell_keys.directory_signer(tmp_path).principal("Hello", "Client")
    assert first == second
    assert _mode(tmp_path / "Client.key") == 0o600


def test_ephemeral_keys_are_fresh() -> None:
    keys = {shell_keys.ephemeral_signer().principal("Hello", "Client") for _ in range(3)}
    assert len(keys) == 3
