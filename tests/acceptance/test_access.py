"""How each side is reached: credentials, profiles, TLS, addressing, who pays."""

from pathlib import Path

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.conftest import PlaceFactory
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.endpoint import Endpoint
from tests.servers.seaweedfs import SeaweedFS


def aws_variables(endpoint: Endpoint) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
    }


@pytest.fixture
def profiles(dth: Dth, source: Place, destination: Place, tmp_path: Path) -> Dth:
    """`dth` with AWS configuration files that hold a profile for each side."""
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {place.endpoint.access_key_id}\n"
            f"aws_secret_access_key = {place.endpoint.secret_access_key}\n"
            for name, place in (("ours", source), ("theirs", destination))
        )
    )
    config.write_text("[profile ours]\nregion = eu-west-1\n[profile theirs]\nregion = eu-west-2\n")
    return dth.having(
        source.endpoint.secret_access_key,
        AWS_SHARED_CREDENTIALS_FILE=str(credentials),
        AWS_CONFIG_FILE=str(config),
    )


def test_each_side_may_have_a_profile(profiles: Dth, source: Place, destination: Place) -> None:
    source.put("a", b"1")

    profiles.transfer(
        source, destination,
        "--source-endpoint", source.endpoint.url, "--source-profile", "ours",
        "--destination-endpoint", destination.endpoint.url, "--destination-profile", "theirs",
    )  # fmt: skip

    assert destination.keys() == ["a"]


def test_a_profile_that_is_not_there_is_named(
    profiles: Dth, source: Place, destination: Place
) -> None:
    ended = profiles(
        "transfer", source, destination,
        "--source-endpoint", source.endpoint.url, "--source-profile", "nobody",
        "--destination-endpoint", destination.endpoint.url, "--destination-profile", "theirs",
    )  # fmt: skip

    assert ended.code in {2, 3}
    assert "nobody" in ended.err


def test_the_usual_aws_variables_are_used_where_nothing_else_is_given(
    dth: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")
    dth = dth.having(
        source.endpoint.secret_access_key,
        DTH_SOURCE_ENDPOINT=source.endpoint.url,
        DTH_DESTINATION_ENDPOINT=destination.endpoint.url,
        **aws_variables(source.endpoint),
    )

    dth.transfer(source, destination)

    assert destination.keys() == ["a"]


def test_a_flag_wins_over_its_variable(pair: Dth, source: Place, destination: Place) -> None:
    source.put("a", b"1")
    pair = pair.having(DTH_SOURCE_ENDPOINT="http://127.0.0.1:9", DTH_SOURCE_REGION="nowhere")

    pair.transfer(
        source, destination,
        "--source-endpoint", source.endpoint.url, "--source-region", "us-east-1",
    )  # fmt: skip

    assert destination.keys() == ["a"]


def test_a_public_bucket_is_read_without_credentials(
    dth: Dth, seaweedfs_https: SeaweedFS, make_place: PlaceFactory, destination: Place
) -> None:
    public = make_place(seaweedfs_https.admin)
    public.put("a b", b"1")

    dth.between(None, destination.endpoint).transfer(
        public, destination, "--source-anonymous", "--source-endpoint", public.endpoint.url
    )

    assert destination.contents() == {"a b": b"1"}


def test_tls_is_trusted_by_a_ca_bundle_of_the_user(
    dth: Dth, seaweedfs_https: SeaweedFS, make_place: PlaceFactory, destination: Place
) -> None:
    secure = make_place(seaweedfs_https.https)
    secure.put("a", b"1")
    dth = dth.between(secure.endpoint, destination.endpoint)

    refused = dth.well("transfer", secure, destination, code=3)
    dth.transfer(secure, destination, "--source-ca-bundle", secure.endpoint.ca_bundle)

    assert "certificate" in refused.err
    assert "--source-ca-bundle" in refused.err or "CA bundle" in refused.err
    assert destination.contents() == {"a": b"1"}


def test_who_reads_a_requester_pays_bucket_says_that_he_pays(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put("a", b"1")
    proxy, seen = fault_proxy(source.endpoint)

    pair.between(seen, destination.endpoint).transfer(source, destination, "--source-request-payer")

    assert {request.request.headers.get("x-amz-request-payer") for request in proxy.seen} == {
        "requester"
    }


def test_the_state_folder_may_be_named_by_a_flag(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    source.put("a", b"1")

    ended = pair.transfer(source, destination, "--state", tmp_path / "elsewhere")

    assert ended["report"].startswith(f"{tmp_path}/elsewhere/runs/")
    assert not pair.state.exists()
    assert ended["run"] in pair.well("runs", "--state", tmp_path / "elsewhere").out


def test_only_the_latest_version_of_an_object_is_moved(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.boto.client.put_bucket_versioning(
        Bucket=moto_source.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    moto_source.put("kept", b"first")
    moto_source.put("kept", b"second")
    moto_source.put("deleted", b"1")
    moto_source.boto.client.delete_object(Bucket=moto_source.bucket, Key="deleted")
    try:
        ended = moto_pair.transfer(moto_source, moto_destination, "--copy", "stream")
    finally:
        versions = moto_source.boto.client.list_object_versions(Bucket=moto_source.bucket)
        for version in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
            moto_source.boto.client.delete_object(
                Bucket=moto_source.bucket, Key=version["Key"], VersionId=version["VersionId"]
            )

    assert ended["scanned_source"] == 1
    assert moto_destination.contents() == {"kept": b"second"}
