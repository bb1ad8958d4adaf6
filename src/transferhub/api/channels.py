"""Answers about notification channels, never with a secret."""

from __future__ import annotations

from transferhub.api.reading import Arguments, Json, given, moment, number_cursor, page_size, told
from transferhub.api.reading import page as told_page
from transferhub.control.channels import ChannelView
from transferhub.control.hub import Hub
from transferhub.model.notice import Message
from transferhub.model.people import Caller


async def all_channels(hub: Hub, _: Arguments, caller: Caller) -> list[Json]:
    return [_told(channel) for channel in await hub.channels.list(caller)]


async def messages(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    limit = page_size(arguments)
    found = await hub.channels.messages(
        caller,
        channel=given(arguments, "channel", ""),
        before=number_cursor(arguments),
        limit=limit + 1,
    )
    return told_page(found, limit, _told_message, "number")


async def put(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return _told(await hub.channels.put(caller, arguments["input"]))


async def delete(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.channels.delete(caller, arguments["name"])
    return True


async def test(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    trial = await hub.channels.test(caller, arguments["name"])
    return {"delivered": trial.delivered, "sentence": trial.sentence}


def _told(channel: ChannelView) -> Json:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "settings": channel.settings,
        "described": channel.described,
        "createdAt": moment(channel.created_at),
        "updatedAt": moment(channel.updated_at),
        "version": channel.version,
        "latestMessage": None if channel.last is None else _told_message(channel.last),
    }


def _told_message(message: Message) -> Json:
    return {
        "id": message.ident,
        "channel": message.channel,
        "kind": told(message.kind),
        "task": message.task or None,
        "count": message.count,
        "state": told(message.state),
        "attempts": message.attempts,
        "error": message.error,
        "createdAt": moment(message.created_at),
        "dueAt": moment(message.due_at),
        "endedAt": moment(message.ended_at),
        "number": message.number,
    }
