"""A task of images, opened as a host opens it."""

from pathlib import Path
from uuid import uuid4

import botocore.session
import pytest

from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ministack import MinistackServer
from tests.servers.pusher import Pusher
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError
from transferhub.hosts.images import ImagesKind

pytestmark = pytest.mark.registries


async def test_a_list_of_aws_is_planned_into_ecr(
    registry: DockerRegistry, pusher: Pusher, ministack: MinistackServer, tmp_path: Path
) -> None:
    team, parameter = f"t{uuid4().hex[:12]}", f"/lists/{uuid4().hex}"
    image = oci.image("a")
    pusher.push(image, f"{team}/web", "1.0", "2.0")
    endpoint = ministack.endpoint
    ssm = botocore.session.Session().create_client(
        "ssm",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret_access_key,
    )
    ssm.put_parameter(Name=parameter, Value=f"{team}/web:1.0", Type="String")
    ssm.close()
    env = {
        "AWS_ENDPOINT_URL_SSM": endpoint.url,
        "DTH_DESTINATION_ENDPOINT": endpoint.url,
        "DTH_DESTINATION_ACCESS_KEY_ID": endpoint.access_key_id,
        "DTH_DESTINATION_SECRET_ACCESS_KEY": endpoint.secret_access_key,
    }
    kind = ImagesKind()
    task = kind.parse(
        {
            "source": {"url": registry.host, "plain_http": True},
            "destination": {"url": "ecr://us-east-1/mirror", "plain_http": True},
            "images_parameter": parameter,
        }
    )
    replication = kind.open(task, Tuning(), env, folder=tmp_path)
    try:
        await replication.check()
        plan = await replication.survey()
    finally:
        await replication.aclose()
    assert [(row.repository, row.digest) for row in plan.rows] == [
        (f"mirror/{team}/web", image.digest)
    ]
    assert plan.create == (f"mirror/{team}/web",)


async def test_a_parameter_that_is_missing_ends_the_run(
    registry: DockerRegistry, ministack: MinistackServer, tmp_path: Path
) -> None:
    endpoint = ministack.endpoint
    env = {
        "AWS_ENDPOINT_URL_SSM": endpoint.url,
        "DTH_SOURCE_ENDPOINT": endpoint.url,
        "DTH_SOURCE_ACCESS_KEY_ID": endpoint.access_key_id,
        "DTH_SOURCE_SECRET_ACCESS_KEY": endpoint.secret_access_key,
    }
    kind = ImagesKind()
    task = kind.parse(
        {
            "source": {"url": "ecr://us-east-1", "plain_http": True},
            "destination": {"url": registry.host, "plain_http": True},
            "images_parameter": "/none",
        }
    )
    replication = kind.open(task, Tuning(), env, folder=tmp_path)
    try:
        with pytest.raises(InputError, match="images_parameter: there is no SSM parameter /none"):
            await replication.survey()
    finally:
        await replication.aclose()
