"""Blobs: the stores that keep their content, the border to effects, and programs that move them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest
from blake3 import blake3

from troth import conformance, dsl, vm
from troth.vm.blobs import BlobStore, reference_to
from troth.vm.events import Completed, Event, Invoked, Sent
from troth.vm.host_values import from_python, to_python
from troth.vm.shell_blobs import MEMORY_BLOBS_BYTES_MAX
from troth.vm.types import Field, ListType, Primitive, RecordType
from troth.vm.values import Record

CONTENT: Final = b"a picture of a cat" * 100
BLOB: Final = Primitive.BLOB


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return vm.MemoryBlobStore()
    return vm.DirectoryBlobStore(tmp_path / "blobs")


# --- stores --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\x00", CONTENT, os.urandom(100_000)], ids=len)
def test_what_is_put_comes_back(store: BlobStore, content: bytes) -> None:
    blob = store.put(content)
    assert blob == vm.Blob(len(content), blake3(content).digest())
    assert store.put(content) == blob
    assert store.get(blob) == content
    assert store.holds(blob)


@pytest.mark.parametrize(
    "blob", [vm.Blob(1, bytes(32)), vm.Blob(len(CONTENT) + 1, reference_to(CONTENT).digest)]
)
def test_what_was_not_put_is_missing(store: BlobStore, blob: vm.Blob) -> None:
    assert not store.holds(blob)
    with pytest.raises(vm.Unusable) as caught:
        store.get(blob)
    assert caught.value.code == "blob.missing"
    assert blob.digest.hex() in str(caught.value)


def test_memory_is_bounded() -> None:
    store = vm.MemoryBlobStore(bytes_max=10)
    store.put(b"12345")
    store.put(b"12345")
    store.put(b"67890")
    with pytest.raises(vm.Unusable) as caught:
        store.put(b"x")
    assert caught.value.code == "blob.full"
    assert "at most 10 bytes" in str(caught.value)
    assert store.get(reference_to(b"67890")) == b"67890"
    assert vm.MemoryBlobStore().bytes_max == MEMORY_BLOBS_BYTES_MAX


def test_a_directory_holds_a_file_for_each_content(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "blobs"
    store = vm.DirectoryBlobStore(folder)
    assert not folder.exists()
    blobs = [store.put(content) for content in (b"one", b"two", b"one")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        {blob.digest.hex() for blob in blobs}
    )
    assert vm.DirectoryBlobStore(str(folder)).get(blobs[1]) == b"two"


def _damage_content(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def _damage_length(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("damage", [_damage_content, _damage_length], ids=["content", "length"])
def test_a_damaged_file_is_refused_and_replaced(tmp_path: Path, damage: Any) -> None:
    store = vm.DirectoryBlobStore(tmp_path)
    blob = store.put(CONTENT)
    path = tmp_path / blob.digest.hex()
    damage(path)
    with pytest.raises(vm.Malformed) as caught:
        store.get(blob)
    assert caught.value.code == "blob.corrupt"
    assert str(path) in str(caught.value)
    assert store.put(CONTENT) == blob
    assert store.get(blob) == CONTENT


def _make_link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(CONTENT)
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _make_link], ids=["pipe", "folder", "link"])
def test_what_is_no_ordinary_file_is_not_read(tmp_path: Path, make: Any) -> None:
    store = vm.DirectoryBlobStore(tmp_path)
    blob = reference_to(CONTENT)
    make(tmp_path / blob.digest.hex())
    assert not store.holds(blob)
    with pytest.raises(vm.Unusable) as caught:
        store.get(blob)
    assert caught.value.code == "blob.io"


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(vm.Unusable) as caught:
        vm.DirectoryBlobStore(file)
    assert caught.value.code == "blob.io"
    beneath = vm.DirectoryBlobStore(file / "beneath")
    with pytest.raises(vm.Unusable, match=r"blob\.io"):
        beneath.put(b"x")
    with pytest.raises(vm.Unusable, match=r"blob\.io"):
        beneath.get(reference_to(b"x"))
    with pytest.raises(vm.Unusable, match=r"blob\.io"):
        vm.DirectoryBlobStore("a\0b").put(b"x")


def test_nothing_is_left_of_a_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = vm.DirectoryBlobStore(tmp_path)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(vm.Unusable, match="No space left on device"):
        store.put(CONTENT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_run_waits_for_the_disk_before_it_names_a_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(file: int) -> None:
        if str(tmp_path / "blobs") in os.readlink(f"/proc/self/fd/{file}"):
            done.append("sync")
        sync(file)

    def note_replace(source: str, target: Path) -> None:
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    options = vm.RunOptions(
        effects=EFFECTS, blobs=tmp_path / "blobs", record=tmp_path / "run.replay", durable=durable
    )
    image = dsl.compile_source(PHOTOS, "photos.troth")
    assert vm.run(image, options=options, write_line=lambda _text: None).ok
    assert done == (["sync", "name", "sync"] if durable else ["name"]) * 2


# --- the border ----------------------------------------------------------------------------


def test_an_effect_sees_the_content(store: BlobStore) -> None:
    blob = store.put(CONTENT)
    value = to_python(blob, store)
    assert isinstance(value, vm.BlobValue)
    assert (value.read(), bytes(value), len(value)) == (CONTENT, CONTENT, len(CONTENT))
    assert value.digest == blob.digest
    assert value == vm.BlobValue(blob, vm.MemoryBlobStore())
    assert len({value, vm.BlobValue(blob, vm.MemoryBlobStore())}) == 1
    inside = to_python((Record((("photo", blob),)),), store)
    assert inside == [{"photo": value}]
    assert to_python(blob) == blob


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_become_a_blob(store: BlobStore, kind: Any) -> None:
    blob = from_python(kind(CONTENT), BLOB, "it", store)
    assert blob == reference_to(CONTENT)
    assert isinstance(blob, vm.Blob)
    assert store.get(blob) == CONTENT


def test_blobs_inside_of_values(store: BlobStore) -> None:
    kind = ListType(RecordType((Field("data", BLOB), Field("n", Primitive.INT))))
    found = from_python([{"n": 1, "data": b"x"}, {"n": 2, "data": b"y"}], kind, "it", store)
    blobs = [reference_to(content) for content in (b"x", b"y")]
    assert found == tuple(
        Record((("data", blob), ("n", n))) for n, blob in enumerate(blobs, start=1)
    )
    assert all(store.holds(blob) for blob in blobs)


def test_a_blob_of_another_store_is_copied(store: BlobStore) -> None:
    other = vm.MemoryBlobStore()
    value = vm.BlobValue(other.put(CONTENT), other)
    assert from_python(value, BLOB, "it", store) == value.reference
    assert store.get(value.reference) == CONTENT
    assert from_python(value.reference, BLOB, "it", store) == value.reference


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "has the wrong type"),
        (None, "has the wrong type"),
        (vm.Blob(3, bytes(32)), "is not a blob of this host"),
        (vm.Blob(-3, b"short"), "is no value"),
        ([b"x"], "has the wrong type"),
    ],
)
def test_what_is_no_blob(store: BlobStore, value: object, said: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        from_python(value, BLOB, "it", store)
    assert caught.value.code == "effect.result"
    assert said in caught.value.message


def test_bytes_are_no_blob_where_bytes_are_declared(store: BlobStore) -> None:
    assert from_python(b"x", Primitive.BYTES, "it", store) == b"x"
    with pytest.raises(vm.Unusable):
        from_python(store.put(b"x"), Primitive.BYTES, "it", store)


# --- programs ------------------------------------------------------------------------------

PHOTOS: Final = """\
type Photo = {title: str, data: blob}

effect take(title: str) -> blob
effect develop(photo: Photo) -> Photo
effect same(one: blob, other: blob) -> bool

protocol Album(Camera, Lab):
    Camera -> Lab: photo(photo: Photo)
    Lab -> Camera: done(photo: Photo, raw: list[blob])

program camera(s: Album.Camera):
    let data = call take("cat")
    print len(data)
    send s.Lab photo({title: "cat", data: data})
    recv s.Lab done(photo, raw)
    print photo.title
    print len(photo.data)
    print raw[0] == data
    print photo.data == data
    let equal = call same(raw[0], data)
    print equal
    print photo.data
    close s

program lab(s: Album.Lab):
    recv s.Camera photo(photo)
    let developed = call develop(photo)
    send s.Camera done(developed, [photo.data])
    close s

main:
    open Album as c, l
    spawn camera(c)
    spawn lab(l)
"""


def _take(title: str) -> bytes:
    return title.encode() * 1000


def _develop(photo: dict[str, Any]) -> dict[str, Any]:
    data = photo["data"]
    assert isinstance(data, vm.BlobValue)
    return {"title": photo["title"].upper(), "data": data.read()[::-1]}


def _same(one: vm.BlobValue, other: vm.BlobValue) -> bool:
    return one == other and one.read() == other.read()


EFFECTS: Final = {"take": _take, "develop": _develop, "same": _same}


@pytest.mark.parametrize("seal", ["message", "round"])
@pytest.mark.parametrize("kind", ["memory", "directory", "store"])
def test_a_program_moves_blobs_and_its_record_has_only_digests(
    tmp_path: Path, kind: str, seal: str
) -> None:
    lines: list[str] = []
    events: list[Event] = []
    folder = tmp_path / "blobs"
    blobs = {"memory": None, "directory": folder, "store": vm.DirectoryBlobStore(folder)}[kind]
    record = tmp_path / "run.replay"
    options = vm.RunOptions(effects=EFFECTS, blobs=blobs, record=record, seal=vm.Seal(seal))
    result = vm.run(
        dsl.compile_source(PHOTOS, "photos.troth"),
        options=options,
        write_line=lines.append,
        on_events=events.extend,
    )
    assert result.ok, result.report.describe()
    raw, developed = b"cat" * 1000, (b"cat" * 1000)[::-1]
    shown = f"blob(3000 bytes, {blake3(developed).hexdigest()})"
    assert lines == ["3000", "CAT", "3000", "true", "false", "true", shown]
    data = record.read_bytes()
    assert raw[:24] not in data
    assert developed[:24] not in data
    assert data.count(blake3(raw).digest()) >= 3
    assert max(len(e.result) for e in events if isinstance(e, Completed)) < 100
    assert max(len(e.arguments) for e in events if isinstance(e, Invoked)) < 200
    assert len([e for e in events if isinstance(e, Sent)]) == 2
    verdict = conformance.verify(str(record))
    assert verdict.findings == ()
    assert [level.level for level in verdict.levels if level.ran and level.ok] == [1, 2, 3, 4, 5]
    if kind != "memory":
        assert len(list(folder.iterdir())) == 2


def _fails(effects: dict[str, Any], **options: Any) -> str:
    image = dsl.compile_source(PHOTOS, "photos.troth")
    chosen = vm.RunOptions(effects={**EFFECTS, **effects}, **options)
    result = vm.run(image, options=chosen, write_line=lambda _text: None)
    assert not result.ok
    return " ".join(result.report.describe().split())


def test_a_blob_that_cannot_be_kept_fails_its_effect() -> None:
    said = _fails({}, blobs=vm.MemoryBlobStore(bytes_max=100))
    assert "the effect take failed: there is no more room for blobs in memory" in said


def test_content_that_went_missing_fails_the_effect_that_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"

    def develop(photo: dict[str, Any]) -> dict[str, Any]:
        for path in folder.iterdir():
            path.write_bytes(b"dog" * 1000)
        return _develop(photo)

    said = _fails({"develop": develop}, blobs=folder)
    assert "the effect develop failed: develop raised Malformed" in said
    assert "blob.corrupt" in said


def test_a_reference_that_nobody_holds_fails_its_effect() -> None:
    said = _fails({"take": lambda _title: vm.Blob(5, bytes(32))})
    assert "what take returned is not a blob of this host" in said


@pytest.mark.parametrize("value", [5, b"path", object()])
def test_a_store_that_cannot_be_used(value: Any) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.RunOptions(blobs=value)
    assert caught.value.code == "run.blobs"
