import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec, parse_spec
from transferhub.registries.manifest import Platform

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
BASE: dict[str, Any] = {"source": "docker.io", "destination": ECR, "images": "nginx:1.27"}


def spec(**values: Any) -> ImagesSpec:
    return parse_spec({**BASE, **values})


def faults(**values: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        spec(**values)
    error = caught.value
    found = error.faults if isinstance(error, InputErrors) else (error,)
    assert all("\n" not in fault.message for fault in found)
    return [fault.field for fault in found]


def location(text: str, **options: object) -> RegistryLocation:
    return RegistryLocation.parse(text, field="source", options=options)


def test_two_registries_and_an_image_are_enough() -> None:
    found = spec()
    assert (found.concurrency, found.attempts) == (10, 3)
    assert found.title == f"docker.io to {ECR}"
    assert found.places == ("docker.io", "", "ecr", "123456789012", "eu-west-1", "")
    assert [at.environment for at in found.reaches.values()] == ["source", "destination"]
    assert found.selection.everything
    with found.listed() as listed:
        assert listed is not None
        assert [str(i) for r in listed.repositories() for i in r.images] == [
            "docker.io/library/nginx:1.27"
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ghcr.io", ("registry", "ghcr.io", "", "", "")),
        ("ghcr.io/", ("registry", "ghcr.io", "", "", "")),
        ("GHCR.io/team", ("registry", "ghcr.io", "team/", "", "")),
        ("registry:5000/a/b/", ("registry", "registry:5000", "a/b/", "", "")),
        ("[::1]:5000", ("registry", "[::1]:5000", "", "", "")),
        ("registry-1.docker.io", ("registry", "docker.io", "", "", "")),
        ("public", ("public", "", "", "", "")),
        ("ecr://cn-north-1/x", ("ecr", "", "x/", "", "cn-north-1")),
        ("ecr://us-gov-west-1", ("ecr", "", "", "", "us-gov-west-1")),
        (f"{ECR}/x", ("ecr", ECR, "x/", "123456789012", "eu-west-1")),
        ("public.ecr.aws", ("registry", "public.ecr.aws", "", "", "")),
    ],
)
def test_a_registry_is_read(text: str, expected: tuple[str, ...]) -> None:
    found = location(text)
    assert (found.scheme, found.host, found.prefix, found.account, found.region) == expected
    assert location(found.url) == found
    fields = found.model_dump(exclude_defaults=True)
    assert RegistryLocation.of(fields, field="source", environment="source") == found


@pytest.mark.parametrize(
    "text",
    ["", "registry", "https://ghcr.io", "ecr://", "ecr://nowhere", "ghcr.io/Team", "ghcr.io/a:1",
     "ghcr.io//a", "localhost:0", "s3://bucket"],
)  # fmt: skip
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        location(text)
    assert caught.value.field == "source"


@pytest.mark.parametrize(
    ("text", "options", "field"),
    [
        ("ghcr.io", {"region": "eu-west-1"}, "region"),
        ("ghcr.io", {"profile": "x"}, "profile"),
        ("ghcr.io", {"endpoint": "https://x"}, "endpoint"),
        ("ghcr.io", {"account": "123456789012"}, "account"),
        (ECR, {"anonymous": True}, "anonymous"),
        (ECR, {"region": "us-east-1"}, "region"),
        (ECR, {"account": "1"}, "account"),
        ("ecr://eu-west-1", {"endpoint": "ecr.local"}, "endpoint"),
        ("ecr://eu-west-1", {"endpoint": "https://user:word@ecr.local"}, "endpoint"),
        ("ghcr.io", {"proxy": "http://proxy/x"}, "proxy"),
        ("ghcr.io", {"anonymous": True, "credential": "c"}, "anonymous"),
        ("ghcr.io", {"credential": "c", "credentials_file": "/c"}, "credentials_file"),
        ("ghcr.io", {"credentials_file": "c"}, "credentials_file"),
        ("registry:5000", {"plain_http": True, "ca_bundle": "/ca"}, "ca_bundle"),
        ("docker.io", {"plain_http": True}, "plain_http"),
        ("ghcr.io", {"user": "x"}, "user"),
    ],
)
def test_options_of_a_registry_must_fit(text: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        location(text, **options)
    assert caught.value.field == f"source_{field}"


def test_empty_options_say_nothing() -> None:
    assert location(ECR, region="", account="", plain_http=False) == location(ECR)
    assert location("ecr://eu-west-1", account="123456789012").place == location(ECR).place


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"images": ""}, "images"),
        ({"images": None}, "images"),
        ({"images": "Nginx"}, "images"),
        ({"images": "quay.io/a"}, "images"),
        ({"images": 5}, "images"),
        ({"all": True}, "images"),
        ({"images_file": "/l"}, "images_file"),
        ({"images_file_sha256": "a" * 64}, "images_file_sha256"),
        ({"images_file": "/l", "images": "", "images_file_sha256": "x"}, "images_file_sha256"),
        ({"destination": "public"}, "destination"),
        ({"source": "public", "images": "", "all": True}, "all"),
        ({"include": "a"}, "include"),
        ({"include": ("a[",)}, "include"),
        ({"exclude": ("",)}, "exclude"),
        ({"tag_pattern": "("}, "tag_pattern"),
        ({"semver": "new"}, "semver"),
        ({"newest": 0}, "newest"),
        ({"platform": "amd64"}, "platform"),
        ({"platform": "linux/amd64", "index_children": True}, "index_children"),
        ({"prefix": "A"}, "prefix"),
        ({"rename": {"a/": "b"}}, "rename"),
        ({"rename": {"nginx": "x"}}, "rename"),
        ({"prune": True}, "prune"),
        ({"max_delete": 1}, "max_delete"),
        ({"max_delete_percent": 101}, "max_delete_percent"),
        ({"kms_key": "k"}, "kms_key"),
        ({"encryption": "none"}, "encryption"),
        ({"create": False, "scan_on_push": True}, "scan_on_push"),
        ({"destination": "ghcr.io", "tag_mutability": "immutable"}, "tag_mutability"),
        ({"concurrency": 0}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"imagse": "x"}, "imagse"),
        ({"source": None}, "source"),
        ({"source": 5}, "source"),
        ({"source": {"url": "ghcr.io", "host": "x.io"}}, "source"),
        ({"source": {"url": "ghcr.io", "profile": "p"}}, "source_profile"),
    ],
)
def test_a_fault_names_its_field(values: dict[str, Any], field: str) -> None:
    assert faults(**values) == [field]


def test_every_fault_is_told_at_once() -> None:
    found = faults(
        source="Registry", semver="new", platform="y", include=("a[",), images="A,b:", newest=0,
        concurrency=0,
    )  # fmt: skip
    assert found == ["source", "newest", "concurrency", "semver", "platform", "include"]
    assert faults(images="A\nb:\nc@x", semver="new") == ["semver", "images", "images", "images"]


@pytest.mark.parametrize(
    ("source", "destination", "values", "field"),
    [
        ("ghcr.io", "ghcr.io", {}, "destination"),
        ("ghcr.io", "ghcr.io/mirror", {}, "destination"),
        ("ghcr.io/a", "ghcr.io/a", {"prefix": "b"}, "destination"),
        ("ghcr.io", "ghcr.io", {"rename": {"a/": "b/"}}, None),
        ("ghcr.io/a", "ghcr.io/b", {}, None),
        ("ghcr.io/a", "ghcr.io", {}, None),
        ("ghcr.io", "quay.io", {}, None),
    ],
)
def test_all_of_a_registry_does_not_go_into_itself(
    source: str, destination: str, values: dict[str, Any], field: str | None
) -> None:
    given: dict[str, Any] = {
        "source": source,
        "destination": destination,
        "images": "",
        "all": True,
        **values,
    }
    if field:
        assert faults(**given) == [field]
    else:
        assert spec(**given).all


def test_images_of_a_list_do_not_go_to_themselves() -> None:
    assert faults(source="ghcr.io", destination="ghcr.io", images="a:1") == ["rename"]
    spec(source="ghcr.io", destination="ghcr.io", images="a:1", prefix="mirror")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"images": ["a:1", "b"], "prefix": "x", "rename": {"a": "c"}},
        {"source": {"url": "ecr://cn-north-1/x", "profile": "p"}, "images": None, "all": True,
         "prune": True, "max_delete": 5, "newest": 3, "untagged": True, "cosign": False,
         "semver": ">=1", "platform": "linux/arm64", "include": ["a:1.*"], "tag_pattern": "v.*"},
        {"source": "public", "images": "quay.io/a/b:1,redis", "concurrency": 4, "attempts": 1},
        {"images": "", "images_parameter": "/dth/images", "encryption": "KMS", "kms_key": "k"},
        {"destination": {"url": "[::1]:5000", "plain_http": True}},
    ],
)  # fmt: skip
def test_a_spec_is_its_json(values: dict[str, Any]) -> None:
    found = spec(**values)
    document = json.loads(json.dumps(found.to_json()))
    assert ImagesSpec.from_json(document) == found
    assert ImagesSpec.from_json(document).fingerprint() == found.fingerprint()
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own


def test_a_fingerprint_is_of_the_work() -> None:
    first = spec().fingerprint()
    same: list[dict[str, Any]] = [
        {"concurrency": 3, "attempts": 9},
        {"source": {"url": "index.docker.io", "credential": "c"}},
        {"destination": {"url": ECR, "profile": "p", "proxy": "http://p"}},
        {"destination": {"url": "ecr://eu-west-1", "account": "123456789012"}},
    ]
    other: list[dict[str, Any]] = [
        {"images": "nginx:1.28"},
        {"prefix": "x"},
        {"destination": f"{ECR}/x"},
        {"referrers": True},
        {"platform": "linux/amd64"},
        {"semver": "1.x"},
    ]
    assert {spec(**values).fingerprint() for values in same} == {first}
    found = {spec(**values).fingerprint() for values in other}
    assert first not in found
    assert len(found) == len(other)


def test_a_list_file_counts_by_its_content(tmp_path: Path) -> None:
    def made(name: str, text: str) -> ImagesSpec:
        path = tmp_path / name
        path.write_text(text)
        return spec(images=None, images_file=str(path)).with_digests()

    first = made("a", "nginx")
    assert first.fingerprint() == made("b", "nginx").fingerprint()
    assert first.fingerprint() != made("c", "redis").fingerprint()
    with first.listed() as listed:
        assert listed is not None
        assert len(listed) == 1
    with pytest.raises(InputError, match="cannot be read"):
        spec(images=None, images_file=str(tmp_path / "x")).with_digests()
    assert spec().with_digests() == spec()


def test_a_list_is_read_when_it_is_there() -> None:
    found = spec(images=None, images_parameter="/p", source="ecr://eu-west-1/team")
    with found.listed(source_host=ECR, text="app:1\nb:ALL_TAGS") as listed:
        assert listed is not None
        assert [str(r.repository) for r in listed.repositories()] == [
            f"{ECR}/team/app",
            f"{ECR}/team/b",
        ]
    with (
        pytest.raises(InputError, match="images_parameter: line 1"),
        found.listed(source_host=ECR, text="A"),
    ):
        raise AssertionError
    with spec(images=None, all=True).listed() as listed:
        assert listed is None


def test_a_spec_gives_what_a_run_needs() -> None:
    found = spec(
        images=None, all=True, prune=True, max_delete=3, platform="linux/arm64",
        include=["nginx:1.*"], semver="1.x", destination=f"{ECR}/in", prefix="x",
        rename={"nginx": "web"},
    )  # fmt: skip
    chosen = found.selection
    assert chosen.platform == Platform(os="linux", architecture="arm64")
    assert chosen.covers("nginx", "1.2")
    assert not chosen.covers("nginx", "2.0")
    names = found.repository_map()
    assert (names.prefix, names.ecr, names.host) == ("in/x/", True, ECR)
    assert (found.guard.delete, found.guard.most) == (True, 3)


def test_a_list_is_checked_to_its_end_before_a_run(tmp_path: Path) -> None:
    path = tmp_path / "images"
    listed = spec(images=None, images_file=str(path))
    for text, fault in (("a\nB:1\nC:2", "line 2.*line 3"), ("", "names nothing|no image|empty")):
        path.write_text(text)
        with pytest.raises(InputError, match=f"(?s)images_file.*({fault})"):
            listed.check_lists()
    path.write_text("nginx")
    known = listed.with_digests()
    known.check_lists()
    path.write_text("redis")
    listed.check_lists()
    with pytest.raises(InputError, match="has changed since the run began"):
        known.check_lists()
    spec().check_lists()
    spec(images=None, images_parameter="/p", source="ecr://eu-west-1/team").check_lists()


def test_a_scheme_that_there_is_not_is_said() -> None:
    with pytest.raises(InputError) as caught:
        RegistryLocation.of(
            {"scheme": "eccr", "region": "eu-west-1"}, field="source", environment="source"
        )
    assert (caught.value.field, caught.value.message) == (
        "source_scheme",
        "source_scheme: is none of registry, ecr, public",
    )


@pytest.mark.parametrize("folder", ["", "/backup"])
def test_the_accounts_of_two_ecrs_may_be_told_by_their_credentials_alone(folder: str) -> None:
    source, destination = "ecr://eu-west-1", f"ecr://eu-west-1{folder}"
    with pytest.raises(InputError, match="name its account where that is another one"):
        parse_spec({"source": source, "destination": destination, "all": True})
    for own in ({"profile": "b"}, {"account": "444455556666"}, {"credentials_file": "/b.json"}):
        there = {"url": destination, **own}
        assert parse_spec({"source": source, "destination": there, "all": True}).all
