"""`dth images` from one real registry to another: what a person sees and what arrives."""

from pathlib import Path

import pytest

from tests.acceptance.command import report_rows
from tests.acceptance.images import Images
from tests.servers.oci_images import (
    AMD64,
    ARM64,
    artifact,
    family,
    image,
    multi_platform,
    nested_index,
    referrers_index,
    referrers_tag,
)

pytestmark = pytest.mark.registries


def test_all_arrives_bit_for_bit_and_the_second_run_finds_it_the_same(images: Images) -> None:
    for number, built in enumerate(family("base", 4)):
        images.source.push(built, "team/web", f"v{number}")
    release = multi_platform("app", attested=True)
    images.source.push(release, "app", "1.0", "latest")
    images.source.push(nested_index("tools"), "tools", "1")

    first = images.run("--all")

    assert (first["status"], first["new"], first["done"], first["failed"]) == (
        *("succeeded", 7, 7, 0),
    )
    for repository, tags in {"team/web": 4, "app": 2, "tools": 1}.items():
        assert len(images.destination.tags(repository)) == tags
        for tag in images.source.tags(repository):
            digest = images.source.digest(repository, tag)
            assert images.destination.digest(repository, tag) == digest
    rows = report_rows(first["report"])
    assert rows[f"{images.destination.folder}/app:1.0"]["state"] == "done"
    assert rows[f"{images.destination.folder}/app:1.0"]["etag"] == release.digest

    second = images.run("--all")
    assert (second["status"], second["same"], second["new"], second["bytes"]) == (
        *("succeeded", 7, 0, 0),
    )


def test_a_moved_tag_and_a_new_one_are_all_that_the_next_run_does(images: Images) -> None:
    old, new = family("app", 2)
    images.source.push(old, "app", "1", "latest")
    images.run("--all")
    images.source.push(new, "app", "2", "latest")

    told = images.told("--all")

    assert images.destination.digest("app", "latest") == new.digest
    assert "succeeded: 2 images copied" in told.out
    assert "= 1 same + 1 new + 1 changed + 0 filtered" in told.out
    assert "object" not in told.out + told.err


@pytest.mark.parametrize("how", ["words", "file", "standard input"])
def test_a_list_of_images(images: Images, how: str) -> None:
    for tag in ("1", "2", "latest"):
        images.source.push(image(f"app {tag}"), "app", tag)
        images.source.push(image(f"web {tag}"), "web", tag)
    images.source.push(image("other"), "other", "1")
    text = "app, # the newest\nweb:1,web:2\n\nother:ALL_TAGS\n"
    if how == "file":
        (images.dth.folder / "list.txt").write_text(text)
    given = {"words": text, "file": "list.txt", "standard input": "-"}[how]

    told = images.told("--images", given, "--json", given=text)

    assert told.json["done"] == 4
    assert images.destination.tags("app") == ["latest"]
    assert images.destination.tags("web") == ["1", "2"]
    assert images.destination.tags("other") == ["1"]


def test_what_a_list_names_and_the_source_has_not_is_told(images: Images) -> None:
    images.source.push(image("app"), "app", "1")

    ended = images.run("--images", "app:1, app:9, web:1", code=1)

    assert (ended["done"], ended["failed"]) == (1, 2)
    rows = report_rows(ended["report"])
    for missing in ("app:9", "web:1"):
        row = rows[f"{images.destination.folder}/{missing}"]
        assert (row["state"], row["code"]) == ("failed", "not_found")
        assert f"{missing}; check its name and tag" in row["message"]


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (["--include", "app:v1.*"], {"app": ["v1.0.0", "v1.2.0"]}),
        (["--exclude", "web", "--exclude", "*:nightly"], {"app": ["v1.0.0", "v1.2.0", "v2.0.0"]}),
        (["--tags", r"v\d\.0\.0"], {"app": ["v1.0.0", "v2.0.0"]}),
        (["--semver", ">=1.1 <2"], {"app": ["v1.2.0"]}),
        (["--newest", "1", "--semver", "*"], {"app": ["v2.0.0"]}),
    ],
    ids=["include", "exclude", "tags", "semver", "newest"],
)
def test_filters(images: Images, options: list[str], taken: dict[str, list[str]]) -> None:
    for tag in ("v1.0.0", "v1.2.0", "v2.0.0", "nightly"):
        images.source.push(image(tag), "app", tag)
    images.source.push(image("web"), "web", "edge")

    images.run("--all", *options)

    expected: dict[str, list[str]] = {"app": [], "web": []} | taken
    assert {name: images.destination.tags(name) for name in expected} == expected


def test_one_platform_of_an_index(images: Images) -> None:
    built = multi_platform("app", platforms=(AMD64, ARM64))
    images.source.push(built, "app", "1")

    images.run("--all", "--platform", "linux/arm64")

    assert images.destination.digest("app", "1") == built.children[1].digest
    assert images.destination.digest("app", built.children[0].digest) is None


def test_what_has_not_the_platform_is_left_out_and_told(images: Images) -> None:
    images.source.push(multi_platform("app", platforms=(AMD64,)), "app", "1")
    images.source.push(multi_platform("web", platforms=(AMD64, ARM64)), "web", "1")

    ended = images.run("--all", "--platform", "linux/arm64")

    assert (ended["done"], ended["filtered"], ended["failed"]) == (1, 1, 0)
    (note,) = ended["notes"]
    assert f"{images.source}/app:1" in note
    assert "not for linux/arm64" in note


def test_referrers_come_along_when_asked_for(images: Images) -> None:
    app = image("app")
    sbom = artifact("sbom", app)
    images.source.push(app, "app", "1")
    images.source.push(sbom, "app")
    images.source.push(referrers_index([sbom]), "app", referrers_tag(app))

    images.run("--all")
    assert images.destination.digest("app", sbom.digest) is None
    images.run("--all", "--referrers")
    assert images.destination.digest("app", sbom.digest) == sbom.digest


def test_other_names_and_a_folder(images: Images) -> None:
    built = image("app")
    for repository in ("web", "tools/lint", "app"):
        images.source.push(built, repository, "1")

    images.run(*("--all", "--prefix", "mirror", "--rename", "web=frontend", "--rename", "tools/="))

    for repository in ("mirror/frontend", "mirror/lint", "mirror/app"):
        assert images.destination.digest(repository, "1") == built.digest


def test_two_repositories_of_one_name_are_refused_before_anything_is_copied(
    images: Images,
) -> None:
    for repository in ("web", "app"):
        images.source.push(image(repository), repository, "1")

    told = images.told("--all", "--rename", "web=app", code=2)

    assert "dth: --rename: " in told.err
    assert "both go to" in told.err
    assert images.destination.tags("app") == []


# Pruning


@pytest.fixture
def twenty(images: Images) -> Images:
    """Twenty tags on both sides, and two that only the destination has."""
    built = image("app")
    tags = [f"{number:02d}" for number in range(20)]
    images.source.push(built, "app", *tags)
    images.destination.push(built, "app", *tags)
    images.destination.push(image("old"), "app", "old-1", "old-2")
    return images


def test_nothing_is_deleted_unless_it_is_asked_for(twenty: Images) -> None:
    ended = twenty.run("--all")
    assert (ended["extra"], ended["deleted"]) == (2, 0)
    assert len(twenty.destination.tags("app")) == 22


def test_pruning_deletes_the_tags_that_only_the_destination_has(twenty: Images) -> None:
    ended = twenty.run("--all", "--prune")
    assert (ended["extra"], ended["deleted"], ended["failed"]) == (2, 2, 0)
    assert twenty.destination.tags("app") == twenty.source.tags("app")


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--max-delete", "1"), "max_delete"), (("--max-delete-percent", "9"), "max_delete_percent")],
)
def test_a_guard_stops_the_run_before_anything_is_deleted(
    twenty: Images, options: tuple[str, ...], code: str
) -> None:
    ended = twenty.run("--all", "--prune", *options, code=3)
    assert (ended["status"], ended["error"]["code"]) == ("failed", code)
    assert "2 of 22 tags" in ended["error"]["message"]
    assert len(twenty.destination.tags("app")) == 22
    told = twenty.told("--all", "--prune", *options, "--dry-run")
    assert f"The run would delete nothing, and fail: 2 tags of 22 are more than {options[0]}" in (
        told.out
    )


# A dry run


def test_a_dry_run_tells_what_the_run_does(images: Images) -> None:
    for number, built in enumerate(family("web", 3)):
        images.source.push(built, "web", f"v{number}")
    images.source.push(image("app"), "app", "1", "latest")

    plan = images.run("--all", "--dry-run")

    assert images.destination.tags("web") == []
    assert plan["dry_run"] is True
    assert (plan["kinds"]["copy"], plan["kinds"]["retag"]) == (4, 1)
    assert images.dth.well("runs").out.startswith("There are no runs yet.")
    told = images.told("--all", "--dry-run").out
    assert told.startswith("Dry run: nothing was changed.\n")
    assert f"  copy   {images.destination.folder}/app:1 " in told

    ended = images.run("--all")
    assert (ended["new"], ended["bytes"]) == (plan["new"], plan["bytes"])
    again = images.run("--all", "--dry-run")
    assert (again["same"], again["bytes"], again["pulls"]) == (5, 0, 0)
    assert "First of each kind" not in images.told("--all", "--dry-run").out


# The commands of runs


def test_a_run_of_images_can_be_looked_at_like_any_other(images: Images) -> None:
    images.source.push(image("app"), "app", "1")
    run = images.run("--all")["run"]

    dth = images.dth
    assert f"{images.source} → {images.destination}" in dth.well("runs").out
    shown = dth.well("show", "last").out
    assert "1 of 1 image\n" in shown
    assert "object" not in shown
    assert dth.well("failures", "last").out == f"Nothing failed in run {run}.\n"
    assert Path(dth.well("report", "last").out.strip()).exists()
    assert dth.well("show", "last", "--json").json["task"]["kind"] == "images"
    told = dth.well("resume", "last", code=2).err
    assert f"dth: RUN: {run} has ended (succeeded), there is nothing to resume" in told
