"""`Courier`: sends what the outbox holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from transferhub.control.channels import PATIENCE, OpenChannels, Senders, too_slow
from transferhub.control.letters import Desk
from transferhub.control.waiting import Wait, wait
from transferhub.errors import SendError, StateError, VaultError
from transferhub.model.clock import Clock
from transferhub.model.notice import Message, MessageState
from transferhub.state.notices import Outbox

log = logging.getLogger(__name__)

LOOK = timedelta(seconds=1)
LEASE = timedelta(minutes=2)
"""How long a message stays with a courier; more than PATIENCE."""

SLOTS = 4
MOST_ATTEMPTS = 20
"""With the pauses between them: given up after 11 hours or more."""

KEPT = timedelta(days=30)
GRACE = timedelta(seconds=5)
_FIRST_PAUSE = 10.0
_LONGEST_PAUSE = 3_600.0
_GROWTH = 3.0
_PURGE_EVERY = timedelta(hours=1)


def pause(attempts: int, chance: float) -> timedelta:
    """Until the next attempt, after so many: 10 s, 30 s, 90 s … an hour, a quarter more or less.

    Args:
        chance: from 0 to 1.
    """
    seconds = min(_FIRST_PAUSE * _GROWTH ** (attempts - 1), _LONGEST_PAUSE)
    return timedelta(seconds=seconds * (0.75 + chance / 2))


class Courier:
    """One of the couriers of a hub; safe beside any number of others.

    Each message is sent at least once, by one courier at a time, and once where nobody dies between
    the receiver's answer and its record. Where a courier dies, another one sends the message again
    after LEASE, with the same id.

    Args:
        chance: gives numbers from 0 to 1.
        wait: returns once the event is set, after the duration at the latest.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: OpenChannels,
        senders: Senders,
        desk: Desk,
        *,
        clock: Clock,
        chance: Callable[[], float],
        wait: Wait = wait,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._senders = senders
        self._desk = desk
        self._clock = clock
        self._chance = chance
        self._wait = wait
        self._under_way: set[asyncio.Task[None]] = set()
        self._purged_at: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until `stop` is set; what is under way has GRACE to end then."""
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._work(stop))
            await stop.wait()
            await asyncio.wait([work], timeout=GRACE.total_seconds())
            work.cancel()

    async def tick(self) -> int:
        """Sends what is due now, each once; returns how many messages that were.

        Raises:
            StateError: the outbox cannot be used.
        """
        claimed = await self._outbox.claim(LEASE, limit=SLOTS)
        async with asyncio.TaskGroup() as group:
            for message in claimed:
                group.create_task(self._deliver(message))
        return len(claimed)

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await self._guarded(self._begin(group))
                await self._guarded(self._purge())
                await self._wait(stop, LOOK)

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        """A receiver that is slow does not keep the others waiting."""
        free = SLOTS - len(self._under_way)
        for message in await self._outbox.claim(LEASE, limit=free) if free else ():
            task = group.create_task(self._guarded(self._deliver(message)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The state may be away for a while; what was claimed is due again by itself."""
        try:
            await work
        except StateError as error:
            log.warning("the state: %s", error.message, extra={"action": "courier_state"})
        except Exception:
            log.exception("the courier will look again", extra={"action": "courier_failed"})

    async def _purge(self) -> None:
        now = self._clock()
        if self._purged_at is None or now - self._purged_at >= _PURGE_EVERY:
            self._purged_at = now
            await self._outbox.purge(now - KEPT)

    async def _deliver(self, message: Message) -> None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._send(message)
        except (SendError, VaultError) as error:
            await self._missed(message, error.message)
        except TimeoutError:
            await self._missed(message, too_slow())
        except StateError:
            raise
        except Exception:
            log.exception("message %s", message.ident, extra={"action": "notice_broken"})
            await self._missed(message, "A fault of the hub; its log says more.")

    async def _send(self, message: Message) -> None:
        channel = await self._channels.open(message.channel)
        if channel is None or not channel.enabled:
            what = "deleted" if channel is None else "switched off"
            error = f"The channel was {what}."
            await self._outbox.settle(message, MessageState.GIVEN_UP, error=error, due_at=None)
            return
        await self._senders[channel.kind].send(channel, self._desk.letter(message, channel))
        log.info(
            "%s: sent %s of task %s",
            message.channel,
            message.kind,
            message.task or "none",
            extra={"action": "notice_sent", "channel": message.channel},
        )
        await self._outbox.settle(message, MessageState.SENT, due_at=None)

    async def _missed(self, message: Message, error: str) -> None:
        if message.attempts >= MOST_ATTEMPTS:
            state, due_at, action = MessageState.GIVEN_UP, None, "notice_given_up"
        else:
            state, action = MessageState.SENDING, "notice_missed"
            due_at = self._clock() + pause(message.attempts, self._chance())
        log.warning(
            "%s: attempt %d of %d to send %s: %s",
            message.channel,
            message.attempts,
            MOST_ATTEMPTS,
            message.kind,
            error,
            extra={"action": action, "channel": message.channel},
        )
        await self._outbox.settle(message, state, error=error, due_at=due_at)
