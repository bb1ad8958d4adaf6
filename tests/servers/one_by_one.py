"""A proxy in front of a stand-in for AWS that carries requests out one after the other."""

import asyncio
from typing import Any

from tests.servers.aws_faults import AwsProxy


class OneByOne(AwsProxy):
    """What moto needs where writers race: it answers in threads without a lock, and where it
    refuses a transaction it puts the whole table back as it was before, without what others have
    written meanwhile."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._turn = asyncio.Lock()

    async def _upstream(self, head: bytes, body: bytes) -> Any:
        async with self._turn:
            return await super()._upstream(head, body)
