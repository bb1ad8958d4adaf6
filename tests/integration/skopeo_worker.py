"""A process that copies one image and can be killed meanwhile."""

import asyncio
import sys
from pathlib import Path

from tests.integration.skopeo_ends import LIMIT, open_skopeo
from transferhub.registries import Digest, RegistryConfig
from transferhub.registries.skopeo import Carriage, End


async def main(
    folder: str, source: str, repository: str, digest: str, destination: str, copy: str
) -> None:
    carriage = Carriage(
        source=End(registry=RegistryConfig(host=source, plain_http=True), repository=repository),
        digest=Digest(digest),
        destination=End(
            registry=RegistryConfig(host=destination, plain_http=True), repository=copy
        ),
        reference="v1",
    )
    skopeo = await open_skopeo(Path(folder))
    await skopeo.copy(carriage, time_limit=LIMIT)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
