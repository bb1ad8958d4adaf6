"""The messages that tell workers of groups with work.

A message names a group of one run. What is true of the group stands in the table: one message too
many finds nothing to start, and one too few is made good by the index of work.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from transferhub.aws.queue import MOST_MESSAGES, Message, Posting, Queue
from transferhub.model.transfer import RunId

Hear = Callable[[str], Awaitable[bool]]
"""Takes the event of a store's own message, durably; False where it is none, or nobody's."""

_MOST_PASSES = 9
"""A message of another run is passed on with 1, 2, 4 ... seconds of delay; after 8 minutes the
index of work alone tells of its group."""

_HIDDEN = timedelta(seconds=30)


class Row(NamedTuple):
    """Names a group, or a chunk of parts, in the table of an epoch."""

    is_chunk: bool
    sort_key: bytes


class Told(NamedTuple):
    """A row with work, and the receipt of the message that told of it."""

    row: Row
    receipt: str


class WorkQueue:
    """The queue of a state, as one run sees it. Verbs raise AwsError."""

    def __init__(self, queue: Queue, hear: Hear | None) -> None:
        self._queue = queue
        self._hear = hear

    async def tell(
        self, run: RunId, epoch: str, rows: Iterable[Row], delay: timedelta = timedelta(0)
    ) -> None:
        """Tells workers of rows in which something may start after `delay`."""
        bodies = [_Words(run, epoch, row, 0).body() for row in rows]
        await self._queue.send([Posting(body, delay) for body in bodies])

    async def receive(self, run: RunId, epoch: str, most: int, hidden: timedelta) -> Sequence[Told]:
        """Up to `most` rows, fewer where there are no more; nobody else is told of them while
        their messages are hidden."""
        rows: list[Told] = []
        found = -1
        while found < len(rows) < most:
            found = len(rows)
            passed: list[tuple[Message, _Words]] = []
            ended: list[str] = []
            messages = await self._queue.receive(most - len(rows), hidden=hidden)
            for message in messages:
                words = _read(message.body)
                if words is not None and words.epoch == epoch:
                    rows.append(Told(words.row, message.receipt))
                elif words is not None and words.run == run:
                    ended.append(message.receipt)  # of before a reset
                elif words is not None:
                    passed.append((message, words))
                elif self._hear is not None and await self._hear(message.body):
                    ended.append(message.receipt)
                # Any other one stays hidden for a while: the fifth time it becomes a dead letter.
            await self._pass_on(passed)
            await self._queue.delete(ended)
        return rows

    async def listen(self, wait: timedelta) -> bool:
        """Hears what stores put into the queue while no worker receives from it. Returns whether
        there was work: those who do it hear as well."""
        passed: list[tuple[Message, _Words]] = []
        heard: list[str] = []
        for message in await self._queue.receive(MOST_MESSAGES, hidden=_HIDDEN, wait=wait):
            words = _read(message.body)
            if words is not None:
                passed.append((message, words))
            elif self._hear is not None and await self._hear(message.body):
                heard.append(message.receipt)
        await self._pass_on(passed)
        await self._queue.delete(heard)
        return bool(passed)

    async def hide(self, receipts: Sequence[str], duration: timedelta) -> None:
        await self._queue.hide(receipts, duration)

    async def delete(self, receipts: Sequence[str]) -> None:
        await self._queue.delete(receipts)

    async def _pass_on(self, passed: Sequence[tuple[Message, _Words]]) -> None:
        """Gives messages of other runs back. Not by hiding them anew: each receipt counts, and five
        make a dead letter."""
        if not passed:
            return
        await self._queue.send(
            [
                Posting(words.passed_on().body(), timedelta(seconds=1 << words.passes))
                for _, words in passed
                if words.passes < _MOST_PASSES
            ]
        )
        await self._queue.delete([message.receipt for message, _ in passed])


class _Words(NamedTuple):
    run: str
    epoch: str
    row: Row
    passes: int

    def passed_on(self) -> _Words:
        return self._replace(passes=self.passes + 1)

    def body(self) -> str:
        words = {
            "run": self.run,
            "epoch": self.epoch,
            "parts" if self.row.is_chunk else "group": b64encode(self.row.sort_key).decode(),
            "passes": self.passes,
        }
        return json.dumps(words, separators=(",", ":"))


def _read(body: str) -> _Words | None:
    """None where it is none of our messages."""
    try:
        words = json.loads(body)
        is_chunk = "parts" in words
        row = Row(is_chunk, b64decode(words["parts" if is_chunk else "group"]))
        return _Words(str(words["run"]), str(words["epoch"]), row, int(words["passes"]))
    except (ValueError, TypeError, KeyError):
        return None
