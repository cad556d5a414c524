"""Publishing a run: its final heads go into the logs beside the keys, and are signed there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from troth.conformance.checkpoints import log_key, sign_checkpoint
from troth.conformance.codes import EXIT_INCOMPLETE, EXIT_SELF_CONSISTENT, EXIT_VALID
from troth.conformance.heads import Head
from troth.conformance.notes import NOTE_BYTES_MAX, Note, decode_text, parse_note
from troth.conformance.publishing import continues, final_heads
from troth.conformance.shell_files import verify
from troth.conformance.shell_publications import (
    CHECKPOINT_SUFFIX,
    LOG_SUFFIX,
    LogFile,
    io_error,
    not_rewritten,
    placed,
    read_bounded,
    replace_file,
)
from troth.vm.errors import Place, Unusable
from troth.vm.keys import KeyPair
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_keys import PRIVATE_SUFFIX, load_key


def publish_run(artifact: Path, keys: Path, principal: str | None) -> Iterator[str]:
    """Publishes the run for each principal whose key is in the folder; yields what it did.

    Raises:
        Unusable: codes `publish.*`, `key.*`, `proof.io`, `artifact.io`.
        Malformed, LimitExceeded: a log beside a key is not what it should be.
    """
    _require_valid(artifact)
    with open_artifact(artifact) as stream:
        heads = final_heads(stream)
    wanted = {
        key: head for key, (name, head) in heads.items() if principal is None or name == principal
    }
    if not wanted:
        raise Unusable(
            "publish.principal",
            "the artifact has no such principal",
            expected=", ".join(name for name, _ in heads.values()) or "a run that opens a session",
            actual=principal,
            advice="`troth inspect` shows the principals of an artifact",
        )
    published = 0
    for path, pair in _pairs(keys):
        head = wanted.get(pair.public_key)
        if head is not None:
            published += 1
            yield from _publish(path, pair, head)
    if not published:
        raise Unusable(
            "publish.key",
            "none of the keys in the folder signed this run",
            place=Place(file=str(keys)),
            expected=f"the key of {' or '.join(heads[key][0] for key in wanted)}",
            advice="Give the folder of keys that the run was made with",
        )


def _require_valid(artifact: Path) -> None:
    """What is published binds its signer for ever, so it has to hold."""
    verdict = verify(artifact, replay=None)
    if verdict.exit_code == EXIT_INCOMPLETE:
        code, what = "publish.incomplete", "only a whole run can be published"
    elif verdict.exit_code not in (EXIT_VALID, EXIT_SELF_CONSISTENT):
        code, what = "publish.invalid", "an artifact that does not hold is not published"
    else:
        return
    raise Unusable(
        code,
        what,
        place=Place(file=str(artifact)),
        expected="an artifact that verifies",
        actual=verdict.reason,
        advice="Run `troth verify` on it",
    )


def _pairs(keys: Path) -> Iterator[tuple[Path, KeyPair]]:
    try:
        paths = sorted(keys.iterdir())
    except (OSError, ValueError) as error:
        raise io_error(keys, "read", error) from error
    for path in paths:
        if path.suffix == PRIVATE_SUFFIX:
            yield path, load_key(path)


def _publish(key_path: Path, pair: KeyPair, head: Head) -> Iterator[str]:
    log_path = key_path.with_suffix(LOG_SUFFIX)
    note_path = key_path.with_suffix(CHECKPOINT_SUFFIX)
    with closing(LogFile(log_path, pair.verifier)) as log, placed(log_path):
        before = _last_note(note_path)
        publications = log.publications
        if before is not None and not continues(publications, before, pair):
            raise not_rewritten(log_path)
        known = publications.index_of(head.statement)
        entry = publications.add(head.statement)
        if known is None:
            log.append(head.statement)
        checkpoint = publications.checkpoint()
        if before is None or before.text != checkpoint.text:
            replace_file(note_path, sign_checkpoint(checkpoint, pair).encode())
    state = "is" if known is None else "was already"
    yield f"{pair.name}: the run {state} entry {entry} of {publications.size}"
    yield f"  log        {log_path}"
    yield f"  checkpoint {note_path}"
    yield f"  log key    {log_key(pair.verifier).text}"


def _last_note(path: Path) -> Note | None:
    if not path.exists():
        return None
    with placed(path):
        text = decode_text(read_bounded(path, NOTE_BYTES_MAX), NOTE_BYTES_MAX, "the checkpoint")
        return parse_note(text)
