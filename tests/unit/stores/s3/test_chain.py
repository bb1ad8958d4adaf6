import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.unit.stores.s3.aws_services import AwsServices, aws_services
from transferhub.errors import DeniedError, InputError, TransientError
from transferhub.stores.s3.chain import ResolvedCredentials, Role, configured_region
from transferhub.stores.s3.credentials import Credentials

ROLE = "arn:aws:iam::123456789012:role/reader"
KEYS = Credentials(access_key="AKIDGIVEN", secret_key="hunter2")


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def services() -> Iterator[AwsServices]:
    with aws_services() as found:
        yield found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person without any AWS configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def configure(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(text)


async def keys_of(source: ResolvedCredentials) -> tuple[str, str, str]:
    found = await source.current()
    return found.access_key, found.secret_key, found.token


async def test_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert await keys_of(ResolvedCredentials()) == ("AKID", "hunter2", "")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert await keys_of(ResolvedCredentials()) == ("AKID", "hunter2", "token")


async def test_a_profile_that_is_named_comes_before_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    (home / ".aws" / "credentials").write_text(
        "[work]\naws_access_key_id=AKIDWORK\naws_secret_access_key=s\naws_session_token=t\n"
    )
    assert await keys_of(ResolvedCredentials(profile="work")) == ("AKIDWORK", "s", "t")


def test_a_profile_that_is_not_there_is_refused_with_those_that_are(home: Path) -> None:
    configure(home, "[profile work]\nregion=eu-west-1\n[profile home]\nregion=eu-west-1\n")
    with pytest.raises(InputError, match=r"^profile: .*no 'wrok'; there are home, work$"):
        ResolvedCredentials(profile="wrok")


def test_a_configuration_that_cannot_be_read_is_named(home: Path) -> None:
    configure(home, "no section\n")
    with pytest.raises(InputError, match=r"^profile: .*cannot be read .*config"):
        ResolvedCredentials(profile="work")


async def test_a_process_is_asked(home: Path) -> None:
    answer = {"Version": 1, "AccessKeyId": "AKIDPROC", "SecretAccessKey": "s"}
    program = home / "give.py"
    program.write_text(f"print({json.dumps(answer)!r})")
    configure(home, f"[profile p]\ncredential_process = {sys.executable} {program}\n")
    assert await keys_of(ResolvedCredentials(profile="p")) == ("AKIDPROC", "s", "")


async def test_the_role_of_a_container_is_found(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{services.url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in")
    assert await keys_of(ResolvedCredentials()) == ("key1", "hunter2", "token")
    assert services.asked[0]["Authorization"] == "let-me-in"


async def test_the_role_of_a_machine_is_found(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
    assert await keys_of(ResolvedCredentials()) == ("key1", "hunter2", "token")
    assert services.asked[0]["x-aws-ec2-metadata-token"] == "imds-token"


async def test_a_web_identity_assumes_its_role(
    services: AwsServices, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "identity").write_text("signed-by-kubernetes")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(home / "identity"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    assert await keys_of(ResolvedCredentials()) == ("key1", "hunter2", "token")
    assert services.asked[0]["WebIdentityToken"] == "signed-by-kubernetes"


async def test_an_answer_that_is_repeated_hides_its_secrets(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{services.url}/container")
    services.status = HTTPStatus.FORBIDDEN
    with pytest.raises(DeniedError, match="non 200 response 403 from container") as caught:
        await ResolvedCredentials().current()
    assert "hunter2" not in str(caught.value)


async def test_a_single_sign_on_session_is_used(
    services: AwsServices, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "https://example.awsapps.com/start"
    configure(
        home,
        f"[profile sso]\nsso_start_url={start}\nsso_region=eu-west-1\n"
        "sso_account_id=123456789012\nsso_role_name=reader\n",
    )
    cache = home / "cache"
    cache.mkdir()
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cache))
    name = hashlib.sha1(start.encode(), usedforsecurity=False).hexdigest()
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (cache / f"{name}.json").write_text(
        json.dumps({"accessToken": "signed-on", "expiresAt": expires, "startUrl": start})
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", services.url)
    assert await keys_of(ResolvedCredentials(profile="sso")) == ("key1", "hunter2", "token")
    assert services.asked[0]["x-amz-sso_bearer_token"] == "signed-on"


async def test_a_sign_on_that_has_run_out_says_so(home: Path) -> None:
    configure(
        home,
        "[profile sso]\nsso_start_url=https://e.awsapps.com/start\nsso_region=eu-west-1\n"
        "sso_account_id=1\nsso_role_name=reader\n",
    )
    with pytest.raises(DeniedError, match=r"profile 'sso'.*SSO") as caught:
        await ResolvedCredentials(profile="sso").current()
    assert caught.value.code == "no_credentials"


async def test_a_profile_may_assume_a_role_from_another(
    services: AwsServices, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(
        home,
        f"[profile base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=s\n"
        f"[profile reader]\nrole_arn={ROLE}\nsource_profile=base\nexternal_id=agreed\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    assert await keys_of(ResolvedCredentials(profile="reader")) == ("key1", "hunter2", "token")
    assert services.asked[0]["ExternalId"] == "agreed"


@pytest.mark.parametrize("external_id", ["", "agreed"])
async def test_given_keys_assume_a_role(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch, external_id: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    source = ResolvedCredentials(keys=KEYS, role=Role(arn=ROLE, external_id=external_id))
    assert await keys_of(source) == ("key1", "hunter2", "token")
    (asked,) = services.asked
    assert (asked["RoleArn"], asked.get("ExternalId", "")) == (ROLE, external_id)


async def test_a_role_that_is_refused_says_which_and_tells_no_secret(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    services.status = HTTPStatus.FORBIDDEN
    source = ResolvedCredentials(keys=KEYS, role=Role(arn=ROLE, external_id="agreed"))
    with pytest.raises(DeniedError, match=r"sts:AssumeRole.*may assume arn:aws") as caught:
        await source.current()
    assert caught.value.code == "no_credentials"
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).count(". ") == 0


async def test_a_service_that_cannot_be_reached_is_tried_again(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    source = ResolvedCredentials(keys=KEYS, role=Role(arn=ROLE))
    with pytest.raises(TransientError, match="tried again") as caught:
        await source.current()
    assert caught.value.code == "unreachable"
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    services.status = HTTPStatus.BAD_GATEWAY
    with pytest.raises(TransientError, match="tried again"):
        await source.current()
    services.status = HTTPStatus.OK
    assert (await source.current()).secret_key == "hunter2"


async def test_nothing_that_is_found_says_where_was_looked() -> None:
    with pytest.raises(DeniedError, match=r"AWS_\* variables.*SSO.*web identity.*anonymous") as no:
        await ResolvedCredentials().current()
    assert no.value.code == "no_credentials"


async def test_a_profile_without_credentials_says_so(home: Path) -> None:
    configure(home, "[profile bare]\nregion=eu-west-1\n")
    with pytest.raises(DeniedError, match="profile 'bare' holds no credentials"):
        await ResolvedCredentials(profile="bare").current()


@pytest.fixture
def assumed(
    services: AwsServices, monkeypatch: pytest.MonkeyPatch
) -> tuple[AwsServices, ResolvedCredentials, Now]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
    now = Now()
    return services, ResolvedCredentials(keys=KEYS, role=Role(arn=ROLE), clock=now), now


Assumed = tuple[AwsServices, ResolvedCredentials, Now]


async def test_credentials_that_hold_are_asked_for_once(assumed: Assumed) -> None:
    services, source, now = assumed
    for _ in range(3):
        assert (await source.current()).access_key == "key1"
        now.seconds += 61
    assert len(services.asked) == 1


async def test_credentials_are_renewed_before_they_expire(assumed: Assumed) -> None:
    services, source, now = assumed
    services.lasts = timedelta(minutes=14)
    assert (await source.current()).access_key == "key1"
    now.seconds += 61
    assert (await source.current()).access_key == "key2"


async def test_many_requests_wait_for_one_answer(assumed: Assumed) -> None:
    services, source, _now = assumed
    found = await asyncio.gather(*(source.current() for _ in range(50)))
    assert {credentials.access_key for credentials in found} == {"key1"}
    assert len(services.asked) == 1


@pytest.mark.parametrize("minutes", [14, 5])
async def test_credentials_hold_to_their_end_where_they_cannot_be_renewed(
    assumed: Assumed, minutes: int
) -> None:
    services, source, now = assumed
    services.lasts = timedelta(minutes=minutes)
    await source.current()
    services.status = HTTPStatus.FORBIDDEN
    now.seconds += 61
    assert (await source.current()).access_key == "key1"
    services.status = HTTPStatus.OK
    now.seconds += 61
    assert (await source.current()).access_key == "key3"


async def test_credentials_that_arrive_expired_are_refused(assumed: Assumed) -> None:
    services, source, _now = assumed
    services.lasts = timedelta(minutes=-1)
    with pytest.raises(DeniedError, match="expired"):
        await source.current()


async def test_a_file_that_was_changed_counts_within_a_minute(home: Path) -> None:
    now = Now()
    file = home / ".aws" / "credentials"
    file.write_text("[default]\naws_access_key_id=OLD\naws_secret_access_key=s\n")
    source = ResolvedCredentials(clock=now)
    assert (await source.current()).access_key == "OLD"
    file.write_text("[default]\naws_access_key_id=NEW\naws_secret_access_key=s\n")
    now.seconds += 61
    assert (await source.current()).access_key == "NEW"
    file.unlink()
    now.seconds += 61
    assert (await source.current()).access_key == "NEW"


def test_equal_sources_have_equal_principals_and_others_do_not(home: Path) -> None:
    configure(home, "[profile a]\nregion=r\n[profile b]\nregion=r\n")
    sources = [
        ResolvedCredentials(),
        ResolvedCredentials(profile="a"),
        ResolvedCredentials(profile="b"),
        ResolvedCredentials(keys=KEYS, role=Role(arn=ROLE)),
        ResolvedCredentials(keys=KEYS, role=Role(arn=f"{ROLE}2")),
    ]
    assert len({source.principal for source in sources}) == len(sources)
    assert ResolvedCredentials(profile="a").principal == sources[1].principal
    assert all("hunter2" not in source.principal + source.describe() for source in sources)


def test_the_region_of_a_profile_is_known(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    configure(
        home, "[default]\nregion=eu-west-1\n[profile cn]\nregion=cn-north-1\n[profile x]\na=b"
    )
    assert (configured_region(""), configured_region("cn")) == ("eu-west-1", "cn-north-1")
    assert configured_region("x") == configured_region("absent") == ""
