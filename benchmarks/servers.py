"""Servers that benchmarks start, and how their buckets are filled."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from random import Random

from tests.servers.boto import Boto
from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import ServerProcess, free_ports
from tests.servers.seaweedfs import SeaweedFS
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.s3 import (
    Credentials,
    EndpointOptions,
    S3Config,
    S3Store,
    StaticCredentials,
    find_provider,
    resolve_endpoint,
)

_MIB = 1 << 20
_WRITERS = 64
_PART_BYTES = 64 * _MIB
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers: objects go from one to the other."""

    source: SeaweedFS
    destination: SeaweedFS


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Two SeaweedFS servers that keep everything below `folder`."""
    with (
        SeaweedFS(folder=folder / "source") as source,
        SeaweedFS(folder=folder / "destination") as destination,
    ):
        yield Pair(source=source, destination=destination)


def make_bucket(server: SeaweedFS, name: str) -> None:
    """A bucket that is ready to be written into."""
    with Boto(server.admin) as client:
        client.create_bucket(name)
        # The server makes a bucket's volumes at its first object, and nobody shall wait for it.
        client.put(name, "first", b"1")
        client.delete(name, ["first"])


@contextmanager
def bucket(server: SeaweedFS, name: str) -> Iterator[Boto]:
    """Such a bucket for as long as the scope lasts, and a client to look into it."""
    make_bucket(server, name)
    with Boto(server.admin) as client:
        try:
            yield client
        finally:
            client.delete_bucket(name)


@contextmanager
def delayed(endpoint: Endpoint, seconds: float, folder: Path, name: str) -> Iterator[Endpoint]:
    """The endpoint behind a proxy that adds so much to each request."""
    (port,) = free_ports(1)
    behind = endpoint.at(f"http://127.0.0.1:{port}")
    with ServerProcess(
        [
            sys.executable,
            "-m",
            "tests.servers.faults",
            f"--upstream={endpoint.url.removeprefix('http://')}",
            f"--port={port}",
            f"--latency={seconds}",
        ],
        folder=folder,
        environment={"PYTHONPATH": str(_ROOT)},
        ready=lambda: answers_list_buckets(behind),
        name=name,
    ):
        yield behind


def fill(endpoint: Endpoint, bucket: str, keys: Iterable[str], size: int) -> None:
    """Writes objects of random bytes, all the same."""
    asyncio.run(_fill(endpoint, bucket, keys, size))


async def _fill(endpoint: Endpoint, bucket: str, keys: Iterable[str], size: int) -> None:
    credentials = Credentials(
        access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key
    )
    address = resolve_endpoint(find_provider("other"), "", EndpointOptions(endpoint=endpoint.url))
    store = S3Store(S3Config(bucket=bucket, endpoint=address), StaticCredentials(credentials))
    body = _body(size)
    digest = md5(body, usedforsecurity=False).digest()
    waiting = iter(keys)

    async def write() -> None:
        for key in waiting:
            await store.put(key, body, attributes=Attributes(), options=WriteOptions(), md5=digest)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(write())
    finally:
        await store.aclose()


def fill_large(endpoint: Endpoint, bucket: str, keys: Iterable[str], size: int) -> None:
    """Writes objects in parts of 64 MiB, one after the other."""
    body = _body(size)
    with Boto(endpoint) as client:
        for key in keys:
            client.put_multipart(bucket, key, body, part_bytes=_PART_BYTES)


def _body(size: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    block = Random(size).randbytes(min(size, _MIB))
    return (block * (size // len(block) + 1))[:size] if block else b""
