"""Words of other versions and registries than those that the tests can start."""

import pytest

from transferhub.errors import StoreError
from transferhub.registries.skopeo_errors import Place, failure
from transferhub.registries.skopeo_log import SkopeoLog

DIGEST = f"sha256:{'d' * 64}"
SOURCE = Place(host="one.example", repository="a/b", reference=DIGEST, anonymous=False)
DESTINATION = Place(host="two.example:5000", repository="c/d", reference="v1", anonymous=False)
READING = f"initializing source docker://one.example/a/b@{DIGEST}: "
REUSING = f"trying to reuse blob {DIGEST} at destination: pinging container registry two.example: "


def error_of(fatal: str, *, status: int = 1, other: str = "") -> StoreError:
    return failure(SOURCE, DESTINATION, SkopeoLog(fatal=fatal, other=other), status)


@pytest.mark.parametrize(
    ("fatal", "code", "host"),
    [
        (
            f'{READING}pinging container registry one.example: StatusCode: 404, "<html>"',
            "no_registry",
            "one.example",
        ),
        (
            (
                f"{READING}reading manifest {DIGEST} in one.example/a/b: toomanyrequests: You have"
                " reached your pull rate limit. You may increase the limit by authenticating"
            ),
            "throttled",
            "one.example",
        ),
        (f"{READING}too many requests to registry", "throttled", "one.example"),
        (
            (
                f"{READING}reading manifest {DIGEST} in one.example/a/b: errors:\ndenied: requested"
                " access to the resource is denied\nunauthorized: authentication required\n"
            ),
            "denied",
            "one.example",
        ),
        (
            (
                f"{READING}unable to retrieve auth token: invalid username/password: unauthorized:"
                " incorrect username or password"
            ),
            "bad_credentials",
            "one.example",
        ),
        (
            (
                f'{REUSING}Get "https://two.example/v2/": tls: failed to verify certificate: x509:'
                " certificate signed by unknown authority"
            ),
            "tls",
            "two.example:5000",
        ),
        (
            (
                f'{REUSING}Get "https://two.example/v2/": x509: certificate is valid for'
                " other.example, not two.example"
            ),
            "tls",
            "two.example:5000",
        ),
        (
            (
                f'{REUSING}Get "https://two.example/v2/": x509: certificate has expired or is'
                " not yet valid: current time 2026-11-30T00:00:00Z is after 2026-01-01T00:00:00Z"
            ),
            "tls",
            "two.example:5000",
        ),
        (
            f'{REUSING}Get "https://two.example/v2/": dial tcp 10.0.0.1:443: i/o timeout',
            "timeout",
            "two.example:5000",
        ),
        (
            f'{REUSING}Get "https://two.example/v2/": net/http: TLS handshake timeout',
            "timeout",
            "two.example:5000",
        ),
        (
            (
                f'{REUSING}Get "https://two.example/v2/": proxyconnect tcp: dial tcp 10.0.0.2:3128:'
                " connect: connection refused"
            ),
            "unreachable",
            "two.example:5000",
        ),
        (
            (
                "copying image 2/3 from manifest list: writing manifest: uploading manifest v1 to"
                " two.example:5000/c/d: unknown: the limit of images per repository: quota exceeded"
            ),
            "quota",
            "two.example:5000",
        ),
        (
            "writing blob: uploading layer chunked: unknown: request timed out",
            "transient",
            "two.example:5000",
        ),
        (
            f"{READING}registry one.example is blocked in /etc/containers/registries.conf",
            "denied",
            "one.example",
        ),
        ("a sentence of the future", "transient", "one.example"),
    ],
)
def test_words(fatal: str, code: str, host: str) -> None:
    error = error_of(fatal)
    assert error.code == code, error.message
    assert f"at {host}" in error.message
    assert "\n" not in error.message


def test_a_registrys_words_are_not_the_networks() -> None:
    error = error_of(
        f"{READING}reading manifest {DIGEST} in one.example/a/b: denied: connection refused by rule"
    )
    assert error.code == "denied"


def test_an_upload_is_named_without_what_signs_it() -> None:
    error = error_of(
        'writing blob: Patch "https://two.example/v2/c/d/blobs/uploads/0a1b?_state=s3cret&x=y":'
        " write tcp 10.0.0.1:5->10.0.0.2:443: write: broken pipe"
    )
    assert error.code == "transient"
    assert "s3cret" not in error.message
    assert "0a1b" not in error.message


def test_a_long_story_is_cut_to_its_end() -> None:
    error = error_of(f"something new: {'x' * 10_000}: the cause")
    assert len(error.message) < 600
    assert "the cause" in error.message


@pytest.mark.parametrize(
    ("status", "words"), [(-9, "signal 9 ended it"), (2, "it ended with status 2 (panic: oh)")]
)
def test_an_end_without_words(status: int, words: str) -> None:
    error = error_of("", status=status, other="panic: oh\n\n" if status > 0 else "")
    assert error.code == "transient"
    assert words in error.message
