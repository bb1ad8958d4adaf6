"""Everything of the command line that a user can rely on."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.unit.cli.fake_host import dth
from transferhub import __version__
from transferhub.cli.commands.aws import ROLES
from transferhub.cli.grouped import SECTIONS, SETTINGS, Command, Family, section_of
from transferhub.cli.images_options import MUTABILITIES, REPOSITORY_ENCRYPTIONS
from transferhub.cli.images_options import SIDE_FIELDS as REGISTRY_FIELDS
from transferhub.cli.options import (
    ADDRESSINGS,
    COMPARE_MODES,
    COPY_MODES,
    ENCRYPTIONS,
    PROVIDERS,
    SIDE_FIELDS,
)
from transferhub.cli.reference import PATH, reference
from transferhub.cli.root import COMMANDS, root
from transferhub.engine.compare import CompareMode
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.aws.access import Role

REPOSITORY = Path(__file__).parents[3]

SIDES = """
    endpoint provider region profile credentials anonymous addressing ca-bundle proxy request-payer
    dual-stack fips accelerate account
"""
SIDE_FLAGS = {f"--{side}-{flag}" for side in ("source", "destination") for flag in SIDES.split()}
SCOPE_FLAGS = {
    "--prefix-list",
    "--manifest",
    "--inventory",
    "--include",
    "--exclude",
    "--min-size",
    "--max-size",
    "--newer-than",
    "--older-than",
    "--storage-class-in",
    "--compare",
    "--destination-prefix",
}
WRITING_FLAGS = {
    "--verify",
    "--storage-class",
    "--acl",
    "--sse",
    "--kms-key",
    "--keep-metadata",
    "--no-keep-metadata",
    "--tags",
    "--copy",
    "--part-size",
    "--mirror",
    "--max-delete",
    "--max-delete-percent",
}
RUNNING_FLAGS = {"--dry-run", "--prices", "--no-resume", "--quiet"}
SPEED_FLAGS = {
    "--bandwidth",
    "--requests",
    "--attempts",
    "--processes",
    "--concurrency",
    "--listers",
    "--memory",
}
WITHOUT_LEDGER = {"--json", "--state", "--config", "--debug", "--help", "-h"}
ALL = WITHOUT_LEDGER | {"--ledger"}
OF_AWS = {"--name", "--region", "--profile", "--debug", "--help", "-h"}
SERVER_FLAGS = {
    "--host",
    "--port",
    "--public-url",
    "--tls-certificate",
    "--tls-key",
    "--behind-proxy",
}
PROCESS_FLAGS = {"--runs", "--name", "--database", "--log-format"} | (ALL - {"--json"})
SCHEDULE_FLAGS = {"--cron", "--every", "--once", "--zone", "--overlap", "--catch-up"}
LIMIT_FLAGS = {"--bandwidth", "--requests", "--concurrency"}
SIDES_OF_IMAGES = """
    endpoint profile credentials anonymous ca-bundle proxy plain-http account region
"""
IMAGES_FLAGS = {
    *(f"--{side}-{flag}" for side in ("source", "destination") for flag in SIDES_OF_IMAGES.split()),
    *("--all", "--images", "--images-parameter", "--include", "--exclude", "--tags", "--semver"),
    *("--newest", "--platform", "--untagged", "--index-children", "--cosign", "--no-cosign"),
    *("--referrers", "--prefix", "--rename", "--create", "--no-create", "--tag-mutability"),
    *("--scan-on-push", "--encryption", "--kms-key", "--prune", "--max-delete"),
    *("--max-delete-percent", "--concurrency", "--attempts", "--requests"),
}
FLAGS = {
    "transfer": SIDE_FLAGS | SCOPE_FLAGS | WRITING_FLAGS | SPEED_FLAGS | RUNNING_FLAGS | ALL,
    "images": IMAGES_FLAGS | (RUNNING_FLAGS - {"--prices"}) | ALL,
    "verify": SIDE_FLAGS | SCOPE_FLAGS | WITHOUT_LEDGER | {"--mirror", "--quiet"},
    "runs": ALL | {"--limit"},
    "show": ALL,
    "failures": ALL | {"--code", "--key", "--limit"},
    "redrive": SPEED_FLAGS | ALL | {"--code", "--key", "--quiet"},
    "resume": SPEED_FLAGS | ALL | {"--quiet"},
    "report": ALL,
    "task list": ALL | {"--tag", "--state-is", "--owner", "--search", "--sort", "--limit"},
    "task show": ALL,
    "task next": ALL | {"--limit"},
    "task apply": ALL | {"-f", "--file", "--dry-run"},
    "task export": ALL,
    "task edit": ALL,
    "task schema": {"--debug", "--help", "-h"},
    "task create": SIDE_FLAGS
    | SCOPE_FLAGS
    | (WRITING_FLAGS - {"--verify"})
    | SCHEDULE_FLAGS
    | LIMIT_FLAGS
    | ALL
    | {"--name", "--description", "--tag", "--start"}
    | {"--source-credential", "--destination-credential"},
    "task clone": ALL,
    "task limits": ALL | LIMIT_FLAGS,
    "task create-images": IMAGES_FLAGS
    | SCHEDULE_FLAGS
    | LIMIT_FLAGS
    | ALL
    | {"--name", "--description", "--tag", "--start", "--no-schedule"}
    | {"--source-credential", "--destination-credential"},
    "task start": ALL | {"--wait"},
    "task stop": ALL | {"--abandon"},
    "task retry": ALL | {"--run", "--code", "--key", "--wait"},
    "task pause": ALL,
    "task resume": ALL,
    "task delete": ALL | {"--purge", "--yes"},
    "task events": ALL
    | {"--queue", "--region", "--endpoint", "--credential", "--webhook", "--none", "--apply"}
    | {"--remove", "--hub-url"},
    "user list": ALL,
    "user create": ALL | {"--role"},
    "user password": ALL,
    "user role": ALL,
    "user disable": ALL,
    "user enable": ALL,
    "user link": ALL | {"--role", "--duration", "--url"},
    "token list": ALL,
    "token create": ALL | {"--role", "--scope", "--duration"},
    "token revoke": ALL,
    "credential list": ALL,
    "credential put": ALL | {"--kind", "--file"},
    "credential delete": ALL,
    "credential rotate": ALL,
    "channel list": ALL,
    "channel put": ALL | {"--file"},
    "channel test": ALL,
    "channel delete": ALL,
    "logs": ALL | {"--follow", "--level", "--search", "--limit"},
    "workers list": ALL,
    "workers drain": ALL,
    "audit": ALL | {"--who", "--action", "--subject", "--limit"},
    "up": SPEED_FLAGS | PROCESS_FLAGS | SERVER_FLAGS,
    "worker": SPEED_FLAGS | PROCESS_FLAGS,
    "database show": WITHOUT_LEDGER | {"--database"},
    "database upgrade": WITHOUT_LEDGER | {"--database"},
    "database backup": WITHOUT_LEDGER | {"--database"},
    "database restore": WITHOUT_LEDGER | {"--database"},
    "aws create-state": OF_AWS | {"--json", "--backups", "--protected"},
    "aws show-state": OF_AWS | {"--json"},
    "aws delete-state": OF_AWS | {"--json", "--yes"},
    "aws policy": OF_AWS | {"--role", "--account", "--json"},
    "doctor": ALL,
}
ARGUMENTS = {
    "transfer": ["SOURCE", "DESTINATION"],
    "images": ["SOURCE", "DESTINATION"],
    "verify": ["SOURCE", "DESTINATION"],
    "runs": [],
    "show": ["RUN"],
    "failures": ["RUN"],
    "redrive": ["RUN"],
    "resume": ["RUN"],
    "report": ["RUN"],
    "task list": [],
    "task show": ["TASK"],
    "task next": ["TASK"],
    "task apply": [],
    "task export": ["[TASK]..."],
    "task edit": ["TASK"],
    "task schema": [],
    "task create": ["SOURCE", "DESTINATION"],
    "task clone": ["TASK", "NAME"],
    "task limits": ["TASK"],
    "task create-images": ["SOURCE", "DESTINATION"],
    "task start": ["TASK"],
    "task stop": ["TASK"],
    "task retry": ["TASK"],
    "task pause": ["TASK"],
    "task resume": ["TASK"],
    "task delete": ["TASK"],
    "task events": ["TASK"],
    "user list": [],
    "user create": ["NAME"],
    "user password": ["NAME"],
    "user role": ["NAME", "ROLE"],
    "user disable": ["NAME"],
    "user enable": ["NAME"],
    "user link": ["NAME"],
    "token list": [],
    "token create": ["LABEL"],
    "token revoke": ["ID"],
    "credential list": [],
    "credential put": ["NAME"],
    "credential delete": ["NAME"],
    "credential rotate": [],
    "channel list": [],
    "channel put": [],
    "channel test": ["NAME"],
    "channel delete": ["NAME"],
    "logs": ["RUN"],
    "workers list": [],
    "workers drain": ["WORKER"],
    "audit": [],
    "up": [],
    "worker": [],
    "database backup": ["FILE"],
    "database restore": ["FILE"],
    "doctor": ["[LOCATION]..."],
}


def command(name: str) -> Command:
    """Of its words, such as "task list"."""
    found: click.Command | None = root
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert isinstance(found, Command)
    return found


def family(name: str) -> Family | None:
    found = root.get_command(click.Context(root), name)
    return found if isinstance(found, Family) else None


def options(name: str) -> Iterator[click.Option]:
    for param in command(name).get_params(click.Context(command(name), info_name=name, **SETTINGS)):
        if isinstance(param, click.Option):
            yield param


def test_the_commands() -> None:
    named = [
        f"{name} {member}".strip()
        for name in COMMANDS
        for member in (family(name) or click.Group(commands={"": root})).commands
    ]
    assert named == list(FLAGS)


@pytest.mark.parametrize("name", FLAGS)
def test_the_flags_of_a_command(name: str) -> None:
    flags = {flag for option in options(name) for flag in (*option.opts, *option.secondary_opts)}
    assert flags == FLAGS[name]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_of_a_command(name: str) -> None:
    arguments = [param for param in command(name).params if isinstance(param, click.Argument)]
    assert [argument.metavar for argument in arguments] == ARGUMENTS[name]


@pytest.mark.parametrize("name", FLAGS)
def test_the_overview_and_the_command_say_the_same(name: str) -> None:
    first, _, member = name.partition(" ")
    found = family(first) or command(first)
    assert found.short_help == COMMANDS[first]
    assert found.name == first
    assert command(name).name == (member or first)
    assert command(name).short_help


@pytest.mark.parametrize("name", FLAGS)
def test_help_has_every_flag_and_ends_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dth(*name.split(), "--help").code == 0
    text = capsys.readouterr().out
    assert all(flag in text for flag in FLAGS[name])
    assert "\nExamples:\n" in text
    assert f"  dth {name}" in text
    assert all(option.help for option in options(name))


def test_the_sections_of_transfer(capsys: pytest.CaptureFixture[str]) -> None:
    dth("transfer", "-h")
    text = capsys.readouterr().out
    places = [at for section in SECTIONS if (at := text.find(f"\n{section}:\n")) >= 0]
    assert len(places) > 5
    assert places == sorted(places)
    assert {section_of(option) for option in options("transfer")} <= set(SECTIONS)


def test_the_sections_of_all_commands() -> None:
    assert {section_of(option) for name in FLAGS for option in options(name)} == set(SECTIONS)


def test_the_overview_lists_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert dth("--help").code == 0
    text = capsys.readouterr().out
    for code in (0, 1, 2, 3, 130):
        assert f"\n  {code} " in text


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert dth("--version").code == 0
    assert capsys.readouterr().out == f"dth {__version__}\n"


def test_the_values_that_help_names_are_those_of_the_spec() -> None:
    schema = ObjectsSpec.model_json_schema()["properties"]
    assert list(COMPARE_MODES) == list(CompareMode)
    assert set(COPY_MODES) == set(schema["copy_mode"]["enum"])
    assert list(ENCRYPTIONS) == schema["sse"]["enum"]
    location = Location.model_json_schema()["properties"]
    assert ["", *PROVIDERS] == location["provider"]["enum"]
    assert list(ADDRESSINGS) == location["addressing"]["enum"]
    places = {"scheme", "environment", "bucket", "prefix", "path", "credential"}
    assert set(SIDE_FIELDS.values()) == set(location) - places


def test_the_values_that_help_names_are_those_of_the_spec_of_images() -> None:
    schema = ImagesSpec.model_json_schema()["properties"]
    assert list(MUTABILITIES) == schema["tag_mutability"]["enum"]
    assert list(REPOSITORY_ENCRYPTIONS) == schema["encryption"]["enum"]
    places = {"scheme", "environment", "host", "prefix", "credential"}
    assert set(REGISTRY_FIELDS.values()) == set(RegistryLocation.model_fields) - places


def test_the_roles_of_a_policy_are_those_that_there_are() -> None:
    assert list(ROLES) == list(Role)


def test_the_reference_is_current() -> None:
    written = (REPOSITORY / PATH).read_text()
    assert written == reference(), "run `python -m transferhub.cli.reference`"


SLOW_MODULES = ("pydantic", "rich", "sqlalchemy", "asyncio", "botocore", "pyreqwest", "httpcore")


@pytest.mark.parametrize(
    "args",
    [
        "--help",
        "--version",
        "transfer --help",
        "images --help",
        "runs --help",
        "task --help",
        "task apply --help",
    ],
)
def test_help_loads_nothing_slow(args: str) -> None:
    """Which is what lets it take less than 150 ms; a clock would fail on a busy machine."""
    script = (
        "import sys; from transferhub.cli import main;"
        f" assert main({args.split()!r}) == 0;"
        f" print([name for name in {SLOW_MODULES!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_module_can_be_run() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "transferhub.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == f"dth {__version__}\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m transferhub.cli transfer -h | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
