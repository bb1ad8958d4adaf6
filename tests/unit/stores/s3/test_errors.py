import pickle
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stores.s3.scripted import Answer, error, scripted
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
from transferhub.stores.s3 import errors
from transferhub.stores.s3.errors import (
    Asked,
    Operation,
    WrongRegionError,
    classed,
    refusal_of,
    unreachable,
)
from transferhub.stores.s3.transport import Fault, TransportError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GET = Asked(
    operation=Operation.GET,
    bucket="bucket",
    key="a key",
    endpoint="https://s3.eu-west-1.amazonaws.com",
    region="eu-west-1",
)
LIST = Asked(operation=Operation.LIST, bucket="bucket", key="", endpoint=GET.endpoint)
PUT = Asked(operation=Operation.PUT, bucket="bucket", key="a key", endpoint=GET.endpoint)
HEAD = Asked(operation=Operation.HEAD, bucket="bucket", key="a key", endpoint=GET.endpoint)
ALL_CODES = sorted(
    errors.THROTTLED
    | errors.TRANSIENT
    | errors.DENIED
    | errors.UNSUPPORTED
    | errors.BAD_KEY
    | errors.CORRUPT
    | errors.WRONG_REGION
)


def said(answer: Answer, asked: Asked = GET) -> StoreError:
    return classed(asked, refusal_of(answer, answer.body, clock=lambda: NOW))


@pytest.mark.parametrize(
    ("code", "status", "kind", "name"),
    [
        ("SlowDown", 503, ThrottledError, "throttled"),
        ("ServiceUnavailable", 503, ThrottledError, "throttled"),
        ("RequestLimitExceeded", 400, ThrottledError, "throttled"),
        ("", 429, ThrottledError, "throttled"),
        ("", 503, ThrottledError, "throttled"),
        ("InternalError", 500, TransientError, "transient"),
        ("InternalError", 200, TransientError, "transient"),
        ("NeverHeardOfIt", 200, TransientError, "transient"),
        ("RequestTimeout", 400, TransientError, "transient"),
        ("IncompleteBody", 400, TransientError, "transient"),
        ("", 500, TransientError, "transient"),
        ("", 502, TransientError, "transient"),
        ("", 504, TransientError, "transient"),
        ("", 407, TransientError, "unreachable"),
        ("", 408, TransientError, "transient"),
        ("AccessDenied", 403, DeniedError, "denied"),
        ("", 403, DeniedError, "denied"),
        ("", 401, DeniedError, "denied"),
        ("InvalidAccessKeyId", 403, DeniedError, "bad_credentials"),
        ("SignatureDoesNotMatch", 403, DeniedError, "bad_credentials"),
        ("InvalidToken", 400, DeniedError, "bad_credentials"),
        ("ExpiredToken", 400, DeniedError, "expired_credentials"),
        ("RequestTimeTooSkewed", 403, DeniedError, "clock_skew"),
        ("PermanentRedirect", 301, WrongRegionError, "wrong_region"),
        ("AuthorizationHeaderMalformed", 400, WrongRegionError, "wrong_region"),
        ("IllegalLocationConstraintException", 400, WrongRegionError, "wrong_region"),
        ("KMS.DisabledException", 400, DeniedError, "denied"),
        ("NoSuchBucket", 404, NotFoundError, "no_bucket"),
        ("InvalidBucketName", 400, NotFoundError, "no_bucket"),
        ("NoSuchKey", 404, NotFoundError, "not_found"),
        ("NoSuchUpload", 404, NotFoundError, "no_upload"),
        ("", 404, NotFoundError, "not_found"),
        ("PreconditionFailed", 412, ChangedError, "changed"),
        ("", 412, ChangedError, "changed"),
        ("InvalidObjectState", 403, ArchivedError, "archived"),
        ("BadDigest", 400, CorruptError, "corrupt"),
        ("XAmzContentSHA256Mismatch", 400, CorruptError, "corrupt"),
        ("InvalidPart", 400, CorruptError, "bad_part"),
        ("KeyTooLongError", 400, UnsupportedError, "bad_key"),
        ("XMinioInvalidObjectName", 400, UnsupportedError, "bad_key"),
        ("", 414, UnsupportedError, "bad_key"),
        ("NotImplemented", 501, UnsupportedError, "unsupported"),
        ("MethodNotAllowed", 405, UnsupportedError, "unsupported"),
        ("InvalidStorageClass", 400, UnsupportedError, "unsupported"),
        ("EntityTooLarge", 400, UnsupportedError, "unsupported"),
        ("NeverHeardOfIt", 400, UnsupportedError, "unsupported"),
    ],
)
def test_each_answer_has_one_class(
    code: str, status: int, kind: type[StoreError], name: str
) -> None:
    found = said(error(code, status=status))
    assert (type(found), found.code) == (kind, name)
    assert (found.status, found.vendor_code, found.request_id) == (status, code, "ID1")


@pytest.mark.parametrize("asked", [GET, LIST, PUT])
@pytest.mark.parametrize("code", ALL_CODES)
def test_every_message_is_one_sentence_of_what_where_and_advice(code: str, asked: Asked) -> None:
    message = str(said(error(code, "Something is wrong."), asked))
    assert re.fullmatch(
        r"(Reading 'a key' in|Listing|Writing 'a key' in) s3://bucket at https://[a-z0-9.-]+"
        r" failed \(400 \w+: Something is wrong\): [^.]+\.",
        message,
    )


@pytest.mark.parametrize("operation", Operation)
def test_a_denied_request_names_the_permission_that_it_takes(operation: Operation) -> None:
    asked = Asked(operation=operation, bucket="b", key="k", endpoint="https://h")
    for answer in (error("AccessDenied", status=403), Answer(status=403)):
        found = said(answer, asked)
        assert isinstance(found, DeniedError)
        assert f"grant {operation.permission}" in str(found)


@pytest.mark.parametrize(
    "answer",
    [
        error("PermanentRedirect", status=301, more="<Region>ap-south-1</Region>"),
        error("AuthorizationHeaderMalformed", more="<Region>ap-south-1</Region>"),
        Answer(status=301, fields={"x-amz-bucket-region": "ap-south-1"}),
        Answer(status=400, fields={"x-amz-bucket-region": "ap-south-1"}),
    ],
)
@pytest.mark.parametrize("asked", [GET, LIST, PUT, HEAD])
def test_the_right_region_is_named(answer: Answer, asked: Asked) -> None:
    found = said(answer, asked)
    assert isinstance(found, WrongRegionError)
    assert (found.code, found.region) == ("wrong_region", "ap-south-1")
    assert "'ap-south-1'" in str(found)
    assert pickle.loads(pickle.dumps(found)).region == "ap-south-1"  # noqa: S301 - our own


def test_a_region_that_is_not_told_is_still_the_advice() -> None:
    assert "set the region and the endpoint" in str(said(error("PermanentRedirect", status=301)))


def test_a_redirect_for_an_object_without_reason_is_about_its_key() -> None:
    assert said(Answer(status=301)).code == "bad_key"


def test_the_skew_of_the_clock_is_measured() -> None:
    ahead = (NOW - timedelta(minutes=20)).isoformat()
    message = str(said(error("RequestTimeTooSkewed", more=f"<ServerTime>{ahead}</ServerTime>")))
    assert "clock is 1200 seconds ahead of the store's" in message
    late = error("RequestTimeTooSkewed").body
    answer = Answer(status=403, body=late, fields={"date": "Sun, 01 Mar 2026 12:30:00 GMT"})
    assert "clock is 1800 seconds behind the store's" in str(said(answer))
    assert "clock is wrong" in str(said(error("RequestTimeTooSkewed")))


def test_a_key_that_is_unusual_is_suspected_first() -> None:
    odd = Asked(operation=Operation.PUT, bucket="b", key="a//b", endpoint="https://h")
    assert said(error("InvalidArgument"), odd).code == "bad_key"
    assert said(error("InvalidArgument"), PUT).code == "unsupported"


@pytest.mark.parametrize(
    "body", [b"", b"<html>nope</html>", b"\xff\xfe", b"<Error><Code>", b"<Error/>" * 5000]
)
@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_an_answer_that_is_not_s3s_is_classed_by_its_status(body: bytes, status: int) -> None:
    found = said(Answer(status=status, body=body))
    assert type(found) is type(said(Answer(status=status)))
    assert len(str(found)) < 400


@given(st.binary(max_size=300), st.integers(300, 599))
def test_any_answer_has_a_class(body: bytes, status: int) -> None:
    assert isinstance(said(Answer(status=status, body=body)), StoreError)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_of_a_connection_has_an_error_that_tells_what_to_do(fault: Fault) -> None:
    found = unreachable(GET, TransportError(fault, "the detail"))
    assert isinstance(found, TransientError | DeniedError)
    assert str(found).startswith(f"Reading 'a key' in s3://bucket at {GET.endpoint} failed: ")
    assert str(found).endswith("(the detail).")


@pytest.mark.parametrize(
    "answer",
    [
        error("SignatureDoesNotMatch", "The key AKID signed it", status=403),
        error("AccessDenied", status=403),
        Answer(status=500),
        TransportError(Fault.BROKEN, "reset"),
    ],
)
async def test_no_error_holds_a_secret(answer: Answer | TransportError) -> None:
    store, _transport = scripted(answer)
    with pytest.raises(StoreError) as caught:
        await store.head("key")
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "hunter" not in shown


def test_a_failure_inside_a_success_is_seen_wherever_it_may_stand() -> None:
    start = b'<?xml version="1.0" encoding="UTF-8"?>\n\n   '
    assert errors.holds_error(start + b"<Error><Code>InternalError</Code></Error>")
    assert errors.holds_error(b'<s3:Error xmlns:s3="x"><Code>X</Code></s3:Error>')
    assert not errors.holds_error(b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>")
    assert not errors.holds_error(b"<ErrorFree/>")
    of_a_key = b"<DeleteResult><Error><Key>a</Key></Error></DeleteResult>"
    assert not errors.holds_error(of_a_key)
