"""The one place that says what a registry's answer, or the lack of one, means.

Source: OCI distribution-spec 1.1, "Error codes", and what Amazon ECR, Docker Hub, Harbor, Quay and
Google add to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.stores.s3.transport import Fault, TransportError


class Operation(Enum):
    """What was asked of a registry: a name for people, and the right that it takes."""

    GREET = ("reaching the registry", "log in")
    CATALOG = ("listing the repositories", "list the catalog")
    TAGS = ("listing the tags of", "pull from it")
    HEAD = ("looking at", "pull from it")
    GET = ("reading the manifest of", "pull from it")
    PUT = ("writing the manifest of", "push to it")
    DELETE = ("deleting", "delete from it")
    REFERRERS = ("listing the referrers of", "pull from it")
    HEAD_BLOB = ("looking for the blob", "pull from it")
    GET_BLOB = ("reading the blob", "pull from it")
    PUT_BLOB = ("uploading the blob", "push to it")
    MOUNT = ("mounting the blob", "push to it and pull from the other")

    def __init__(self, words: str, right: str) -> None:
        self.words = words
        self.right = right


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, and where: the start of every sentence.

    Attributes:
        repository: "" where the registry as a whole was asked.
        reference: a tag or digest; "" where the repository as a whole was asked.
    """

    operation: Operation
    host: str
    repository: str = ""
    reference: str = ""

    def __str__(self) -> str:
        mark = "@" if ":" in self.reference else ":"
        what = self.repository + (f"{mark}{self.reference}" if self.reference else "")
        words = self.operation.words.capitalize()
        return f"{words} {what} at {self.host}" if what else f"{words} at {self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the registry said.

    Attributes:
        anonymous: nobody's login went along.
        by_password: a login did, and no token.
    """

    status: int
    code: str = ""
    message: str = ""
    request_id: str = ""
    anonymous: bool = False
    by_password: bool = False

    def __str__(self) -> str:
        words = f"{self.status} {self.code}".strip()
        message = self.message.strip().rstrip(".")
        return f"{words}: {message}" if message else words


_LONGEST_WORDS = 300


def words_of(body: bytes) -> tuple[str, str]:
    """The code and the message of an answer; "" where it has none."""
    try:
        document = json.loads(body)
    except ValueError:
        text = body[:_LONGEST_WORDS].decode(errors="replace")
        return "", "" if "<" in text else " ".join(text.split())
    return _first_error(document)


def _first_error(document: object) -> tuple[str, str]:
    match document:
        case {"errors": [{**first}, *_]}:
            return str(first.get("code") or ""), _short(first.get("message"))
        case {"errors": [str(message), *_]}:
            return "", _short(message)
        case {"details": str(message)} | {"error_description": str(message)}:
            return "", _short(message)
        case {"message": str(message)} | {"error": str(message)}:
            return "", _short(message)
        case _:
            return "", ""


def _short(message: object) -> str:
    return " ".join(str(message or "").split())[:_LONGEST_WORDS]


def classed(asked: Asked, said: Refusal) -> StoreError:
    """The error that a refusal is."""
    kind, code, advice = _class(asked, said)
    return kind(
        f"{asked} failed ({said}): {advice}.",
        code=code,
        status=said.status,
        vendor_code=said.code,
        request_id=said.request_id,
    )


Class = tuple[type[StoreError], str | None, str]
"""Which error, its code (None: the kind's own), and what to do."""

_IMMUTABLE = re.compile(r"immutab|cannot be overwritten", re.IGNORECASE)
_QUOTA = re.compile(
    r"quota|upper limit|limit ?exceeded|insufficient.storage|storage.limit|payment", re.IGNORECASE
)
_EXPIRED = re.compile(r"token.{0,9}expired|expired.{0,9}token", re.IGNORECASE)
_THROTTLED = frozenset({"TOOMANYREQUESTS", "TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _class(asked: Asked, said: Refusal) -> Class:
    for rule in (_passing, _misdirected, _full, _missing, _malformed, _refused):
        found = rule(asked, said)
        if found is not None:
            return found
    return _by_status(asked, said)


_RETRIED: Class = (TransientError, None, "it is tried again")
_SLOWER: Class = (
    ThrottledError,
    None,
    "the registry asks to slow down; log in for more, or ask for less at once",
)


def _passing(_asked: Asked, said: Refusal) -> Class | None:
    if said.status == HTTPStatus.TOO_MANY_REQUESTS or said.code in _THROTTLED:
        return _SLOWER
    if said.code in {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}:
        return TransientError, None, "the upload was lost and starts over"
    return None


def _misdirected(_asked: Asked, said: Refusal) -> Class | None:
    if said.status == HTTPStatus.BAD_REQUEST and "HTTPS server" in said.message:
        return DeniedError, "tls", "the registry speaks HTTPS; do not ask for plain HTTP"
    return None


def _full(_asked: Asked, said: Refusal) -> Class | None:
    said_so = f"{said.code} {said.message}"
    if said.status >= HTTPStatus.BAD_REQUEST and _IMMUTABLE.search(said_so):
        advice = "the tag holds another image and may not be moved; give the new image another tag"
        return DeniedError, "immutable_tag", advice
    full = said.status == HTTPStatus.INSUFFICIENT_STORAGE
    if full or (said.status < HTTPStatus.INTERNAL_SERVER_ERROR and _QUOTA.search(said_so)):
        advice = "a limit of the registry is reached; delete images there, or have it raised"
        return DeniedError, "quota", advice
    return None


_NO_REPOSITORY: Class = (
    NotFoundError,
    "no_repository",
    "there is no such repository; check its name, or create it",
)
_NO_CATALOG: Class = (
    UnsupportedError,
    "no_catalog",
    "the registry does not list its repositories; name those that are wanted",
)


def _missing(asked: Asked, said: Refusal) -> Class | None:
    match said.code:
        case "NAME_UNKNOWN" if asked.repository:
            return _NO_REPOSITORY
        case "MANIFEST_UNKNOWN":
            return NotFoundError, None, "there is no such image; check its tag or digest"
        case "BLOB_UNKNOWN":
            return NotFoundError, None, "there is no such blob"
        case "MANIFEST_BLOB_UNKNOWN":
            return (
                NotFoundError,
                "no_blob",
                "the repository does not hold all that the manifest names; copy that first",
            )
        case _:
            return None


def _malformed(asked: Asked, said: Refusal) -> Class | None:
    match said.code:
        case "DIGEST_INVALID" | "SIZE_INVALID":
            return CorruptError, None, "the bytes did not arrive as they were sent"
        case "NAME_INVALID" | "TAG_INVALID":
            return UnsupportedError, "bad_reference", "the registry cannot hold this name"
        case "MANIFEST_INVALID" | "MANIFEST_UNVERIFIED":
            return (
                UnsupportedError,
                "bad_manifest",
                "the registry cannot hold a manifest of this kind",
            )
        case "UNSUPPORTED" if asked.operation is Operation.CATALOG:
            return _NO_CATALOG
        case "UNSUPPORTED":
            return UnsupportedError, None, _CANNOT
        case _:
            return None


_CANNOT = "the registry cannot do this, or its settings forbid it"


_NOT_OPEN = "it is not open to everybody, or does not exist; give a user and a password"
_CHECK_LOGIN = "check the user and the password"


def _refused(asked: Asked, said: Refusal) -> Class | None:
    if said.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return None
    if _EXPIRED.search(said.message):
        return DeniedError, "expired_credentials", "the login has expired; get a new one"
    everywhere = asked.operation is Operation.GREET or said.by_password
    if said.anonymous:
        return DeniedError, "no_credentials" if everywhere else None, _NOT_OPEN
    if everywhere and said.status == HTTPStatus.UNAUTHORIZED:
        return DeniedError, "bad_credentials", _CHECK_LOGIN
    if asked.operation is Operation.CATALOG:
        return DeniedError, None, "the login may not list the catalog; name the repositories"
    return (
        DeniedError,
        None,
        f"let the login {asked.operation.right}, or the repository does not exist; check both",
    )


NO_REGISTRY: Class = (
    UnsupportedError,
    "no_registry",
    "what answers there is no registry; check the host and its port",
)
_GARBLED = "the answer is not what a registry would send; check the host"
_FORBIDS: Class = (UnsupportedError, None, _CANNOT)
_NO_IMAGE = "there is no such image or repository; check the name"
_TOO_LARGE = "the registry, or what stands before it, takes no more"
_STATUSES: Mapping[int, Class] = {
    404: _NO_REPOSITORY,
    405: _FORBIDS,
    408: _RETRIED,
    413: (DeniedError, "quota", _TOO_LARGE),
    425: _RETRIED,
    501: _FORBIDS,
    **dict.fromkeys(_REDIRECTS, NO_REGISTRY),
}
_OF_CATALOG = {400: _NO_CATALOG, 404: _NO_CATALOG, 405: _NO_CATALOG, 501: _NO_CATALOG}


def _by_status(asked: Asked, said: Refusal) -> Class:
    """Answers without a code that is known: those to HEAD have no body at all."""
    missing = said.status == HTTPStatus.NOT_FOUND
    if missing and asked.operation is Operation.GREET:
        return NO_REGISTRY
    if asked.operation is Operation.CATALOG and said.status in _OF_CATALOG:
        return _OF_CATALOG[said.status]
    if missing and asked.reference:
        return NotFoundError, None, _NO_IMAGE
    if said.status in _STATUSES:
        return _STATUSES[said.status]
    if said.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _RETRIED
    if said.status < HTTPStatus.BAD_REQUEST:
        return TransientError, "garbled", _GARBLED
    return UnsupportedError, None, "the registry refuses the request"


def no_registry(asked: Asked, detail: str) -> StoreError:
    kind, code, advice = NO_REGISTRY
    return kind(f"{asked} failed ({detail}): {advice}.", code=code)


def garbled(asked: Asked, detail: str) -> TransientError:
    """An answer that a registry would not give."""
    return TransientError(f"{asked} failed ({detail}): {_GARBLED}.", code="garbled")


def corrupt(asked: Asked, got: str, wanted: str) -> CorruptError:
    return CorruptError(
        f"{asked} failed: the bytes have the digest {got} and not {wanted}; what stands between,"
        " or the registry, changes them."
    )


def login_refused(asked: Asked, place: str, said: Refusal) -> StoreError:
    """What the place that gives tokens said instead of giving one."""
    passing = classed(Asked(operation=Operation.GREET, host=place), said)
    if passing.retryable:
        return passing
    wrong = not said.anonymous and said.status == HTTPStatus.UNAUTHORIZED
    advice = _NOT_OPEN if said.anonymous else _CHECK_LOGIN
    return DeniedError(
        f"{asked} failed, because {place} gave no token for it ({said}): {advice}.",
        code="bad_credentials" if wrong else "denied",
        status=said.status,
        vendor_code=said.code,
    )


def unreachable(asked: Asked, error: TransportError, *, host: str) -> StoreError:
    """The error that a missing answer is.

    Args:
        host: who did not answer: the registry, or where it sent us.
    """
    kind, code, words = _FAULTS[error.fault]
    where = "" if host == asked.host else f"{host}: "
    return kind(f"{asked} failed: {where}{words} ({error.detail}).", code=code)


_FAULTS: Mapping[Fault, Class] = {
    Fault.UNRESOLVED: (
        TransientError,
        "unreachable",
        "the host's name has no address; check the name and the network",
    ),
    Fault.BLOCKED: (
        DeniedError,
        "blocked_address",
        "it is a link-local address or a metadata service, which the hub does not reach",
    ),
    Fault.REFUSED: (
        TransientError,
        "unreachable",
        "nobody answers there; check the host, its port, and the proxy",
    ),
    Fault.UNTRUSTED: (
        DeniedError,
        "tls",
        "the server's certificate is not trusted; give its CA bundle, or check the host",
    ),
    Fault.EXPIRED: (
        DeniedError,
        "tls",
        "the server's certificate is not valid today; have it renewed, or set this machine's clock",
    ),
    Fault.OTHER_HOST: (
        DeniedError,
        "tls",
        "the server's certificate belongs to another host; check the host",
    ),
    Fault.NOT_TLS: (
        DeniedError,
        "tls",
        "no TLS connection could be agreed on; ask for plain HTTP if the registry speaks that",
    ),
    Fault.PROXY: (
        TransientError,
        "unreachable",
        "the proxy does not let it through; check its address, user and password",
    ),
    Fault.TIMEOUT: (TransientError, "timeout", "no answer came in time"),
    Fault.UNANSWERED: (TransientError, None, "the connection was closed instead of an answer"),
    Fault.BROKEN: (TransientError, None, "the connection ended early"),
    Fault.GARBLED: (TransientError, "garbled", "what came is not HTTP; check the host"),
}
