"""Client CPU of copying small objects through S3Store: one GET and one PUT each.

python -m benchmarks.micro_s3 [objects] [bytes] [at once]
"""

import asyncio
import resource
import sys
import time
from hashlib import md5

from tests.servers.boto import Boto
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

ROUNDS = 3
OPTIONS = WriteOptions()


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def copy(source: S3Store, destination: S3Store, key: str) -> None:
    async with source.get(key) as reader:
        body = await reader.read()
        attributes = reader.info.attributes
    digest = md5(body, usedforsecurity=False).digest()
    await destination.put(key, body, attributes=attributes, options=OPTIONS, md5=digest)


async def copy_all(source: S3Store, destination: S3Store, keys: list[str], at_once: int) -> None:
    waiting = list(keys)

    async def work() -> None:
        while waiting:
            await copy(source, destination, waiting.pop())

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


async def fill(store: S3Store, keys: list[str], size: int) -> None:
    body = bytes(size)
    digest = md5(body, usedforsecurity=False).digest()
    attributes = Attributes(content_type="application/octet-stream", metadata={"mtime": "1"})
    for start in range(0, len(keys), 100):
        async with asyncio.TaskGroup() as group:
            for key in keys[start : start + 100]:
                group.create_task(
                    store.put(key, body, attributes=attributes, options=OPTIONS, md5=digest)
                )


async def measure(server: SeaweedFS, objects: int, size: int, at_once: int) -> None:
    endpoint = resolve_endpoint(find_provider("other"), "", EndpointOptions(endpoint=server.url))
    credentials = StaticCredentials(
        Credentials(
            access_key=server.admin.access_key_id, secret_key=server.admin.secret_access_key
        )
    )
    stores = [
        S3Store(S3Config(bucket=bucket, endpoint=endpoint), credentials)
        for bucket in ("source", "destination")
    ]
    keys = [f"data/{number:08}.bin" for number in range(objects)]
    await fill(stores[0], keys, size)
    for _ in range(ROUNDS):
        cpu, wall = cpu_seconds(), time.perf_counter()
        await copy_all(stores[0], stores[1], keys, at_once)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
        print(f"{1000 * cpu / objects:.3f} ms CPU per object, {objects / wall:.0f} objects/s")
    for store in stores:
        await store.aclose()


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:]]
    objects, size, at_once = (*given, *(5_000, 10 << 10, 64)[len(given) :])
    with SeaweedFS() as server, Boto(server.admin) as boto:
        for bucket in ("source", "destination"):
            boto.create_bucket(bucket)
        asyncio.run(measure(server, objects, size, at_once))


if __name__ == "__main__":
    main()
