import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from transferhub.engine.compare import CompareMode
from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec

NOW = datetime(2024, 5, 8, tzinfo=UTC)
BASE: dict[str, Any] = {"source": "s3://a/x", "destination": "oss://b/y"}


def spec(**values: Any) -> ObjectsSpec:
    return parse_spec({**BASE, **values}, now=NOW)


def faults(**values: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        spec(**values)
    error = caught.value
    return [fault.field for fault in getattr(error, "faults", [error])]


def test_locations_alone_are_enough() -> None:
    found = spec()
    assert (found.source.environment, found.destination.environment) == ("source", "destination")
    assert found.compare is CompareMode.SIZE_MTIME
    assert found.destination_base == "y/"


def test_a_destination_prefix_is_a_folder_below_the_destination() -> None:
    assert spec(destination_prefix="in").destination_base == "y/in/"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kms_key": "k"}, "kms_key"),
        ({"kms_key": "k", "sse": "AES256"}, "kms_key"),
        ({"min_size": 2, "max_size": 1}, "min_size"),
        ({"min_size": -1}, "min_size"),
        ({"newer_than": "1d", "older_than": "2d"}, "newer_than"),
        ({"newer_than": "soon"}, "newer_than"),
        ({"newer_than": datetime(2024, 1, 1)}, "newer_than"),  # noqa: DTZ001 - is refused
        ({"manifest": "/m", "mirror": True}, "manifest"),
        ({"manifest": "/m", "prefix_list": "/p"}, "prefix_list"),
        ({"manifest": "/m", "inventory": "s3://i/manifest.json"}, "inventory"),
        ({"prefix_list": "/p", "inventory": "s3://i/manifest.json"}, "prefix_list"),
        ({"inventory": "s3://i/manifest.json", "mirror": True}, "inventory"),
        ({"inventory": "s3://i/data.csv.gz"}, "inventory"),
        ({"inventory": "relative/manifest.json"}, "inventory"),
        ({"source": "file:///s", "inventory": "/i/manifest.json"}, "inventory"),
        ({"max_delete": 5}, "max_delete"),
        ({"max_delete_percent": 101, "mirror": True}, "max_delete_percent"),
        ({"part_size": 1}, "part_size"),
        ({"part_size": 6 << 30}, "part_size"),
        ({"include": ("a[",)}, "include"),
        ({"exclude": ("",)}, "exclude"),
        ({"include": "*.jpg"}, "include"),
        ({"acl": "everyone"}, "acl"),
        ({"sse": "kms"}, "sse"),
        ({"compare": "guess"}, "compare"),
        ({"manifest_sha256": "x" * 64, "manifest": "/m"}, "manifest_sha256"),
        ({"destination": "file:///d", "tags": True}, "tags"),
        ({"destination": "r2://d", "tags": True}, "tags"),
        ({"destination": "file:///d", "acl": "private"}, "acl"),
        ({"destination": "file:///d", "storage_class": "X"}, "storage_class"),
        ({"destination": "file:///d", "storage_class": {"*": "X"}}, "storage_class"),
        ({"destination": "file:///d", "sse": "AES256"}, "sse"),
        ({"destination": "file:///d", "destination_prefix": "a/../b"}, "destination_prefix"),
        ({"destination": "file:///d", "copy_mode": "server"}, "copy_mode"),
        ({"copy_mode": "server"}, "copy_mode"),
        ({"sourc": "x"}, "sourc"),
    ],
)
def test_what_does_not_go_is_named(values: dict[str, Any], field: str) -> None:
    assert faults(**values) == [field]


@pytest.mark.parametrize(
    ("source", "destination", "prefix"),
    [
        ("s3://a", "s3://a", ""),
        ("s3://a/x", "s3://a/x/", ""),
        ("s3://a", "s3://a/x", ""),
        ("s3://a/x", "s3://a", ""),
        ("s3://a/x", "s3://a", "x/y"),
        ("file:///a", "file:///a/b", ""),
        ("file:///a/b", "file:///a", ""),
        ("file:///", "file:///a", ""),
        ("file:///a", "file:///", "a/b"),
    ],
)
def test_places_that_overlap_are_refused(source: str, destination: str, prefix: str) -> None:
    assert faults(source=source, destination=destination, destination_prefix=prefix) == [
        "destination"
    ]


@pytest.mark.parametrize(
    ("source", "destination", "prefix"),
    [
        ("s3://a/x", "s3://a/xy", ""),
        ("s3://a/x", "s3://a", "y"),
        ("s3://a", "oss://a", ""),
        ("s3://a", {"url": "s3://a", "endpoint": "http://h"}, ""),
        ("file:///a", "file:///ab", ""),
    ],
)
def test_places_side_by_side_are_taken(source: str, destination: Any, prefix: str) -> None:
    spec(source=source, destination=destination, destination_prefix=prefix)


def test_the_environment_decides_whether_places_overlap() -> None:
    def complete(location: Location) -> Location:
        return location.model_copy(update={"endpoint": f"http://{location.environment}"})

    parse_spec({"source": "s3://a", "destination": "s3://a"}, complete=complete)


def test_every_fault_is_told_at_once_and_survives_a_process_boundary() -> None:
    with pytest.raises(InputErrors) as caught:
        spec(
            source="/data",
            destination={"url": "s3://b", "endpoint": "h"},
            min_size=3,
            max_size=2,
            newer_than="x",
            include=["["],
            bogus=1,
        )
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert [fault.field for fault in error.faults] == [
        "source", "destination_endpoint", "newer_than", "include", "bogus", "min_size",
    ]  # fmt: skip
    assert all(fault.message in str(error) for fault in error.faults)


def test_both_locations_must_be_there() -> None:
    with pytest.raises(InputErrors) as caught:
        parse_spec({})
    assert [fault.field for fault in caught.value.faults] == ["source", "destination"]


def test_none_counts_as_left_out() -> None:
    assert spec(min_size=None, compare=None) == spec()


def test_a_spec_survives_json() -> None:
    before = spec(
        source={
            "url": "s3://a/x",
            "endpoint": "http://h",
            "credentials_file": "/k",
            "anonymous": False,
        },
        inventory="s3://i/p/manifest.json",
        include=["*.jpg"],
        newer_than="7d",
        storage_class={"STANDARD": "IA", "*": "GLACIER"},
        sse="aws:kms",
        kms_key="k",
        compare="etag",
        part_size=8 << 20,
    )
    after = ObjectsSpec.from_json(json.loads(json.dumps(before.to_json())))
    assert after == before
    assert after.fingerprint() == before.fingerprint()


def test_an_inventory_is_reached_as_the_source_is() -> None:
    found = spec(
        source={"url": "s3://a/x", "region": "eu-west-1", "profile": "p"},
        inventory="s3://inv/a/b/manifest.json",
    )
    assert found.inventory is not None
    assert (found.inventory.bucket, found.inventory.prefix) == ("inv", "")
    assert (found.inventory.region, found.inventory.profile) == ("eu-west-1", "p")
    assert found.inventory_key == "a/b/manifest.json"


def test_an_inventory_may_lie_on_disk() -> None:
    found = spec(inventory="/i/manifest.json")
    assert found.inventory is not None
    assert (found.inventory.path, found.inventory_key) == ("/i", "manifest.json")


@pytest.mark.parametrize(
    "values",
    [
        {"part_size": 8 << 20},
        {"copy_mode": "stream"},
        {"source": {"url": "s3://a/x", "profile": "p", "region": "r", "addressing": "path"}},
        {"destination": {"url": "oss://b/y", "credentials_file": "/k", "proxy": "http://h"}},
        {"source": {"url": "s3://a/x", "credential": "prod"}},
    ],
)
def test_how_the_work_is_done_does_not_change_the_fingerprint(values: dict[str, Any]) -> None:
    assert spec(**values).fingerprint() == spec().fingerprint()


@pytest.mark.parametrize(
    "values",
    [
        {"source": "s3://a/z"},
        {"source": {"url": "s3://a/x", "endpoint": "http://h"}},
        {"destination_prefix": "p"},
        {"include": ["*"]},
        {"newer_than": "8d"},
        {"mirror": True},
        {"tags": True},
        {"compare": "size"},
        {"storage_class": "IA"},
        {"manifest": "/m", "manifest_sha256": "0" * 64},
    ],
)
def test_other_work_has_another_fingerprint(values: dict[str, Any]) -> None:
    assert spec(**values).fingerprint() != spec().fingerprint()


def test_an_age_typed_again_is_the_same_work() -> None:
    later = datetime(2024, 5, 9, tzinfo=UTC)
    again = parse_spec({**BASE, "newer_than": "7d"}, now=later)
    assert again.newer_than != spec(newer_than="7d").newer_than
    assert again.fingerprint() == spec(newer_than="7d").fingerprint()


def test_a_list_counts_by_its_content() -> None:
    one = spec(manifest="/m", manifest_sha256="0" * 64)
    assert one.fingerprint() == spec(manifest="/n", manifest_sha256="0" * 64).fingerprint()
    assert one.fingerprint() != spec(manifest="/m", manifest_sha256="1" * 64).fingerprint()


@pytest.mark.parametrize(
    ("given", "source_class", "written"),
    [
        ("", "GLACIER", ""),
        ("IA", "GLACIER", "IA"),
        ({"STANDARD": "IA"}, "", "IA"),
        ({"STANDARD": "IA"}, "GLACIER", ""),
        ({"STANDARD": "IA", "*": "X"}, "GLACIER", "X"),
    ],
)
def test_the_storage_class_follows_that_of_the_source(
    given: Any, source_class: str, written: str
) -> None:
    assert spec(storage_class=given).storage_class_for(source_class) == written


def test_every_parameter_is_described() -> None:
    for model in (ObjectsSpec, Location):
        assert [name for name, it in model.model_fields.items() if not it.description] == []


def test_each_run_counts_ages_from_its_own_start() -> None:
    given = spec(newer_than="7d", older_than="2040-01-01T00:00:00Z")
    later = given.as_of(datetime(2030, 1, 8, tzinfo=UTC))
    assert later.newer_than == datetime(2030, 1, 1, tzinfo=UTC)
    assert later.older_than == given.older_than
    assert later.fingerprint() == given.fingerprint()
