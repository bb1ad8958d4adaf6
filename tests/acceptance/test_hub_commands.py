"""The commands of a hub, each on the state of its machine and over its API."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Dth, Ended
from tests.acceptance.processes import wait_until
from tests.servers.certificates import make_certificates

HERE, FAR = "here", "far"
PASSWORD = "correct horse battery"
SECRET = "kOaC3vE7nU2tY9wQ1xS5"
NUMBERS = count(1)


@dataclass(frozen=True)
class Terminals:
    """Terminals of one running hub: on its machine, and on one that knows its address alone."""

    url: str
    here: Dth
    far: Dth


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminals]:
    folder = tmp_path_factory.mktemp("hub")
    for name in ("here", "far"):
        (folder / name).mkdir()
    here = Dth(folder=folder / "here", secrets=(SECRET, PASSWORD))
    with ExitStack() as stack:
        hub = stack.enter_context(here.start("up", "--port", 0))
        wait_until(lambda: "hub is at" in hub.out or hub.process.poll() is not None, "the hub")
        found = re.search(r"the hub is at (\S+)/\n", hub.out)
        assert found, hub.err
        token = folder / "far" / "token"
        token.touch(mode=0o600)
        scopes = [
            word for scope in ("tasks", "credentials", "people") for word in ("--scope", scope)
        ]
        made = here.well("token", "create", "far", "--role", "admin", *scopes)
        token.write_text(made.out)
        far = Dth(folder=folder / "far", secrets=(SECRET, PASSWORD, made.out.strip())).having(
            DTH_SERVER=found[1], DTH_TOKEN_FILE=str(token)
        )
        here.well("user", "create", "somebody", given=f"{PASSWORD}\n")
        keys = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET}
        here.well("credential", "put", "some", given=json.dumps(keys))
        here.well("task", "create", "s3://a", "s3://b", "--name", "Some task", "--every", "7d")
        yield Terminals(url=found[1], here=here, far=far)


@pytest.fixture(params=[HERE, FAR])
def hub(request: pytest.FixtureRequest, terminals: Terminals) -> Dth:
    """Each test works on this machine's state, and over the API."""
    chosen: Dth = getattr(terminals, request.param)
    return chosen


@pytest.fixture
def name() -> str:
    """Of a task that no other test has."""
    return f"Task-{next(NUMBERS):04d}."


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.txt").write_bytes(b"x" * 40_000)
    return source, destination


def created(hub: Dth, name: str, places: tuple[Path, Path], *words: object) -> Any:
    source, destination = (f"file://{place}" for place in places)
    return hub.well("task", "create", source, destination, "--name", name, "--json", *words).json


def said(ended: Ended) -> str:
    return ended.err.removeprefix("dth: ").rstrip("\n")


# Task files


def test_a_file_is_applied_once_and_exported_as_it_was(hub: Dth, name: str, tmp_path: Path) -> None:
    text = f"""\
kind: objects
name: {name}
description: Each night.
tags:
- nightly
schedule:
  cron: 30 2 * * mon-fri
  zone: Europe/Berlin
  overlap: queue
  windows:
  - days:
    - mon
    from: '22:00'
    to: 06:00
  - kind: bandwidth
    from: 08:00
    to: '18:00'
    bandwidth: 5MB/s
limits:
  bandwidth: 50MB/s
  requests: 500
spec:
  source:
    url: s3://photos/2024/
    endpoint: https://s3.example.com
    credential: photos
  destination: file://{tmp_path}/copy
  include:
  - '*.jpg'
  min_size: 1000
  newer_than: 7d
  max_delete_percent: 2.5
  compare: etag
"""
    file = tmp_path / "task.yaml"
    file.write_text(text)

    planned = hub.well("task", "apply", "-f", file, "--dry-run", "--json").json
    assert [(one["name"], one["outcome"], one["id"]) for one in planned] == [
        (name, "created", None)
    ]
    assert "there is no task" in hub.well("task", "show", name, code=2).err

    (first,) = hub.well("task", "apply", "-f", file, "--json").json
    (again,) = hub.well("task", "apply", "-f", file, "--json").json
    assert (first["outcome"], again["outcome"]) == ("created", "unchanged")
    assert again["id"] == first["id"]
    assert hub.well("task", "export", name).out == text

    file.write_text(text.replace("50MB/s", "70MB/s").replace("- nightly\n", "- daily\n"))
    changes = [
        '    - tags: ["nightly"]',
        '    + tags: ["daily"]',
        "    - limits.bandwidth: 50MB/s",
        "    + limits.bandwidth: 70MB/s",
    ]  # fmt: skip
    dry, wet = (hub.well("task", "apply", "-f", file, *more) for more in (["--dry-run"], []))
    assert dry.out.splitlines() == [f"would be updated  {name}  {first['id']}", *changes]
    assert wet.out.splitlines() == [f"updated  {name}  {first['id']}", *changes]
    assert hub.well("task", "export", first["id"]).out == file.read_text()


def test_a_file_that_is_wrong_changes_nothing(hub: Dth, name: str, tmp_path: Path) -> None:
    good = f"kind: objects\nname: {name}\nspec: {{source: 's3://a', destination: 's3://b'}}\n"
    bad = "kind: objects\nname: bad\nspec:\n  source: s3://a\n  destination: s3://a/b\n"
    ended = hub.well("task", "apply", "-f", "-", given=f"{good}---\n{bad}", code=2)
    assert said(ended) == (
        "stdin:9: spec.destination: lies in the source, so that a run would copy its own copies"
    )
    assert hub.well("task", "list", "--search", name, "--json").json == []


def test_a_task_is_edited_in_an_editor(
    hub: Dth, name: str, places: tuple[Path, Path], tmp_path: Path
) -> None:
    created(hub, name, places)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/^kind:.*/&\\ndescription: edited/" "$1"\n')
    editor.chmod(0o755)
    edited = hub.having(EDITOR=str(editor)).well("task", "edit", name, "--json").json
    assert edited["outcome"] == "updated"
    assert edited["changes"] == [{"field": "description", "before": None, "after": "edited"}]
    task = hub.well("task", "show", name, "--json").json
    assert (task["task"]["description"], task["version"]) == ("edited", 2)


# Steering


def test_a_task_is_run_to_its_end(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    task = created(hub, name, places)
    ended = hub.well("task", "start", name, "--wait", "--json")
    totals = ended.json["totals"]
    assert (ended.json["status"], totals["new"], totals["done"]) == ("succeeded", 3, 3)
    assert sorted(path.name for path in places[1].iterdir()) == ["0.txt", "1.txt", "2.txt"]

    run = ended.json["run"]
    listed = next(each for each in hub.well("runs", "--json").json if each["run"] == run)
    assert (listed["task"]["name"], listed["status"]) == (name, "succeeded")
    assert listed["summary"]["done"] == 3
    shown = hub.well("task", "show", name, "--json").json
    assert (shown["id"], shown["latest_run"]["run"]) == (task["id"], run)
    assert hub.well("failures", run).out == f"Nothing failed in run {run}.\n"
    totals = hub.well("show", run, "--json").json["totals"]
    assert (totals["done"], totals["bytes"], totals["waiting"]) == (3, 120_000, 0)
    text = hub.well("show", run).out
    assert "3  = 3 done + 0 failed + 0 vanished + 0 skipped" in text
    assert "Next:" not in text


def test_a_run_is_followed_by_what_it_says(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    created(hub, name, places)
    run = hub.well("task", "start", name, "--json").json["run"]
    lines = [
        json.loads(line) for line in hub.well("logs", run, "--follow", "--json").out.splitlines()
    ]
    assert {line["run"] for line in lines} == {run}
    numbers = [line["number"] for line in lines]
    assert numbers == sorted(set(numbers))
    assert state_of(hub, name) == "succeeded"
    said = hub.well("logs", run, "--json").json
    assert said[: len(lines)] == lines  # what its keeper said may come late
    (last,) = hub.well("logs", run, "--limit", "1", "--json").json
    assert last in hub.well("logs", run, "--json").json[len(lines) - 1 :]
    word = last["message"].split()[0]
    assert last in hub.well("logs", run, "--search", word, "--json").json
    nothing = hub.well("logs", run, "--search", "no such words").out
    assert nothing == "Nothing like that was said.\n"


def test_a_run_that_cannot_begin_ends_the_command_as_a_transfer_would(
    hub: Dth, name: str, tmp_path: Path
) -> None:
    created(hub, name, (tmp_path / "nowhere", tmp_path / "destination"))
    ended = hub.well("task", "start", name, "--wait", code=3)
    assert "status   failed" in ended.out
    assert f"{tmp_path}/nowhere" in ended.out
    assert "goes on with what is left" in ended.out


def test_a_run_is_stopped_and_goes_on(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    created(hub, name, places, "--bandwidth", "1KB/s", "--start")
    wait_until(lambda: state_of(hub, name) == "running", "a run")
    assert said(hub.well("task", "start", name, code=3)).endswith("is running already.")

    stopped = hub.well("task", "stop", name, "--abandon", "--json").json
    assert stopped["order"] == "abandon"
    wait_until(lambda: state_of(hub, name) == "cancelled", "its end")

    hub.well("task", "limits", name, "--bandwidth", "none")
    retried = hub.well("task", "retry", name, "--wait", "--json").json
    assert (retried["run"], retried["status"]) == (stopped["run"], "succeeded")
    assert len(list(places[1].iterdir())) == 3


def state_of(hub: Dth, name: str) -> str:
    latest = hub.well("task", "show", name, "--json").json["latest_run"]
    return str(latest["status"]) if latest else ""


def test_a_task_is_paused_once(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    created(hub, name, places, "--every", "1d")
    hub.well("task", "pause", name)
    ended = hub.well("task", "pause", name, code=3)
    assert re.fullmatch(r"Task \S+ is paused already\.", said(ended))
    assert [view["task"]["name"] for view in listed(hub, name, "paused")] == [name]
    next_runs = hub.well("task", "next", name).out.splitlines()
    assert next_runs[0] == "It is paused, and would run at:"
    assert len(next_runs) == 6
    hub.well("task", "resume", name)
    assert listed(hub, name, "paused") == []


def listed(hub: Dth, name: str, state: str) -> Any:
    every = hub.well("task", "list", "--state-is", state, "--search", name, "--json").json
    return [view for view in every if view["task"]["name"] == name]


def test_limits_are_set_one_by_one(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    created(hub, name, places, "--bandwidth", "50MB/s", "--concurrency", "3")
    assert hub.well("task", "limits", name, "--requests", "500/s").out.splitlines() == [
        "bandwidth    50.0 MB/s",
        "requests     500/s",
        "concurrency  3",
    ]
    hub.well("task", "limits", name, "--bandwidth", "none", "--concurrency", "5")
    shown = hub.well("task", "show", name, "--json").json
    assert shown["task"]["limits"] == {"requests": 500, "concurrency": 5}
    ended = hub.well("task", "limits", name, "--bandwidth", "fast", code=2)
    assert said(ended).startswith("--bandwidth: ")


def test_a_clone_is_paused_and_deleted(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    created(hub, name, places, "--tag", "one", "--tag", "two")
    copy = f"{name} copy"
    cloned = hub.well("task", "clone", name, copy, "--json").json
    assert (cloned["state"], cloned["task"]["tags"]) == ("paused", ["one", "two"])

    assert hub.well("task", "delete", copy, given="n\n", code=130).out == ""
    assert hub.well("task", "delete", copy, given="y\n").out == (
        f"Deleted {copy}; its runs stay known.\n"
    )
    assert said(hub.well("task", "show", copy, code=2)).startswith(
        f"TASK: there is no task '{copy}'"
    )


def test_a_name_of_two_tasks_names_neither(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    first, second = (created(hub, name, places)["id"] for _ in range(2))
    ended = hub.well("task", "start", name, code=2)
    assert first in ended.err
    assert second in ended.err
    hub.well("task", "pause", second)
    assert hub.well("task", "show", first, "--json").json["state"] == "active"


# People, credentials, workers


def test_a_user_is_created_changed_and_disabled(hub: Dth) -> None:
    user = f"user{next(NUMBERS)}"
    assert hub.well("user", "create", user, given=f"{PASSWORD}\n").out == (
        f"Created user {user}, viewer.\n"
    )
    hub.well("user", "role", user, "operator")
    hub.well("user", "password", user, given=f"{PASSWORD}!\n")
    hub.well("user", "disable", user)
    found = next(each for each in hub.well("user", "list", "--json").json if each["name"] == user)
    assert (found["role"], found["disabled"]) == ("operator", True)
    hub.well("user", "enable", user)
    assert said(hub.well("user", "create", user, given=f"{PASSWORD}\n", code=2)).startswith(
        "NAME: "
    )
    assert said(hub.well("user", "create", "b", given="short\n", code=2)).startswith("password: ")
    assert said(hub.well("user", "create", "b", code=2)) == "stdin: is empty; it gives the password"


def test_a_sign_in_link_leads_to_the_hub(hub: Dth, terminals: Terminals) -> None:
    ended = hub.well("user", "link", "guest", "--url", terminals.url)
    assert re.fullmatch(rf"{re.escape(terminals.url)}/#token=\S{{43}}\n", ended.out)


def test_a_credential_is_stored_and_never_told(hub: Dth) -> None:
    name = f"keys{next(NUMBERS)}"
    keys = json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET})
    assert hub.well("credential", "put", name, given=keys).out == f"Stored the credential {name}.\n"
    assert hub.well("credential", "put", name, given=keys).out.startswith("Replaced ")
    found = next(at for at in hub.well("credential", "list", "--json").json if at["name"] == name)
    assert (found["kind"], found["described"], found["version"]) == ("keys", "AKIA…MPLE", 2)

    half = json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE"})
    ended = hub.well("credential", "put", name, given=half, code=2)
    assert said(ended) == "secret_access_key: It is missing."
    other = json.dumps({"access_key": SECRET})
    assert "access_key: " in hub.well("credential", "put", name, given=other, code=2).err
    ended = hub.well("credential", "put", name, given="{", code=2)
    assert said(ended).startswith("--file: holds no JSON object")
    hub.well("credential", "delete", name)
    assert said(hub.well("credential", "delete", name, code=2)).startswith("NAME: ")


def test_a_channel_is_made_tested_and_deleted(hub: Dth) -> None:
    name = f"ops{next(NUMBERS)}"
    webhook = {"kind": "webhook", "name": name, "url": "http://127.0.0.1:9/in", "secret": SECRET}
    assert hub.well("channel", "put", given=json.dumps(webhook)).out.startswith("Created ")
    found = next(at for at in hub.well("channel", "list", "--json").json if at["name"] == name)
    assert (found["kind"], found["version"], "secret" in found["settings"]) == ("webhook", 1, False)
    assert hub.well("channel", "test", name, code=1).out.startswith("Not delivered: ")

    ended = hub.well("channel", "put", given=json.dumps({**webhook, "kind": "pigeon"}), code=2)
    assert said(ended).startswith("kind: ")
    hub.well("channel", "delete", name)
    assert "there is no channel" in said(hub.well("channel", "test", name, code=2))


def test_a_token_does_what_its_role_may(hub: Dth, terminals: Terminals) -> None:
    made = terminals.here.well("token", "create", "eyes", "--role", "viewer", "--json").json
    eyes = replace(terminals.far, variables={"DTH_SERVER": terminals.url}).having(
        made["secret"], DTH_TOKEN=made["secret"]
    )
    assert eyes.well("task", "list", "--json").out.startswith("[")
    assert said(eyes.well("task", "export", "--json")) == ""
    refused = eyes.well("task", "create", "s3://a", "s3://b", "--name", "x", code=3)
    assert said(refused).startswith("This needs the role operator; ")

    hub.well("token", "revoke", made["id"])
    assert said(eyes.well("task", "list", code=3)).startswith("This API token is unknown, revoked")
    states = {
        token["id"]: token["revoked_at"] for token in hub.well("token", "list", "--json").json
    }
    assert states[made["id"]] is not None


def test_a_token_makes_no_other(terminals: Terminals) -> None:
    assert said(terminals.far.well("token", "create", "more", code=3)).startswith(
        "An API token cannot make another one"
    )


def test_workers_are_listed_and_drained(hub: Dth) -> None:
    (server,) = hub.well("workers", "list", "--json").json
    assert (server["kind"], server["draining"]) == ("server", False)
    ended = hub.well("workers", "drain", "nobody", code=2)
    assert said(ended) == "WORKER: there is no worker 'nobody'"


def test_the_audit_log_says_who_came_how(hub: Dth, name: str, places: tuple[Path, Path]) -> None:
    task = created(hub, name, places)
    hub.well("task", "pause", name)
    entries = hub.well("audit", "--subject", task["id"], "--json").json
    assert [entry["action"] for entry in entries] == ["task.pause", "task.create"]
    assert {entry["how"] for entry in entries} == {
        "token" if "DTH_SERVER" in hub.variables else "command"
    }
    assert entries[0]["before"]["state"] == "active"


@pytest.mark.parametrize(
    "words",
    [
        "task list --sort created",
        "task export",
        "user list",
        "credential list",
        "token list",
        "audit --limit 500",
    ],
)
def test_both_terminals_show_the_same(words: str, terminals: Terminals) -> None:
    here, far = (at.well(*words.split(), "--json").json for at in (terminals.here, terminals.far))
    assert far == here
    assert here


# What is wrong with the line


def test_a_hub_that_is_gone(terminals: Terminals) -> None:
    ended = terminals.far.having(DTH_SERVER="http://127.0.0.1:9").well("task", "list", code=3)
    assert said(ended) == "http://127.0.0.1:9 cannot be reached: Connection refused. Is the hub up?"


def test_a_wrong_token(terminals: Terminals) -> None:
    wrong = replace(terminals.far, variables={"DTH_SERVER": terminals.url, "DTH_TOKEN": "dth_no"})
    assert said(wrong.well("runs", code=3)) == "This API token is unknown, revoked or expired."


def test_no_token(terminals: Terminals) -> None:
    none = replace(terminals.far, variables={"DTH_SERVER": terminals.url})
    assert said(none.well("runs", code=2)).startswith("--token-file: is missing")


def test_a_token_among_the_arguments_is_warned_of(terminals: Terminals) -> None:
    none = replace(terminals.far, variables={})
    ended = none.well("--server", terminals.url, "--token", "dth_no", "runs", code=3)
    assert "whoever lists the processes of this machine can read --token" in ended.err
    for words, given in ((["--token", "-"], "dth_no\n"), (["--token", "@/none"], "")):
        ended = none("--server", terminals.url, *words, "runs", given=given)
        assert "whoever lists" not in ended.err
        assert ended.code != 0


def test_http_is_for_this_machine_alone(terminals: Terminals) -> None:
    ended = terminals.far.having(DTH_SERVER="http://hub.example.com").well("runs", code=2)
    assert said(ended) == (
        "--server: http:// would show the token to everyone on the way; write"
        " https://hub.example.com"
    )


def test_what_works_on_this_machine_alone_says_so(terminals: Terminals) -> None:
    ended = terminals.here.well("--server", terminals.url, "doctor", code=2)
    assert "dth doctor works on this machine; leave --server out." in ended.err


def test_tls_and_who_is_trusted(dth: Dth, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with ExitStack() as stack:
        words = ("--tls-certificate", certificates.certificate, "--tls-key", certificates.key)
        hub = stack.enter_context(dth.start("up", "--port", 0, *words))
        wait_until(lambda: "hub is at" in hub.out or hub.process.poll() is not None, "the hub")
        found = re.search(r"the hub is at https://[^:]+:(\d+)/\n", hub.out)
        assert found, hub.err
        secret = dth.well("token", "create", "tls").out.strip()
        port = found[1]
        far = dth.having(secret, DTH_SERVER=f"https://127.0.0.1:{port}", DTH_TOKEN=secret)

        ended = far.well("task", "list", code=3)
        assert said(ended).startswith(
            f"The certificate of https://127.0.0.1:{port} is not trusted:"
        )
        assert "--ca-bundle" in ended.err
        assert "no tasks yet" in far.well("--ca-bundle", certificates.ca, "task", "list").out
        ended = far.having(DTH_CA_BUNDLE="/none.pem").well("task", "list", code=2)
        assert said(ended).startswith("--ca-bundle: /none.pem cannot be used")
        ended = far.having(DTH_SERVER=f"http://127.0.0.1:{port}").well("task", "list", code=3)
        assert said(ended).endswith("Does it want https://?")
