"""The messages that tell workers of groups with work.

A message names a group of one run. What is true of the group stands in the table: one message too
many finds nothing to start, and one too few is made good by the index of work.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from transferhub.aws.queue import Message, Posting, Queue
from transferhub.model.transfer import RunId, Transfer

Understand = Callable[[str], Sequence[Transfer] | None]
"""What the event of a store's own message wants transferred; None where it is no such message."""

_MOST_PASSES = 9
"""A message of another run is passed on with 1, 2, 4 ... seconds of delay; after 8 minutes the
index of work alone tells of its group."""


class Row(NamedTuple):
    """Names a group, or a chunk of parts, in the table of an epoch."""

    is_chunk: bool
    sort_key: bytes


class Told(NamedTuple):
    """A row with work, and the receipt of the message that told of it."""

    row: Row
    receipt: str


class Received(NamedTuple):
    """What came out of the queue for one run."""

    rows: Sequence[Told]
    events: Sequence[tuple[Message, Sequence[Transfer]]]


class WorkQueue:
    """The queue of a state, as one run sees it. Verbs raise AwsError."""

    def __init__(self, queue: Queue, understand: Understand) -> None:
        self._queue = queue
        self._understand = understand

    async def tell(
        self, run: RunId, epoch: str, rows: Iterable[Row], delay: timedelta = timedelta(0)
    ) -> None:
        """Tells workers of rows in which something may start after `delay`."""
        bodies = [_Words(run, epoch, row, 0).body() for row in rows]
        await self._queue.send([Posting(body, delay) for body in bodies])

    async def put_off(self, message: Message, delay: timedelta) -> None:
        """Has a message come again, as a new one."""
        await self._queue.send([Posting(message.body, delay)])
        await self._queue.delete([message.receipt])

    async def receive(self, epoch: str, most: int, hidden: timedelta) -> Received:
        """Up to `most` rows, fewer where there are no more; nobody else is told of them while
        their messages are hidden."""
        rows: list[Told] = []
        events: list[tuple[Message, Sequence[Transfer]]] = []
        asked = True
        while asked and len(rows) < most:
            passed: list[tuple[Message, _Words]] = []
            messages = await self._queue.receive(most - len(rows), hidden=hidden)
            for message in messages:
                words = _read(message.body)
                if words is not None and words.epoch == epoch:
                    rows.append(Told(words.row, message.receipt))
                elif words is not None:
                    passed.append((message, words))
                elif (transfers := self._understand(message.body)) is not None:
                    events.append((message, transfers))
                # Any other one stays hidden for a while: the fifth time it becomes a dead letter.
            await self._pass_on(passed)
            asked = bool(messages)
        return Received(rows, events)

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
