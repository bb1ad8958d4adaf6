"""The one place that says what skopeo's last words mean.

Source: the messages of skopeo 1.9.3 as it gives them for each fault of a registry or of the network
(tests/integration/test_skopeo_faults.py), and of containers/image since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries.errors import Asked, Operation, Refusal, classed, unreachable
from transferhub.registries.skopeo_log import SkopeoLog
from transferhub.stores.s3.transport import Fault, TransportError

_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One end of a copy, as sentences name it.

    Attributes:
        reference: a tag or a digest.
        anonymous: nobody's login goes along.
    """

    host: str
    repository: str
    reference: str
    anonymous: bool


def failure(source: Place, destination: Place, log: SkopeoLog, status: int) -> StoreError:
    """The error to raise for a copy that ended so.

    Args:
        log: with the secrets taken out.
        status: the process's; negative is the signal that killed it.
    """
    words = _tidy(log.fatal)
    if not words:
        return _wordless(source, destination, log, status)
    at_destination, operation = _stage(words, source, destination)
    place = destination if at_destination else source
    reference = place.reference
    if blob := _BLOB.search(words):
        reference = blob[0] if operation in _OF_BLOBS else reference
    asked = Asked(operation=operation, host=place.host)
    if operation is not Operation.GREET:
        asked = replace(asked, repository=place.repository, reference=reference)
    error = _error(asked, place, words)
    if isinstance(error, ThrottledError):
        error.retry_after = log.wait
    return error


_OF_BLOBS = frozenset({Operation.GET_BLOB, Operation.HEAD_BLOB, Operation.PUT_BLOB})
_BLOB = re.compile(r"sha256:[0-9a-f]{64}")
_QUERY = re.compile(r"\?[^\s\"]*[^\s\":]")
_UPLOAD = re.compile(r"/blobs/uploads/[^\s\":]+")


def _tidy(fatal: str) -> str:
    """Without what signs or names a single upload."""
    short = _UPLOAD.sub("/blobs/uploads/…", _QUERY.sub("", fatal))
    return " ".join(short.split())


def _wordless(source: Place, destination: Place, log: SkopeoLog, status: int) -> StoreError:
    how = f"signal {-status} ended it" if status < 0 else f"it ended with status {status}"
    told = " ".join(log.other.split())[-_LONGEST_WORDS:]
    return TransientError(
        f"Copying {source.repository} from {source.host} to {destination.repository} at"
        f" {destination.host} failed: skopeo did not say why, and {how}"
        f"{f' ({told})' if told else ''}."
    )


_OUTER = re.compile(r"^(?:copying image \d+/\d+ from manifest list|copying system image[^:]*): ")
_STAGES: tuple[tuple[re.Pattern[str], bool, Operation], ...] = (
    # A source that breaks off while a blob is sent on: the destination saw that first.
    (re.compile(r"happened during read:|^Digest did not match"), False, Operation.GET_BLOB),
    (re.compile(r"^(?:Error )?reading (?:config )?blob"), False, Operation.GET_BLOB),
    (re.compile(r"^initializing source|^determining manifest|^choosing"), False, Operation.GET),
    (re.compile(r"^reading manifest"), False, Operation.GET),
    (re.compile(r"^trying to reuse blob"), True, Operation.HEAD_BLOB),
    (re.compile(r"^writing blob"), True, Operation.PUT_BLOB),
    (re.compile(r"^initializing destination"), True, Operation.GREET),
    (re.compile(r"^(?:writing|uploading) manifest"), True, Operation.PUT),
)
_PINGING = re.compile(r"pinging container registry")


def _stage(words: str, source: Place, destination: Place) -> tuple[bool, Operation]:
    """Whether the destination failed, and at what."""
    inner = _OUTER.sub("", words)
    found = next(((there, done) for mark, there, done in _STAGES if mark.search(inner)), None)
    there, operation = found or (_names(words, destination) > _names(words, source), Operation.GET)
    return there, Operation.GREET if _PINGING.search(words) else operation


def _names(words: str, place: Place) -> int:
    return words.count(f"{place.host}/{place.repository}")


def _error(asked: Asked, place: Place, words: str) -> StoreError:
    for rule in (_spoilt, _impossible, _unanswered, _refused):
        found = rule(asked, place, words)
        if found is not None:
            return found
    return TransientError(f"{asked} failed ({_end(words)}): it is tried again.")


def _end(words: str) -> str:
    """The last words name the cause."""
    return words if len(words) <= _LONGEST_WORDS else f"…{words[-_LONGEST_WORDS:]}"


_SPOILT = re.compile(r"Digest did not match.*|[^:]*does not match (?:provided|expected).*")


def _spoilt(asked: Asked, _place: Place, words: str) -> StoreError | None:
    found = _SPOILT.search(words)
    if found is None:
        return None
    return CorruptError(
        f"{asked} failed ({_end(found[0].strip())}): what stands between, or the registry, changes"
        " the bytes."
    )


_NESTED = re.compile(r"received a manifest list instead of a manifest")
_NO_PLATFORM = re.compile(r"no image found in (?:image index|manifest list) for (.+)")
_BLOCKED = re.compile(r"registry \S+ is blocked in .*")
_CONVERTED = re.compile(r"Instructed to preserve digests|cannot modify it|unsupported manifest")


def _impossible(asked: Asked, _place: Place, words: str) -> StoreError | None:
    if _NESTED.search(words):
        advice = "it is an index of indexes, which skopeo cannot copy at once; copy each inner one"
        return UnsupportedError(f"{asked} failed: {advice}.", code="nested_index")
    if found := _NO_PLATFORM.search(words):
        return NotFoundError(
            f"{asked} failed: the image is not for {found[1]}; choose a platform that it has.",
            code="no_platform",
        )
    if found := _BLOCKED.search(words):
        return DeniedError(
            f"{asked} failed ({_end(found[0])}): the settings of this machine's containers forbid"
            " the registry; change them, or run it elsewhere."
        )
    if _CONVERTED.search(words):
        return UnsupportedError(
            f"{asked} failed ({_end(words)}): it cannot be copied without changing its digest.",
            code="bad_manifest",
        )
    return None


_FAULTS: tuple[tuple[re.Pattern[str], Fault], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (r"proxyconnect|Proxy Authentication Required", Fault.PROXY),
        (r"no such host|server misbehaving|name resolution", Fault.UNRESOLVED),
        (r"x509: certificate has expired or is not yet valid", Fault.EXPIRED),
        (r"x509: (?:certificate is (?:not )?valid for|cannot validate)|IP SANs", Fault.OTHER_HOST),
        (r"x509: ", Fault.UNTRUSTED),
        (r"HTTP response to HTTPS client|first record does not look", Fault.NOT_TLS),
        (r"remote error: tls|tls: (?!.*timeout)", Fault.NOT_TLS),
        (r"connection refused|no route to host|network is unreachable", Fault.REFUSED),
        (r"timeout|timed out|deadline exceeded", Fault.TIMEOUT),
        (r"malformed HTTP", Fault.GARBLED),
        (r"connection reset|broken pipe|closed network connection", Fault.BROKEN),
        (r"server closed|http2: |\bEOF$", Fault.BROKEN),
    )
)
_NETWORK = re.compile(
    r"(?:\b(?:Get|Head|Put|Post|Patch) \"|(?:dial|read|write|readfrom) tcp|x509: |\bEOF$|http2: ).*"
)


def _unanswered(asked: Asked, _place: Place, words: str) -> StoreError | None:
    """The network's faults; words that a registry chose are none of them."""
    found = _NETWORK.search(words)
    if found is None:
        return None
    detail = _end(found[0])
    for pattern, fault in _FAULTS:
        if pattern.search(found[0]):
            return unreachable(asked, TransportError(fault, detail), host=asked.host)
    return None


_STATUS = re.compile(
    r"(?:invalid status code from registry|unexpected HTTP status:|StatusCode:"
    r"|failed to read from destination repository \S+?:) ?(\d{3})\b[ ,:]*(.*)"
)
_CODES: Mapping[str, int] = {
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "TOOMANYREQUESTS": 429,
    "UNAVAILABLE": 503,
    "NAME_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNVERIFIED": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 404,
    "DIGEST_INVALID": 400,
    "SIZE_INVALID": 400,
    "TAG_INVALID": 400,
    "UNKNOWN": 400,
}
"""The distribution specification's codes, which skopeo tells in small letters, and the status that
it leaves out. A 5xx is told by its number, so UNKNOWN is one of the 4xx."""
_CODE = re.compile(
    "(?:: |^)("
    + "|".join(sorted((code.lower().replace("_", " ") for code in _CODES), key=len, reverse=True))
    + r")(?:: (.*))?$"
)
_TOO_MANY = re.compile(r"too many requests? to registry|toomanyrequests", re.IGNORECASE)
_BAD_LOGIN = re.compile(r"invalid username/password")
_LATE = re.compile(r"time-?d? ?out", re.IGNORECASE)


def _refused(asked: Asked, place: Place, words: str) -> StoreError | None:
    said = _said(words, anonymous=place.anonymous)
    if said is None:
        return None
    if _BAD_LOGIN.search(words) and not place.anonymous:
        # Any other 401 may be about this repository alone: Docker Hub answers so.
        asked = Asked(operation=Operation.GREET, host=asked.host)
    return classed(asked, said)


def _said(words: str, *, anonymous: bool) -> Refusal | None:
    def refusal(status: int, code: str, message: str) -> Refusal:
        return Refusal(
            status=status, code=code, message=_end(message.strip(' "()')), anonymous=anonymous
        )

    if found := _BAD_LOGIN.search(words):
        return refusal(401, "UNAUTHORIZED", found[0])
    if _TOO_MANY.search(words):
        return refusal(429, "TOOMANYREQUESTS", words.rpartition("toomanyrequests:")[2])
    if found := _STATUS.search(words):
        return refusal(int(found[1]), "", found[2])
    if found := _CODE.search(words):
        code, message = found[1].upper().replace(" ", "_"), found[2] or ""
        late = code == "UNKNOWN" and _LATE.search(message)
        return refusal(408 if late else _CODES[code], code, message)
    return None
