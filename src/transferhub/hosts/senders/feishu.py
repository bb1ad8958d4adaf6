"""`FeishuSender`."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Any

from transferhub.control.letters import Letter
from transferhub.hosts.senders.http import HttpPost
from transferhub.hosts.senders.robots import accepted
from transferhub.model.channel import FeishuChannel
from transferhub.model.notice import Language

_LANGUAGES = {Language.EN: "en_us", Language.ZH: "zh_cn"}


class FeishuSender:
    """A custom bot with a rich text ("post"), of Feishu or Lark; signed where it has a secret.

    Source: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: the fields `timestamp`
    (seconds) and `sign`, the Base64 of HMAC-SHA256 of nothing under the timestamp, a line feed and
    the secret; refused when it is more than an hour old. A request has up to 20 KB.
    """

    def __init__(self, http: HttpPost) -> None:
        self._http = http

    async def send(self, channel: FeishuChannel, letter: Letter) -> str:
        document = {**signature(channel.secret.get_secret_value(), letter), **payload(letter)}
        answer = await self._http.post_json(channel.url.get_secret_value(), document)
        return accepted(answer, "code", "StatusCode")


def signature(secret: str, letter: Letter) -> dict[str, str]:
    if not secret:
        return {}
    timestamp = str(int(letter.written_at.timestamp()))
    digest = hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")
    return {"timestamp": timestamp, "sign": b64encode(digest).decode()}


def payload(letter: Letter) -> dict[str, Any]:
    lines: list[list[dict[str, str]]] = [[{"tag": "text", "text": line}] for line in letter.lines]
    if letter.link:
        lines.append([{"tag": "a", "text": letter.link_text, "href": letter.link}])
    post = {_LANGUAGES[letter.language]: {"title": letter.title, "content": lines}}
    return {"msg_type": "post", "content": {"post": post}}
