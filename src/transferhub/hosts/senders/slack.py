"""`SlackSender`."""

from __future__ import annotations

from typing import Any

from transferhub.control.letters import Letter
from transferhub.hosts.senders.http import HttpPost
from transferhub.model.channel import SlackChannel

_LONGEST_SECTION = 3_000
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackSender:
    """An incoming webhook with Block Kit blocks; it answers "ok", or an error's name as text.

    Sources: docs.slack.dev, "Sending messages using incoming webhooks"; "Block Kit: header" (150
    characters) and "section" (3,000); "Formatting message text" (the three signs to escape).
    """

    def __init__(self, http: HttpPost) -> None:
        self._http = http

    async def send(self, channel: SlackChannel, letter: Letter) -> str:
        url = channel.url.get_secret_value()
        return (await self._http.post_json(url, payload(letter))).sentence


def payload(letter: Letter) -> dict[str, Any]:
    text = "\n".join(letter.lines)[:_LONGEST_SECTION]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(letter.title)},
        {"type": "section", "text": _plain(text)},
    ]
    if letter.link:
        link = f"<{_escaped(letter.link)}|{_escaped(letter.link_text)}>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    return {"text": _escaped(letter.title), "blocks": blocks}


def _plain(text: str) -> dict[str, Any]:
    """Nobody is mentioned by plain text, and no smiley made of it."""
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
