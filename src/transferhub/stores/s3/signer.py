"""AWS Signature Version 4 as S3 wants it, in its header form.

Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import quote

from transferhub.stores.s3.credentials import Credentials

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = sha256(b"").hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


def encode_key(key: str) -> str:
    """The key as it stands in a request target: every byte but unreserved ones and `/` is encoded.

    Nothing is normalised: S3 keys are bytes, so `//` and `..` are kept.
    """
    return quote(key, safe="/-_.~")


def encode_query(query: Mapping[str, str]) -> str:
    """The query in canonical form, which is also the form in which it is sent."""
    # By name, then value; sorting the joined pairs would put `a-b=` before `a=`.
    pairs = sorted(
        (quote(name, _UNRESERVED), quote(value, _UNRESERVED)) for name, value in query.items()
    )
    return "&".join([f"{name}={value}" for name, value in pairs])


class Signer:
    """Signs requests to one host with whatever credentials come with each of them.

    The signing key is derived once for a day and a secret; what is left costs two hashes and one
    HMAC.
    """

    def __init__(
        self,
        *,
        host: str,
        region: str,
        service: str = "s3",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        host: as the Host header has it, with the port where it is not the scheme's own.
        clock: seconds since the epoch.
        """
        self._host = host
        self._place = f"{region}/{service}/aws4_request"
        self._clock = clock
        self._second = -1
        self._timestamp = ""
        self._scope = ""
        self._key_of: tuple[str, str] = ("", "")
        self._key = b""

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        *,
        payload: str,
        credentials: Credentials,
    ) -> None:
        """Adds the headers that prove who asks.

        Args:
            path: encoded as by `encode_key`, with a leading slash.
            query: as by `encode_query`.
            headers: names in lower case, without host; all of them are signed.
            payload: SHA-256 of the body in hexadecimal digits, or UNSIGNED_PAYLOAD.
        """
        self._tick()
        headers["x-amz-date"] = self._timestamp
        headers["x-amz-content-sha256"] = payload
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names, lines = self._canonical_headers(headers)
        request = f"{method}\n{path}\n{query}\n{lines}\n\n{names}\n{payload}"
        digest = sha256(request.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{self._timestamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._signing_key(credentials), to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{self._scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )

    def _tick(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._scope = f"{self._timestamp[:8]}/{self._place}"

    def _canonical_headers(self, headers: Mapping[str, str]) -> tuple[str, str]:
        items = [*headers.items(), ("host", self._host)]
        items.sort()
        names = ";".join([name for name, _ in items])
        return names, "\n".join([f"{name}:{' '.join(value.split())}" for name, value in items])

    def _signing_key(self, credentials: Credentials) -> bytes:
        key_of = (credentials.secret_key, self._scope)
        if key_of != self._key_of:
            key = f"AWS4{credentials.secret_key}".encode()
            for part in self._scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key, self._key_of = key, key_of
        return self._key
