"""A source or destination that cannot be used: one clear sentence, exit code, nothing changed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.certificates import make_certificates
from tests.servers.impostors import WEB_PAGE, Impostor, http_answer
from tests.servers.process import free_ports
from tests.servers.rules import Status
from tests.servers.seaweedfs import SeaweedFS

FAILED, REFUSED = 3, 2


@pytest.fixture(autouse=True)
def _destination_stays_empty(source: Place, destination: Place) -> Iterator[None]:
    source.put("object", b"content")
    yield
    assert destination.keys() == []
    assert destination.uploads() == []


def told(dth: Dth, source: object, destination: object, *words: object, code: int = FAILED) -> str:
    """The one sentence with which a transfer ends."""
    ended = dth.well("transfer", source, destination, *words, code=code)
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("dth: ")]
    assert "Traceback" not in ended.err
    assert sentence.count("dth: ") == 1
    return sentence.removeprefix("dth: ")


# Credentials


def test_missing_credentials_name_the_place_and_every_way_to_give_them(
    dth: Dth, source: Place, destination: Place
) -> None:
    dth = dth.between(None, destination.endpoint).having(
        DTH_SOURCE_ENDPOINT=source.endpoint.url, DTH_SOURCE_REGION="us-east-1"
    )
    sentence = told(dth, source, destination)
    assert sentence.startswith(f"Listing {source} at {source.endpoint.url} failed: no credentials")
    assert "credentials file" in sentence
    assert "anonymous" in sentence


def test_half_of_the_credentials_is_bad_input(pair: Dth, source: Place, destination: Place) -> None:
    dth = pair.having(DTH_DESTINATION_SECRET_ACCESS_KEY="")
    sentence = told(dth, source, destination, code=REFUSED)
    assert sentence.startswith("DTH_DESTINATION_SECRET_ACCESS_KEY: is not set, while")
    assert dth.well("runs", "--json").json == []


def test_a_wrong_secret_key_is_named_and_not_shown(
    pair: Dth, source: Place, destination: Place
) -> None:
    secret = "wrong-secret-key-of-a-person"
    dth = pair.having(secret, DTH_DESTINATION_SECRET_ACCESS_KEY=secret)
    sentence = told(dth, source, destination)
    place = f"{destination} at {destination.endpoint.url}"
    assert sentence.startswith(f"Listing {place} failed (403 Signature")
    assert sentence.endswith("check the secret access key.")


def test_an_unknown_access_key_is_said_to_be_unknown(
    pair: Dth, source: Place, destination: Place
) -> None:
    dth = pair.having(DTH_SOURCE_ACCESS_KEY_ID="NOBODY")
    assert "does not know the access key; check the credentials" in told(dth, source, destination)


# Buckets and regions


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_missing_bucket_is_named(pair: Dth, source: Place, destination: Place, side: str) -> None:
    places = {"source": source.url, "destination": destination.url, side: "s3://not-there"}
    sentence = told(pair, places["source"], places["destination"])
    assert sentence.startswith("Listing s3://not-there at http://127.0.0.1:")
    assert sentence.endswith("there is no such bucket; check its name.")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (301, "PermanentRedirect", "Use the specified endpoint."),
        (400, "AuthorizationHeaderMalformed", "The region is wrong; expecting 'eu-west-3'"),
    ],
)
def test_a_wrong_region_gets_the_right_one_named(
    pair: Dth,
    source: Place,
    destination: Place,
    fault_proxy: ProxyFactory,
    status: int,
    code: str,
    message: str,
) -> None:
    proxy, seen = fault_proxy(source.endpoint)
    region = (("x-amz-bucket-region", "eu-west-3"),)
    proxy.add(Status(status=status, code=code, message=message, headers=region))
    sentence = told(pair.between(seen, destination.endpoint), source, destination)
    assert sentence.endswith("the bucket is in the region 'eu-west-3'; set the region to it.")


# Endpoints


def test_an_endpoint_where_nobody_listens_is_said_to_be_so(
    pair: Dth, source: Place, destination: Place
) -> None:
    (port,) = free_ports(1)
    dth = pair.having(DTH_SOURCE_ENDPOINT=f"http://127.0.0.1:{port}")
    sentence = told(dth, source, destination)
    assert f"Listing {source} at http://127.0.0.1:{port} failed: nobody answers there" in sentence
    assert "check the endpoint, its port, and the proxy" in sentence


def test_a_host_without_an_address_is_said_to_be_so(
    pair: Dth, source: Place, destination: Place
) -> None:
    dth = pair.having(DTH_SOURCE_ENDPOINT="http://no-such-host.invalid:9000")
    assert "the host's name has no address; check the endpoint" in told(dth, source, destination)


@pytest.mark.parametrize(
    ("answer", "greets", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, "what came is not an answer of S3; check the endpoint"),
        (http_answer("200 OK", WEB_PAGE), False, "not what S3 would send; check the endpoint"),
        (
            http_answer("404 Not Found", WEB_PAGE),
            False,
            "there is no such bucket, or this is no S3 server; check the name and the endpoint",
        ),
    ],
    ids=["ssh", "page", "no-page"],
)
def test_a_server_of_another_kind_is_no_s3_server(
    pair: Dth, source: Place, destination: Place, answer: bytes, says: str, *, greets: bool
) -> None:
    with Impostor(answer, greets=greets) as other:
        dth = pair.having(DTH_SOURCE_ENDPOINT=other.url)
        assert says in told(dth, source, destination)


# TLS


def test_a_self_signed_server_needs_its_ca_bundle(
    dth: Dth, seaweedfs_https: SeaweedFS, source: Place, destination: Place
) -> None:
    untrusting = dth.between(seaweedfs_https.https, destination.endpoint)
    sentence = told(untrusting, "s3://not-there", destination)
    assert "the server's certificate is not trusted; give its CA bundle" in sentence
    bundle = ("--source-ca-bundle", seaweedfs_https.https.ca_bundle)
    assert "there is no such bucket" in told(untrusting, "s3://not-there", destination, *bundle)


@pytest.mark.parametrize(
    ("address", "ends_in", "says"),
    [
        ("127.0.0.1", timedelta(days=-1), "is not valid today; have it renewed"),
        ("192.0.2.1", timedelta(days=1), "belongs to another host; check the endpoint"),
    ],
    ids=["expired", "of-another-host"],
)
def test_a_bad_certificate_is_told_from_an_untrusted_one(
    pair: Dth,
    source: Place,
    destination: Place,
    tmp_path: Path,
    address: str,
    ends_in: timedelta,
    says: str,
) -> None:
    certificates = make_certificates(tmp_path, address=address, ends_in=ends_in)
    with Impostor(b"", certificates=certificates) as server:
        dth = pair.having(DTH_SOURCE_ENDPOINT=server.url)
        bundle = ("--source-ca-bundle", certificates.ca)
        assert says in told(dth, source, destination, *bundle)


def test_https_on_an_http_port_and_the_reverse_are_told(
    pair: Dth, seaweedfs_https: SeaweedFS, source: Place, destination: Place
) -> None:
    dth = pair.having(DTH_SOURCE_ENDPOINT=source.endpoint.url.replace("http:", "https:"))
    assert "check whether the endpoint is http or https" in told(dth, source, destination)
    plain = seaweedfs_https.https.url.replace("https:", "http:")
    dth = pair.having(DTH_SOURCE_ENDPOINT=plain)
    assert "the endpoint is https and not http" in told(dth, source, destination)


def test_a_ca_bundle_that_is_not_there_is_bad_input(
    pair: Dth, source: Place, destination: Place
) -> None:
    bundle = ("--source-ca-bundle", "/not/there.pem")
    sentence = told(pair, source, destination, *bundle, code=REFUSED)
    assert (
        sentence == "--source-ca-bundle: /not/there.pem cannot be read (No such file or directory)"
    )
