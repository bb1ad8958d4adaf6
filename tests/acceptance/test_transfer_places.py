"""Folders on either side, copies that never leave the server, and prefixes."""

from pathlib import Path

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.conftest import PlaceFactory
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.seaweedfs import SeaweedFS


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bucket_lands_in_a_folder_and_goes_back(
    dth: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    objects = {
        "a/b c.txt": b"1",
        "a/ü.bin": content_of("ü", 6 * MIB),
        "top": b"",
        "a.b/c": b"2",
        "large": content_of("large", 11 * MIB),
    }
    parts = ("--part-size", "5MiB")
    source.fill(objects)
    folder = tmp_path / "landing"

    there = dth.between(source.endpoint, None).transfer(source, f"file://{folder}", *parts)
    back = dth.between(None, destination.endpoint).transfer(f"file://{folder}", destination, *parts)

    assert (there["done"], back["done"]) == (5, 5)
    assert read_tree(folder) == objects
    assert destination.contents() == objects
    assert destination.listing()["large"].etag.endswith("-3")
    assert dth.between(source.endpoint, None).transfer(source, f"file://{folder}")["same"] == 5


def test_a_folder_is_moved_to_a_folder(dth: Dth, tmp_path: Path) -> None:
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "sub" / "x").write_bytes(b"1")
    (tmp_path / "from" / "y").write_bytes(b"22")

    ended = dth.transfer(f"file://{tmp_path}/from", f"file://{tmp_path}/to")

    assert ended["bytes"] == 3
    assert read_tree(tmp_path / "to") == {"sub/x": b"1", "y": b"22"}


def test_the_server_copies_by_itself_between_its_own_buckets(
    dth: Dth,
    source: Place,
    seaweedfs: SeaweedFS,
    make_place: PlaceFactory,
    fault_proxy: ProxyFactory,
) -> None:
    destination = make_place(seaweedfs.admin)
    objects = {"small": b"1", "large": content_of("large", 17 * MIB)}
    source.fill(objects)
    proxy, seen = fault_proxy(source.endpoint)

    ended = dth.between(seen, seen).well("transfer", source, destination)

    assert "2 objects copied, all by the server itself in" in ended.out
    assert proxy.count("CopyObject") == 2
    assert not {"GetObject", "PutObject", "UploadPart"} & {seen.operation for seen in proxy.seen}
    assert destination.contents() == objects


def test_bytes_pass_through_this_machine_on_request(
    dth: Dth,
    source: Place,
    seaweedfs: SeaweedFS,
    make_place: PlaceFactory,
    fault_proxy: ProxyFactory,
) -> None:
    destination = make_place(seaweedfs.admin)
    source.fill({"a": b"1", "b": b"22"})
    proxy, seen = fault_proxy(source.endpoint)

    ended = dth.between(seen, seen).transfer(source, destination, "--copy", "stream")

    assert ended["bytes"] == 3
    assert (proxy.count("GetObject"), proxy.count("PutObject")) == (2, 2)
    assert proxy.count("CopyObject") == 0


def test_bytes_pass_through_where_the_credentials_differ(
    dth: Dth,
    source: Place,
    seaweedfs: SeaweedFS,
    make_place: PlaceFactory,
) -> None:
    destination = make_place(seaweedfs.admin)
    source.fill({"a": b"1"})

    ended = dth.between(seaweedfs.reader, seaweedfs.admin).transfer(source, destination)

    assert ended["bytes"] == 1
    assert destination.contents() == {"a": b"1"}


def test_a_copy_on_the_server_is_refused_between_two_servers(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")

    ended = pair.well("transfer", source, destination, "--copy", "server", code=2)

    assert "--copy: server needs both sides on one endpoint" in ended.err
    assert destination.keys() == []


def test_metadata_goes_along_in_a_copy_on_the_server(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("a", b"1", ContentType="text/css", Metadata={"owner": "someone"})

    ended = moto_pair.transfer(moto_source, moto_destination, "--copy", "server")

    assert ended["bytes"] == 0
    head = moto_destination.head("a")
    assert (head["ContentType"], head["Metadata"]) == ("text/css", {"owner": "someone"})


@pytest.mark.parametrize(
    ("source_prefix", "destination_prefix", "options", "lands"),
    [
        ("/photos", "", (), ["a.jpg", "b/c.jpg"]),
        ("/photos/", "/copy", (), ["copy/a.jpg", "copy/b/c.jpg"]),
        ("", "/copy/", ("--destination-prefix", "of/all"), None),
    ],
)
def test_prefixes_say_where_keys_land(
    pair: Dth,
    source: Place,
    destination: Place,
    source_prefix: str,
    destination_prefix: str,
    options: tuple[str, ...],
    lands: list[str] | None,
) -> None:
    keys = ["photos/a.jpg", "photos/b/c.jpg", "photos-old/d.jpg"]
    source.fill({key: key.encode() for key in keys})

    ended = pair.transfer(
        f"{source}{source_prefix}", f"{destination}{destination_prefix}", *options
    )

    assert destination.keys() == sorted(lands or [f"copy/of/all/{key}" for key in keys])
    assert all(key in keys for key in report_rows(ended["report"]))
