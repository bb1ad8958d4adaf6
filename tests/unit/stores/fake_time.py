import asyncio


class FakeTime:
    """A monotonic clock that only sleeping moves.

    Attributes:
        slept: every sleep, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
