"""A bucket opened with each kind of credentials, on servers that check them."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.store_facts import get, put
from tests.conftest import BucketFactory
from tests.servers.endpoint import Endpoint
from tests.servers.moto import MotoServer
from tests.servers.seaweedfs import SeaweedFS
from transferhub.errors import DeniedError
from transferhub.hosts.stores import open_store
from transferhub.plugins.objects.location import Location
from transferhub.stores.base import ObjectStore

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture(autouse=True)
def aws_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@asynccontextmanager
async def opened(endpoint: Endpoint, bucket: str, **options: Any) -> AsyncIterator[ObjectStore]:
    location = Location.parse(
        f"s3://{bucket}", field="source", options={"endpoint": endpoint.url, **options}
    )
    store = open_store(location, env=os.environ)
    yield store
    await store.aclose()


async def writes_and_reads(store: ObjectStore) -> bool:
    await put(store, "key", b"body")
    return await get(store, "key") == b"body"


def keys_file(folder: Path, endpoint: Endpoint, **more: str) -> str:
    path = folder / "keys.json"
    keys = {
        "access_key_id": endpoint.access_key_id,
        "secret_access_key": endpoint.secret_access_key,
    }
    path.write_text(json.dumps({**keys, **more}))
    path.chmod(0o600)
    return str(path)


async def test_a_file_of_keys(seaweedfs: SeaweedFS, bucket: str, aws_folder: Path) -> None:
    path = keys_file(aws_folder, seaweedfs.admin)
    async with opened(seaweedfs.admin, bucket, credentials_file=path) as store:
        assert await writes_and_reads(store)


@pytest.mark.parametrize("prefix", ["DTH_SOURCE", "AWS"])
async def test_variables(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(f"{prefix}_ACCESS_KEY_ID", seaweedfs.admin.access_key_id)
    monkeypatch.setenv(f"{prefix}_SECRET_ACCESS_KEY", seaweedfs.admin.secret_access_key)
    async with opened(seaweedfs.admin, bucket) as store:
        assert await writes_and_reads(store)


async def test_a_profile(seaweedfs: SeaweedFS, bucket: str, aws_folder: Path) -> None:
    admin = seaweedfs.admin
    (aws_folder / "credentials").write_text(
        f"[work]\naws_access_key_id={admin.access_key_id}\n"
        f"aws_secret_access_key={admin.secret_access_key}\n"
    )
    async with opened(admin, bucket, profile="work") as store:
        assert await writes_and_reads(store)


async def test_nobody(seaweedfs_https: SeaweedFS, make_bucket: BucketFactory) -> None:
    bucket = make_bucket(seaweedfs_https.admin)
    async with opened(seaweedfs_https.admin, bucket, anonymous=True) as store:
        await store.check()
        with pytest.raises(DeniedError, match="s3:PutObject"):
            await put(store, "key")


async def test_keys_that_are_wrong(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.admin.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    async with opened(seaweedfs.admin, bucket) as store:
        with pytest.raises(DeniedError, match="check the secret access key") as caught:
            await store.check()
    assert caught.value.code == "bad_credentials"
    assert "hunter2" not in str(caught.value)


async def test_a_role_with_an_external_id(
    moto_s3: MotoServer,
    make_bucket: BucketFactory,
    aws_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = moto_s3.endpoint
    path = keys_file(aws_folder, endpoint, role_arn=ROLE, external_id="agreed")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint.url)
    async with opened(endpoint, make_bucket(endpoint), credentials_file=path) as store:
        assert await writes_and_reads(store)
        assert ROLE in store.capabilities.principal


async def test_a_web_identity(
    moto_s3: MotoServer,
    make_bucket: BucketFactory,
    aws_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (aws_folder / "token").write_text("signed-by-kubernetes")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(aws_folder / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_s3.endpoint.url)
    async with opened(moto_s3.endpoint, make_bucket(moto_s3.endpoint)) as store:
        assert await writes_and_reads(store)
