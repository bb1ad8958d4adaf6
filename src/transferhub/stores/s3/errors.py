"""The one place that says what an S3 answer, or the lack of one, means.

Source: Amazon S3 API Reference, "Error responses", and what compatible servers add to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from html import unescape
from http import HTTPStatus

from transferhub.errors import (
    ArchivedError,
    ChangedError,
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.model.clock import Clock, utc_now
from transferhub.stores.s3.keys import is_unusual
from transferhub.stores.s3.transport import Fault, Response, TransportError


class WrongRegionError(DeniedError):
    """The bucket is not where it was asked for.

    Attributes:
        region: where it is, or "" where the server did not tell.
    """

    default_code = "wrong_region"
    region: str = ""


class Operation(Enum):
    """What was asked of S3: a name for people, and the permission that it takes."""

    LIST = ("listing", "s3:ListBucket")
    HEAD = ("reading the attributes of", "s3:GetObject")
    GET = ("reading", "s3:GetObject")
    PUT = ("writing", "s3:PutObject")
    DELETE = ("deleting", "s3:DeleteObject")
    COPY = ("copying to", "s3:PutObject, and s3:GetObject on the source")
    CREATE_UPLOAD = ("starting an upload of", "s3:PutObject")
    UPLOAD_PART = ("uploading a part of", "s3:PutObject")
    COPY_PART = ("copying a part to", "s3:PutObject, and s3:GetObject on the source")
    COMPLETE_UPLOAD = ("completing the upload of", "s3:PutObject")
    ABORT_UPLOAD = ("giving up the upload of", "s3:AbortMultipartUpload")
    LIST_PARTS = ("listing the parts of", "s3:ListMultipartUploadParts")
    LIST_UPLOADS = ("listing the uploads of", "s3:ListBucketMultipartUploads")
    GET_TAGS = ("reading the tags of", "s3:GetObjectTagging")
    PUT_TAGS = ("tagging", "s3:PutObjectTagging")
    GET_NOTIFICATIONS = ("reading the notifications of", "s3:GetBucketNotification")
    PUT_NOTIFICATIONS = ("changing the notifications of", "s3:PutBucketNotification")

    def __init__(self, words: str, permission: str) -> None:
        self.words = words
        self.permission = permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, and where: the start of every sentence.

    Attributes:
        key: "" where the bucket as a whole was asked.
    """

    operation: Operation
    bucket: str
    key: str
    endpoint: str
    region: str = ""

    def __str__(self) -> str:
        what = f"{self.key!r} in " if self.key else ""
        words = self.operation.words.capitalize()
        return f"{words} {what}s3://{self.bucket} at {self.endpoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the server said."""

    status: int
    code: str = ""
    message: str = ""
    region: str = ""
    request_id: str = ""
    skew_seconds: int | None = None  # this machine's clock minus the server's

    def __str__(self) -> str:
        words = f"{self.status} {self.code}".strip()
        message = self.message.strip().rstrip(".")
        return f"{words}: {message}" if message else words


THROTTLED = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ServiceUnavailable",
        "RequestLimitExceeded",
        "TooManyRequests",
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException",
        "OperationAborted",
        "XMinioServerNotInitialized",
    }
)
TRANSIENT = frozenset(
    {"InternalError", "RequestTimeout", "IncompleteBody", "ServerBusy", "BadGateway"}
)
DENIED = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "InvalidAccessKeyId",
        "InvalidPayer",
        "InvalidSecurity",
        "InvalidToken",
        "InvalidTokenId",
        "TokenRefreshRequired",
        "ExpiredToken",
        "NotSignedUp",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnauthorizedAccess",
        "Forbidden",
        "CrossLocationLoggingProhibited",
        "AccessForbidden",
        "UserDisable",
        "AccountSuspended",
    }
)
UNSUPPORTED = frozenset(
    {
        "NotImplemented",
        "MethodNotAllowed",
        "EntityTooLarge",
        "InvalidStorageClass",
        "MetadataTooLarge",
        "AccessControlListNotSupported",
        "UnsupportedOperation",
        "InvalidTag",
    }
)
BAD_KEY = frozenset(
    {
        "KeyTooLongError",
        "KeyTooLong",
        "InvalidURI",
        "InvalidObjectName",
        "XMinioInvalidObjectName",
        "XMinioObjectNameTooLong",
        "XMinioInvalidResourceName",
        "XMinioParentIsObject",
        "ParentIsObject",
        "ObjectExistsAsDirectory",
        "ExistingObjectIsDirectory",
        "ExistingObjectIsFile",
    }
)
CORRUPT = frozenset(
    {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
)
WRONG_REGION = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "InvalidRegionName",
        "IncorrectEndpoint",
    }
)
_HTTPS = re.compile(r"HTTP request .* HTTPS (?:server|port)")
_VAGUE = frozenset({"", "InvalidArgument", "InvalidRequest"})
_LONGEST_WORDS = 200
_FIELD = re.compile(r"<(Code|Message|Region|Endpoint|RequestId|ServerTime)>([^<]*)</\1>")
# As the root only: the answer of DeleteObjects holds such elements for its keys.
_ERROR = re.compile(rb"\s*(?:<\?[^>]*\?>\s*)?<(?:\w+:)?Error[\s>/]")


def refusal_of(response: Response, body: bytes, *, clock: Clock = utc_now) -> Refusal:
    """What an answer says that is no success. `body` may be empty or no XML."""
    fields = _fields(body)
    region = response.header("x-amz-bucket-region") or fields.get("Region", "")
    return Refusal(
        status=response.status,
        code=fields.get("Code", ""),
        message=fields.get("Message", "") or _plain(body),
        region=region,
        request_id=response.header("x-amz-request-id") or fields.get("RequestId", ""),
        skew_seconds=_seconds_ahead(fields.get("ServerTime", "") or response.header("date"), clock),
    )


def _plain(body: bytes) -> str:
    """The words of an answer that is no document: from a server of another kind."""
    text = body[:_LONGEST_WORDS].decode(errors="replace")
    return "" if "<" in text else " ".join(text.split())


def holds_error(body: bytes) -> bool:
    """Whether an answer of status 200 is a failure all the same.

    CompleteMultipartUpload, CopyObject and UploadPartCopy send their status before they have done
    the work."""
    return _ERROR.match(body) is not None


def _fields(body: bytes) -> Mapping[str, str]:
    text = body[:8192].decode(errors="replace")
    # The first of each: what stands in a nested element comes later.
    return {name: unescape(value) for name, value in reversed(_FIELD.findall(text))}


def classed(asked: Asked, said: Refusal) -> StoreError:
    """The error that a refusal is."""
    kind, code, advice = _class(asked, said)
    error = kind(
        f"{asked} failed ({said}): {advice}.",
        code=code,
        status=said.status,
        vendor_code=said.code,
        request_id=said.request_id,
    )
    if isinstance(error, WrongRegionError):
        error.region = said.region
    return error


Class = tuple[type[StoreError], str | None, str]
"""Which error, its code (None: the kind's own), and what to do."""


def _class(asked: Asked, said: Refusal) -> Class:
    for rule in (_passing, _misdirected, _missing, _conditional, _refused, _impossible):
        found = rule(asked, said)
        if found is not None:
            return found
    return _by_status(asked, said)


def _passing(_asked: Asked, said: Refusal) -> Class | None:
    if said.code in THROTTLED or said.status in {429, 503}:
        return ThrottledError, None, "the store asks to slow down, which happens by itself"
    if said.code in TRANSIENT:
        return TransientError, None, "it is tried again"
    return None


def _misdirected(asked: Asked, said: Refusal) -> Class | None:
    if said.status == HTTPStatus.BAD_REQUEST and _HTTPS.search(said.message):
        return DeniedError, "tls", "the endpoint is https and not http"
    wrong = said.code in WRONG_REGION or said.status in {301, 302, 307, 308}
    if not wrong and said.region and said.region != asked.region:
        wrong = said.status == HTTPStatus.BAD_REQUEST
    if not wrong:
        return None
    if said.region:
        advice = f"the bucket is in the region {said.region!r}; set the region to it"
    elif said.code or asked.operation is not Operation.LIST:
        advice = "the bucket is in another region; set the region and the endpoint to its own"
    else:
        advice = "the endpoint points elsewhere; check it"
    if said.status in {301, 302, 307, 308} and not said.code and not said.region and asked.key:
        # A server that cleans paths answers so: it would act on another key.
        return UnsupportedError, "bad_key", "the server takes this key for another one"
    return WrongRegionError, "wrong_region", advice


def _missing(_asked: Asked, said: Refusal) -> Class | None:
    match said.code:
        case "NoSuchBucket":
            return NotFoundError, "no_bucket", "there is no such bucket; check its name"
        case "NoSuchUpload":
            return NotFoundError, "no_upload", "the upload is not open any more"
        case "NoSuchKey" | "NoSuchVersion":
            return NotFoundError, None, "there is no such object"
        case "NoSuchTagSet":
            return NotFoundError, None, "the object has no tags"
        case "InvalidBucketName":
            return NotFoundError, "no_bucket", "a bucket cannot have this name; check it"
        case _:
            return None


def _conditional(_asked: Asked, said: Refusal) -> Class | None:
    if said.code in {"PreconditionFailed", "ConditionalRequestConflict"} or (
        said.status == HTTPStatus.PRECONDITION_FAILED
    ):
        return ChangedError, None, "the object is not the version that was listed"
    if said.code in {"InvalidObjectState", "ObjectNotInActiveTierError", "RestoreInProgress"}:
        return ArchivedError, None, "the object is archived; restore it first"
    if said.code in CORRUPT:
        return CorruptError, None, "the bytes did not arrive as they were sent"
    if said.code == "InvalidPart":
        return CorruptError, "bad_part", "the store does not hold a part as it was uploaded"
    return None


_KEY_UNKNOWN: Class = (
    DeniedError,
    "bad_credentials",
    "the store does not know the access key; check the credentials",
)
_SECRET_WRONG: Class = (DeniedError, "bad_credentials", "check the secret access key")
_TOKEN_WRONG: Class = (
    DeniedError,
    "bad_credentials",
    "the session token is not valid; check the credentials",
)
_EXPIRED: Class = (
    DeniedError,
    "expired_credentials",
    "the session token has expired; get new credentials",
)
_CREDENTIALS: Mapping[str, Class] = {
    "InvalidAccessKeyId": _KEY_UNKNOWN,
    "SignatureDoesNotMatch": _SECRET_WRONG,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _TOKEN_WRONG,
    "InvalidTokenId": _TOKEN_WRONG,
}


def _refused(asked: Asked, said: Refusal) -> Class | None:
    if said.code in _CREDENTIALS:
        return _CREDENTIALS[said.code]
    if said.code == "RequestTimeTooSkewed":
        return DeniedError, "clock_skew", _skew(said.skew_seconds)
    if "kms" in f"{said.code}{said.message}".lower() and said.status in _BY_KMS:
        advice = "grant kms:GenerateDataKey and kms:Decrypt on the KMS key and check its id"
        return DeniedError, None, advice
    if said.code in DENIED:
        return DeniedError, None, f"grant {asked.operation.permission}"
    return None


_BY_KMS = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)


def _impossible(asked: Asked, said: Refusal) -> Class | None:
    # A plain 400 to an unusual key is about the key.
    about_key = said.status == HTTPStatus.BAD_REQUEST and asked.key and is_unusual(asked.key)
    if said.code in BAD_KEY or (about_key and said.code in _VAGUE):
        return UnsupportedError, "bad_key", "the store cannot hold this key"
    if said.code in UNSUPPORTED:
        return UnsupportedError, None, "the store cannot do this"
    return None


_RETRIED: Class = (TransientError, None, "it is tried again")
_CANNOT: Class = (UnsupportedError, None, "the store cannot do this")
_PROXY = "the proxy does not let it through; check its address, user and password"
_STATUSES: Mapping[int, Class] = {
    200: (TransientError, "garbled", "the answer is not what S3 would send; check the endpoint"),
    404: (NotFoundError, None, "there is no such object, or no such bucket"),
    405: _CANNOT,
    407: (TransientError, "unreachable", _PROXY),
    408: _RETRIED,
    414: (UnsupportedError, "bad_key", "the store cannot hold this key"),
    425: _RETRIED,
    501: _CANNOT,
}


def _by_status(asked: Asked, said: Refusal) -> Class:
    """Answers without a code that is known: those to HEAD have no body at all."""
    match said.status:
        case 400 if asked.operation is Operation.HEAD:
            return DeniedError, None, "check the region and whether the credentials have expired"
        case 401 | 403:
            return DeniedError, None, _denied(asked)
        case 404 if not asked.key:
            return (
                NotFoundError,
                "no_bucket",
                "there is no such bucket, or this is no S3 server; check the name and the endpoint",
            )
        case 200 if said.code:
            # A failure that is told in the body of a success.
            return _RETRIED
        case status if status in _STATUSES:
            return _STATUSES[status]
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _RETRIED
        case _:
            return UnsupportedError, None, "the store refuses the request"


def _denied(asked: Asked) -> str:
    if asked.operation in {Operation.HEAD, Operation.GET}:
        # Without s3:ListBucket, S3 does not tell that an object is missing.
        return (
            f"grant {asked.operation.permission}, or the object is missing; check the credentials"
        )
    return f"grant {asked.operation.permission}, or check the credentials"


def _skew(seconds: int | None) -> str:
    if seconds is None:
        return "this machine's clock is wrong; set it"
    way = "ahead of" if seconds > 0 else "behind"
    return f"this machine's clock is {abs(seconds)} seconds {way} the store's; set it"


def _seconds_ahead(date: str, clock: Clock) -> int | None:
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        try:
            there = datetime.fromisoformat(date)
        except ValueError:
            return None
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    return round((clock() - there).total_seconds())


def unreachable(asked: Asked, error: TransportError) -> StoreError:
    """The error that a missing answer is."""
    kind, code, words = _FAULTS[error.fault]
    return kind(f"{asked} failed: {words} ({error.detail}).", code=code)


_FAULTS: Mapping[Fault, Class] = {
    Fault.UNRESOLVED: (
        TransientError,
        "unreachable",
        "the host's name has no address; check the endpoint, the region and the network",
    ),
    Fault.BLOCKED: (
        DeniedError,
        "blocked_address",
        "it is a link-local address or a metadata service, which the hub does not reach",
    ),
    Fault.REFUSED: (
        TransientError,
        "unreachable",
        "nobody answers there; check the endpoint, its port, and the proxy",
    ),
    Fault.UNTRUSTED: (
        DeniedError,
        "tls",
        "the server's certificate is not trusted; give its CA bundle, or check the endpoint",
    ),
    Fault.EXPIRED: (
        DeniedError,
        "tls",
        "the server's certificate is not valid today; have it renewed, or set this machine's clock",
    ),
    Fault.OTHER_HOST: (
        DeniedError,
        "tls",
        "the server's certificate belongs to another host; check the endpoint",
    ),
    Fault.NOT_TLS: (
        DeniedError,
        "tls",
        "no TLS connection could be agreed on; check whether the endpoint is http or https",
    ),
    Fault.PROXY: (TransientError, "unreachable", _PROXY),
    Fault.TIMEOUT: (TransientError, "timeout", "no answer came in time"),
    Fault.UNANSWERED: (TransientError, None, "the connection was closed instead of an answer"),
    Fault.BROKEN: (TransientError, None, "the connection ended early"),
    Fault.GARBLED: (
        TransientError,
        "garbled",
        "what came is not an answer of S3; check the endpoint",
    ),
}


def short_body(asked: Asked, got: int, wanted: int) -> TransientError:
    return TransientError(
        f"{asked} failed: {got} of {wanted} bytes came before the connection ended."
    )


def garbled(asked: Asked, detail: str) -> TransientError:
    """An answer that S3 would not give."""
    return TransientError(
        f"{asked} failed: the answer is not what S3 would send; check the endpoint ({detail}).",
        code="garbled",
    )


def bad_key(asked: Asked, reason: str) -> UnsupportedError:
    """A key that is refused before anything is sent."""
    return UnsupportedError(f"{asked} is refused: {reason}.", code="bad_key")
