"""`Notices`: gives what happened to the channels that want to hear of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from transferhub.control.channels import settings_of
from transferhub.model.fleet import Member
from transferhub.model.notice import Notice, NoticeKind, StoredChannel
from transferhub.model.run import TaskId
from transferhub.state.base import TaskStore
from transferhub.state.notices import Addressee, ChannelStore, Outbox

_PAGE = 100


class Notices:
    """Args:
    new_ident: gives an id that no message has.
    """

    def __init__(
        self,
        channels: ChannelStore,
        tasks: TaskStore,
        outbox: Outbox,
        *,
        new_ident: Callable[[], str],
    ) -> None:
        self._channels = channels
        self._tasks = tasks
        self._outbox = outbox
        self._new_ident = new_ident

    async def tell(self, notice: Notice) -> bool:
        """Puts the notice in the outbox, once for each channel that wants it; it is durable then.

        Returns:
            False where a notice of its id was told before.
        """
        task = await self._tasks.get_task(TaskId(notice.task)) if notice.task else None
        tags = task.tags if task is not None else ()
        hears = [
            Addressee(channel=channel.name, window=timedelta(seconds=settings["window"]))
            async for channel, settings in self._all()
            if wants(settings, notice, tags)
        ]
        return await self._outbox.add(notice, hears, [self._new_ident() for _ in hears])

    async def lost(self, member: Member) -> None:
        """Tells that a member of the fleet gave no sign of life any more."""
        await self.tell(
            Notice(
                ident=f"lost:{member.ident}",
                kind=NoticeKind.WORKER_LOST,
                at=member.seen_at,
                task_name=member.host,
                objects=len(member.load.runs),
            )
        )

    async def _all(self) -> AsyncIterator[tuple[StoredChannel, Mapping[str, Any]]]:
        after = ""
        while page := await self._channels.channels(after=after, limit=_PAGE):
            for channel in page:
                yield channel, settings_of(channel)
            after = page[-1].name


def wants(settings: Mapping[str, Any], notice: Notice, tags: Collection[str]) -> bool:
    """Whether a channel of these settings is told: of all tasks, or of those that it names by id
    or by tag. What is about no task goes to channels that name none."""
    if not settings["enabled"] or not {notice.kind, notice.kind.wider} & set(settings["events"]):
        return False
    if not settings["tasks"] and not settings["tags"]:
        return True
    return notice.task in settings["tasks"] or bool(set(tags) & set(settings["tags"]))
