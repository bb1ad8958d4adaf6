from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from transferhub.stores.s3.credentials import Credentials
from transferhub.stores.s3.signer import UNSIGNED_PAYLOAD, Signer, encode_key, encode_query

HOST = "bucket.example.com:9000"

hostile_text = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(
        [
            "a//b",
            "/a/",
            "../x/./y",
            "a%2Fb",
            "a+b c",
            "a\\b",
            'it\'s "q"',
            "\x01\x7f",
            "😀/é",
            "~*()!",
        ]
    ),
)
token_characters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
header_names = st.text(token_characters, min_size=1, max_size=12).map("x-amz-meta-".__add__)
header_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)
keys_and_secrets = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1)


def botocore_headers(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    payload: str,
    credentials: Credentials,
    region: str,
    moment: datetime,
) -> dict[str, str]:
    """What botocore's signer adds at that moment; its own `add_auth` reads the clock."""
    auth = S3SigV4Auth(
        BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token or None),
        "s3",
        region,
    )
    url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, headers=headers)
    request.context["client_config"] = Config(
        s3={"payload_signing_enabled": payload != UNSIGNED_PAYLOAD}
    )
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    request.data = BODY
    auth._modify_request_before_signing(request)  # noqa: SLF001 - add_auth reads the clock
    canonical = auth.canonical_request(request)
    auth._inject_signature_to_request(  # noqa: SLF001 - as above
        request, auth.signature(auth.string_to_sign(request, canonical), request)
    )
    return {name.lower(): value for name, value in request.headers.items()}


BODY = b"the body"


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=hostile_text,
    query=st.dictionaries(hostile_text, hostile_text, max_size=4),
    headers=st.dictionaries(header_names, header_values, max_size=4),
    payload=st.sampled_from([sha256(BODY).hexdigest(), UNSIGNED_PAYLOAD]),
    access_key=keys_and_secrets,
    secret_key=keys_and_secrets,
    token=st.one_of(st.just(""), keys_and_secrets),
    moment=st.datetimes(
        datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        datetime(2099, 12, 31),  # noqa: DTZ001 - as above
        timezones=st.just(UTC),
    ),
)
def test_a_signature_is_the_one_that_botocore_makes(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    payload: str,
    access_key: str,
    secret_key: str,
    token: str,
    moment: datetime,
) -> None:
    credentials = Credentials(access_key=access_key, secret_key=secret_key, token=token)
    path, encoded_query = "/" + encode_key(key), encode_query(query)
    signed = dict(headers)
    Signer(host=HOST, region="eu-west-1", clock=moment.timestamp).sign(
        method, path, encoded_query, signed, payload=payload, credentials=credentials
    )
    expected = botocore_headers(
        method, path, encoded_query, headers, payload, credentials, "eu-west-1", moment
    )
    assert signed["authorization"] == expected["authorization"]
    assert signed["x-amz-date"] == expected["x-amz-date"]


def test_a_signer_follows_the_day_and_the_credentials() -> None:
    now = 1_700_000_000.0
    signer = Signer(host=HOST, region="us-east-1", clock=lambda: now)

    def signature(secret: str) -> str:
        headers: dict[str, str] = {}
        signer.sign(
            "GET",
            "/k",
            "",
            headers,
            payload=UNSIGNED_PAYLOAD,
            credentials=Credentials(access_key="A", secret_key=secret),
        )
        return headers["authorization"]

    first = signature("one")
    assert signature("two") != first
    assert signature("one") == first
    now += 86_400
    tomorrow = signature("one")
    assert "/20231115/" in tomorrow
    fresh = Signer(host=HOST, region="us-east-1", clock=lambda: now)
    headers: dict[str, str] = {}
    fresh.sign(
        "GET",
        "/k",
        "",
        headers,
        payload=UNSIGNED_PAYLOAD,
        credentials=Credentials(access_key="A", secret_key="one"),
    )
    assert headers["authorization"] == tomorrow


@given(hostile_text)
def test_an_encoded_key_is_what_s3_asks_for(key: str) -> None:
    expected = "".join(
        chr(byte)
        if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-_.~/")
        else f"%{byte:02X}"
        for byte in key.encode()
    )
    assert encode_key(key) == expected
    assert quote(key, safe="/-_.~") == expected


def test_a_signing_key_is_kept_for_its_day_and_its_secret_only() -> None:
    credentials = Credentials(access_key="AKID", secret_key="secret")
    now = [datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC).timestamp()]
    signer = Signer(host=HOST, region="eu-west-1", clock=lambda: now[0])

    def signed(with_credentials: Credentials) -> dict[str, str]:
        headers: dict[str, str] = {}
        signer.sign(
            "GET", "/k", "", headers, payload=UNSIGNED_PAYLOAD, credentials=with_credentials
        )
        return headers

    def expected(with_credentials: Credentials) -> str:
        moment = datetime.fromtimestamp(now[0], UTC)
        return botocore_headers(
            "GET", "/k", "", {}, UNSIGNED_PAYLOAD, with_credentials, "eu-west-1", moment
        )["authorization"]

    renewed = Credentials(access_key="AKID2", secret_key="another", token="token")
    for seconds in (0, 1, 1, 86_400):
        now[0] += seconds
        for each in (credentials, renewed, credentials):
            assert signed(each)["authorization"] == expected(each)
