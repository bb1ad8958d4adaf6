"""`WeComSender`."""

from __future__ import annotations

from typing import Any

from transferhub.control.letters import Letter
from transferhub.hosts.senders.http import HttpPost
from transferhub.hosts.senders.robots import accepted
from transferhub.model.channel import WeComChannel

_MOST_BYTES = 2_048


class WeComSender:
    """A group robot with a text of up to 2,048 bytes; the URL's key is all that lets it in.

    Source: developer.work.weixin.qq.com/document/path/91770. A robot takes 20 messages a minute.
    """

    def __init__(self, http: HttpPost) -> None:
        self._http = http

    async def send(self, channel: WeComChannel, letter: Letter) -> str:
        answer = await self._http.post_json(channel.url.get_secret_value(), payload(letter))
        return accepted(answer, "errcode")


def payload(letter: Letter) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": letter.text(_MOST_BYTES)}}
