"""`DiscreetSender`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from transferhub.control.channels import Sender
from transferhub.control.letters import Letter
from transferhub.errors import SendError
from transferhub.model.channel import Channel, secrets_of
from transferhub.model.people import HIDDEN

_SHORTEST = 6
"""Shorter pieces of a URL are words such as v1, and shorter passwords would show where they are."""


class DiscreetSender:
    """Takes the channel's secrets out of what a receiver says, should it repeat them."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, channel: Any, letter: Letter) -> str:  # noqa: ANN401 - the port's
        try:
            return _without(channel, await self._sender.send(channel, letter))
        except SendError as error:
            raise SendError(_without(channel, error.message), code=error.code) from error


def _without(channel: Channel, sentence: str) -> str:
    for secret in sorted(set(_secrets(channel)), key=len, reverse=True):
        sentence = sentence.replace(secret, HIDDEN)
    return sentence


def _secrets(channel: Channel) -> Iterator[str]:
    for name, secret in secrets_of(channel).items():
        pieces = _pieces(secret) if name == "url" else [secret]
        yield from (piece for piece in pieces if len(piece) >= _SHORTEST)


def _pieces(url: str) -> Iterator[str]:
    """The parts of a URL that may let in whoever knows them; its host is none."""
    parts = urlsplit(url)
    yield url
    for segment in parts.path.split("/"):
        yield from (segment, unquote(segment))
    for _, value in parse_qsl(parts.query):
        yield value
