"""Every verb, against Docker's registry with tokens: each asks for the rights that it takes."""

from contextlib import aclosing

import pytest

from tests.servers import oci_images as oci
from tests.servers.docker_registry import ACCOUNT
from tests.servers.token_registry import TokenRegistry
from transferhub.errors import DeniedError, NotFoundError
from transferhub.registries import (
    Digest,
    GivenLogin,
    Login,
    RegistryClient,
    RegistryConfig,
    manifest_of,
)

IMAGE = oci.image("a")
LOGIN = Login(user=ACCOUNT.user, password=ACCOUNT.secret)


def to(registry: TokenRegistry, login: Login | None = LOGIN) -> RegistryClient:
    return RegistryClient(RegistryConfig(host=registry.host, plain_http=True), GivenLogin(login))


async def test_every_verb_has_its_rights(registry_of_tokens: TokenRegistry) -> None:
    before = len(registry_of_tokens.asked)
    async with aclosing(to(registry_of_tokens)) as client:
        await use_every_verb(client)
    # One for each combination of rights, and none a second time.
    asked = registry_of_tokens.asked[before:]
    assert len(asked) == len({tuple(scopes) for scopes in asked})


async def use_every_verb(client: RegistryClient) -> None:
    await client.check()
    for blob in IMAGE.blobs:
        await client.put_blob("app/web", blob.content)
        assert await client.mount("new", Digest(blob.digest), source="app/web")
        assert await client.blob_size("new", Digest(blob.digest)) == len(blob.content)
    for repository in ("app/web", "new"):
        await client.put_manifest(repository, "1.0", manifest_of(IMAGE.content))
    assert (await client.head("new", "1.0")).digest == IMAGE.digest
    assert (await client.manifest("new", "1.0")).content == IMAGE.content
    async with client.blob("new", Digest(IMAGE.blobs[0].digest)) as pieces:
        assert b"".join([piece async for piece in pieces]) == IMAGE.blobs[0].content
    assert {"app/web", "new"} <= {name async for name in client.repositories()}
    assert [tag async for tag in client.tags("new")] == ["1.0"]
    assert await client.referrers("new", Digest(IMAGE.digest)) == ()
    await client.delete_manifest("new", Digest(IMAGE.digest))
    with pytest.raises(NotFoundError):
        await client.head("new", "1.0")


@pytest.mark.parametrize("login", [None, Login(user="mover", password="wrong-secret")])
async def test_who_is_not_known_gets_nothing(
    registry_of_tokens: TokenRegistry, login: Login | None
) -> None:
    client = to(registry_of_tokens, login)
    with pytest.raises(DeniedError) as caught:
        await client.head("app/web", "1.0")
    assert "incorrect username or password" in caught.value.message
    assert "wrong-secret" not in caught.value.message
    await client.aclose()
