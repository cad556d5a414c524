"""Key files: `NAME.key` for the owner's eyes only, `NAME.pub` for everybody.

This is the only place where private keys are drawn from the system's randomness.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from troth.vm.errors import Malformed, Place, TrothError, Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.keys import (
    KEY_TEXT_BYTES_MAX,
    SEED_BYTES,
    TRUST_BYTES_MAX,
    KeyPair,
    TrustFile,
    VerifierKey,
    generate,
    parse_private,
    parse_trust,
    parse_verifier,
    parse_witnesses,
)

PRIVATE_SUFFIX: Final = ".key"
PUBLIC_SUFFIX: Final = ".pub"
_PRIVATE_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644


def new_key(name: str) -> KeyPair:
    """A fresh key pair that is written nowhere.

    Raises:
        Unusable: code `key.name`.
    """
    return generate(name, os.urandom(SEED_BYTES))


def create_key_files(directory: Path, name: str) -> KeyPair:
    """Makes a key pair and writes `NAME.key` (mode 0600) and `NAME.pub`; replaces nothing.

    The directory is made when it is missing, for its owner only.

    Raises:
        Unusable: codes `key.name`, `key.exists`, `key.io`.
    """
    pair = new_key(_file_name(name))
    private, public = _paths(directory, name)
    for path in (private, public):
        if _is_there(path):
            raise _exists(path)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _io_error(directory, "made", error) from error
    _write_new(private, pair.private_text, _PRIVATE_MODE)
    _write_new(public, pair.public_text, _PUBLIC_MODE)
    return pair


def load_key(path: Path) -> KeyPair:
    """Reads a private key file that nobody but its owner can read.

    Raises:
        Unusable: codes `key.missing`, `key.exposed`, `key.io`.
        Malformed: codes `key.malformed`, `key.id`.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(KEY_TEXT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise Unusable(
            "key.missing",
            "there is no such key file",
            place=Place(file=str(path)),
            advice=f"Make it with `troth keygen {path.stem} --out {path.parent}`",
        ) from None
    except (OSError, ValueError) as error:
        raise _io_error(path, "read", error) from error
    if stat.S_IMODE(mode) & 0o077:
        raise Unusable(
            "key.exposed",
            "others than its owner can use this private key file",
            place=Place(file=str(path)),
            expected="mode 0600",
            actual=f"mode {stat.S_IMODE(mode):04o}",
            advice=f"Run `chmod 600 {path}`; if others may have read it, make a new key",
        )
    return parse_private(_one_line(data, path), Place(file=str(path), line=1))


def load_public_key(path: Path) -> VerifierKey:
    """Reads a public key file.

    Raises:
        Unusable: code `key.io`.
        Malformed: codes `key.malformed`, `key.id`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(KEY_TEXT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _io_error(path, "read", error) from error
    return parse_verifier(_one_line(data, path), Place(file=str(path), line=1))


def load_role_key(directory: Path, role: str) -> KeyPair:
    """The key in `ROLE.key`; none is made.

    Raises:
        Unusable, Malformed: code `key.name`, and as `load_key`.
    """
    return load_key(_paths(directory, _file_name(role))[0])


def load_or_create(directory: Path, role: str) -> KeyPair:
    """The key in `ROLE.key`; made, with `ROLE.pub`, when there is none.

    The key's own name may differ from the role: one party can act in several roles.

    Raises:
        Unusable, Malformed: as `load_key` and `create_key_files`.
    """
    private, public = _paths(directory, _file_name(role))
    if _is_there(private):
        return load_key(private)
    if _is_there(public):
        raise Unusable(
            "key.missing",
            f"there is {public.name}, but the private key that belongs to it is missing",
            place=Place(file=str(private)),
            expected=f"the private key in {private.name}",
            actual="no such file",
            advice=f"Put {private} back, or remove {public} to have a new pair made",
        )
    return create_key_files(directory, role)


def load_trust(path: Path) -> TrustFile:
    """Reads a trust file.

    Raises:
        Unusable: code `key.io`.
        Malformed, LimitExceeded: as `keys.parse_trust`.
    """
    return parse_trust(_read_keys(path), str(path))


def load_witnesses(path: Path) -> tuple[VerifierKey, ...]:
    """Reads a file of witnesses' keys.

    Raises:
        Unusable: code `key.io`.
        Malformed, LimitExceeded: as `keys.parse_witnesses`.
    """
    return parse_witnesses(_read_keys(path), str(path))


def _read_keys(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(TRUST_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _io_error(path, "read", error) from error


class DirectoryKeys:
    """A `KeySource` that finds and makes keys in a folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, role: str) -> KeyPair:
        try:
            return load_or_create(self._directory, role)
        except TrothError as error:
            # The machine's fault keeps the advice, but not the place, which is the host's.
            file = error.place.file or str(self._directory)
            if file not in (error.advice or ""):
                error.advice = f"Look at {file}. {error.advice or ''}".rstrip()
            raise


class EphemeralKeys:
    """A `KeySource` whose keys are gone with the process."""

    def make(self, role: str) -> KeyPair:
        return new_key(role)


def directory_signer(directory: Path) -> HostSigner:
    """Signs for each role with `ROLE.key` of the folder, made when a session first needs it."""
    return HostSigner({}, DirectoryKeys(directory))


def ephemeral_signer() -> HostSigner:
    """Signs with keys that exist for this run only."""
    return HostSigner({}, EphemeralKeys())


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}{PRIVATE_SUFFIX}", directory / f"{name}{PUBLIC_SUFFIX}"


def _is_there(path: Path) -> bool:
    """Whether there is something of this name; a directory that nobody may enter is an error."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _io_error(path, "looked up", error) from error
    return True


def _file_name(name: str) -> str:
    """Refuses a name that would lead out of the folder or hide the file."""
    if "/" in name or "\\" in name or name.startswith(".") or not name:
        raise Unusable(
            "key.name",
            "this name cannot be the name of a key file",
            expected="a name without slashes and without a dot in front",
            actual=ascii(name[:80]),
            advice="Choose another name",
        )
    return name


def _write_new(path: Path, text: str, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            # The file's mode must not depend on the caller's umask.
            os.fchmod(file.fileno(), mode)
            file.write(text.encode() + b"\n")
    except FileExistsError:
        raise _exists(path) from None
    except (OSError, ValueError) as error:
        raise _io_error(path, "written", error) from error


def _one_line(data: bytes, path: Path) -> str:
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Malformed(
            "key.malformed",
            "this is not a key",
            place=Place(file=str(path)),
            expected="one line of text",
            actual="other bytes",
            advice="Write keys exactly as `troth keygen` does",
        ) from None


def _exists(path: Path) -> Unusable:
    return Unusable(
        "key.exists",
        "there is a key file of this name already",
        place=Place(file=str(path)),
        advice="Choose another name, or remove the file if you are sure nobody needs the key",
    )


def _io_error(path: Path, done: str, error: OSError | ValueError) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "key.io",
        f"{path.name} cannot be {done}: {reason}",
        place=Place(file=str(path)),
        advice="Check the path and its permissions",
    )
