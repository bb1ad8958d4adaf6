"""What a FaultProxy can do to a request, and which requests it does it to."""

import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote_to_bytes


class Request:
    """One request as it stood on the wire."""

    def __init__(self, method: str, target: bytes, headers: dict[str, str]) -> None:
        self.method = method
        self.target = target
        self.headers = headers

    @cached_property
    def path(self) -> str:
        """The decoded path, bucket included."""
        return unquote_to_bytes(self.target.partition(b"?")[0]).decode(errors="surrogateescape")

    @cached_property
    def query(self) -> dict[str, str]:
        text = self.target.partition(b"?")[2].decode("ascii", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    @cached_property
    def operation(self) -> str:
        """The S3 name of what is asked, such as `GetObject` or `UploadPartCopy`."""
        key = self.path.lstrip("/").partition("/")[2]
        return self._of_object() if key else self._of_bucket()

    def _of_object(self) -> str:
        query, copies = self.query, "x-amz-copy-source" in self.headers
        for name in ("tagging", "acl", "attributes"):
            if name in query:
                return f"{self.method.capitalize()}Object{name.capitalize()}"
        match self.method:
            case "PUT" if "partNumber" in query:
                return "UploadPartCopy" if copies else "UploadPart"
            case "PUT":
                return "CopyObject" if copies else "PutObject"
            case "POST" if "uploads" in query:
                return "CreateMultipartUpload"
            case "POST":
                return "CompleteMultipartUpload"
            case "DELETE":
                return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
            case "GET":
                return "ListParts" if "uploadId" in query else "GetObject"
            case _:
                return f"{self.method.capitalize()}Object"

    def _of_bucket(self) -> str:
        query = self.query
        match self.method:
            case "GET" if "uploads" in query:
                return "ListMultipartUploads"
            case "GET" if "location" in query:
                return "GetBucketLocation"
            case "GET" if query.get("list-type") == "2":
                return "ListObjectsV2"
            case "GET":
                return "ListObjects" if self.path.strip("/") else "ListBuckets"
            case "POST":
                return "DeleteObjects"
            case "PUT":
                return "CreateBucket"
            case _:
                return f"{self.method.capitalize()}Bucket"


@dataclass(frozen=True, slots=True)
class Latency:
    """Waits before the request goes on; other requests do not wait for it."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Answers in the server's stead with an error, of S3, of a registry, or in the JSON of DynamoDB
    and SQS; the server sees nothing."""

    status: int = 503
    code: str = "SlowDown"
    message: str = "Please reduce your request rate."
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """Resets the connection (RST) before the server sees the request."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Takes the request and never answers; the server sees nothing."""


@dataclass(frozen=True, slots=True)
class DropResponse:
    """Lets the server carry the request out, then resets without a word of its answer."""


@dataclass(frozen=True, slots=True)
class ResetBody:
    """Resets the connection after so many bytes of the response body."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class TruncateBody:
    """Closes the connection in order, but after so many bytes of the response body."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class StallBody:
    """Sends so many bytes of the response body, then nothing more; the connection stays."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class ShortenBody:
    """Leaves out the last bytes of the body and lowers Content-Length: nothing looks amiss."""

    by_bytes: int


@dataclass(frozen=True, slots=True)
class CorruptByte:
    """Flips the bits of one byte of the response body."""

    offset: int = 0


@dataclass(frozen=True, slots=True)
class CorruptSentByte:
    """Flips the bits of one byte of the request body."""

    offset: int = 0


@dataclass(frozen=True, slots=True)
class WrongETag:
    """Answers with another ETag header than the server's (adds one where it has none)."""

    etag: str = '"00000000000000000000000000000000"'


@dataclass(eq=False, slots=True)
class Hold:
    """Keeps matching requests, or their responses, back until it is released.

    Args:
        response: the server carries the request out; what is kept back is its answer.
    """

    response: bool = False
    _seen: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: bool = False
    _waiting: list[Callable[[], None]] = field(default_factory=list)

    def wait(self, timeout_s: float = 30.0) -> None:
        """Returns when a request (or response) is being kept back.

        Raises:
            TimeoutError: none came.
        """
        if not self._seen.wait(timeout_s):
            raise TimeoutError(f"no request was held within {timeout_s:g} s")

    def release(self) -> None:
        """Lets go what was kept back and everything after it; may be called from any thread."""
        with self._lock:
            self._released = True
            waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()

    def park(self, resume: Callable[[], None]) -> None:
        """Calls `resume` at release, in the releasing thread, or now if that has been."""
        with self._lock:
            released = self._released
            if not released:
                self._waiting.append(resume)
        self._seen.set()
        if released:
            resume()


Action = (
    Latency
    | Status
    | Reset
    | Stall
    | DropResponse
    | ResetBody
    | TruncateBody
    | StallBody
    | ShortenBody
    | CorruptByte
    | CorruptSentByte
    | WrongETag
    | Hold
)


class Rule:
    """An action and the requests it is for. `hits` counts those it was applied to."""

    def __init__(
        self,
        action: Action,
        *,
        operation: str | None,
        method: str | None,
        path: str | None,
        query: dict[str, str] | None,
        when: Callable[[Request], bool] | None,
        skip: int,
        times: int | None,
        probability: float,
        seed: int,
    ) -> None:
        self.action = action
        self.hits = 0
        self._operation = operation
        self._method = method
        self._path = None if path is None else re.compile(path)
        self._query = query
        self._when = when
        self._skip = skip
        self._times = times
        self._probability = probability
        self._random = random.Random(seed)

    def takes(self, request: Request) -> bool:
        """Whether this request gets the action; counts it."""
        if self._times is not None and self.hits >= self._times:
            return False
        if not self._fits(request):
            return False
        if self._skip > 0:
            self._skip -= 1
            return False
        if self._probability < 1 and self._random.random() >= self._probability:
            return False
        self.hits += 1
        return True

    def _fits(self, request: Request) -> bool:
        return (
            (self._method is None or request.method == self._method)
            and (self._operation is None or request.operation == self._operation)
            and (self._path is None or self._path.search(request.path) is not None)
            and (self._query is None or self._query.items() <= request.query.items())
            and (self._when is None or self._when(request))
        )
