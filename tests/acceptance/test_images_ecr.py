"""`dth images` with Amazon ECR on both sides: what a person sees, and what ECR is asked."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.image_ecrs import OTHER_ACCOUNT, Ecrs, two_accounts
from tests.acceptance.image_sets import Held, every_kind, heavy
from tests.acceptance.images import PLAIN, Side, new_folder
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ministack import MinistackServer
from tests.servers.oci_images import artifact, family, image, multi_platform
from tests.servers.pusher import Pusher

pytestmark = pytest.mark.registries

FAILED = 3


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[DockerRegistry, DockerRegistry]]:
    """What holds the bytes of each account, in folders that no other test uses."""
    with DockerRegistry() as one, DockerRegistry() as other:
        yield one, other


@pytest.fixture
def ecrs(dth: Dth, behind: tuple[DockerRegistry, DockerRegistry]) -> Iterator[Ecrs]:
    with two_accounts(dth, *behind) as ecrs:
        yield ecrs


def test_every_kind_goes_to_another_account_and_the_second_run_asks_little(ecrs: Ecrs) -> None:
    ecrs.source.push_all(every_kind())
    ended = ecrs.run("--destination-account", OTHER_ACCOUNT)
    assert (ended["status"], ended["done"], ended["failed"]) == ("succeeded", ended["new"], 0)
    assert ecrs.destination.tags == ecrs.source.tags
    token = ecrs.destination.ecr.calls("GetAuthorizationToken")[0]
    assert token == {"registryIds": [OTHER_ACCOUNT]}
    created = ecrs.destination.ecr.calls("CreateRepository")
    assert {row["registryId"] for row in created} == {OTHER_ACCOUNT}

    again = ecrs.run("--destination-account", OTHER_ACCOUNT)
    assert (again["same"], again["new"]) == (len(ecrs.source.tags), 0)
    assert len(ecrs.destination.ecr.calls("CreateRepository")) == len(created)


def test_repositories_are_created_with_the_options_that_were_given(ecrs: Ecrs) -> None:
    ecrs.source.push(image("options"), "app", "1")
    ecrs.run(
        *("--tag-mutability", "immutable", "--scan-on-push"),
        *("--encryption", "KMS", "--kms-key", "alias/images"),
    )
    (asked,) = ecrs.destination.ecr.calls("CreateRepository")
    assert asked == {
        "repositoryName": f"{ecrs.destination.folder}/app",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
    }


def test_repositories_that_may_not_be_created_fail_their_images_alone(ecrs: Ecrs) -> None:
    for name in ("app", "web"):
        ecrs.source.push(image(name), name, "1")
    ecrs.destination.create("app")
    ended = ecrs.run("--no-create", code=1)
    assert (ended["done"], ended["failed"]) == (1, 1)
    (row,) = ecrs.dth.well("failures", "last", "--json").json["failures"]
    assert row["code"] == "no_repository"
    assert f"{ecrs.destination.folder}/web" in row["message"]
    assert ecrs.destination.calls("CreateRepository") == 0


@pytest.mark.parametrize(
    ("rule", "moved"),
    [
        (("IMMUTABLE",), set()),
        (("IMMUTABLE_WITH_EXCLUSION", "latest*"), {"latest"}),
        (("MUTABLE_WITH_EXCLUSION", "v*"), {"latest"}),
        (("MUTABLE",), {"latest", "v1"}),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, tuple) else "",
)
def test_tags_that_may_not_be_moved_never_fail_a_run(
    ecrs: Ecrs, rule: tuple[str, ...], moved: set[str]
) -> None:
    old, new = family("immutable", 2)
    ecrs.source.push(old, "app", "v1", "latest")
    ecrs.destination.create("app", *rule)
    ecrs.run()
    ecrs.source.push(new, "app", "v1", "latest")

    for _ in range(2):
        ended = ecrs.run()
        assert (ended["status"], ended["failed"], ended["skipped"]) == (
            *("succeeded", 0, 2 - len(moved)),
        )
        rows = report_rows(ended["report"])
        for tag in {"v1", "latest"} - moved:
            row = rows[f"{ecrs.destination.folder}/app:{tag}"]
            assert (row["state"], row["code"]) == ("skipped", "immutable_tag")
            assert old.digest in row["note"]
    kept = {tag: new.digest if tag in moved else old.digest for tag in ("v1", "latest")}
    assert ecrs.destination.tags == {f"app:{tag}": digest for tag, digest in kept.items()}
    if len(moved) < 2:
        assert "immutable at the destination" in ecrs.told().out


def test_more_than_a_thousand_images_are_listed_in_pages_and_not_asked_one_by_one(
    ecrs: Ecrs,
) -> None:
    for side in (ecrs.source, ecrs.destination):
        side.ecr.fill(f"{ecrs.source.folder}/app", 1_200)
    # Which account each is in only the keys tell.
    words = (ecrs.source, ecrs.source, *PLAIN)
    ended = ecrs.dth.well("images", *words, "--all", "--json").json
    assert (ended["same"], ended["new"], ended["failed"]) == (1_200, 0, 0)
    assert ecrs.source.calls("DescribeImages") == ecrs.destination.calls("DescribeImages") == 2
    asked = [*ecrs.source.ecr.asked, *ecrs.destination.ecr.asked]
    assert len(asked) < 12


def test_logins_that_are_soon_to_end_are_renewed_while_a_run_is_under_way(ecrs: Ecrs) -> None:
    for side in (ecrs.source, ecrs.destination):
        side.ecr.valid = timedelta(seconds=2)
    held = [
        *(Held(repository=f"r{n % 4}", manifest=image(f"v{n}"), tags=(f"{n}",)) for n in range(16)),
        Held(repository="large", manifest=heavy("valid"), tags=("1",)),
    ]
    ecrs.source.push_all(held)
    ended = ecrs.run("--requests", "30/s")
    assert (ended["done"], ended["failed"]) == (17, 0)
    assert ecrs.destination.tags == ecrs.source.tags
    assert ecrs.destination.calls("GetAuthorizationToken") > 2


def test_ecr_that_asks_to_slow_down_is_heard(ecrs: Ecrs) -> None:
    held = [Held(repository=f"r{n}", manifest=image(f"t{n}"), tags=("1",)) for n in range(12)]
    ecrs.source.push_all(held)
    ecrs.source.ecr.throttle("DescribeImages", 4)
    ecrs.source.ecr.throttle("/blobs/", 6)
    for where in ("GetAuthorizationToken", "DescribeRepositories", "CreateRepository"):
        ecrs.destination.ecr.throttle(where, 3)
    for where in ("/blobs/uploads/", "/manifests/"):
        ecrs.destination.ecr.throttle(where, 6)
    ended = ecrs.run()
    assert (ended["done"], ended["failed"]) == (12, 0)
    assert ecrs.destination.tags == ecrs.source.tags


def test_a_full_account_fails_the_images_of_what_it_lacks_and_takes_them_later(
    ecrs: Ecrs,
) -> None:
    ecrs.source.push_all(
        [Held(repository=f"r{n}", manifest=image(f"q{n}"), tags=("1",)) for n in range(4)]
    )
    ecrs.destination.ecr.most_repositories = 2
    ended = ecrs.run(code=1)
    assert (ended["done"], ended["failed"]) == (2, 2)
    rows = ecrs.dth.well("failures", "last", "--json").json["failures"]
    assert {(row["code"], row["attempts"]) for row in rows} == {("quota", 1)}
    ecrs.destination.ecr.most_repositories = 100
    assert ecrs.dth.well("redrive", "last", "--json").json["status"] == "succeeded"
    assert ecrs.destination.tags == ecrs.source.tags


# What has no tag


def test_untagged_images_and_members_of_indexes_are_taken_when_asked_for(ecrs: Ecrs) -> None:
    index, loose = multi_platform("untagged"), image("loose")
    ecrs.source.push(index, "app", "1")
    ecrs.source.push(loose, "app")
    members = {child.digest for child in index.children}

    assert ecrs.run()["done"] == 1
    assert ecrs.destination.held("app") == {index.digest} | members

    ended = ecrs.run("--untagged")
    assert (ended["done"], ended["same"]) == (1, 1)
    assert ecrs.destination.held("app") == {index.digest, loose.digest} | members

    ended = ecrs.run("--untagged", "--index-children")
    assert (ended["new"], ended["same"]) == (0, 2 + len(members))


def test_referrers_come_along_by_ecr_s_own_api(ecrs: Ecrs) -> None:
    app = image("referred")
    sbom = artifact("ecr sbom", app)
    ecrs.source.push(app, "app", "1")
    ecrs.source.push(sbom, "app")
    ecrs.run("--referrers")
    assert ecrs.destination.held("app") == {app.digest, sbom.digest}
    assert ecrs.destination.tags == {"app:1": app.digest}


# Pruning


def test_pruning_takes_tags_and_leaves_images_that_others_name(ecrs: Ecrs) -> None:
    kept, dropped = family("pruned", 2)
    index = multi_platform("pruned index")
    for side in (ecrs.source, ecrs.destination):
        side.push(kept, "app", "1")
        side.push(index, "app", "index")
    ecrs.destination.push(kept, "app", "alias")
    ecrs.destination.push(dropped, "app", "old")

    ended = ecrs.run("--prune", "--max-delete-percent", 100)

    assert (ended["deleted"], ended["delete_failed"]) == (2, 0)
    assert ecrs.destination.tags == ecrs.source.tags
    assert ecrs.destination.held("app") == ecrs.source.held("app")
    for asked in ecrs.destination.ecr.calls("BatchDeleteImage"):
        assert all(set(one) == {"imageTag"} for one in asked["imageIds"])


def test_the_last_tag_of_a_member_of_an_index_stays_and_is_told(ecrs: Ecrs) -> None:
    index = multi_platform("member")
    for side in (ecrs.source, ecrs.destination):
        side.push(index, "app", "index")
    ecrs.destination.push(index.children[0], "app", "member")
    ended = ecrs.run("--prune", "--max-delete-percent", 100, code=1)
    assert (ended["deleted"], ended["delete_failed"]) == (0, 1)
    (row,) = ecrs.dth.well("failures", "last", "--json").json["failures"]
    assert "it is part of an image of several platforms" in row["message"]
    assert ecrs.destination.tags["app:member"] == index.children[0].digest


# Who asks, and where


def test_wrong_keys_end_the_run_with_one_sentence(ecrs: Ecrs) -> None:
    ecrs.source.push(image("keys"), "app", "1")
    wrong = ecrs.dth.having(DTH_DESTINATION_ACCESS_KEY_ID="AKIDOFNOBODY")
    ended = wrong("images", *ecrs.words())
    assert ended.code == FAILED, str(ended)
    assert "GetAuthorizationToken of Amazon ECR failed" in ended.err
    assert "check the access key and its secret" in ended.err
    assert "Traceback" not in ended.err


def test_a_role_is_assumed_with_its_external_id(
    dth: Dth, registry: DockerRegistry, pusher: Pusher, ministack: MinistackServer
) -> None:
    folder, built = new_folder(), image("role")
    pusher.push(built, f"{folder}/app", "1", "2")
    endpoint = ministack.endpoint
    given = {
        "access_key_id": endpoint.access_key_id,
        "secret_access_key": endpoint.secret_access_key,
        "role_arn": f"arn:aws:iam::{'0' * 12}:role/images",
        "external_id": "the-customer-4711",
    }
    keys = dth.folder / "keys.json"
    keys.write_text(json.dumps(given))
    keys.chmod(0o600)
    by_role = dth.having(
        endpoint.secret_access_key,
        AWS_ENDPOINT_URL_STS=endpoint.url,
        AWS_ENDPOINT_URL_ECR=endpoint.url,
    )
    words = (
        *("images", f"{registry.host}/{folder}", f"ecr://us-east-1/{folder}"),
        *("--all", "--json", "--destination-endpoint", endpoint.url),
        *("--destination-credentials", keys, *PLAIN),
    )
    ended = by_role.well(*words).json
    assert (ended["done"], ended["failed"]) == (2, 0)
    again = by_role.well(*words).json
    assert (again["same"], again["new"]) == (2, 0)


@contextmanager
def listening_proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that lets nobody through, and whom it was to reach."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    head = connection.recv(65_536).decode("latin-1")
                    asked.append(head.split(" ")[1])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        ("ecr://cn-north-1/team", "api.ecr.cn-north-1.amazonaws.com.cn"),
        ("ecr://us-gov-west-1", "api.ecr.us-gov-west-1.amazonaws.com"),
        ("ecr://eu-west-1", "api.ecr.eu-west-1.amazonaws.com"),
        (
            "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn/team",
            "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn",
        ),
    ],
)
def test_ecr_of_every_partition_is_asked_at_its_own_host(
    dth: Dth, registry: DockerRegistry, pusher: Pusher, written: str, reached: str
) -> None:
    folder = new_folder()
    pusher.push(image("china"), f"{folder}/app", "1")
    side = Side(registry=registry, pusher=pusher, folder=folder)
    keys = {
        "DTH_DESTINATION_ACCESS_KEY_ID": "AKIDOFTESTS",
        "DTH_DESTINATION_SECRET_ACCESS_KEY": "secret-4711",
    }
    with listening_proxy() as (proxy, asked):
        ended = dth.having("secret-4711", **keys, DTH_PATIENCE="1s")(
            *("images", side, written, PLAIN[0], "--all", "--destination-proxy", proxy)
        )
    assert ended.code == FAILED, str(ended)
    assert {one.partition(":")[0] for one in asked} == {reached}
    assert "Traceback" not in ended.err
