"""The files in deploy/: what they may say, and that it agrees with the command."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.test_docs_commands import fault_of
from transferhub.hosts.hub_settings import HubSettings, check_exposure

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
IMAGE = re.compile(r"[a-z0-9-]+(:[0-9][a-z0-9.-]*)?")
PROGRAM = "/opt/dth/bin/dth"

# Units

DIRECTIVES = {
    "Unit": {"Description", "Documentation", "Wants", "Requires", "After", "Before"},
    "Install": {"WantedBy", "Alias"},
    "Service": {
        # as the manual page systemd.service has them
        *("Type", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec", "OOMPolicy"),
        # as the manual page systemd.kill has them
        *("KillMode", "KillSignal"),
        # as the manual page systemd.exec has them
        *("User", "Group", "Environment", "EnvironmentFile", "WorkingDirectory", "UMask"),
        *("StateDirectory", "StateDirectoryMode", "LimitNOFILE", "RemoveIPC"),
        *("ProtectSystem", "ProtectHome", "ProtectClock", "ProtectControlGroups", "ProtectProc"),
        *("ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"),
        *("PrivateTmp", "PrivateDevices", "NoNewPrivileges", "LockPersonality"),
        *("CapabilityBoundingSet", "AmbientCapabilities", "SystemCallArchitectures"),
        *("RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
        *("SystemCallFilter", "SystemCallErrorNumber"),
    },
}
HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "User": "dth",
    "UMask": "0077",
}


def read_unit(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=["="], comment_prefixes=["#", ";"]
    )
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    return unit


def unit_faults(text: str) -> Iterator[str]:
    for name, section in read_unit(text).items():
        if name == configparser.DEFAULTSECT:
            continue
        if name not in DIRECTIVES:
            yield f"[{name}] is no section"
            continue
        yield from (
            f"{key} is no directive of [{name}]" for key in section.keys() - DIRECTIVES[name]
        )


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
class TestUnits:
    def test_says_what_systemd_knows_and_no_more(self, path: Path) -> None:
        assert [*unit_faults(path.read_text())] == []

    def test_is_hardened(self, path: Path) -> None:
        service = read_unit(path.read_text())["Service"]
        assert {key: service.get(key) for key in HARDENING} == HARDENING

    def test_starts_a_command_that_there_is(self, path: Path) -> None:
        service = read_unit(path.read_text())["Service"]
        program, *words = shlex.split(service["ExecStart"])
        assert program == PROGRAM
        assert fault_of(words) == ""

    def test_gives_runs_time_to_end(self, path: Path) -> None:
        service = read_unit(path.read_text())["Service"]
        assert service["KillMode"] == "mixed"
        assert int(service["TimeoutStopSec"]) > 25

    def test_keeps_its_state_where_it_may_write(self, path: Path) -> None:
        service = read_unit(path.read_text())["Service"]
        folder = f"/var/lib/{service['StateDirectory']}"
        assert service["Environment"] == f"DTH_STATE={folder}"
        assert service["WorkingDirectory"] == folder

    def test_is_accepted_by_systemd(self, path: Path, tmp_path: Path) -> None:
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            pytest.skip("systemd-analyze is not installed; the tests above look at the same")
        # It asks for a program that is there.
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace(PROGRAM, "/bin/true"))
        instance = copy.with_name(path.name.replace("@.", "@1."))
        verified = subprocess.run(
            [analyze, "verify", "--man=no", instance], capture_output=True, text=True, check=False
        )
        assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    "text", ["[Service]\nProtectSytem=strict\n", "[Servce]\nType=exec\n", "[Unit]\nUser=dth\n"]
)
def test_a_unit_with_a_typing_error_is_noticed(text: str) -> None:
    assert [*unit_faults(text)] != []


def test_there_is_a_unit_for_a_server_and_one_for_workers() -> None:
    assert [path.name for path in UNITS] == ["dth-worker@.service", "dth.service"]


# The image


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name.upper(), words.strip())
        for line in whole.splitlines()
        if line.strip()
        for name, _, words in (line.partition(" "),)
    ]


def image_faults(text: str) -> Iterator[str]:
    """Rules of hadolint, by their numbers, and our own."""
    found = instructions(text)
    stages = {words.split()[-1] for name, words in found if name == "FROM" and " AS " in words}
    for name, words in found:
        yield from RULES.get(name, no_rule)(words)
        if name == "COPY":
            yield from copy_faults(words, stages)
    last = dict(found)
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", last.get("USER", "")):
        yield "DL3002: the last USER is root, or not a number that Kubernetes can check"
    for needed in ("HEALTHCHECK", "ENTRYPOINT", "STOPSIGNAL"):
        if needed not in last:
            yield f"there is no {needed}"


def no_rule(_: str) -> Iterator[str]:
    yield from ()


def from_faults(words: str) -> Iterator[str]:
    image = words.split(maxsplit=1)[0]
    if not IMAGE.fullmatch(image) or ":" not in image:
        yield f"DL3006: {image} is not a plain name with a version"


def add_faults(words: str) -> Iterator[str]:
    yield f"DL3020: COPY copies {words}"


def folder_faults(words: str) -> Iterator[str]:
    if not words.startswith("/"):
        yield f"DL3000: WORKDIR {words} is not absolute"


def command_faults(words: str) -> Iterator[str]:
    try:
        json.loads(words)
    except ValueError:
        yield f"DL3025: {words} is no JSON"


def variable_faults(words: str) -> Iterator[str]:
    if re.search(r"(?i)passw|secret|token|_key", words):
        yield f"{words} would keep a secret"


def run_faults(words: str) -> Iterator[str]:
    for command in re.split(r"&&|\|\||;", words):
        if re.search(r"\bsudo\b", command):
            yield "DL3004: sudo"
        if re.match(r"\s*cd\b", command):
            yield "DL3003: WORKDIR is for that"
        if re.search(r"\bpip\b.*\b(install|wheel)\b", command):
            if "--no-cache-dir" not in command:
                yield f"DL3042: {command.strip()} keeps a cache"
            if "--require-hashes" not in command and "--no-deps" not in command:
                yield f"DL3013: {command.strip()} takes what is not locked"
        if "apt-get install" in command and "--no-install-recommends" not in command:
            yield "DL3015: recommends"
        if "://" in command:
            yield f"{command.strip()} names an address"


def copy_faults(words: str, stages: set[str]) -> Iterator[str]:
    options = [word for word in words.split() if word.startswith("--")]
    sources = [word for word in words.split() if not word.startswith("--")][:-1]
    for option in options:
        if option.startswith("--from=") and option.removeprefix("--from=") not in stages:
            yield f"DL3022: {option} names no stage"
    if not any(option.startswith("--from=") for option in options):
        yield from (f"{it} is not there" for it in sources if not (REPOSITORY / it).exists())


RULES = {
    "FROM": from_faults,
    "ADD": add_faults,
    "RUN": run_faults,
    "WORKDIR": folder_faults,
    "ENTRYPOINT": command_faults,
    "CMD": command_faults,
    "ENV": variable_faults,
    "ARG": variable_faults,
}


def test_the_image_keeps_the_rules() -> None:
    assert [*image_faults((DEPLOY / "Dockerfile").read_text())] == []


def test_the_image_is_sent_what_it_copies() -> None:
    sent = (REPOSITORY / ".dockerignore").read_text().split()
    copied = [
        word
        for name, words in instructions((DEPLOY / "Dockerfile").read_text())
        if name == "COPY" and "--from=" not in words
        for word in words.split()[:-1]
    ]
    assert {word for word in copied if f"!{word}" not in sent} == {
        "requirements/build.lock",
        "requirements/runtime.lock",
    }
    assert "!requirements/*.lock" in sent


@pytest.mark.parametrize(
    "text",
    [
        "FROM python\n",
        "FROM registry.example.com/python:3.13\n",
        "FROM python:3.13\nUSER root\n",
        "FROM python:3.13\nRUN pip install --no-cache-dir data-transfer-hub\n",
        "FROM python:3.13\nENV DTH_VAULT_KEY=x\n",
        "FROM python:3.13\nCOPY --from=build /a /b\n",
        "FROM python:3.13\nCOPY not-there /b\n",
    ],
)
def test_an_image_that_breaks_a_rule_is_noticed(text: str) -> None:
    sound = 'HEALTHCHECK NONE\nENTRYPOINT ["dth"]\nSTOPSIGNAL SIGTERM\n'
    user = "" if "USER" in text else "USER 1:1\n"
    assert [*image_faults(f"FROM python:3.13\n{user}{sound}")] == ([] if user else [ANY_USER])
    assert [*image_faults(text + user + sound)] != []


ANY_USER = "DL3002: the last USER is root, or not a number that Kubernetes can check"

# The compose file

TOP = {"name", "services", "networks", "volumes", "secrets", "configs"}
SERVICE = {
    *("image", "build", "command", "entrypoint", "environment", "env_file", "ports", "expose"),
    *("volumes", "networks", "secrets", "configs", "depends_on", "healthcheck", "restart"),
    *("init", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period", "shm_size"),
    *("user", "working_dir", "deploy", "scale", "labels", "stop_signal", "ulimits"),
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def compose_faults(file: Mapping[str, Any]) -> Iterator[str]:
    """What the Compose Specification does not allow, and our own rules."""
    yield from (f"{key} is no element" for key in file if key not in TOP and key[:2] != "x-")
    for name, service in file["services"].items():
        faults = (
            *element_faults(service),
            *image_name_faults(file, service),
            *reference_faults(file, service),
            *reach_faults(service),
            *environment_faults(service.get("environment", {})),
        )
        yield from (f"{name}: {fault}" for fault in faults)
    for name, secret in file["secrets"].items():
        if secret.keys() != {"file"}:
            yield f"{name}: a secret comes from a file"


def element_faults(service: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} is no element" for key in service.keys() - SERVICE)


def image_name_faults(file: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    image = service.get("image", "")
    if not IMAGE.fullmatch(image):
        yield f"{image} is no plain name of an image"
    if ":" not in image and not built(file, service):
        yield f"{image} has no version, and nobody builds it"


def reference_faults(file: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("networks", "secrets"):
        unknown = set(service.get(kind, ())) - file.get(kind, {}).keys()
        yield from (f"{it} is not among the {kind}" for it in unknown)
    for volume in service.get("volumes", ()):
        source, colon, _ = volume.partition(":")
        if colon and source not in file["volumes"]:
            yield f"{source} is not among the volumes"
    for other, how in service.get("depends_on", {}).items():
        if other not in file["services"] or how["condition"] not in CONDITIONS:
            yield f"cannot depend on {other}"


def reach_faults(service: Mapping[str, Any]) -> Iterator[str]:
    for port in service.get("ports", ()):
        if not port.startswith("127.0.0.1:"):
            yield f"{port} is open to everybody"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "may gain privileges"


def environment_faults(environment: Mapping[str, str]) -> Iterator[str]:
    for variable, value in environment.items():
        if re.search(r"PASSWORD|SECRET|TOKEN|_KEY", variable) and "_FILE" not in variable:
            yield f"{variable} holds a secret"
        if re.search(r"://[^/@]*:[^/@]*@", value):
            yield f"{variable} holds a password"


def built(file: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    return any(
        other["image"] == service["image"] and "build" in other
        for other in file["services"].values()
    )


def test_the_compose_file_keeps_the_rules(compose: Any) -> None:
    assert [*compose_faults(compose)] == []
    assert compose["services"].keys() == {"server", "worker", "database"}


def test_the_compose_file_builds_the_image_that_is_here(compose: Any) -> None:
    build = compose["services"]["server"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == REPOSITORY
    assert (context / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", ["server", "worker"])
def test_the_services_are_as_safe_as_the_hub_asks(compose: Any, name: str, tmp_path: Path) -> None:
    service = compose["services"][name]
    assert fault_of(service["command"]) == ""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    secret = tmp_path / "secret"
    secret.write_text("of the test")
    given = {**service["environment"], "DTH_DATABASE_PASSWORD_FILE": str(secret)}
    if name == "server":
        assert given["DTH_PUBLIC_URL"].startswith("${DTH_PUBLIC_URL:?")
        given["DTH_PUBLIC_URL"] = "https://hub.example.com"
    env = {"HOME": "/var/lib/dth", **given}
    flags = {"host": "0.0.0.0", "behind_proxy": "true"} if name == "server" else {}  # noqa: S104
    settings = HubSettings.load(env=env, machine_file=tmp_path / "none", **flags)
    assert settings.base.database == "postgresql://dth:of%20the%20test@database/dth"
    if name == "server":
        assert service["command"] == ["up", "--host", flags["host"], "--behind-proxy"]
        check_exposure(settings, has_users=True)


def test_server_and_workers_have_the_same_keys(compose: Any) -> None:
    server, worker = (compose["services"][name] for name in ("server", "worker"))
    file = server["environment"]["DTH_KEY_FILE"]
    assert worker["environment"]["DTH_KEY_FILE"] == file
    folder = f"keys:{Path(file).parent}"
    assert folder in server["volumes"]
    assert folder in worker["volumes"]
    made = " ".join(words for _, words in instructions((DEPLOY / "Dockerfile").read_text()))
    assert str(Path(file).parent) in made


@pytest.mark.parametrize(
    "change",
    [
        {"privileged": True},
        {"image": "registry.example.com/postgres:17"},
        {"image": "postgres"},
        {"ports": ["5432:5432"]},
        {"environment": {"POSTGRES_PASSWORD": "x"}},
        {"networks": ["elsewhere"]},
        {"volumes": ["elsewhere:/data"]},
        {"depends_on": {"nobody": {"condition": "service_healthy"}}},
        {"security_opt": []},
    ],
    ids=str,
)
def test_a_compose_file_that_breaks_a_rule_is_noticed(compose: Any, change: dict[str, Any]) -> None:
    services = {**compose["services"], "database": {**compose["services"]["database"], **change}}
    assert [*compose_faults({**compose, "services": services})] != []


def test_no_secret_of_a_deployment_is_committed() -> None:
    assert "deploy/secrets/" in (REPOSITORY / ".gitignore").read_text().split()
