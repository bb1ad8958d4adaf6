"""Lists of images in SSM parameters, on each stand-in for AWS and on scripted answers."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import botocore.session
import pytest

from tests.servers.endpoint import Endpoint
from tests.servers.receivers import Answer, HttpReceiver
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, StoreError
from transferhub.hosts.image_parameter import read_parameter
from transferhub.plugins.images.spec import ImagesSpec, parse_spec

HURRY = Tuning(patience=timedelta(seconds=0.2), timeout=timedelta(seconds=5))
LIST = "team/app:1.0,\nteam/web"


def spec(parameter: str) -> ImagesSpec:
    return parse_spec(
        {"source": "ecr://us-east-1", "destination": "ghcr.io", "images_parameter": parameter}
    )


def environment(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SSM": url,
        "DTH_SOURCE_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "DTH_SOURCE_SECRET_ACCESS_KEY": "hunter2",
    }


@pytest.fixture
def ssm(aws_server: Endpoint) -> Iterator[Any]:
    client: Any = botocore.session.Session().create_client(
        "ssm",
        endpoint_url=aws_server.url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="hunter2",
    )
    yield client
    client.close()


@pytest.mark.parametrize("kind", ["String", "SecureString"])
async def test_a_list_is_read_as_it_was_written(ssm: Any, aws_server: Endpoint, kind: str) -> None:
    name = f"/lists/{uuid4().hex}"
    ssm.put_parameter(Name=name, Value=LIST, Type=kind)
    assert await read_parameter(spec(name), env=environment(aws_server.url), tuning=HURRY) == LIST


async def test_a_parameter_that_is_missing_is_told(ssm: Any, aws_server: Endpoint) -> None:
    with pytest.raises(InputError) as caught:
        await read_parameter(spec("/none"), env=environment(aws_server.url), tuning=HURRY)
    assert caught.value.field == "images_parameter"
    assert "there is no SSM parameter /none in us-east-1" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("AccessDeniedException", "grant ssm:GetParameter on it"),
        ("UnrecognizedClientException", "check the access key and its secret"),
        ("ExpiredTokenException", "have expired"),
        ("ValidationException", "check its name"),
    ],
)
async def test_a_parameter_that_may_not_be_read_is_told(name: str, sentence: str) -> None:
    body = json.dumps({"__type": name, "message": "its words"})
    async with HttpReceiver(Answer(status=400, body=body)) as api:
        with pytest.raises(InputError, match=sentence) as caught:
            await read_parameter(spec("/l"), env=environment(api.url), tuning=HURRY)
    assert caught.value.field == "images_parameter"
    assert "its words" in caught.value.message


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(status=400, body='{"__type": "ThrottlingException"}'), "throttled"),
        (Answer(status=500, body='{"__type": "InternalServerError"}'), "transient"),
        (Answer(body="{}"), "garbled"),
        (Answer(body="<html>"), "unreachable"),
    ],
)
async def test_what_may_work_later_is_no_fault_of_the_task(answer: Answer, code: str) -> None:
    async with HttpReceiver(answer) as api:
        with pytest.raises(StoreError) as caught:
            await read_parameter(spec("/l"), env=environment(api.url), tuning=HURRY)
    assert (caught.value.code, caught.value.retryable) == (code, True)
