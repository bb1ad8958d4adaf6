"""Images that meet every fault of registries: they arrive, or each one says what it met, and the
others go on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.disks import can_mount, small_disk
from tests.acceptance.image_sets import (
    Held,
    assert_holds,
    count_tags,
    every_kind,
    heavy,
    heavy_index,
    push_all,
)
from tests.acceptance.image_trial import (
    TOO_MANY,
    UNAVAILABLE,
    UNKNOWN,
    Trial,
    break_some,
    tried,
)
from tests.acceptance.images import PLAIN, Images, Side, new_folder
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import image, layer, multi_platform
from tests.servers.rules import Action, CorruptByte, Reset, ResetBody, Status
from tests.servers.token_registry import TokenRegistry

pytestmark = pytest.mark.registries

SEED = 20261130
SHORT = {"DTH_PATIENCE": "1s"}
FAILED = 3
MIB = 1 << 20


@pytest.fixture
def trial(images: Images) -> Iterator[Trial]:
    with tried(images) as trial:
        yield trial


@pytest.fixture
def brief(images: Images) -> Iterator[Trial]:
    """With little patience for what lasts."""
    with tried(replace(images, dth=images.dth.having(**SHORT))) as trial:
        yield trial


def some(count: int = 6) -> list[Held]:
    return [
        Held(repository=f"r{n % 3}", manifest=image(f"some {n}"), tags=(f"{n}",))
        for n in range(count)
    ]


def failures_of(trial: Trial) -> dict[str, dict[str, Any]]:
    """What `dth failures last` tells, by repository and tag."""
    folder = trial.images.destination.folder
    found = trial.dth.well("failures", "last", "--json").json["failures"]
    return {row["key"].removeprefix(f"{folder}/"): row for row in found}


# Faults that pass


@pytest.mark.timeout(240)
def test_one_request_in_twenty_fails_on_both_sides_and_no_image_does(trial: Trial) -> None:
    held = every_kind()
    assert count_tags(held) >= 60
    trial.push(held)
    break_some(trial.before, seed=SEED)
    break_some(trial.after, seed=SEED + 100)

    ended = trial.run(timeout_s=200)

    met = [one for proxy in (trial.before, trial.after) for one in proxy.seen if one.fault]
    assert len({type(one.fault) for one in met}) > 4
    assert len(met) > 25
    assert ended["failed"] == 0
    trial.assert_copied(ended, held)


@pytest.mark.parametrize(
    ("action", "where"),
    [
        (UNAVAILABLE, "before"),
        (TOO_MANY, "after"),
        (Reset(), "before"),
        (ResetBody(3_000_000), "before"),
        (UNKNOWN, "after"),
    ],
    ids=["503", "429", "reset", "amid", "500"],
)
def test_a_heavy_image_outlasts_more_faults_than_it_has_attempts(
    trial: Trial, action: Action, where: str
) -> None:
    held = [Held(repository="large", manifest=heavy("outlasts"), tags=("1",))]
    trial.push(held)
    proxy = trial.before if where == "before" else trial.after
    method = "PATCH" if where == "after" else "GET"
    rule = proxy.add(action, method=method, path="/blobs/", times=4)
    trial.assert_copied(trial.run(), held)
    assert rule.hits == 4


def test_an_answer_that_throttles_is_waited_for(trial: Trial) -> None:
    held = some()
    trial.push(held)
    slow = replace(TOO_MANY, headers=(("Retry-After", "2"),))
    trial.after.add(slow, method="POST", times=1)
    trial.assert_copied(trial.run(), held)
    refused = next(one for one in trial.after.seen if one.status == 429)
    later = [one for one in trial.after.seen if one.at > refused.at + 0.3]
    assert later[0].at - refused.at >= 2.0


# Faults that last


@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        (UNAVAILABLE, "transient", "(503"),
        (UNKNOWN, "transient", "(500"),
        (Reset(), "transient", "the connection"),
    ],
    ids=["503", "500", "reset"],
)
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_repository_that_fails_for_long_stops_no_other(
    brief: Trial, where: str, action: Action, code: str, told: str
) -> None:
    held = some()
    brief.push(held)
    proxy = brief.before if where == "before" else brief.after
    rule = proxy.add(action, path=f"/{brief.images.source.folder}/r1/")

    ended = brief.run("--attempts", 1, code=1)

    good = [one for one in held if one.repository != "r1"]
    assert (ended["status"], ended["done"]) == ("completed_with_failures", len(good))
    assert_holds(brief.images.destination, good)
    for row in failures_of(brief).values():
        assert "/r1" in row["key"]
        assert (row["code"], told in row["message"]) == (code, True)
    proxy.remove(rule)
    again = brief.redrive()
    assert (again["status"], again["failed"]) == ("succeeded", 0)
    assert_holds(brief.images.destination, held)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_tag_that_cannot_be_looked_at_stops_no_other(brief: Trial, where: str) -> None:
    held = some()
    brief.push(held)
    push_all(brief.images.destination, held[:1])
    proxy = brief.before if where == "before" else brief.after
    rule = proxy.add(UNKNOWN, path="/r0/manifests/0$", method="HEAD")
    proxy.add(UNKNOWN, path="/r0/manifests/0$", method="GET")
    brief.run("--attempts", 1, code=1)
    assert_holds(brief.images.destination, held[1:])
    assert list(failures_of(brief)) == ["r0:0"]
    proxy.clear()
    assert rule.hits
    assert brief.redrive()["status"] == "succeeded"
    assert_holds(brief.images.destination, held)


@pytest.mark.parametrize("heavy_one", [False, True], ids=["light", "heavy"])
def test_bytes_that_are_not_those_of_their_digest_fail_that_image_alone(
    brief: Trial, heavy_one: bool
) -> None:
    spoilt = heavy("spoilt") if heavy_one else image("spoilt", layers=[layer("spoilt", 50_000)])
    held = [*some(4), Held(repository="spoilt", manifest=spoilt, tags=("1",))]
    brief.push(held)
    digest = spoilt.blobs[1].digest
    brief.before.add(CorruptByte(1_000), method="GET", path=f"/blobs/{digest}")

    ended = brief.run("--attempts", 2, code=1)

    assert (ended["done"], ended["failed"]) == (4, 1)
    assert_holds(brief.images.destination, held[:4])
    (row,) = failures_of(brief).values()
    assert (row["code"], row["attempts"]) == ("corrupt", 2)
    assert digest in row["message"]
    assert brief.images.destination.tags("spoilt") == []
    brief.before.clear()
    assert brief.redrive()["status"] == "succeeded"
    assert_holds(brief.images.destination, held)


def test_a_manifest_that_is_not_that_of_its_digest_fails_that_image_alone(brief: Trial) -> None:
    held = some(4)
    brief.push(held)
    brief.before.add(CorruptByte(50), method="GET", path=f"/manifests/{held[0].manifest.digest}")
    ended = brief.run("--attempts", 1, code=1)
    assert (ended["done"], ended["failed"]) == (3, 1)
    (row,) = failures_of(brief).values()
    assert row["code"] == "corrupt"


# What is not there


def test_images_that_are_not_there_or_not_for_the_platform_stop_no_other(brief: Trial) -> None:
    both = multi_platform("both")
    held = some()
    brief.push([*held, Held(repository="both", manifest=both, tags=("1",))])

    wanted = "r0:0, r0:nothing, nowhere:1, both:1, r1:1"
    ended = brief.run("--images", wanted, "--platform", "linux/s390x", code=1)

    assert (ended["done"], ended["failed"]) == (2, 3)
    assert_holds(brief.images.destination, held[:2])
    failed = failures_of(brief)
    assert failed["r0:nothing"]["code"] == failed["nowhere:1"]["code"] == "not_found"
    assert failed["both:1"]["code"] == "no_platform"
    assert "linux/s390x" in failed["both:1"]["message"]


def test_a_whole_repository_that_is_not_there_is_told(brief: Trial) -> None:
    held = some()
    brief.push(held)
    ended = brief.run("--images", "r0:ALL_TAGS, nowhere:ALL_TAGS", code=1)
    assert ended["done"] == 2
    assert_holds(brief.images.destination, [one for one in held if one.repository == "r0"])
    (row,) = failures_of(brief).values()
    assert row["code"] == "no_repository"
    assert "/nowhere has no image, or is not there; check its name" in row["message"]


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_registry_that_is_not_there_ends_the_run_which_goes_on_later(
    brief: Trial, side: str
) -> None:
    held = some()
    brief.push(held)
    proxy = brief.before if side == "source" else brief.after
    proxy.refuse()
    ended = brief.dth(*brief.words())
    assert ended.code == FAILED, str(ended)
    assert f"Reaching the registry at 127.0.0.1:{proxy.port} failed" in ended.err
    assert "Traceback" not in ended.err
    proxy.accept()
    brief.assert_copied(brief.run(), held)


# Logins


def test_a_wrong_secret_ends_the_run_and_a_right_one_goes_on(
    brief: Trial, registry_https: DockerRegistry
) -> None:
    held = some(3)
    brief.push(held)
    with registry_https.pusher() as pusher:
        there = Side(registry=registry_https, pusher=pusher, folder=new_folder())
        options = (PLAIN[0], "--destination-ca-bundle", str(registry_https.ca), "--all", "--json")
        words = ("images", brief.images.source, there, *options)
        user = {"DTH_DESTINATION_USER": ACCOUNT.user}
        wrong = brief.dth.having("not-it-4711", **user, DTH_DESTINATION_PASSWORD="not-it-4711")
        ended = wrong(*words)
        assert ended.code == FAILED, str(ended)
        assert ended.json["error"]["code"] == "bad_credentials"
        assert f"at {registry_https.host} failed" in ended.err
        right = brief.dth.having(ACCOUNT.secret, **user, DTH_DESTINATION_PASSWORD=ACCOUNT.secret)
        assert right.well(*words).json["done"] == 3
        assert_holds(there, held)


def test_tokens_that_expire_while_the_run_is_under_way_are_renewed(
    images: Images, registry_of_tokens: TokenRegistry
) -> None:
    registry_of_tokens.valid_seconds = 1
    held = some(12)
    push_all(images.source, held)
    dth = images.dth.having(
        ACCOUNT.secret,
        DTH_DESTINATION_USER=ACCOUNT.user,
        DTH_DESTINATION_PASSWORD=ACCOUNT.secret,
    )
    folder = new_folder()
    words = ("--all", "--requests", "20/s", "--json")
    there = f"{registry_of_tokens.host}/{folder}"
    asked = len(registry_of_tokens.asked)
    try:
        ended = dth.well("images", images.source, there, *PLAIN, *words).json
    finally:
        registry_of_tokens.valid_seconds = 300
    assert (ended["done"], ended["failed"]) == (12, 0)
    assert len(registry_of_tokens.asked) - asked > 3
    again = dth.well("images", images.source, there, *PLAIN, *words).json
    assert (again["same"], again["new"]) == (12, 0)


def test_a_repository_that_may_not_be_read_stops_no_other(brief: Trial) -> None:
    held = some()
    brief.push(held)
    denied = Status(status=403, code="DENIED", message="requested access is denied")
    rule = brief.before.add(denied, path="/r1/")
    brief.run(code=1)
    assert_holds(brief.images.destination, [one for one in held if one.repository != "r1"])
    failed = failures_of(brief)
    assert {row["code"] for row in failed.values()} == {"denied"}
    assert {row["attempts"] for row in failed.values()} == {1}
    brief.before.remove(rule)
    assert brief.redrive()["status"] == "succeeded"
    assert_holds(brief.images.destination, held)


# The machine


def test_without_skopeo_a_heavy_image_is_named_and_carried_later(brief: Trial) -> None:
    held = [*some(3), Held(repository="large", manifest=heavy_index("bare"), tags=("1", "2"))]
    brief.push(held)
    bare = replace(brief, images=replace(brief.images, dth=brief.dth.having(PATH="/nowhere")))
    ended = bare.run(code=1)
    assert (ended["done"], ended["failed"]) == (3, 2)
    for row in failures_of(brief).values():
        assert (row["code"], row["attempts"]) == ("no_skopeo", 1)
        assert "apt-get install skopeo" in row["message"]
    again = brief.redrive()
    assert (again["status"], again["redriven"]) == ("succeeded", 2)
    assert_holds(brief.images.destination, held)


@pytest.mark.parametrize(
    "part",
    [
        "_layers/sha256/{layer}/link",
        "_manifests/revisions/sha256/{manifest}/link",
        "_manifests/tags/0/current/link",
    ],
    ids=["blob", "manifest", "tag"],
)
def test_what_the_destination_wrote_in_part_is_written_again(brief: Trial, part: str) -> None:
    """Docker's registry answers 500 for ever to what it wrote while its disk became full."""
    held = some(3)
    brief.push(held)
    there, first = brief.images.destination, held[0].manifest
    there.push(image("other"), "r0", "other")
    if part.startswith("_manifests"):
        push_all(there, held[:1])
    names = {"layer": first.blobs[1].digest[7:], "manifest": first.digest[7:]}
    folder = there.registry.storage / "docker/registry/v2/repositories" / there.folder / "r0"
    link = folder / part.format(**names)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.write_text("")
    brief.assert_copied(brief.run(), held)
    assert any(one.status == 500 for one in brief.after.seen)
    assert brief.run()["same"] == 3


def test_an_image_that_the_destination_takes_and_cannot_give_is_told(brief: Trial) -> None:
    """No request mends it: Docker's registry writes no manifest that it believes to have."""
    # Of one that no other test has: all repositories of a registry share what is damaged here.
    damaged = Held(repository="damaged", manifest=image(new_folder()), tags=("1",))
    held = [damaged, *some(2)]
    brief.push(held)
    there, digest = brief.images.destination, held[0].manifest.digest[7:]
    push_all(there, held[:1])
    blobs = there.registry.storage / "docker/registry/v2/blobs/sha256"
    (blobs / digest[:2] / digest / "data").write_text("")
    ended = brief.run("--attempts", 1, code=1)
    assert (ended["done"], ended["failed"]) == (2, 1)
    (row,) = failures_of(brief).values()
    assert "was written, and the destination cannot give it (500)" in row["message"]
    assert_holds(there, held[1:])


@pytest.mark.skipif(not can_mount(), reason="without the right to mount there is no disk to fill")
def test_a_full_destination_fails_images_which_are_carried_once_there_is_room(
    brief: Trial, tmp_path: Path
) -> None:
    held = some()
    brief.push(held)
    folder = tmp_path / "full"
    with (
        small_disk(folder / "storage", 32 * MIB) as disk,
        DockerRegistry(folder=folder) as full,
        full.pusher() as pusher,
    ):
        there = Side(registry=full, pusher=pusher, folder=new_folder())
        push_all(there, held[:2])
        with tried(replace(brief.images, destination=there)) as trial:
            disk.fill(but=0)
            ended = trial.run("--attempts", 1, code=1)
            assert (ended["same"], ended["done"], ended["failed"]) == (2, 0, 4)
            for row in failures_of(trial).values():
                assert row["code"] == "transient"
                assert "Uploading the blob" in row["message"]
                assert "(500" in row["message"]
            disk.free()
            assert trial.redrive()["status"] == "succeeded"
            assert_holds(there, held)
