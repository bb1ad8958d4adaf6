"""The parameters of the images plugin, each with its meaning and unit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from transferhub.plugins.images.registry_location import RegistryLocation

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
CountLimit = Annotated[int, Field(ge=0)]


class Parameters(BaseModel):
    """What a person can ask for. Holds no secret.

    Repositories are named as people write them after the registry's host, without the source's
    prefix. `include` and `exclude` are globs REPOSITORY or REPOSITORY:TAG: see `selection`. An
    image is taken if one of `include` matches, or there is none, and no `exclude` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: RegistryLocation = Field(description="Where images are read.")
    destination: RegistryLocation = Field(description="Where images are written.")

    all: bool = Field(default=False, description="Take all that the source has.")
    images: str = Field(
        default="",
        description="Images to take, parted by commas or lines; no tag is latest, the tag ALL_TAGS"
        " all of them.",
    )
    images_file: str = Field(default="", description="Path of a text file with such a list.")
    images_file_sha256: Sha256 = Field(default="", description="Of its bytes, in hexadecimal.")
    images_parameter: str = Field(
        default="", description="Name of an SSM parameter with such a list, on AWS."
    )

    include: tuple[str, ...] = Field(default=(), description="Globs; one of them must match.")
    exclude: tuple[str, ...] = Field(default=(), description="Globs; none of them may match.")
    tag_pattern: str = Field(
        default="", description="Regular expression that a tag must match as a whole."
    )
    semver: str = Field(
        default="", description="Range of versions that a tag must be in, such as >=1.2 <2."
    )
    newest: int | None = Field(
        default=None, ge=1, description="Most images of each repository, by the time of their push."
    )
    platform: str = Field(
        default="", description='Only this image of an index, such as linux/amd64; "" is all.'
    )
    untagged: bool = Field(default=False, description="Take images without a tag.")
    index_children: bool = Field(
        default=False, description="Take images of an index by themselves too."
    )
    cosign: bool = Field(
        default=True, description="Take cosign's signatures, attestations and SBOMs along."
    )
    referrers: bool = Field(default=False, description="Take OCI referrers along.")

    prefix: str = Field(
        default="", description="Folder under the destination, with its slash, to write into."
    )
    rename: dict[str, str] = Field(
        default_factory=dict,
        description="Repositories, or folders with their slash, and what they are called there.",
    )

    create: bool = Field(default=True, description="Create repositories that are missing.")
    tag_mutability: Literal["mutable", "immutable"] = Field(
        default="mutable", description="Of repositories that are created in Amazon ECR."
    )
    scan_on_push: bool = Field(
        default=False, description="Of repositories that are created in Amazon ECR."
    )
    encryption: Literal["AES256", "KMS", "KMS_DSSE"] = Field(
        default="AES256", description="Of repositories that are created in Amazon ECR."
    )
    kms_key: str = Field(default="", description="Id or ARN of the key for KMS.")

    prune: bool = Field(
        default=False, description="Delete tags that the destination has and the source has not."
    )
    max_delete: CountLimit | None = Field(
        default=None, description="Most tags to delete; none is no limit."
    )
    max_delete_percent: float = Field(
        default=10.0, ge=0, le=100, description="Most to delete, of the destination's tags."
    )

    concurrency: int = Field(
        default=10, ge=1, le=1_000, description="Images under way at once on each machine."
    )
    attempts: int = Field(
        default=3, ge=1, le=100, description="Times that an image is tried before it is given up."
    )
