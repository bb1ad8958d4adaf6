"""Registries that cannot be used, and machines without skopeo: one clear sentence, exit codes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.acceptance.images import Images, Side, new_folder
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import image, layer
from tests.servers.process import free_ports

pytestmark = pytest.mark.registries

HEAVY_BYTES = 17 << 20


@pytest.fixture
def guarded(images: Images, registry_https: DockerRegistry) -> Iterator[Images]:
    """To a registry with HTTPS, which `ACCOUNT` alone may use."""
    with registry_https.pusher() as pusher:
        side = Side(registry=registry_https, pusher=pusher, folder=new_folder())
        options = ("--source-plain-http", "--destination-ca-bundle", str(registry_https.ca))
        images.source.push(image("app"), "app", "1")
        yield replace(images, destination=side, options=options)


def with_login(images: Images, user: str, password: str) -> Images:
    given = {"DTH_DESTINATION_USER": user, "DTH_DESTINATION_PASSWORD": password}
    return replace(images, dth=images.dth.having(password, **given))


def sentences(images: Images, *words: object, code: int) -> list[str]:
    ended = images.told(*words, code=code)
    assert "Traceback" not in ended.err
    return [line for line in ended.err.splitlines() if line.startswith("dth: ")]


def test_the_login_of_the_destination_is_used_and_not_shown(guarded: Images) -> None:
    images = with_login(guarded, ACCOUNT.user, ACCOUNT.secret)
    assert images.run("--all")["done"] == 1
    assert images.destination.digest("app", "1") == images.source.digest("app", "1")


def test_a_wrong_secret_ends_the_run_with_one_sentence(guarded: Images) -> None:
    images = with_login(guarded, ACCOUNT.user, "not-the-secret-4711")
    host = images.destination.registry.host
    (sentence,) = sentences(images, "--all", code=3)
    assert sentence == (
        f"dth: Reaching the registry at {host} failed (401 UNAUTHORIZED: authentication required):"
        " check the user and the password."
    )


def test_a_missing_login_ends_the_run_with_one_sentence(guarded: Images) -> None:
    (sentence,) = sentences(guarded, "--all", code=3)
    assert sentence.endswith(
        "it is not open to everybody, or does not exist; give a user and a password."
    )


def test_half_a_login_is_bad_input(guarded: Images) -> None:
    images = replace(guarded, dth=guarded.dth.having(DTH_DESTINATION_USER="mover"))
    (sentence,) = sentences(images, "--all", code=2)
    assert sentence.startswith(
        "dth: DTH_DESTINATION_PASSWORD: is not set, while DTH_DESTINATION_USER is; set both"
    )


def test_a_registry_that_is_not_there(images: Images) -> None:
    (port,) = free_ports(1)
    images.source.push(image("app"), "app", "1")
    host = f"127.0.0.1:{port}"
    dth = images.dth.having(DTH_PATIENCE="1s")
    ended = dth.well("images", images.source, host, *images.options, "--all", code=3)
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("dth: ")]
    assert sentence.startswith(
        f"dth: Reaching the registry at {host} failed: nobody answers there; check the host, its"
    )
    assert ended.out.endswith("failed before anything was listed; nothing was changed.\n")


def test_a_certificate_that_is_not_known(guarded: Images) -> None:
    images = replace(guarded, options=("--source-plain-http",))
    (sentence,) = sentences(images, "--all", code=3)
    assert "the server's certificate is not trusted; give its CA bundle" in sentence


def test_plain_http_must_be_asked_for(images: Images) -> None:
    images.source.push(image("app"), "app", "1")
    (sentence,) = sentences(replace(images, options=()), "--all", code=3)
    assert "ask for plain HTTP if the registry speaks that" in sentence


def test_all_that_is_wrong_with_a_list_is_told_at_once(images: Images) -> None:
    (images.dth.folder / "list.txt").write_text("App:1\nweb:\nok:1, a//b\nx@sha256:1\nfine\n")
    newest, *listed = sentences(images, "--images", "list.txt", "--newest", "none", code=2)
    assert newest == "dth: --newest: 'none' is not a number such as 500 or 10k"
    assert [line.split(": ", 3)[1:3] for line in listed] == [
        ["--images", f"line {number}"] for number in (1, 2, 3, 4)
    ]
    assert "'App:1': a repository has no capital letters; write " in listed[0]
    assert images.dth.well("runs").out.startswith("There are no runs yet.")


def test_a_list_that_is_gone_when_the_run_begins(images: Images) -> None:
    (sentence,) = sentences(images, "--images", "lost.txt", code=2)
    assert sentence.startswith("dth: --images: there is no file 'lost.txt'; for an image of this")


def test_without_skopeo_a_heavy_image_fails_and_the_light_ones_pass(images: Images) -> None:
    images.source.push(image("light"), "light", "1")
    images.source.push(image("heavy", layers=[layer("heavy", HEAVY_BYTES)]), "heavy", "1")
    bare = replace(images, dth=images.dth.having(PATH="/nowhere"))

    ended = bare.told("--all", code=1)

    assert images.destination.tags("light") == ["1"]
    assert images.destination.tags("heavy") == []
    assert "  no_skopeo: 1 image" in ended.out
    failures = images.dth.well("failures", "last").out
    assert "no_skopeo after 1 attempt: skopeo, which carries images, is not on PATH;" in failures
    assert "apt-get install skopeo" in failures

    again = images.dth.well("redrive", "last", "--json").json
    assert (again["redriven"], again["done"], again["failed"]) == (1, 2, 0)
    assert images.destination.digest("heavy", "1") == images.source.digest("heavy", "1")
