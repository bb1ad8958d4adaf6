"""The options that commands of images have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from transferhub.cli.grouped import Choice, Option
from transferhub.cli.options import in_section

MUTABILITIES = ("mutable", "immutable")
REPOSITORY_ENCRYPTIONS = ("AES256", "KMS", "KMS_DSSE")

_SIDE: Sequence[tuple[str, str, dict[str, Any]]] = (
    (
        "endpoint",
        "Server of ECR's API, such as a private endpoint. [env: {env}_ENDPOINT]",
        {"metavar": "URL"},
    ),
    ("profile", "Profile of the AWS configuration files, for ECR.", {"metavar": "NAME"}),
    (
        "credentials",
        "JSON with {secrets}. [default: {variables}]",
        {"metavar": "FILE"},
    ),
    ("anonymous", "Sign in to nothing.", {"is_flag": True}),
    ("ca-bundle", "PEM certificates to trust for TLS.", {"metavar": "FILE"}),
    ("proxy", "http:// proxy, without credentials.", {"metavar": "URL"}),
    ("plain-http", "Reach the registry without TLS.", {"is_flag": True}),
    (
        "account",
        "AWS account of the ECR registry. [default: that of the credentials]",
        {"metavar": "ID"},
    ),
    ("region", "Region of the ECR registry, where its host does not say it.", {"metavar": "NAME"}),
)
"""What each side can be told: the flag without its side, its help and its shape."""

SIDE_FIELDS = {
    flag: {"credentials": "credentials_file"}.get(flag, flag.replace("-", "_"))
    for flag, _, _ in _SIDE
}
"""Flag to the field of RegistryLocation."""

_SECRETS = (
    "user and password, or as Docker keeps logins; for ECR access_key_id, secret_access_key and,"
    " optionally, session_token, role_arn, external_id"
)
_VARIABLES = (
    "{env}_USER and {env}_PASSWORD; for ECR {env}_ACCESS_KEY_ID, {env}_SECRET_ACCESS_KEY and"
    " {env}_SESSION_TOKEN, then the usual AWS chain"
)


def registry_arguments() -> list[click.Argument]:
    return [
        click.Argument(
            ["source"],
            metavar="SOURCE",
            help="HOST or HOST/PREFIX; ecr://REGION or ecr://REGION/PREFIX; public, where each"
            " image of the list names its own registry.",
        ),
        click.Argument(
            ["destination"], metavar="DESTINATION", help="The same, to write to; not public."
        ),
    ]


def registry_options(side: str) -> list[Option]:
    """The options of "source" or "destination"."""
    env = f"DTH_{side.upper()}"
    told = {"env": env, "secrets": _SECRETS, "variables": _VARIABLES.format(env=env)}
    return [
        Option(
            [f"--{side}-{flag}", f"{side}_{SIDE_FIELDS[flag]}"],
            section=side.capitalize(),
            help=text.format(**told),
            **attrs,
        )
        for flag, text, attrs in _SIDE
    ]


def image_options() -> list[Option]:
    """Which images."""
    make = in_section("Scope")
    return [
        make("--all", "All images of SOURCE.", is_flag=True),
        make(
            "--images",
            "These images, parted by commas or lines: NAME is NAME:latest, NAME:ALL_TAGS all of"
            " its tags. The path of a file that is there is read as such a list, - is standard"
            " input.",
            metavar="LIST|FILE",
            also=("images_file",),
        ),
        make(
            "--images-parameter",
            "The images in this parameter of AWS Systems Manager.",
            metavar="NAME",
        ),
        make(
            "--include",
            "Only images that match REPOSITORY or REPOSITORY:TAG, such as team/**:v1.*; may be"
            " given more than once.",
            metavar="GLOB",
            multiple=True,
        ),
        make(
            "--exclude",
            "No images that match; wins over --include; may be given more than once.",
            metavar="GLOB",
            multiple=True,
        ),
        make(
            "--tags",
            "Only tags that match this regular expression as a whole.",
            field="tag_pattern",
            metavar="REGEX",
        ),
        make(
            "--semver",
            'Only tags that are versions in this range, such as ">=1.2 <2" or "~1.27".',
            metavar="RANGE",
        ),
        make(
            "--newest",
            "Only so many images of each repository, the newest by their push, or by version where"
            " the registry does not tell it.",
            metavar="COUNT",
        ),
        make(
            "--platform",
            "Only this image of a multi-platform one, such as linux/amd64. [default: all]",
            metavar="OS/ARCH",
        ),
        make("--untagged", "Images without a tag, too; ECR alone lists them.", is_flag=True),
        make(
            "--index-children",
            "Images of a multi-platform one by themselves, too; ECR alone lists them.",
            is_flag=True,
        ),
        make(
            "--cosign/--no-cosign",
            "Take along cosign's signatures, attestations and SBOMs. [default: take]",
            default=None,
        ),
        make(
            "--referrers",
            "Take along what refers to an image by OCI 1.1, such as signatures and SBOMs.",
            is_flag=True,
        ),
    ]


def repository_options() -> list[Option]:
    """Where images go, and the repositories that are made for them."""
    make = in_section("Writing")
    return [
        make("--prefix", "Folder under DESTINATION to write into.", metavar="PREFIX"),
        make(
            "--rename",
            "Another name for a repository, or for a folder with its slash; tools/= drops the"
            " folder; may be given more than once.",
            metavar="OLD=NEW",
            multiple=True,
        ),
        make(
            "--create/--no-create",
            "Create repositories that are missing. [default: create]",
            default=None,
        ),
        make(
            "--tag-mutability",
            "mutable or immutable: of repositories created in ECR. [default: mutable]",
            type=Choice(MUTABILITIES),
            metavar="KIND",
        ),
        make("--scan-on-push", "Scan images; of repositories created in ECR.", is_flag=True),
        make(
            "--encryption",
            "AES256, KMS or KMS_DSSE: of repositories created in ECR. [default: AES256]",
            type=Choice(REPOSITORY_ENCRYPTIONS),
            metavar="KIND",
        ),
        make("--kms-key", "Key for --encryption KMS, its id or ARN.", metavar="ID"),
    ]


def pruning_options() -> list[Option]:
    make = in_section("Deleting")
    return [
        make(
            "--prune",
            "Delete tags that DESTINATION has and SOURCE has not, in repositories that both have,"
            " after all copies; needs --all.",
            is_flag=True,
        ),
        make(
            "--max-delete",
            "Stop before deleting anything if it were more tags. [default: no limit]",
            metavar="COUNT",
        ),
        make(
            "--max-delete-percent",
            "The same, of the tags at the destination that were looked at. [default: 10]",
            metavar="PERCENT",
        ),
    ]


def image_speed_options() -> list[Option]:
    make = in_section("Speed")
    return [
        make("--concurrency", "Images under way at once. [default: 10]", metavar="COUNT"),
        make(
            "--attempts",
            "Tries of an image before it counts as failed. [default: 3]",
            metavar="COUNT",
        ),
        make(
            "--requests",
            "Most requests per second, of both registries together, such as 50/s. [env:"
            " DTH_REQUESTS; default: no limit]",
            metavar="RATE",
        ),
    ]
