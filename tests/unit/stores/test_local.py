import asyncio
import errno
import os
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conformance.store_facts import contents, digest, entries, get, keys, part, put, start
from transferhub.errors import (
    ChangedError,
    DeniedError,
    NotFoundError,
    StoreError,
    TransientError,
    UnsupportedError,
)
from transferhub.model.clock import utc_now
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.local import LocalStore
from transferhub.stores.local.faults import mapped, store_error
from transferhub.stores.local.threads import in_thread

TEMPORARY = ".dth-tmp"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    root = tmp_path / "root"
    root.mkdir()
    store = LocalStore(root)
    yield store
    await store.aclose()


@pytest.fixture
def root(store: LocalStore, tmp_path: Path) -> Path:
    return tmp_path / "root"


async def test_what_is_on_the_disk_is_listed_in_byte_order(store: LocalStore, root: Path) -> None:
    for name in ("a/b", "a/c/d", "a-b", "a.b", "a0", "b/x", "é"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "empty" / "folder").mkdir(parents=True)
    assert await keys(store) == ["a-b", "a.b", "a/b", "a/c/d", "a0", "b/x", "é"]


async def test_start_after_is_exact(store: LocalStore) -> None:
    for key in ("a-b", "a/b", "a/c/d", "a/c/e", "a0", "b"):
        await put(store, key)

    async def after(key: str) -> list[str]:
        return [entry.key for entry in await entries(store, start_after=key, limit=2)]

    assert await after("a-b") == ["a/b", "a/c/d", "a/c/e", "a0", "b"]
    assert await after("a/c/d") == ["a/c/e", "a0", "b"]
    assert await after("a/c") == ["a/c/d", "a/c/e", "a0", "b"]
    assert await after("a/c/") == ["a/c/d", "a/c/e", "a0", "b"]
    assert await after("a/d") == ["a0", "b"]
    assert await after("a/") == ["a/b", "a/c/d", "a/c/e", "a0", "b"]
    assert await after("b") == []


async def test_a_token_works_in_another_store_of_the_same_root(
    store: LocalStore, root: Path
) -> None:
    for key in "abc":
        await put(store, key)
    page = await store.list(limit=1)
    page = await LocalStore(root).list(token=page.next_token)
    assert [entry.key for entry in page.entries] == ["b", "c"]


async def test_more_listings_than_are_remembered_still_end_well(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transferhub.stores.local.store.MAX_CURSORS", 1)
    for key in "abcd":
        await put(store, key)
    listings = await asyncio.gather(*(entries(store, limit=limit) for limit in (1, 2, 3)))
    assert [[entry.key for entry in one] for one in listings] == [list("abcd")] * 3


async def test_links_are_left_out_and_noted(store: LocalStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "file").write_text("file")
    (root / "to-file").symlink_to(root / "file")
    (root / "to-outside").symlink_to(outside)
    (root / "to-itself").symlink_to(root)
    (root / "to-nothing").symlink_to(root / "nothing")
    assert await keys(store) == ["file"]
    assert await keys(store) == ["file"]
    assert store.skipped.links == {
        str(root / name) for name in ("to-file", "to-outside", "to-itself", "to-nothing")
    }


@pytest.mark.parametrize("key", ["link", "folder-link/secret", "folder-link/new"])
async def test_nothing_is_read_written_or_deleted_through_a_link(
    store: LocalStore, root: Path, tmp_path: Path, key: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "link").symlink_to(outside / "secret")
    (root / "folder-link").symlink_to(outside)
    with pytest.raises(NotFoundError):
        await store.head(key)
    with pytest.raises(NotFoundError):
        await get(store, key)
    with pytest.raises(UnsupportedError) as caught:
        await put(store, key, b"changed")
    assert caught.value.code == "bad_key"
    assert await store.delete([key]) == {}
    assert await keys(store, "folder-link/") == []
    assert (root / "link").is_symlink()
    assert (outside / "secret").read_text() == "secret"
    assert names(outside) == ["secret"]


async def test_a_root_that_is_a_link_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    store = LocalStore(tmp_path / "link")
    await put(store, "key")
    assert await keys(store) == ["key"]
    assert (root / "key").read_bytes() == b"body"


async def test_special_files_are_left_out_and_noted(store: LocalStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(root, os.O_RDONLY)
        try:
            # The path of a socket holds 108 bytes at most.
            listener.bind(f"/proc/self/fd/{folder}/socket")
        finally:
            os.close(folder)
    assert await keys(store) == []
    assert store.skipped.specials == {str(root / "pipe"), str(root / "socket")}
    with pytest.raises(NotFoundError):
        await get(store, "pipe")
    with pytest.raises(UnsupportedError):
        await put(store, "pipe")


async def test_a_name_that_is_not_utf8_is_left_out_and_noted(store: LocalStore, root: Path) -> None:
    (root / "good").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_text("x")
    folder = Path(os.fsdecode(os.fsencode(root) + b"/bad\xff"))
    folder.mkdir()
    (folder / "below").write_text("x")
    assert await keys(store) == ["good"]
    assert store.skipped.unreadable == {f"{root}/caf\\xe9", f"{root}/bad\\xff"}


async def test_an_etag_tells_versions_apart(store: LocalStore, root: Path) -> None:
    written = await put(store, "key", b"12345")
    [entry] = await entries(store)
    assert entry.etag == written.etag == (await store.head("key")).etag
    assert written.etag.startswith("local-")
    same_size = await put(store, "key", b"54321")
    assert same_size.etag != written.etag
    assert not store.capabilities.md5_etags


async def test_a_change_while_reading_is_noticed(store: LocalStore, root: Path) -> None:
    await put(store, "key", bytes(3 << 20))
    async with store.get("key") as reader:
        chunks = reader.chunks()
        await anext(chunks)
        with (root / "key").open("r+b") as file:
            file.write(b"changed")
        with pytest.raises(ChangedError):
            async for _ in chunks:
                pass


async def test_a_file_that_shrinks_while_reading_is_noticed(store: LocalStore, root: Path) -> None:
    await put(store, "key", bytes(1_000))
    async with store.get("key") as reader:
        os.truncate(root / "key", 10)
        with pytest.raises(ChangedError):
            await reader.read()


async def test_a_reader_keeps_its_version_when_the_object_is_replaced(store: LocalStore) -> None:
    await put(store, "key", b"first")
    async with store.get("key") as reader:
        await put(store, "key", b"second")
        await store.delete(["key"])
        assert await reader.read() == b"first"


async def test_the_time_of_a_file_is_exact(store: LocalStore, root: Path) -> None:
    await put(store, "key")
    os.utime(root / "key", ns=(0, 1_700_000_000_123_456_789))
    moment = datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)
    assert (await store.head("key")).modified_at == moment
    assert [entry.modified_at for entry in await entries(store)] == [moment]


async def test_what_a_disk_cannot_keep_is_named(store: LocalStore) -> None:
    attributes = Attributes(content_type="text/plain", metadata={"a": "b"})
    options = WriteOptions(storage_class="STANDARD_IA", acl="private", tags={"a": "b"})
    expected = ("content_type", "metadata", "storage_class", "acl", "tags")
    assert (await put(store, "key", attributes=attributes, options=options)).not_kept == expected
    begun = await store.create_upload("key", attributes=attributes, options=options)
    assert begun.not_kept == expected


async def test_nothing_is_left_of_what_was_written(store: LocalStore, root: Path) -> None:
    await put(store, "key")
    upload_id = await start(store, "key")
    await part(store, "key", upload_id, 1, b"x")
    await store.abort_upload("key", upload_id)
    await store.aclose()
    assert names(root) == ["key"]


async def test_the_reserved_folder_is_no_place_for_keys(store: LocalStore, root: Path) -> None:
    await start(store, "key")
    assert (root / TEMPORARY).is_dir()
    assert await keys(store) == []
    assert await keys(store, f"{TEMPORARY}/") == []
    for key in (TEMPORARY, f"{TEMPORARY}/a"):
        with pytest.raises(UnsupportedError) as caught:
            await put(store, key)
        assert caught.value.code == "bad_key"
    await put(store, f"{TEMPORARY}x/a")
    await put(store, f"a/{TEMPORARY}/b")
    assert await keys(store) == [f"{TEMPORARY}x/a", f"a/{TEMPORARY}/b"]


async def test_an_upload_survives_a_restart(store: LocalStore, root: Path) -> None:
    upload_id = await start(store, "dir/key")
    first = await part(store, "dir/key", upload_id, 1, b"first ")
    await store.aclose()
    again = LocalStore(root)
    assert [one.upload_id for one in await again.list_uploads("dir/key")] == [upload_id]
    assert list(await again.list_parts("dir/key", upload_id)) == [first]
    second = await part(again, "dir/key", upload_id, 2, b"second")
    await again.complete_upload("dir/key", upload_id, [first, second])
    assert await contents(again) == {"dir/key": b"first second"}
    await again.aclose()
    assert names(root) == ["dir"]


@pytest.mark.parametrize("upload_id", ["", "..", "../..", "/etc", "x" * 32, "0" * 31])
async def test_an_upload_id_cannot_lead_elsewhere(
    store: LocalStore, root: Path, upload_id: str
) -> None:
    await put(store, "key")
    await store.abort_upload("key", upload_id)
    with pytest.raises(NotFoundError) as caught:
        await store.list_parts("key", upload_id)
    assert caught.value.code == "no_upload"
    assert await keys(store) == ["key"]


async def test_parts_are_joined_without_the_kernel_where_it_cannot(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    bodies = [bytes(3 << 20), b"the end"]
    upload_id = await start(store, "key")
    parts = [await part(store, "key", upload_id, n, body) for n, body in enumerate(bodies, 1)]
    await store.complete_upload("key", upload_id, parts)
    assert await get(store, "key") == b"".join(bodies)


async def test_a_written_object_is_as_old_as_its_completion(store: LocalStore, root: Path) -> None:
    upload_id = await start(store, "key")
    one = await part(store, "key", upload_id, 1, b"x")
    before = utc_now() - timedelta(seconds=1)
    await store.complete_upload("key", upload_id, [one])
    modified_at = (await store.head("key")).modified_at
    assert modified_at is not None
    assert modified_at >= before


async def test_what_was_killed_before_it_was_locked_is_removed_after_a_day(root: Path) -> None:
    new = root / TEMPORARY / "new"
    new.mkdir(parents=True)
    for name, age in (("old~", 25), ("young~", 1)):
        (new / name).write_text("half")
        moment = (utc_now() - timedelta(hours=age)).timestamp()
        os.utime(new / name, (moment, moment))
    store = LocalStore(root)
    await put(store, "key")
    assert names(new) == ["young~"]


async def test_empty_folders_go_with_their_last_object(store: LocalStore, root: Path) -> None:
    for key in ("a/b/c", "a/d"):
        await put(store, key)
    await store.delete(["a/b/c"])
    assert not (root / "a" / "b").exists()
    await store.delete(["a/d"])
    assert not (root / "a").exists()
    assert root.is_dir()


async def test_an_empty_folder_is_no_object_and_no_obstacle(store: LocalStore, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    await put(store, "a")
    assert await contents(store) == {"a": b"body"}


async def test_writers_and_deleters_of_one_folder_do_not_disturb(store: LocalStore) -> None:
    async def churn(number: int) -> None:
        for _ in range(20):
            await put(store, f"a/b/{number}")
            assert await store.delete([f"a/b/{number}"]) == {}

    await asyncio.gather(*(churn(number) for number in range(6)))
    assert await keys(store) == []


@pytest.mark.parametrize("create", [False, True])
async def test_a_missing_root_is_no_bucket_unless_it_shall_be_made(
    tmp_path: Path, *, create: bool
) -> None:
    store = LocalStore(tmp_path / "new" / "root", create=create)
    if create:
        await store.check()
        await put(store, "key")
        assert await keys(store) == ["key"]
        return
    for verb in (store.check(), put(store, "key"), start(store, "key"), store.list()):
        with pytest.raises(NotFoundError) as caught:
            await verb
        assert caught.value.code == "no_bucket"
    assert not (tmp_path / "new").exists()


async def test_a_root_that_goes_away_is_never_an_empty_listing(
    store: LocalStore, root: Path
) -> None:
    await put(store, "dir/key")
    shutil.rmtree(root)
    for prefix in ("", "dir/"):
        with pytest.raises(NotFoundError) as caught:
            await store.list(prefix)
        assert caught.value.code == "no_bucket"


async def test_a_disk_that_is_replaced_while_it_is_listed_ends_the_listing(
    store: LocalStore, root: Path
) -> None:
    for key in ("a/1", "b/1", "c/1"):
        await put(store, key)
    page = await store.list(limit=1)
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    with pytest.raises(NotFoundError) as caught:
        await store.list(token=page.next_token)
    assert caught.value.code == "no_bucket"


async def test_a_write_can_be_made_durable(root: Path) -> None:
    store = LocalStore(root, fsync=True)
    await put(store, "dir/key")
    assert await contents(store) == {"dir/key": b"body"}


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, TransientError, "disk_full"),
        (errno.EDQUOT, TransientError, "disk_full"),
        (errno.EACCES, DeniedError, "denied"),
        (errno.EROFS, DeniedError, "denied"),
        (errno.ENOENT, NotFoundError, "not_found"),
        (errno.ENAMETOOLONG, UnsupportedError, "bad_key"),
        (errno.EIO, TransientError, "transient"),
    ],
)
def test_the_system_s_errors_are_classed(number: int, kind: type[StoreError], code: str) -> None:
    with pytest.raises(kind) as caught, mapped("write", "/data/a"):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    assert "/data/a" in caught.value.message
    assert os.strerror(number) in caught.value.message


def test_an_error_without_a_number_may_pass() -> None:
    assert isinstance(store_error(OSError("odd"), "read", "/data/a"), TransientError)


async def test_a_full_disk_leaves_nothing_half_written(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, "key", b"before")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(TransientError) as caught:
        await put(store, "key", b"after")
    monkeypatch.undo()
    assert caught.value.code == "disk_full"
    assert await contents(store) == {"key": b"before"}
    assert names(root / TEMPORARY / "new") == []


async def test_a_folder_that_may_not_be_read_is_never_an_empty_one(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, "open/key")
    await put(store, "shut/key")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.rstrip("/").endswith("shut"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path)

    # The tests may run as root, who may read everything.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DeniedError, match="shut"):
        await store.list()
    assert await keys(store, "open/") == ["open/key"]


async def test_a_cancelled_caller_waits_for_its_thread() -> None:
    loop = asyncio.get_running_loop()
    began, go, ended = asyncio.Event(), asyncio.Event(), False

    def work() -> None:
        nonlocal ended
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        ended = True

    task = asyncio.create_task(in_thread(work))
    await began.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_no_descriptor_is_left_open(store: LocalStore) -> None:
    await put(store, "key", bytes(3 << 20))
    before = len(names(Path("/proc/self/fd")))
    for _ in range(10):
        async with store.get("key") as reader:
            await anext(reader.chunks())
        with pytest.raises(ChangedError):
            await get(store, "key", if_match="other")
        with pytest.raises(NotFoundError):
            await get(store, "missing")
        with pytest.raises(StoreError):
            await store.put(
                "key",
                b"x",
                attributes=Attributes(),
                options=WriteOptions(),
                md5=digest(b"y"),
            )
    assert len(names(Path("/proc/self/fd"))) <= before
