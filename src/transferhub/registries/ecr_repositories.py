"""Repositories of Amazon ECR, by its own API: a thousand images in one answer.

Source: Amazon ECR's API reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from transferhub.aws.client import AwsClient, AwsError
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries.ecr import EcrClass, ecr_failure
from transferhub.registries.manifest import Digest, is_digest
from transferhub.registries.repositories import ListedImage, TagRule

_PAGE = 1000
"""The most that ECR gives at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryOptions:
    """Of repositories that are created. What is left as it is here is not sent, so that ECR's own
    defaults hold.

    Attributes:
        kms_key: id, alias or ARN; "" for AWS's own key for ECR.
    """

    tag_mutability: Literal["mutable", "immutable"] = "mutable"
    scan_on_push: bool = False
    encryption: Literal["AES256", "KMS", "KMS_DSSE"] = "AES256"
    kms_key: str = ""


class EcrRepositories:
    """Repositories of one account in one region."""

    def __init__(
        self, client: AwsClient, *, account: str = "", options: RepositoryOptions | None = None
    ) -> None:
        """Args:
        client: of ECR's API; closed with this.
        account: whose registry; that of the credentials where it is "".
        options: of repositories that are created.
        """
        self._client = client
        self._registry = {"registryId": account} if account else {}
        self._options = options or RepositoryOptions()

    async def names(self) -> AsyncIterator[str]:
        async for repository in self._rows("DescribeRepositories", "repositories", {}):
            yield _text(repository, "DescribeRepositories", "repositoryName")

    async def rule(self, name: str) -> TagRule | None:
        action = "DescribeRepositories"
        try:
            answer = await self._ask(action, {"repositoryNames": [name]}, name)
        except NotFoundError:
            return None
        try:
            return _rule(answer["repositories"][0])
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise _garbled(action, name) from error

    async def images(
        self, name: str, *, wanted: Callable[[str], bool]
    ) -> AsyncIterator[ListedImage]:
        action = "DescribeImages"
        try:
            async for row in self._rows(action, "imageDetails", {"repositoryName": name}, name):
                try:
                    image = _image(row, wanted)
                except (KeyError, TypeError, ValueError, OverflowError) as error:
                    raise _garbled(action, name) from error
                if image.tags or not row.get("imageTags"):
                    yield image
        except NotFoundError:
            return

    async def create(self, name: str) -> None:
        options = self._options
        asked: dict[str, object] = {"repositoryName": name}
        if options.tag_mutability != "mutable":
            asked["imageTagMutability"] = options.tag_mutability.upper()
        if options.scan_on_push:
            asked["imageScanningConfiguration"] = {"scanOnPush": True}
        if options.encryption != "AES256":
            key = {"kmsKey": options.kms_key} if options.kms_key else {}
            asked["encryptionConfiguration"] = {"encryptionType": options.encryption, **key}
        try:
            await self._ask("CreateRepository", asked, name)
        except StoreError as error:
            if error.vendor_code != "RepositoryAlreadyExistsException":
                raise

    async def delete(self, name: str, tag: str, digest: Digest, *, shared: bool) -> None:
        action = "BatchDeleteImage"
        asked = {"repositoryName": name, "imageIds": [{"imageTag": tag}]}
        answer = await self._ask(action, asked, f"{name}:{tag}")
        for failure in answer.get("failures") or ():
            raise _undeleted(f"{name}:{tag}", failure)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _rows(
        self, action: str, field: str, asked: Mapping[str, object], what: str = ""
    ) -> AsyncIterator[Mapping[str, Any]]:
        """What all pages of an answer have in this field."""
        token = ""
        while True:
            page = {"maxResults": _PAGE, **({"nextToken": token} if token else {})}
            answer = await self._ask(action, {**asked, **page}, what)
            for row in answer.get(field) or ():
                if not isinstance(row, dict):
                    raise _garbled(action, what)
                yield row
            following = str(answer.get("nextToken") or "")
            if not following:
                return
            if following == token:
                raise StoreError(
                    f"{action} of Amazon ECR failed: it gives the same page again and again; check"
                    " the endpoint.",
                    code="listing_loops",
                )
            token = following

    async def _ask(self, action: str, asked: Mapping[str, object], what: str) -> dict[str, Any]:
        try:
            return await self._client.ask(action, {**self._registry, **asked})
        except AwsError as error:
            raise ecr_failure(error, what) from error


def _rule(repository: Mapping[str, Any]) -> TagRule:
    mutability = str(repository.get("imageTagMutability") or "MUTABLE")
    exceptions: tuple[str, ...] = ()
    if mutability.endswith("_WITH_EXCLUSION"):
        filters = repository.get("imageTagMutabilityExclusionFilters") or ()
        exceptions = tuple(str(one["filter"]) for one in filters)
    return TagRule(immutable=mutability.startswith("IMMUTABLE"), exceptions=exceptions)


def _image(row: Mapping[str, Any], wanted: Callable[[str], bool]) -> ListedImage:
    digest = str(row["imageDigest"])
    if not is_digest(digest):
        raise ValueError(digest)
    return ListedImage(
        digest=Digest(digest),
        tags=tuple(tag for tag in map(str, row.get("imageTags") or ()) if wanted(tag)),
        media_type=str(row.get("imageManifestMediaType") or ""),
        size=int(row.get("imageSizeInBytes") or 0),
        pushed_at=_moment(row.get("imagePushedAt")),
    )


def _moment(told: object) -> datetime | None:
    """Seconds since 1970, as AWS tells time, or text, as what emulates it may."""
    match told:
        case None:
            return None
        case int() | float():
            return datetime.fromtimestamp(told, UTC)
        case _:
            at = datetime.fromisoformat(str(told))
            return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _text(row: Mapping[str, Any], action: str, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise _garbled(action, "")
    return value


def _garbled(action: str, what: str) -> TransientError:
    of = f" for {what}" if what else ""
    return TransientError(
        f"{action} of Amazon ECR{of} failed: the answer is not what it would send; check the"
        " endpoint.",
        code="garbled",
    )


_FAILURES: Mapping[str, EcrClass] = {
    "ImageNotFound": (NotFoundError, None, "there is no such image"),
    "ImageReferencedByManifestList": (
        UnsupportedError,
        None,
        "it is part of an image of several platforms, which has to be deleted before",
    ),
    "InvalidImageTag": (UnsupportedError, "bad_reference", "ECR has no such tags"),
    "KmsError": (DeniedError, None, "check the KMS key of the repository, and its policy"),
    "UpstreamAccessDenied": (DeniedError, None, "the registry behind it refuses"),
    "UpstreamTooManyRequests": (ThrottledError, None, "the registry behind it asks to slow down"),
    "UpstreamUnavailable": (TransientError, None, "it is tried again"),
}


def _undeleted(what: str, failure: Mapping[str, Any]) -> StoreError:
    """One of `failures`, which stand in an answer that is none itself."""
    name = str(failure.get("failureCode") or "")
    said = f"{name}: {failure.get('failureReason') or ''}".strip(" :.")
    kind, code, advice = _FAILURES.get(name, (UnsupportedError, None, "ECR refuses to"))
    return kind(
        f"Deleting {what} from Amazon ECR failed ({said}): {advice}.", code=code, vendor_code=name
    )
