"""The parameters of the objects plugin, each with its meaning and unit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from transferhub.engine.compare import CompareMode
from transferhub.errors import InputError
from transferhub.model.units import parse_bytes
from transferhub.plugins.objects.location import Location
from transferhub.stores.base import MAX_PART_BYTES, MIN_PART_BYTES

CannedAcl = Literal[
    "", "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
    "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write", "default",
]  # fmt: skip
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
CountLimit = Annotated[int, Field(ge=0)]


def _bytes(value: object) -> object:
    """A size that people wrote, such as 16MiB, in bytes."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value, field="")
    except InputError as error:
        raise ValueError(error.message.removeprefix(": ")) from None


_Size = Annotated[int, Field(ge=0)]
_PartSize = Annotated[int, Field(ge=MIN_PART_BYTES, le=MAX_PART_BYTES)]
SizeLimit = Annotated[_Size, BeforeValidator(_bytes, json_schema_input_type=_Size | str)]
PartSize = Annotated[_PartSize, BeforeValidator(_bytes, json_schema_input_type=_PartSize | str)]


class Parameters(BaseModel):
    """What a person can ask for. Holds no secret.

    `include` and `exclude` are globs over relative keys (without the source's prefix), as in
    .gitignore: see `globs`. An object is taken if one of `include` matches, or there is none, and
    no `exclude` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Location = Field(description="Where objects are read.")
    destination: Location = Field(description="Where objects are written.")
    destination_prefix: str = Field(
        default="", description="Folder under the destination, with its slash, to write into."
    )

    prefix_list: str = Field(default="", description="Path of a text file: a prefix a line.")
    prefix_list_sha256: Sha256 = Field(default="", description="Of its bytes, in hexadecimal.")
    manifest: str = Field(default="", description="Path of a file with exact keys to copy.")
    manifest_sha256: Sha256 = Field(default="", description="Of its bytes, in hexadecimal.")
    inventory: Location | None = Field(
        default=None, description="Where an S3 Inventory is that takes the place of listing."
    )
    inventory_key: str = Field(default="", description="Key of its manifest.json there.")

    include: tuple[str, ...] = Field(default=(), description="Globs; one of them must match.")
    exclude: tuple[str, ...] = Field(default=(), description="Globs; none of them may match.")
    min_size: SizeLimit | None = Field(default=None, description="Bytes, inclusive.")
    max_size: SizeLimit | None = Field(default=None, description="Bytes, inclusive.")
    newer_than: AwareDatetime | None = Field(
        default=None, description="Modified at this time or later."
    )
    older_than: AwareDatetime | None = Field(default=None, description="Modified before this time.")
    newer_than_given: str = Field(
        default="", description="The age that newer_than was given as, such as 7d."
    )
    older_than_given: str = Field(
        default="", description="The age that older_than was given as, such as 7d."
    )
    storage_classes_in: tuple[str, ...] = Field(
        default=(), description="Storage classes of the source to take; none means all."
    )

    storage_class: str | dict[str, str] = Field(
        default="",
        description='To write with; or one for each class of the source, "*" for the others.',
    )
    acl: CannedAcl = Field(default="", description='Canned ACL to write with; "" sets none.')
    sse: Literal["none", "AES256", "aws:kms"] = Field(
        default="none", description="Encryption at rest to ask for; none asks for nothing."
    )
    kms_key: str = Field(default="", description="Id or ARN of the key for aws:kms.")
    keep_metadata: bool = Field(default=True, description="Keep headers and user metadata.")
    tags: bool = Field(default=False, description="Copy object tags.")

    mirror: bool = Field(
        default=False, description="Delete what the destination has and the source has not."
    )
    max_delete: CountLimit | None = Field(
        default=None, description="Most objects to delete; none is no limit."
    )
    max_delete_percent: float = Field(
        default=10.0, ge=0, le=100, description="Most to delete, of the destination's objects."
    )

    compare: CompareMode = Field(
        default=CompareMode.SIZE_MTIME, description="How it is decided what changed."
    )
    copy_mode: Literal["auto", "server", "stream"] = Field(
        default="auto", description="Whether the server copies, or the bytes pass through here."
    )
    part_size: PartSize | None = Field(
        default=None,
        description="Bytes of a part of a multipart upload; none chooses by object.",
    )
