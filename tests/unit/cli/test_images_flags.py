"""What the flags of `dth images` mean, and what of them is refused."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_host import FakeHost, dth
from transferhub.cli.commands.images import command
from transferhub.plugins.images.spec import ImagesSpec

ECR = "ecr://eu-west-1"
PLACES = ("ghcr.io/team", ECR)
BESIDE = ("ghcr.io", "localhost:5000")
ALL = ("images", *PLACES, "--all")

SPEC_FLAGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "all": ([], {"all": True}),
    "include": (["--include", "app:v*", "--include", "web"], {"include": ("app:v*", "web")}),
    "exclude": (["--exclude", "tmp/**"], {"exclude": ("tmp/**",)}),
    "tag_pattern": (["--tags", r"v\d+"], {"tag_pattern": r"v\d+"}),
    "semver": (["--semver", ">=1.2 <2"], {"semver": ">=1.2 <2"}),
    "newest": (["--newest", "5"], {"newest": 5}),
    "platform": (["--platform", "linux/arm64"], {"platform": "linux/arm64"}),
    "untagged": (["--untagged"], {"untagged": True}),
    "index_children": (["--index-children"], {"index_children": True}),
    "cosign": (["--no-cosign"], {"cosign": False}),
    "referrers": (["--referrers"], {"referrers": True}),
    "prefix": (["--prefix", "mirror"], {"prefix": "mirror/"}),
    "rename": (
        ["--rename", "web=frontend", "--rename", "tools/="],
        {"rename": {"web": "frontend", "tools/": ""}},
    ),
    "create": (["--no-create"], {"create": False}),
    "tag_mutability": (["--tag-mutability", "immutable"], {"tag_mutability": "immutable"}),
    "scan_on_push": (["--scan-on-push"], {"scan_on_push": True}),
    "encryption": (["--encryption", "KMS_DSSE"], {"encryption": "KMS_DSSE"}),
    "kms_key": (
        ["--encryption", "KMS", "--kms-key", "k"],
        {"encryption": "KMS", "kms_key": "k"},
    ),
    "prune": (["--prune"], {"prune": True}),
    "max_delete": (["--prune", "--max-delete", "1k"], {"prune": True, "max_delete": 1_000}),
    "max_delete_percent": (["--max-delete-percent", "2.5%"], {"max_delete_percent": 2.5}),
    "concurrency": (["--concurrency", "100"], {"concurrency": 100}),
    "attempts": (["--attempts", "7"], {"attempts": 7}),
}

SIDE_FLAGS: dict[str, tuple[tuple[str, str], list[str], Any]] = {
    "endpoint": ((ECR, ECR), ["https://vpce.example.com"], "https://vpce.example.com"),
    "profile": ((ECR, ECR), ["paris"], "paris"),
    "credentials_file": (BESIDE, ["/keys.json"], "/keys.json"),
    "anonymous": (BESIDE, [], True),
    "ca_bundle": (BESIDE, ["/ca.pem"], "/ca.pem"),
    "proxy": (BESIDE, ["http://proxy:3128"], "http://proxy:3128"),
    "plain_http": (BESIDE, [], True),
    "account": ((ECR, ECR), ["123456789012"], "123456789012"),
    "region": ((ECR, ECR), ["eu-west-1"], "eu-west-1"),
}

OTHER_PARAMS = {
    *("source", "destination", "images", "images_parameter", "dry_run", "no_resume"),
    *("requests", "json", "quiet", "state", "ledger", "config", "debug"),
}


def spec_of(*args: str) -> ImagesSpec:
    result = dth(*args)
    assert result.code == 0, result.err
    spec = result.host.asked["spec"]
    assert isinstance(spec, ImagesSpec)
    return spec


def complaints(*args: str) -> list[str]:
    host = FakeHost()
    result = dth("images", *args, host=host)
    assert (result.code, result.out, host.asked) == (2, "", {}), result.err
    return result.err.splitlines()


@pytest.mark.parametrize("case", SPEC_FLAGS)
def test_a_flag_reaches_the_spec(case: str) -> None:
    args, expected = SPEC_FLAGS[case]
    spec = spec_of(*ALL, *args)
    assert {name: getattr(spec, name) for name in expected} == expected


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("field", SIDE_FLAGS)
def test_a_flag_of_a_side_reaches_its_registry(side: str, field: str) -> None:
    places, value, expected = SIDE_FLAGS[field]
    flag = "credentials" if field == "credentials_file" else field.replace("_", "-")
    if places == BESIDE:
        places = ("a.example.com", "b.example.com")
    spec = spec_of(
        "images", *places, "--images", "app", "--prefix", "x", f"--{side}-{flag}", *value
    )
    assert getattr(getattr(spec, side), field) == expected


def test_every_parameter_is_tested_here() -> None:
    sides = {f"{side}_{field}" for side in ("source", "destination") for field in SIDE_FLAGS}
    assert {param.name for param in command.params} == set(SPEC_FLAGS) | sides | OTHER_PARAMS


def test_every_field_of_the_spec_has_a_flag_or_comes_with_one() -> None:
    derived = {"images_file", "images_file_sha256"}
    assert set(ImagesSpec.model_fields) - derived <= {param.name for param in command.params}


def test_nothing_given_leaves_the_defaults() -> None:
    asked = dth(*ALL).host.asked
    assert asked["spec"].to_json().keys() == {"source", "destination", "all"}
    assert asked["resume"] is True
    assert dth(*ALL, "--no-resume").host.asked["resume"] is False


def test_more_at_once_than_the_setting_is_given_to_the_tuning() -> None:
    assert dth(*ALL, "--concurrency", "100").host.asked["tuning"].concurrency == 100
    assert dth(*ALL).host.asked["tuning"].concurrency == 64
    assert dth(*ALL, "--requests", "50/s").host.asked["tuning"].requests == 50


def test_a_list_a_file_a_parameter_and_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("nginx:1.27\n")
    assert spec_of("images", *PLACES, "--images", "nginx, redis:7").images == "nginx, redis:7"
    assert spec_of("images", *PLACES, "--images", "list.txt").images_file == f"{tmp_path}/list.txt"
    assert spec_of("images", *PLACES, "--images-parameter", "/x").images_parameter == "/x"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"app:1\nweb:2\n")))
    assert spec_of("images", *PLACES, "--images", "-").images == "app:1\nweb:2\n"


def test_a_folder_of_an_image_s_name_is_no_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nginx").mkdir()
    assert spec_of("images", *PLACES, "--images", "nginx").images == "nginx"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("imagse.txt", "there is no file 'imagse.txt'; did you mean images.txt?"),
        ("no.csv", "there is no file 'no.csv'; for an image of this name write no.csv:latest"),
        ("./other", "there is no file './other'"),
        ("/none/such", "there is no file '/none/such'"),
        ("", "names nothing; write images such as nginx:1.27"),
        (" , ", "names nothing; write images such as nginx:1.27"),
        ("\udcff", "is not UTF-8; write plain letters"),
    ],
)
def test_a_list_that_is_none(
    given: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images.txt").write_text("nginx\n")
    assert complaints(*PLACES, "--images", given) == [f"dth: --images: {sentence}"]


def test_every_image_that_cannot_be_read_is_told_at_once() -> None:
    lines = complaints("docker.io", ECR, "--images", "Nginx, redis:7\nhttps://x/y\nbusybox@sha1:0")
    assert [line.split(": ")[1:3] for line in lines] == [
        ["--images", "line 1"],
        ["--images", "line 2"],
        ["--images", "line 3"],
    ]
    assert lines[0].startswith(
        "dth: --images: line 1: 'Nginx': a repository has no capital letters;"
    )


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([*PLACES], "--images: is missing; name images such as nginx:1.27, or ask for all"),
        ([*PLACES, "--all", "--images", "app"], "--images: --all is given too; leave one of them"),
        (["ghcr", ECR, "--all"], "SOURCE: 'ghcr' could be a repository; write a host with its por"),
        (["s3://x", ECR, "--all"], "SOURCE: 's3://x': write the host without s3://"),
        (["ghcr.io", "ecr://", "--all"], "DESTINATION: 'ecr://' names no AWS region"),
        (["ghcr.io", "public", "--all"], "DESTINATION: is no registry"),
        (["public", ECR, "--all"], "--all: no registry is named to list; name images"),
        (["ghcr.io", "ghcr.io", "--all"], "DESTINATION: is the source"),
        ([*PLACES, "--all", "--include", ""], "--include: the glob '' names nothing"),
        ([*PLACES, "--all", "--tags", "("], "--tags: the regular expression '(' cannot be read"),
        ([*PLACES, "--all", "--semver", "one"], "--semver: "),
        ([*PLACES, "--all", "--newest", "0"], "--newest: must be at least 1"),
        ([*PLACES, "--all", "--newest", "few"], "--newest: 'few' is not a number"),
        ([*PLACES, "--all", "--platform", "amd64"], "--platform: 'amd64' is no platform"),
        ([*PLACES, "--all", "--rename", "web"], "--rename: 'web' says no new name; write one such"),
        (
            [*PLACES, "--all", "--rename", "a=b", "--rename", "a=c"],
            "--rename: 'a' has two new names, 'b' and 'c'",
        ),
        ([*PLACES, "--all", "--rename", "a=B"], "--rename: 'B'"),
        ([*PLACES, "--all", "--prefix", "X"], "--prefix: 'X'"),
        ([*PLACES, "--images", "app", "--prune"], "--prune: needs --all: a list does not say"),
        ([*PLACES, "--all", "--max-delete", "5"], "--max-delete: needs --prune"),
        ([*PLACES, "--all", "--max-delete-percent", "x"], "--max-delete-percent: 'x' is not a"),
        ([*PLACES, "--all", "--kms-key", "k"], "--kms-key: needs --encryption KMS or KMS_DSSE"),
        (
            [*PLACES, "--all", "--no-create", "--scan-on-push"],
            "--scan-on-push: needs --create",
        ),
        ([*PLACES, "--all", "--concurrency", "0"], "--concurrency: must be at least 1"),
        ([*PLACES, "--all", "--attempts", "many"], "--attempts: 'many' is not a number"),
        (
            ["ghcr.io", "x.org", "--all", "--destination-profile", "p"],
            "--destination-profile: only Amazon ECR has one",
        ),
        (
            ["a.org", ECR, "--all", "--source-anonymous", "--source-credentials", "/c"],
            "--source-anonymous: --source-credentials is given too; leave one of them out",
        ),
        (
            ["a.org", ECR, "--all", "--source-plain-http", "--source-ca-bundle", "/c"],
            "--source-ca-bundle: --source-plain-http uses no certificates; leave it out",
        ),
    ],
)
def test_a_bad_value_is_named_by_its_flag(args: list[str], sentence: str) -> None:
    (line,) = complaints(*args)
    assert line.startswith(f"dth: {sentence}")


def test_all_faults_are_told_a_line_each() -> None:
    lines = complaints(
        *("ghcr", "x", "--all", "--newest", "few", "--semver", "?", "--rename", "x"),
        *("--platform", "p", "--attempts", "0"),
    )
    assert sorted(line.split(": ")[1] for line in lines) == [
        *("--attempts", "--newest", "--platform", "--rename", "--semver", "DESTINATION", "SOURCE"),
    ]


def test_a_wrong_choice_is_told_with_the_nearest_right_one() -> None:
    said, _ = complaints(*PLACES, "--all", "--encryption", "KSM")
    assert said == "dth: --encryption: 'KSM' is not one of its values; did you mean KMS?"
    said, _ = complaints(*PLACES, "--all", "--refferers")
    assert said == "dth: No such option '--refferers'. Did you mean '--referrers'?"
