"""`WebhookSender`."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from binascii import Error

from transferhub.control.letters import Letter
from transferhub.hosts.senders.http import HttpPost
from transferhub.model.channel import WebhookChannel

_PREFIX = "whsec_"


class WebhookSender:
    """Signed JSON, as the Standard Webhooks specification says (www.standardwebhooks.com): its
    libraries verify it in many languages.

    Headers: `webhook-id`, the same in all attempts; `webhook-timestamp`, seconds since 1970 of this
    attempt; `webhook-signature`, "v1," and the Base64 of HMAC-SHA256 over
    `{id}.{timestamp}.{body}`.
    """

    def __init__(self, http: HttpPost) -> None:
        self._http = http

    async def send(self, channel: WebhookChannel, letter: Letter) -> str:
        body = json.dumps(_document(letter), ensure_ascii=False).encode()
        timestamp = str(int(letter.written_at.timestamp()))
        headers = {
            "webhook-id": letter.ident,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(
                channel.secret.get_secret_value(), letter.ident, timestamp, body
            ),
        }
        url = channel.url.get_secret_value()
        return (await self._http.post(url, body, headers)).sentence


def sign(secret: str, ident: str, timestamp: str, body: bytes) -> str:
    """The header `webhook-signature`; a secret that is whsec_ and Base64 stands for its bytes."""
    signed = f"{ident}.{timestamp}.".encode() + body
    return f"v1,{b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return b64decode(secret.removeprefix(_PREFIX), validate=True)
        except Error:
            pass
    return secret.encode()


def _document(letter: Letter) -> dict[str, object]:
    return {
        "type": letter.document["kind"],
        "timestamp": letter.written_at.isoformat(),
        "data": {**letter.document, "title": letter.title, "text": "\n".join(letter.lines)},
    }
