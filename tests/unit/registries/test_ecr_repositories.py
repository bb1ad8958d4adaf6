"""What EcrRepositories makes of answers that our small ECR never gives."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.servers.receivers import Answer, HttpReceiver
from transferhub.aws.client import ECR, AwsClient
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries import Digest, EcrRepositories, ListedImage, TagRule
from transferhub.stores.s3.credentials import Credentials, StaticCredentials

DIGEST = Digest(f"sha256:{'a' * 64}")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@asynccontextmanager
async def answering(*answers: Mapping[str, Any]) -> AsyncIterator[EcrRepositories]:
    async with HttpReceiver() as receiver:
        receiver.answers += [Answer(body=json.dumps(answer)) for answer in answers]
        client = AwsClient(
            ECR,
            endpoint=receiver.url,
            region="eu-west-1",
            credentials=StaticCredentials(Credentials(access_key="AKID", secret_key="a-secret")),
        )
        repositories = EcrRepositories(client)
        yield repositories
        await repositories.aclose()


async def listed(*answers: Mapping[str, Any]) -> list[ListedImage]:
    async with answering(*answers) as repositories:
        return [one async for one in repositories.images("app/web", wanted=str.isdecimal)]


@pytest.mark.parametrize(
    "told",
    [
        AT.timestamp(),
        int(AT.timestamp()),
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05",
        AT.astimezone(timezone(timedelta(hours=8))).isoformat(),
    ],
)
async def test_a_time_is_a_number_or_text(told: object) -> None:
    (image,) = await listed({"imageDetails": [{"imageDigest": DIGEST, "imagePushedAt": told}]})
    assert image.pushed_at == AT


async def test_an_image_is_listed_by_what_is_told_alone() -> None:
    (image,) = await listed({"imageDetails": [{"imageDigest": DIGEST}]})
    assert image == ListedImage(digest=DIGEST)


async def test_an_image_of_which_no_tag_is_wanted_is_none_without_tags() -> None:
    rows = [{"imageDigest": DIGEST, "imageTags": ["dev"]}, {"imageDigest": DIGEST, "imageTags": []}]
    assert await listed({"imageDetails": rows}) == [ListedImage(digest=DIGEST)]


@pytest.mark.parametrize(
    "row",
    [
        {},
        "image",
        {"imageDigest": "latest"},
        {"imageDigest": DIGEST, "imagePushedAt": "yesterday"},
        {"imageDigest": DIGEST, "imagePushedAt": 1e300},
        {"imageDigest": DIGEST, "imageSizeInBytes": "large"},
        {"imageDigest": DIGEST, "imageTags": 7},
    ],
)
async def test_an_image_that_is_none_is_told(row: object) -> None:
    with pytest.raises(TransientError) as caught:
        await listed({"imageDetails": [row]})
    assert caught.value.code == "garbled"
    assert "app/web" in caught.value.message


async def test_a_listing_without_end_is_told() -> None:
    page = {"imageDetails": [], "nextToken": "again"}
    with pytest.raises(StoreError) as caught:
        await listed(page, page)
    assert caught.value.code == "listing_loops"


@pytest.mark.parametrize(
    "answer", [{}, {"repositories": []}, {"repositories": [7]}, {"repositories": "none"}]
)
async def test_a_rule_that_is_none_is_told(answer: Mapping[str, Any]) -> None:
    async with answering(answer) as repositories:
        with pytest.raises(TransientError) as caught:
            await repositories.rule("app/web")
    assert caught.value.code == "garbled"


async def test_a_repository_without_a_rule_lets_tags_be_moved() -> None:
    async with answering({"repositories": [{"repositoryName": "app/web"}]}) as repositories:
        assert await repositories.rule("app/web") == TagRule()


async def test_a_repository_without_a_name_is_told() -> None:
    async with answering({"repositories": [{}]}) as repositories:
        with pytest.raises(TransientError):
            await anext(repositories.names())


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        ("ImageNotFound", NotFoundError, "not_found"),
        ("ImageReferencedByManifestList", UnsupportedError, "unsupported"),
        ("InvalidImageTag", UnsupportedError, "bad_reference"),
        ("KmsError", DeniedError, "denied"),
        ("UpstreamAccessDenied", DeniedError, "denied"),
        ("UpstreamTooManyRequests", ThrottledError, "throttled"),
        ("UpstreamUnavailable", TransientError, "transient"),
        ("ImageInaccessible", UnsupportedError, "unsupported"),
        (None, UnsupportedError, "unsupported"),
    ],
)
async def test_a_tag_that_was_not_deleted_is_told(
    failure: str | None, kind: type[StoreError], code: str
) -> None:
    row = {"failureCode": failure, "failureReason": "Its words."}
    async with answering({"imageIds": [], "failures": [row]}) as repositories:
        with pytest.raises(kind) as caught:
            await repositories.delete("app/web", "1", DIGEST, shared=True)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert "Deleting app/web:1 from Amazon ECR failed" in caught.value.message
    assert "Its words" in caught.value.message
