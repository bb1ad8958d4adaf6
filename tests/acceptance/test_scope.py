"""What a transfer takes: prefixes, globs, sizes, ages, storage classes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory


def prefix_list(folder: Path, content: bytes) -> Path:
    path = folder / "prefixes.txt"
    path.write_bytes(content)
    return path


@pytest.fixture
def tree(source: Place) -> Place:
    """Objects in four folders."""
    keys = ["a/1", "a/b/2", "a/b/3", "ab/4", "c/5", "c/d e/6", "7"]
    source.fill({key: key.encode() for key in keys})
    return source


def test_a_prefix_list_is_read_with_blanks_crlf_and_overlaps(
    pair: Dth, tree: Place, destination: Place, tmp_path: Path, fault_proxy: ProxyFactory
) -> None:
    path = prefix_list(tmp_path, b"\xef\xbb\xbfa/b/\r\n\r\n  a/  \r\nc/d e/\r\na/b/2\r\n\r\n")
    proxy, seen = fault_proxy(tree.endpoint)
    pair = pair.between(seen, destination.endpoint)

    ended = pair.transfer(tree, destination, "--prefix-list", path)

    assert ended["scanned_source"] == 4
    assert destination.keys() == ["a/1", "a/b/2", "a/b/3", "c/d e/6"]
    listed = [seen.request.query for seen in proxy.seen if seen.operation == "ListObjectsV2"]
    prefixes = [query.get("prefix") for query in listed if query["max-keys"] != "1"]
    assert sorted(map(str, prefixes)) == ["a/", "c/d e/"]


def test_a_mirror_of_a_prefix_list_deletes_under_these_prefixes_only(
    pair: Dth, tree: Place, destination: Place, tmp_path: Path
) -> None:
    destination.fill({"a/old": b"1", "c/old": b"1", "old": b"1"})
    path = prefix_list(tmp_path, b"a/\n")
    options = ("--prefix-list", path, "--mirror", "--max-delete-percent", "100")

    ended = pair.transfer(tree, destination, *options)

    assert (ended["extra"], ended["deleted"]) == (1, 1)
    assert destination.keys() == ["a/1", "a/b/2", "a/b/3", "c/old", "old"]


@pytest.mark.parametrize("content", [b"", b"\r\n  \n\t\n"])
def test_an_empty_prefix_list_is_an_error_and_never_everything(
    pair: Dth, tree: Place, destination: Place, tmp_path: Path, content: bytes
) -> None:
    path = prefix_list(tmp_path, content)

    ended = pair.well("transfer", tree, destination, "--prefix-list", path, code=2)

    assert ended.err.startswith("dth: --prefix-list:")
    assert "prefixes.txt" in ended.err
    assert destination.keys() == []


def test_a_prefix_list_that_is_not_there_is_named(
    pair: Dth, tree: Place, destination: Place, tmp_path: Path
) -> None:
    ended = pair.well("transfer", tree, destination, "--prefix-list", tmp_path / "no", code=2)

    assert ended.err.startswith("dth: --prefix-list:")
    assert f"{tmp_path}/no" in ended.err


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (("--include", "*.jpg"), ["a.jpg", "deep/er/b.jpg", "keep/d.jpg"]),
        (("--include", "deep/**"), ["deep/c.txt", "deep/er/b.jpg"]),
        (("--exclude", "deep/**", "--exclude", "/a.jpg"), ["keep/d.jpg"]),
        (("--include", "*.jpg", "--exclude", "keep/"), ["a.jpg", "deep/er/b.jpg"]),
    ],
)
def test_globs_choose_keys(
    pair: Dth, source: Place, destination: Place, options: tuple[str, ...], taken: list[str]
) -> None:
    keys = ["a.jpg", "deep/c.txt", "deep/er/b.jpg", "keep/d.jpg"]
    source.fill({key: key.encode() for key in keys})

    ended = pair.transfer(source, destination, *options)

    assert destination.keys() == taken
    assert (ended["done"], ended["filtered"]) == (len(taken), 4 - len(taken))


def test_a_mirror_never_deletes_what_the_globs_leave_out(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a.jpg", b"1")
    destination.fill({"old.jpg": b"1", "old.txt": b"1"})

    ended = pair.transfer(
        source, destination, "--include", "*.jpg", "--mirror", "--max-delete-percent", "100"
    )

    assert ended["deleted"] == 1
    assert destination.keys() == ["a.jpg", "old.txt"]


def test_sizes_bound_what_is_taken(pair: Dth, source: Place, destination: Place) -> None:
    source.fill({str(size): bytes(size) for size in (0, 1023, 1024, 2000, 2001)})

    pair.transfer(source, destination, "--min-size", "1KiB", "--max-size", "2kB")

    assert destination.keys() == ["1024", "2000"]


def test_ages_bound_what_is_taken(pair: Dth, source: Place, destination: Place) -> None:
    source.put("now", b"1")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    def taken(*options: str) -> int:
        return int(pair.transfer(source, destination, "--dry-run", *options)["new"])

    assert taken("--newer-than", "7d") == 1
    assert taken("--older-than", "7d") == 0
    assert taken("--newer-than", tomorrow) == 0
    assert taken("--older-than", tomorrow) == 1


def test_storage_classes_choose_what_is_taken(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("hot", b"1")
    moto_source.put("warm", b"1", StorageClass="STANDARD_IA")
    moto_source.put("rare", b"1", StorageClass="ONEZONE_IA")

    moto_pair.transfer(moto_source, moto_destination, "--storage-class-in", "STANDARD, STANDARD_IA")

    assert moto_destination.keys() == ["hot", "warm"]


def test_options_that_select_nothing_are_refused_together(
    pair: Dth, source: Place, destination: Place
) -> None:
    ended = pair.well(
        "transfer", source, destination,
        "--min-size", "2GB", "--max-size", "1GB", "--newer-than", "1d", "--older-than", "7d",
        code=2,
    )  # fmt: skip

    assert ended.err.splitlines() == [
        "dth: --min-size: is above --max-size, which selects nothing",
        "dth: --newer-than: is not before --older-than, which selects nothing",
    ]


def test_a_selection_is_part_of_what_a_run_is(pair: Dth, source: Place, destination: Place) -> None:
    source.fill({"a.jpg": b"1", "b.txt": b"2"})

    pair.transfer(source, destination, "--include", "*.jpg")
    pair.transfer(source, destination)

    runs = json.loads(pair.well("runs", "--json").out)
    assert len({run["task"]["id"] for run in runs}) == 2
