"""`DingTalkSender`."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from transferhub.control.letters import Letter
from transferhub.hosts.senders.http import HttpPost
from transferhub.hosts.senders.robots import accepted
from transferhub.model.channel import DingTalkChannel

_MOST_BYTES = 16_000


class DingTalkSender:
    """A custom robot with a text, which holds no mark-up that an object's key could begin; signed
    where it has a secret.

    Source: open.dingtalk.com/document/robots/custom-robot-access and
    .../robots/customize-robot-security-settings: the parameters `timestamp` (milliseconds) and
    `sign`, the Base64 of HMAC-SHA256 of the timestamp, a line feed and the secret under the secret;
    refused when it is more than an hour off. A robot takes 20 messages a minute, of up to 20,000
    bytes.
    """

    def __init__(self, http: HttpPost) -> None:
        self._http = http

    async def send(self, channel: DingTalkChannel, letter: Letter) -> str:
        url = signed(channel.url.get_secret_value(), channel.secret.get_secret_value(), letter)
        return accepted(await self._http.post_json(url, payload(letter)), "errcode")


def signed(url: str, secret: str, letter: Letter) -> str:
    if not secret:
        return url
    timestamp = str(int(letter.written_at.timestamp() * 1_000))
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")
    query = urlencode({"timestamp": timestamp, "sign": b64encode(digest).decode()})
    return f"{url}{'&' if '?' in url else '?'}{query}"


def payload(letter: Letter) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": letter.text(_MOST_BYTES)}}
