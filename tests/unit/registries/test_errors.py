"""What registries answer, as they are known to word it, and what that is here."""

import json

import pytest

from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries.errors import Asked, Operation, Refusal, classed, unreachable, words_of
from transferhub.stores.s3.transport import Fault, TransportError

HOST = "registry.test"


def asked(operation: Operation) -> Asked:
    if operation in {Operation.GREET, Operation.CATALOG}:
        return Asked(operation=operation, host=HOST)
    reference = "" if operation is Operation.TAGS else "1.0"
    return Asked(operation=operation, host=HOST, repository="app/web", reference=reference)


GREET, CATALOG, TAGS, HEAD, GET, PUT = (
    Operation.GREET,
    Operation.CATALOG,
    Operation.TAGS,
    Operation.HEAD,
    Operation.GET,
    Operation.PUT,
)


@pytest.mark.parametrize(
    ("operation", "status", "code", "message", "kind", "expected"),
    [
        (HEAD, 404, "", "", NotFoundError, "not_found"),
        (GET, 404, "MANIFEST_UNKNOWN", "", NotFoundError, "not_found"),
        (GET, 404, "NAME_UNKNOWN", "repository name not known", NotFoundError, "no_repository"),
        (TAGS, 404, "", "", NotFoundError, "no_repository"),
        (PUT, 400, "MANIFEST_BLOB_UNKNOWN", "", NotFoundError, "no_blob"),
        (PUT, 400, "MANIFEST_INVALID", "", UnsupportedError, "bad_manifest"),
        (PUT, 400, "DIGEST_INVALID", "", CorruptError, "corrupt"),
        (PUT, 400, "NAME_INVALID", "", UnsupportedError, "bad_reference"),
        (PUT, 404, "BLOB_UPLOAD_UNKNOWN", "", TransientError, "transient"),
        (PUT, 405, "UNSUPPORTED", "", UnsupportedError, "unsupported"),
        (HEAD, 429, "", "", ThrottledError, "throttled"),
        (
            GET,
            429,
            "TOOMANYREQUESTS",
            "You have reached your pull rate",
            ThrottledError,
            "throttled",
        ),
        (GET, 429, "", "Quota exceeded for quota metric", ThrottledError, "throttled"),
        (HEAD, 408, "", "", TransientError, "transient"),
        (HEAD, 500, "UNKNOWN", "", TransientError, "transient"),
        (HEAD, 503, "", "", TransientError, "transient"),
        (HEAD, 504, "", "", TransientError, "transient"),
        (GET, 204, "", "", TransientError, "garbled"),
        (PUT, 301, "", "", UnsupportedError, "no_registry"),
        (PUT, 413, "", "", DeniedError, "quota"),
        (PUT, 507, "", "", DeniedError, "quota"),
        (GREET, 404, "", "", UnsupportedError, "no_registry"),
        (GREET, 401, "", "", DeniedError, "bad_credentials"),
        (CATALOG, 404, "", "", UnsupportedError, "no_catalog"),
        (CATALOG, 405, "UNSUPPORTED", "", UnsupportedError, "no_catalog"),
        (CATALOG, 401, "UNAUTHORIZED", "", DeniedError, "denied"),
        (GET, 401, "UNAUTHORIZED", "", DeniedError, "denied"),
        (GET, 403, "DENIED", "requested access is denied", DeniedError, "denied"),
        (GET, 418, "", "", UnsupportedError, "unsupported"),
        # Amazon ECR
        (
            PUT,
            400,
            "TAG_INVALID",
            (
                "The image tag '1.0' already exists in the 'app/web' repository and cannot be"
                " overwritten because the tag is immutable."
            ),
            DeniedError,
            "immutable_tag",
        ),
        (
            GET,
            403,
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
            DeniedError,
            "expired_credentials",
        ),
        (PUT, 403, "DENIED", "Repository storage limit exceeded", DeniedError, "quota"),
        # Harbor
        (
            PUT,
            412,
            "PRECONDITION",
            "Failed to process request due to 'web:1.0' configured as immutable.",
            DeniedError,
            "immutable_tag",
        ),
        (
            PUT,
            403,
            "DENIED",
            (
                "adding 3.0 GiB of storage resource, which when updated to current usage of 9 GiB"
                " will exceed the configured upper limit of 10 GiB."
            ),
            DeniedError,
            "quota",
        ),
        (GET, 400, "", "Client sent an HTTP request to an HTTPS server.", DeniedError, "tls"),
    ],
)
def test_a_refusal_is_classed(
    operation: Operation,
    status: int,
    code: str,
    message: str,
    kind: type[StoreError],
    expected: str,
) -> None:
    error = classed(asked(operation), Refusal(status=status, code=code, message=message))
    assert (type(error), error.code, error.status) == (kind, expected, status)
    assert error.message.startswith(str(asked(operation)))
    assert error.message.count("..") == 0
    assert error.message.endswith(".")


def test_who_is_nobody_is_told_to_log_in() -> None:
    for operation, by_password, code in (
        (GREET, False, "no_credentials"),
        (GET, True, "no_credentials"),
        # Others of the same registry may be open: this is no reason to stop a run.
        (GET, False, "denied"),
    ):
        said = Refusal(status=401, anonymous=True, by_password=by_password)
        error = classed(asked(operation), said)
        assert error.code == code
        assert "give a user and a password" in error.message


def test_a_password_is_wrong_everywhere_and_a_right_is_missing_here() -> None:
    wrong = classed(asked(HEAD), Refusal(status=401, by_password=True))
    missing = classed(asked(HEAD), Refusal(status=403, by_password=True))
    assert (wrong.code, missing.code) == ("bad_credentials", "denied")
    assert "let the login pull from it" in missing.message


@pytest.mark.parametrize("fault", Fault)
def test_every_way_of_not_answering_is_a_sentence(fault: Fault) -> None:
    error = unreachable(asked(GET), TransportError(fault, "detail"), host="blobs.test")
    assert error.message.startswith(
        f"Reading the manifest of app/web:1.0 at {HOST} failed: blobs.test: "
    )
    assert error.message.endswith("(detail).")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"errors": [{"code": "A_B", "message": "some\n words"}, {}]}, ("A_B", "some words")),
        ({"errors": [{"code": "A_B", "message": None}]}, ("A_B", "")),
        ({"errors": ["words"]}, ("", "words")),
        ({"errors": []}, ("", "")),
        ({"details": "incorrect username or password"}, ("", "incorrect username or password")),
        ({"error": "invalid_grant", "error_description": "too old"}, ("", "too old")),
        ({"message": "words"}, ("", "words")),
        ([], ("", "")),
    ],
)
def test_the_words_of_a_refusal_are_read(document: object, expected: tuple[str, str]) -> None:
    assert words_of(json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"404 page not found\n", "404 page not found"),
        (b"<html>x</html>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_words_that_are_no_document_are_read_too(body: bytes, expected: str) -> None:
    assert words_of(body) == ("", expected)


def test_a_digest_is_written_after_an_at_sign() -> None:
    digest = "sha256:" + "a" * 64
    where = Asked(operation=GET, host=HOST, repository="app/web", reference=digest)
    assert str(where) == f"Reading the manifest of app/web@{digest} at {HOST}"
