from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from transferhub.control.reach import OWN_MACHINE, Reach, ReachRules
from transferhub.control.specs import Spec
from transferhub.errors import InputError
from transferhub.model.faults import flatten
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.spec import parse_spec as parse_images_spec
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec

NOTHING = ReachRules()
STORED = {"url": "s3://b", "credential": "prod"}


class Names:
    """Names that may have another address at each question; the last one stays."""

    def __init__(self, **names: Sequence[str]) -> None:
        self.names = {name.replace("_", "."): [*answers] for name, answers in names.items()}

    async def resolve(self, host: str) -> Sequence[str]:
        answers = self.names.get(host, [])
        return [answers.pop(0) if len(answers) > 1 else answers[0]] if answers else []


def spec(source: Any = STORED, destination: Any = None, **values: Any) -> ObjectsSpec:
    return parse_spec(
        {"source": source, "destination": destination or {**STORED, "url": "s3://c"}, **values}
    )


async def refused(spec: Spec, rules: ReachRules, names: Names | None = None) -> list[str]:
    """The fields that are refused."""
    try:
        await Reach(rules, (names or Names()).resolve).check_spec(spec)
    except InputError as error:
        faults = flatten([error])
        assert {fault.code for fault in faults} <= {"not_allowed", "blocked_address"}
        return [fault.field for fault in faults]
    return []


POWERS: list[tuple[dict[str, Any], str]] = [
    ({"source": "file:///data"}, "source"),
    ({"destination": "file:///data"}, "destination"),
    ({"source": "s3://b"}, "source_credential"),
    ({"source": {"url": "s3://b", "profile": "root"}}, "source_profile"),
    ({"source": {"url": "s3://b", "credentials_file": "/k"}}, "source_credentials_file"),
    ({"source": {**STORED, "ca_bundle": "/k"}}, "source_ca_bundle"),
    ({"manifest": "/etc/shadow"}, "manifest"),
    ({"prefix_list": "/etc/shadow"}, "prefix_list"),
    ({"inventory": "/data/manifest.json"}, "inventory"),
]


@pytest.mark.parametrize(("given", "field"), POWERS)
async def test_powers_of_the_machine_are_lent_only_where_that_is_set(
    given: dict[str, Any], field: str
) -> None:
    assert await refused(spec(**given), NOTHING) == [field]
    assert await refused(spec(**given), OWN_MACHINE) == []


@pytest.mark.parametrize("given", [STORED, {"url": "s3://b", "anonymous": True}])
async def test_what_needs_nothing_of_the_machine_is_taken(given: dict[str, Any]) -> None:
    assert await refused(spec(given), NOTHING) == []


@pytest.mark.parametrize("given", ["s3://b", {"url": "s3://b", "profile": "p"}])
async def test_the_machines_own_credentials_may_be_lent_by_themselves(given: Any) -> None:
    rules = ReachRules(environment=True)
    assert await refused(spec(given), rules) == []
    assert await refused(spec(given, manifest="/m"), rules) == ["manifest"]


async def test_folders_are_what_they_are_and_not_what_they_are_called(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
    (allowed / "out").symlink_to(other)
    (allowed / "round").symlink_to(allowed / "round")
    rules = ReachRules(folders=(allowed,))
    for path, fields in (
        (allowed, []),
        (allowed / "deep" / "er", []),
        (tmp_path / "allowed-not", ["source"]),
        (tmp_path, ["source"]),
        (allowed / "out" / "x", ["source"]),
        (allowed / "round" / "x", []),
        (f"{allowed}/../other", ["source"]),
    ):
        assert await refused(spec(f"file://{path}"), rules) == fields
    assert await refused(spec(manifest=f"{allowed}/../other/m"), rules) == ["manifest"]
    assert await refused(spec(manifest=f"{allowed}/m"), rules) == []


async def test_metadata_services_are_refused_wherever_they_are_named() -> None:
    names = Names(evil_example=["169.254.169.254"], good_example=["203.0.113.7"])
    evil, good = "http://evil.example", "http://good.example"
    for name in ("endpoint", "proxy"):
        given = {**STORED, name: evil}
        assert await refused(spec(given), OWN_MACHINE, names) == [f"source_{name}"]
        assert await refused(spec(given), ReachRules(metadata=True), names) == []
        assert await refused(spec({**STORED, name: good}), OWN_MACHINE, names) == []
    inventory = {"inventory": {**STORED, "endpoint": evil}, "inventory_key": "manifest.json"}
    assert await refused(spec(**inventory), OWN_MACHINE, names) == ["inventory_endpoint"]


async def test_every_fault_is_told_at_once() -> None:
    evil = {"url": "s3://b", "endpoint": "http://169.254.169.254"}
    assert await refused(spec(evil, "file:///d", manifest="/m"), NOTHING) == [
        "manifest",
        "source_credential",
        "source_endpoint",
        "destination",
    ]


async def test_one_location_is_checked_by_itself() -> None:
    there = Location.parse("file:///d", field="destination", environment="destination")
    with pytest.raises(InputError, match="allow_local") as caught:
        await Reach(NOTHING).pinned_location(there)
    assert caught.value.field == "destination"


@pytest.mark.parametrize(
    ("proxy", "pinned"),
    [
        ("http://proxy.example:3128", "http://203.0.113.7:3128"),
        ("http://proxy.example", "http://203.0.113.7"),
        ("http://proxy6.example:1", "http://[2001:db8::7]:1"),
        ("http://192.0.2.1:3128", "http://192.0.2.1:3128"),
        ("http://unknown.example:1", "http://unknown.example:1"),
        ("https://proxy.example:3128", "https://proxy.example:3128"),
        ("", ""),
    ],
)
async def test_a_run_reaches_its_proxy_at_the_address_that_was_checked(
    proxy: str, pinned: str
) -> None:
    names = Names(proxy_example=["203.0.113.7"], proxy6_example=["2001:db8::7"])
    reach, given = Reach(OWN_MACHINE, names.resolve), spec({**STORED, "proxy": proxy})
    assert (await reach.pinned(given)).source.proxy == pinned
    assert (await reach.pinned_location(given.source)).proxy == pinned


async def test_a_proxy_whose_name_changes_after_the_check_is_refused() -> None:
    names = Names(proxy_example=["203.0.113.7", "169.254.169.254"])
    given = spec({**STORED, "proxy": "http://proxy.example:3128"})
    with pytest.raises(InputError) as caught:
        await Reach(OWN_MACHINE, names.resolve).pinned(given)
    assert (caught.value.field, caught.value.code) == ("source_proxy", "blocked_address")


# Registries


def images(source: Any, destination: Any = "mirror.example", **values: Any) -> ImagesSpec:
    return parse_images_spec({"source": source, "destination": destination, "all": True, **values})


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("registry.example/team", []),
        ({"url": "registry.example", "credential": "prod"}, []),
        ("ecr://eu-west-1", ["source_credential"]),
        ({"url": "ecr://eu-west-1", "profile": "root"}, ["source_profile"]),
        ({"url": "ecr://eu-west-1", "credential": "prod"}, []),
        ({"url": "registry.example", "credentials_file": "/k"}, ["source_credentials_file"]),
        ({"url": "registry.example", "ca_bundle": "/k"}, ["source_ca_bundle"]),
    ],
)
async def test_registries_are_lent_no_more_of_the_machine(source: Any, fields: list[str]) -> None:
    assert await refused(images(source), NOTHING) == fields
    assert await refused(images(source), OWN_MACHINE) == []


async def test_a_list_of_images_is_a_file_of_the_machine_as_any_other() -> None:
    listed = images("registry.example", all=False, images_file="/etc/shadow")
    assert await refused(listed, NOTHING) == ["images_file"]


@pytest.mark.parametrize("host", ["169.254.169.254", "169.254.169.254:80", "evil.example:5000"])
async def test_no_registry_is_a_metadata_service(host: str) -> None:
    names = Names(evil_example=["169.254.169.254"])
    assert await refused(images(f"{host}/team"), OWN_MACHINE, names) == ["source"]
    assert await refused(images("registry.example", host), OWN_MACHINE, names) == ["destination"]
    assert await refused(images(host), ReachRules(metadata=True), names) == []


async def test_addresses_of_amazon_ecr_are_checked_too() -> None:
    ecr = {"url": "ecr://eu-west-1", "credential": "prod"}
    for name in ("endpoint", "proxy"):
        given = {**ecr, name: "http://169.254.169.254"}
        assert await refused(images(given), NOTHING) == [f"source_{name}"]


async def test_nobody_signs_in_to_a_registry_with_what_the_machine_has() -> None:
    given = images("registry.example/a", {"url": "other.example", "credential": "prod"})
    for rules, nobody in (
        (NOTHING, True),
        (ReachRules(environment=True), False),
        (OWN_MACHINE, False),
    ):
        pinned = await Reach(rules, Names().resolve).pinned(given)
        assert (pinned.source.anonymous, pinned.destination.anonymous) == (nobody, False)
        assert pinned.fingerprint() == given.fingerprint()
