"""Tasks for Hypothesis, as people may write them."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.unit.model.schedules import schedules
from transferhub.cli.tasks.kinds import KINDS
from transferhub.errors import InputError

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TRAPS = st.sampled_from(
    ["yes", "no", "on", "~", "null", "true", "1e5", "0x10", "007", "22:30", "2026-01-01", "- a",
     "a: b", "#", "'", '"', "&a", "*a", "!t", "%", "@x", "`", "[", "{", "|", ">", " x", "1_000"]
)  # fmt: skip
NAMES = (WORDS | TRAPS).filter(lambda name: name.strip() and name.isprintable())
DESCRIPTIONS = TEXT | st.just("One line.\nAnother line,\n\n  and a third. \n") | TRAPS
BUCKETS = st.sampled_from(["photos", "b1", "007", "1e5", "null"])
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def _place(scheme: str) -> st.SearchStrategy[dict[str, Any]]:
    reached = st.fixed_dictionaries(
        {},
        optional={
            "endpoint": st.sampled_from(["https://s3.example.com", "http://127.0.0.1:9000"]),
            "region": st.sampled_from(["eu-west-1", "on"]),
            "profile": WORDS,
            "addressing": st.sampled_from(["auto", "path"]),
        },
    )
    url = st.builds(lambda bucket, prefix: f"{scheme}://{bucket}/{prefix}", BUCKETS, KEYS)
    return st.builds(lambda at, how: {"url": at, **how}, url, reached)


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """As a task keeps them; only those that are right."""
    fields = st.fixed_dictionaries(
        {"source": _place("s3"), "destination": _place("minio")},
        optional={
            "destination_prefix": KEYS,
            "include": st.lists(TRAPS | WORDS, max_size=3),
            "exclude": st.lists(TRAPS | WORDS, max_size=3),
            "min_size": st.integers(0, 1 << 50),
            "newer_than": st.sampled_from(["7d", "1h30m", "2024-05-01", "2024-05-01T12:00:00.5Z"]),
            "older_than": st.sampled_from(["2s", "2099-05-01"]),
            "inventory": st.sampled_from(
                ["s3://inventories/a/b/manifest.json", "/srv/i/manifest.json", "s3://i/m.json"]
            ),
            "storage_class": st.just("GLACIER") | st.just({"GLACIER_IR": "STANDARD_IA", "*": "X"}),
            "mirror": st.booleans(),
            "max_delete_percent": st.floats(0, 100),
            "compare": st.sampled_from(["size", "etag", "always"]),
            "part_size": st.integers(5 << 20, 5 << 30),
            "keep_metadata": st.booleans(),
        },
    )
    return fields.map(lambda given: _kept("objects", given)).filter(bool)


def _registry(text: str) -> st.SearchStrategy[dict[str, Any]]:
    reached = st.fixed_dictionaries(
        {},
        optional={
            "credential": WORDS,
            "ca_bundle": st.just("/etc/ca.pem"),
            "proxy": st.just("http://127.0.0.1:3128"),
        },
    )
    return reached.map(lambda how: {"url": text, **how})


ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mirror"
REPOSITORIES = st.sampled_from(["app", "team/app", "team/secret-keeper", "007", "1e5"])
IMAGES = st.lists(
    REPOSITORIES.map(lambda name: f"{name}:v1") | REPOSITORIES, min_size=1, max_size=3, unique=True
)


def image_specs() -> st.SearchStrategy[dict[str, Any]]:
    """The same of images."""
    sources = st.sampled_from(
        ["registry.example.com:5000/team", "ecr://eu-west-1", "10.0.0.1:5000"]
    )
    targets = st.sampled_from([ECR, "ecr://cn-north-1/mirror", "registry.example.org"])
    fields = st.fixed_dictionaries(
        {"source": sources.flatmap(_registry), "destination": targets.flatmap(_registry)},
        optional={
            "images": IMAGES | IMAGES.map(", ".join),
            "all": st.booleans(),
            "include": st.lists(st.sampled_from(["team/**", "*:v1.*"]), max_size=2),
            "tag_pattern": st.sampled_from(["v.*", "007"]),
            "semver": st.sampled_from([">=1.2 <2", "~1.27"]),
            "newest": st.integers(1, 100),
            "platform": st.just("linux/amd64"),
            "cosign": st.booleans(),
            "prefix": st.sampled_from(["mirror", "a/b/"]),
            "rename": st.dictionaries(REPOSITORIES, st.sampled_from(["x", "y/z"]), max_size=2),
            "prune": st.booleans(),
            "max_delete_percent": st.floats(0, 100),
            "concurrency": st.integers(1, 100),
        },
    )
    return fields.map(lambda given: _kept("images", given)).filter(bool)


def _kept(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(json.dumps(KINDS[kind].parse(fields).to_json()))
    except InputError:
        return {}
    return kept


USUAL: dict[str, st.SearchStrategy[Any]] = {"objects": st.just({}), "images": st.none()}
SPECS = {"objects": specs(), "images": image_specs()}


def tasks() -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a TaskDraft, as a task keeps them."""
    return st.sampled_from(sorted(SPECS)).flatmap(_tasks)


def _tasks(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    limits = st.fixed_dictionaries(
        {},
        optional={
            "bandwidth": st.integers(1, 10**12) | st.just(50_000_000),
            "requests": st.floats(0.001, 1e6),
            "concurrency": st.integers(1, 10_000),
        },
    )
    return st.fixed_dictionaries(
        {
            "name": NAMES.map(str.strip),
            "kind": st.just(kind),
            "spec": SPECS[kind],
            "description": DESCRIPTIONS.map(str.strip),
            "tags": st.lists(
                NAMES.filter(lambda tag: not set(tag) & set(" ,")), max_size=4, unique=True
            ),
            "schedule": st.just({})
            | USUAL[kind]
            | schedules().map(lambda schedule: schedule.to_json()),
            "limits": limits,
        }
    )
