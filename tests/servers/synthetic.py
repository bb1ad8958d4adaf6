"""An S3 server that lists any number of generated keys at once and stores none.

Every bucket name holds the same keys, `prefix` and a zero-padded number; signatures are not
looked at. Two servers with different `--omit-every` or `--touch-every` are a source and a
destination with known differences.

    python -m tests.servers.synthetic --keys 1000000 --port 9000 [--prefix flat/ --size 10240]
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import Scoped, ServerProcess, free_ports

_MODIFIED = "2024-01-02T03:04:05.000Z"
_PAGE = 1000
_REASONS = {200: "OK", 404: "Not Found", 501: "Not Implemented"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the server pretends to hold.

    Args:
        omit_every: leave out each K-th key (K, 2K, ... counted from 1); 0 leaves out none.
        touch_every: give each K-th key one byte more and another ETag; 0 does so to none.
    """

    count: int
    prefix: str = "flat/"
    size: int = 10240
    omit_every: int = 0
    touch_every: int = 0

    @property
    def width(self) -> int:
        return len(str(self.count - 1))

    def name(self, number: int) -> str:
        return f"{self.prefix}{number:0{self.width}d}"

    def number(self, key: str) -> int | None:
        """Which key this is, if it is one of them."""
        digits = key[len(self.prefix) :]
        if not (key.startswith(self.prefix) and digits.isdecimal() and digits.isascii()):
            return None
        number = int(digits)
        there = number < self.count and self.name(number) == key and not self.omits(number)
        return number if there else None

    def omits(self, number: int) -> bool:
        return self.omit_every > 0 and (number + 1) % self.omit_every == 0

    def touches(self, number: int) -> bool:
        return self.touch_every > 0 and (number + 1) % self.touch_every == 0

    def bounds(self, after: str, start: str) -> tuple[int, int]:
        """The numbers of the keys behind `after` that begin with `start`, as a range."""
        numbers = range(self.count)
        low = bisect_right(numbers, after, key=self.name) if after else 0
        low = max(low, bisect_left(numbers, start, key=self.name))
        high = bisect_right(numbers, start, key=lambda number: self.name(number)[: len(start)])
        return low, max(low, high)

    def page(
        self, low: int, high: int, most: int, encoded: Callable[[str], str]
    ) -> tuple[str, int | None]:
        """The XML of up to `most` keys from `low` on, and the last number if more follow."""
        numbers = [n for n in range(low, min(high, low + 2 * most + 2)) if not self.omits(n)]
        more, numbers = len(numbers) > most, numbers[:most]
        # One format string for the page: a call per key would take most of the time.
        prefix = encoded(self.prefix).replace("%", "%%")
        plain = self._fragment(prefix, self.size, "0")
        if self.touch_every:
            touched = self._fragment(prefix, self.size + 1, "f")
            form = "".join(touched if self.touches(n) else plain for n in numbers)
        else:
            form = plain * len(numbers)
        twice = [number for number in numbers for _ in range(2)]
        return form % tuple(twice), numbers[-1] if more and numbers else None

    def _fragment(self, prefix: str, size: int, lead: str) -> str:
        return (
            f"<Contents><Key>{prefix}%0{self.width}d</Key><LastModified>{_MODIFIED}</LastModified>"
            f"<ETag>&quot;{lead}%031x&quot;</ETag><Size>{size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


class _Lister:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        # Both sides of a compare, and repeated runs, ask for the same pages.
        self.list = lru_cache(maxsize=64)(self._list)

    def answer(self, method: str, target: str) -> tuple[int, dict[str, str], bytes]:
        path, _, query_text = target.partition("?")
        _, _, key = unquote(path).lstrip("/").partition("/")
        if key:
            return self._object(method, key)
        if method == "HEAD":
            return 200, {}, b""
        if method != "GET":
            return 501, {}, b"<Error><Code>NotImplemented</Code></Error>"
        if not path.strip("/"):
            return 200, {}, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
        if "location" in query_text:
            return 200, {}, b"<LocationConstraint/>"
        return 200, {}, self.list(query_text)

    def _object(self, method: str, key: str) -> tuple[int, dict[str, str], bytes]:
        number = self._keys.number(key)
        if number is None or method not in {"GET", "HEAD"}:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        touched = self._keys.touches(number)
        headers = {
            "ETag": f'"{"f" if touched else "0"}{number:031x}"',
            "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        }
        return 200, headers, bytes(self._keys.size + touched)

    def _list(self, query_text: str) -> bytes:
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        prefix, most = query.get("prefix", ""), min(int(query.get("max-keys", _PAGE)), _PAGE)
        after = max(query.get(name, "") for name in ("continuation-token", "start-after", "marker"))
        urls = query.get("encoding-type") == "url"

        def encoded(text: str) -> str:
            return escape(quote(text) if urls else text)

        folder = self._folder(prefix, query.get("delimiter", ""))
        low, high = self._keys.bounds(after, prefix)
        if folder is not None:
            shown = low < high and after < folder
            body = f"<CommonPrefixes><Prefix>{encoded(folder)}</Prefix></CommonPrefixes>"
            body, last = body if shown else "", None
        else:
            body, last = self._keys.page(low, high, most, encoded)
        token = "" if last is None else escape(self._keys.name(last))
        following = (
            f"<NextContinuationToken>{token}</NextContinuationToken><NextMarker>{token}</NextMarker>"
            if token
            else ""
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><Prefix>{encoded(prefix)}</Prefix>"
            f"<KeyCount>{body.count('<Key>')}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"{'<EncodingType>url</EncodingType>' if urls else ''}"
            f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{following}{body}"
            "</ListBucketResult>"
        ).encode()

    def _folder(self, prefix: str, delimiter: str) -> str | None:
        """The common prefix that hides all keys, if the delimiter makes one."""
        rest = self._keys.prefix[len(prefix) :]
        if not delimiter or delimiter not in rest or not self._keys.prefix.startswith(prefix):
            return None
        return prefix + rest[: rest.index(delimiter) + len(delimiter)]


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Callable[[str, str], tuple[int, dict[str, str], bytes]]) -> None:
        self._answer = answer
        self._transport: asyncio.Transport | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # What is asked of this server has no body.
        *heads, self._early = (self._early + data).split(b"\r\n\r\n")
        for head in heads:
            method, target, _ = head.partition(b"\r\n")[0].decode("ascii").split(" ")
            status, headers, body = self._answer(method, target)
            lines = [
                f"HTTP/1.1 {status} {_REASONS[status]}",
                f"Content-Length: {len(body)}",
                "Content-Type: application/xml",
                *(f"{name}: {value}" for name, value in headers.items()),
            ]
            if self._transport is not None:
                answer = "\r\n".join([*lines, "", ""]).encode()
                self._transport.write(answer if method == "HEAD" else answer + body)


async def _serve(keys: Keys, port: int) -> None:
    loop = asyncio.get_running_loop()
    lister = _Lister(keys)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(
        lambda: _Connection(lister.answer), "127.0.0.1", port, backlog=1024
    )
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201
    await ended.wait()
    server.close()


class SyntheticServer(Scoped):
    """The same server as a process of its own, for as long as the scope lasts."""

    def __init__(self, keys: Keys) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="synthetic-")
        (port,) = free_ports(1)
        options = {
            "port": port,
            "keys": keys.count,
            "prefix": keys.prefix,
            "size": keys.size,
            "omit-every": keys.omit_every,
            "touch-every": keys.touch_every,
        }
        self.endpoint = Endpoint(
            url=f"http://127.0.0.1:{port}", access_key_id="ANY", secret_access_key="any"
        )
        self.process = ServerProcess(
            [
                sys.executable,
                "-m",
                "tests.servers.synthetic",
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            folder=Path(self._folder.name),
            environment={"PYTHONPATH": str(Path(__file__).parents[2])},
            ready=lambda: answers_list_buckets(self.endpoint),
            name="synthetic",
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()
        self._folder.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="Lists generated keys.")
    parser.add_argument("--keys", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="flat/")
    parser.add_argument("--size", type=int, default=10240)
    parser.add_argument("--omit-every", type=int, default=0)
    parser.add_argument("--touch-every", type=int, default=0)
    arguments = parser.parse_args()
    keys = Keys(
        count=arguments.keys,
        prefix=arguments.prefix,
        size=arguments.size,
        omit_every=arguments.omit_every,
        touch_every=arguments.touch_every,
    )
    asyncio.run(_serve(keys, arguments.port))


if __name__ == "__main__":
    main()
