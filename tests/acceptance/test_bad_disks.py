"""Disks that are full, or refuse: said in one sentence, and gone on with once there is room."""

from pathlib import Path

from tests.acceptance.balance import assert_balanced, assert_moved
from tests.acceptance.command import Dth, Ended
from tests.acceptance.disks import can_mount, largest_file, small_disk
from tests.acceptance.places import MIB, Place, content_of

FAILED = 3
KIB = 1024
OBJECTS = {f"{n % 5}/{n:04d}": content_of(str(n), 60) for n in range(1_500)}


def sentence_of(ended: Ended) -> str:
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("dth: ")]
    assert "Traceback" not in ended.err
    return sentence


def test_a_limit_on_the_state_s_files_stops_the_run_and_is_named(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill(OBJECTS)
    words = ("transfer", source, destination, "--json", "--processes", 2)
    with largest_file(250 * KIB):
        ended = pair(*words)
    assert ended.code == FAILED, str(ended)
    assert str(pair.state) in sentence_of(ended)
    assert "any limit on file sizes" in sentence_of(ended)

    assert_moved(pair.well(*words).json, source, destination)


def test_a_state_folder_that_is_a_file_is_told(
    pair: Dth, source: Place, destination: Place
) -> None:
    pair.state.write_text("not a folder")
    ended = pair("transfer", source, destination)
    assert ended.code == FAILED, str(ended)
    assert f"Cannot write the state folder {pair.state} (File exists)" in sentence_of(ended)


def test_an_object_larger_than_any_file_may_be_is_a_dead_letter_at_once(
    dth: Dth, source: Place, tmp_path: Path
) -> None:
    source.fill({"large": content_of("large", 9 * MIB), "small": b"small"})
    with largest_file(8 * MIB):
        ended = dth.between(source.endpoint, None).transfer(
            source, f"file://{tmp_path}/there", code=1
        )
    assert (ended["done"], ended["failed"]) == (1, 1)
    (row,) = dth.well("failures", "last", "--json").json["failures"]
    assert (row["key"], row["code"], row["attempts"]) == ("large", "unsupported", 1)
    assert "the disk cannot hold an object of this size" in row["message"]
    assert [path.name for path in (tmp_path / "there").rglob("*")] == ["small"]


class TestOnADiskOfItsOwn:
    __test__ = can_mount()  # without the right to mount there is no disk to fill

    def test_a_full_disk_under_the_state_stops_the_run_which_goes_on_once_there_is_room(
        self, pair: Dth, source: Place, destination: Place
    ) -> None:
        source.fill(OBJECTS)
        words = ("transfer", source, destination, "--json", "--processes", 2)
        with small_disk(pair.state, 16 * MIB) as disk:
            disk.fill(but=300 * KIB)
            ended = pair(*words)
            disk.free()
            assert_moved(pair.well(*words).json, source, destination)
        assert ended.code == FAILED, str(ended)
        assert str(pair.state) in sentence_of(ended)
        assert "free some space" in sentence_of(ended)

    def test_a_disk_without_any_room_is_told_before_anything_is_copied(
        self, pair: Dth, source: Place, destination: Place
    ) -> None:
        source.put("object", b"content")
        with small_disk(pair.state, MIB) as disk:
            disk.fill(but=0)
            ended = pair("transfer", source, destination)
        assert ended.code == FAILED, str(ended)
        assert "full disk" in sentence_of(ended)
        assert destination.keys() == []

    def test_a_state_that_may_not_be_written_is_told(
        self, pair: Dth, source: Place, destination: Place
    ) -> None:
        with small_disk(pair.state, MIB, "ro"):
            ended = pair("transfer", source, destination)
        assert ended.code == FAILED, str(ended)
        assert "writ" in sentence_of(ended)
        assert str(pair.state) in sentence_of(ended)

    def test_a_full_destination_stops_the_run_and_holds_only_whole_objects(
        self, dth: Dth, source: Place, tmp_path: Path
    ) -> None:
        objects = {f"{n:02d}": content_of(str(n), 200 * KIB) for n in range(20)}
        source.fill(objects)
        source.put_multipart("large", content_of("large", 11 * MIB))
        dth = dth.between(source.endpoint, None)
        with small_disk(tmp_path / "there", 32 * MIB) as disk:
            disk.fill(but=2 * MIB)
            ended = dth("transfer", source, f"file://{disk.folder}", "--json")
            partial = {path.name: path.read_bytes() for path in disk.folder.glob("??")}
            disk.free()
            again = dth.well("transfer", source, f"file://{disk.folder}", "--json").json
            found = {p.name: p.read_bytes() for p in disk.folder.rglob("*") if p.is_file()}
        assert ended.code == FAILED, str(ended)
        assert ended.json["error"]["code"] == "disk_full"
        assert f"{disk.folder}" in sentence_of(ended)
        assert "the disk is full. Free some space and run again." in sentence_of(ended)
        assert partial.items() <= objects.items()
        assert len(partial) < len(objects)
        assert again["run"] == ended.json["run"]
        assert_balanced(again)
        assert found == {**objects, "large": content_of("large", 11 * MIB)}
