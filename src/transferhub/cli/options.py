"""The options that more than one command has, each written once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from transferhub.cli.grouped import Choice, Option

COMPARE_MODES = ("size", "size-mtime", "etag", "checksum", "always", "missing-only")
COPY_MODES = ("auto", "server", "stream")
ENCRYPTIONS = ("none", "AES256", "aws:kms")
ADDRESSINGS = ("auto", "path", "virtual")
PROVIDERS = (
    "aws", "oss", "cos", "obs", "kodo", "gcs", "r2", "b2", "minio", "wasabi", "seaweedfs",
    "rclone", "other",
)  # fmt: skip


_SIDE: Sequence[tuple[str, str, dict[str, Any]]] = (
    (
        "endpoint",
        "Server to talk to, for any S3-compatible store. [env: {env}_ENDPOINT]",
        {"metavar": "URL"},
    ),
    (
        "provider",
        f"Preset of the store: {', '.join(PROVIDERS)}. [default: by the scheme]",
        {"type": Choice(PROVIDERS), "metavar": "NAME"},
    ),
    (
        "region",
        "Region of the bucket. [env: {env}_REGION; default: found out]",
        {"metavar": "NAME"},
    ),
    ("profile", "Profile of the AWS configuration files.", {"metavar": "NAME"}),
    (
        "credentials",
        (
            "JSON with access_key_id, secret_access_key and, optionally, session_token, role_arn,"
            " external_id. [default: {env}_ACCESS_KEY_ID, {env}_SECRET_ACCESS_KEY and"
            " {env}_SESSION_TOKEN, then the usual AWS chain]"
        ),
        {"metavar": "FILE"},
    ),
    ("anonymous", "Send unsigned requests.", {"is_flag": True}),
    (
        "addressing",
        "Where the bucket's name stands: path, virtual (host name) or auto. [default: auto]",
        {"type": Choice(ADDRESSINGS), "metavar": "STYLE"},
    ),
    ("ca-bundle", "PEM certificates to trust for TLS.", {"metavar": "FILE"}),
    ("proxy", "http:// proxy, without credentials.", {"metavar": "URL"}),
    (
        "request-payer",
        "Pay for requests and traffic of a Requester Pays bucket.",
        {"is_flag": True},
    ),
    ("dual-stack", "Use the AWS endpoints of IPv4 and IPv6.", {"is_flag": True}),
    ("fips", "Use the AWS endpoints validated by FIPS 140.", {"is_flag": True}),
    ("accelerate", "Use S3 Transfer Acceleration.", {"is_flag": True}),
    ("account", "Account id, for Cloudflare R2.", {"metavar": "ID"}),
)
"""What each side can be told: the flag without its side, its help and its shape."""

SIDE_FIELDS = {
    flag: {"credentials": "credentials_file"}.get(flag, flag.replace("-", "_"))
    for flag, _, _ in _SIDE
}
"""Flag to the field of Location."""


def side_options(side: str) -> list[Option]:
    """The options of "source" or "destination"."""
    return [
        Option(
            [f"--{side}-{flag}", f"{side}_{SIDE_FIELDS[flag]}"],
            section=side.capitalize(),
            help=text.format(env=f"DTH_{side.upper()}"),
            **attrs,
        )
        for flag, text, attrs in _SIDE
    ]


def scope_options() -> list[Option]:
    make = in_section("Scope")
    return [
        make(
            "--prefix-list",
            "Only the prefixes in FILE, one a line. An empty list is an error.",
            metavar="FILE",
        ),
        make(
            "--manifest",
            "Only the exact keys in FILE, a CSV or one key a line; nothing is listed.",
            metavar="FILE",
        ),
        make(
            "--inventory",
            "manifest.json of an S3 Inventory, which takes the place of listing the source.",
            metavar="URL",
        ),
        make(
            "--include",
            "Only keys that match, as in .gitignore; may be given more than once.",
            metavar="GLOB",
            multiple=True,
        ),
        make(
            "--exclude",
            "No keys that match; wins over --include; may be given more than once.",
            metavar="GLOB",
            multiple=True,
        ),
        make("--min-size", "Only objects of this size or more, such as 1MiB.", metavar="SIZE"),
        make("--max-size", "Only objects of this size or less, such as 5GB.", metavar="SIZE"),
        make(
            "--newer-than",
            "Only objects modified since: an age such as 7d, or 2024-05-01T12:00:00Z.",
            metavar="TIME",
        ),
        make(
            "--older-than",
            "Only objects modified before: an age such as 7d, or 2024-05-01T12:00:00Z.",
            metavar="TIME",
        ),
        make(
            "--storage-class-in",
            "Only objects of these storage classes, separated by commas.",
            field="storage_classes_in",
            metavar="CLASSES",
        ),
    ]


def compare_options() -> list[Option]:
    make = in_section("Compare")
    return [
        make(
            "--compare",
            "What makes an object changed. size; size-mtime: its size, or the source is newer;"
            " etag; checksum; always: copy all; missing-only: never replace. [default: size-mtime]",
            type=Choice(COMPARE_MODES),
            metavar="MODE",
        ),
    ]


def destination_prefix_option() -> Option:
    return in_section("Writing")(
        "--destination-prefix", "Folder under DESTINATION to write into.", metavar="PREFIX"
    )


def writing_options() -> list[Option]:
    make = in_section("Writing")
    return [
        destination_prefix_option(),
        make(
            "--storage-class",
            "Storage class to write with; or one for each class of the source, such as"
            ' "GLACIER_IR=STANDARD_IA,*=STANDARD". [default: left to the store, STANDARD at S3]',
            metavar="CLASS|MAP",
        ),
        make("--acl", "Canned ACL to write with. [default: none]", metavar="ACL"),
        make(
            "--sse",
            "Encryption at rest to ask for: AES256, aws:kms; none leaves it to the bucket."
            " [default: none]",
            type=Choice(ENCRYPTIONS),
            metavar="KIND",
        ),
        make("--kms-key", "Key for --sse aws:kms, its id or ARN.", metavar="ID"),
        make(
            "--keep-metadata/--no-keep-metadata",
            "Keep Content-Type, -Encoding, -Language, -Disposition, Cache-Control, Expires and user"
            " metadata. [default: keep]",
            default=None,
        ),
        make(
            "--tags",
            "Copy object tags as well; a request more for each tagged object.",
            is_flag=True,
        ),
        make(
            "--copy",
            "server: the server copies by itself. stream: bytes pass through this machine."
            " auto: server where both sides are one endpoint and one credential. [default: auto]",
            field="copy_mode",
            type=Choice(COPY_MODES),
            metavar="MODE",
        ),
        make(
            "--part-size",
            "Size of the parts of large objects, 5MiB to 5GiB. [default: by object, 16 to 64 MiB]",
            metavar="SIZE",
        ),
    ]


def deleting_options() -> list[Option]:
    make = in_section("Deleting")
    return [
        make(
            "--mirror",
            "Delete what the destination has and the source has not, after all copies.",
            is_flag=True,
        ),
        make(
            "--max-delete",
            "Stop before deleting anything if it were more objects. [default: no limit]",
            metavar="COUNT",
        ),
        make(
            "--max-delete-percent",
            "The same, of the objects at the destination. [default: 10]",
            metavar="PERCENT",
        ),
    ]


_SPEED = (
    ("bandwidth", "RATE", "Most bytes per second, such as 50MB/s.", "no limit"),
    ("requests", "RATE", "Most requests per second, such as 500/s.", "no limit"),
    ("attempts", "COUNT", "Tries of an object before it counts as failed.", "5"),
    ("processes", "COUNT", "Worker processes.", "as many as the work needs, one per core at most"),
    ("concurrency", "COUNT", "Objects and parts under way at once, in all processes.", "64"),
    ("listers", "COUNT", "Key ranges listed at once, at most.", "32"),
    ("memory", "SIZE", "Bytes of objects in flight, in all processes.", "256MiB"),
)


def speed_options() -> list[Option]:
    make = in_section("Speed")
    return [
        make(
            f"--{name}",
            f"{text} [env: DTH_{name.upper()}; default: {default}]",
            metavar=metavar,
        )
        for name, metavar, text, default in _SPEED
    ]


def output_options(*, progress: bool, json: str, ledger: bool = True) -> list[Option]:
    """Where results go and how much is said.

    Args:
        json: what one JSON document on stdout would hold; "" where there is none.
        ledger: the command works with tasks, runs or transfers.
    """
    make = in_section("Output")
    options = [make("--json", f"Print {json} as JSON on stdout.", is_flag=True)] if json else []
    if progress:
        options.append(make("--quiet", "Show no progress, only the end and errors.", is_flag=True))
    options.append(
        make(
            "--state",
            "Folder that remembers runs. [env: DTH_STATE; see `dth doctor`]",
            metavar="DIR",
        )
    )
    if ledger:
        options.append(
            make(
                "--ledger",
                "aws://NAME?region=REGION&profile=PROFILE: the state is on AWS, as `dth aws"
                " create-state` made it. [env: DTH_LEDGER; default: in the database]",
                metavar="URL",
            )
        )
    return [
        *options,
        make(
            "--config",
            "Settings as TOML. [env: DTH_CONFIG; default: ~/.config/dth/dth.toml and"
            " /etc/dth/dth.toml]",
            metavar="FILE",
        ),
        make("--debug", "Show log lines, and tracebacks of unexpected errors.", is_flag=True),
    ]


def no_resume_option() -> Option:
    return in_section("Output")(
        "--no-resume",
        "Start a new run even where an unfinished one could go on.",
        is_flag=True,
    )


def server_options() -> list[Option]:
    """Where a hub listens, and who may come."""
    return [
        Option(
            ["--host"],
            metavar="ADDRESS",
            help="Address to listen on; any but this machine's own needs TLS and users."
            " [env: DTH_HOST; default: 127.0.0.1]",
        ),
        Option(
            ["--port"],
            metavar="PORT",
            help="Port to listen on; 0 takes a free one. [env: DTH_PORT; default: 8420]",
        ),
        Option(
            ["--public-url"],
            metavar="URL",
            help="How browsers reach the hub, where it is not as it listens. [env: DTH_PUBLIC_URL]",
        ),
        Option(
            ["--tls-certificate"],
            metavar="FILE",
            help="Certificate and its chain, PEM. [env: DTH_TLS_CERTIFICATE]",
        ),
        Option(
            ["--tls-key"],
            metavar="FILE",
            help="Private key of the certificate, PEM. [env: DTH_TLS_KEY]",
        ),
        Option(
            ["--behind-proxy"],
            is_flag=True,
            help="A proxy in front of the hub does TLS, and nobody else can reach it."
            " [env: DTH_BEHIND_PROXY]",
        ),
    ]


def process_options() -> list[Option]:
    """Of a process of a hub."""
    return [
        Option(
            ["--name"],
            metavar="NAME",
            help="Name of this machine in lists. [env: DTH_NAME; default: its host name]",
        ),
        Option(
            ["--runs"],
            metavar="COUNT",
            help="Runs that this machine carries at once; 0 for none. [env: DTH_RUNS; default: 4]",
        ),
        Option(
            ["--log-format"],
            metavar="FORMAT",
            help="console or json, an object a line. [env: DTH_LOG_FORMAT; default: console]",
        ),
        database_option(),
        *speed_options(),
        *output_options(progress=False, json=""),
    ]


def database_option() -> Option:
    return Option(
        ["--database"],
        metavar="URL",
        help="postgresql://USER@HOST/DATABASE; its password belongs in DTH_DATABASE,"
        " DTH_DATABASE_PASSWORD_FILE or ~/.pgpass. [env: DTH_DATABASE; default: SQLite in the"
        " state folder]",
    )


def filter_options() -> list[Option]:
    """Which failures of a run."""
    return [
        Option(["--code"], metavar="CODE", help="Only failures of this error code."),
        Option(
            ["--key"],
            metavar="GLOB",
            default="*",
            help="Only keys that match; * matches / too. [default: *]",
        ),
    ]


def run_argument() -> click.Argument:
    return click.Argument(
        ["run"], metavar="RUN", help="Id of a run, the start of its id, or the word last."
    )


def location_arguments() -> list[click.Argument]:
    return [
        click.Argument(["source"], metavar="SOURCE", help="s3://BUCKET/PREFIX or file:///FOLDER"),
        click.Argument(["destination"], metavar="DESTINATION", help="The same, to write to."),
    ]


def in_section(section: str) -> Callable[..., Option]:
    """Makes the options of one section."""

    def make(flag: str, text: str, *, field: str = "", **attrs: Any) -> Option:
        names = [flag, field] if field else [flag]
        return Option(names, section=section, help=text, **attrs)

    return make


def chain(*groups: Iterable[click.Parameter]) -> list[click.Parameter]:
    return [param for group in groups for param in group]
