import pytest

from tests.unit.cli.fake_host import FakeHost, dth
from transferhub.errors import InputError

PLACES = ("s3://a/x", "s3://b/y")


def complaints(*args: str, host: FakeHost | None = None) -> list[str]:
    result = dth(*args, host=host)
    assert result.code == 2, result.err
    assert result.out == ""
    return result.err.splitlines()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--max-size", "5x"], "dth: --max-size: 'x' in '5x' is no unit of size"),
        (["--part-size", "1KB"], "dth: --part-size: "),
        (["--bandwidth", "fast"], "dth: --bandwidth: 'fast' is not a "),
        (["--requests", "0/s"], "dth: --requests: '0/s' allows nothing"),
        (["--attempts", "0"], "dth: --attempts: must be at least 1"),
        (["--memory", "1MB"], "dth: --memory: '1MB' is too little to copy with"),
        (["--max-delete-percent", "120"], "dth: --max-delete-percent: '120' is not between"),
        (["--max-delete-percent", "ten"], "dth: --max-delete-percent: 'ten' is not a percentage"),
        (["--max-delete", "5"], "dth: --max-delete: needs --mirror"),
        (["--max-delete", "few", "--mirror"], "dth: --max-delete: 'few' is not a number"),
        (["--kms-key", "k"], "dth: --kms-key: needs --sse aws:kms"),
        (["--newer-than", "soon"], "dth: --newer-than: 'soon' is no time"),
        (["--min-size", "2", "--max-size", "1"], "dth: --min-size: is above --max-size"),
        (["--include", ""], "dth: --include: "),
        (["--storage-class-in", ","], "dth: --storage-class-in: names nothing"),
        (["--storage-class", "A="], "dth: --storage-class: 'A=' is no map"),
        (["--acl", "mine"], "dth: --acl: "),
        (["--prices", "p.json"], "dth: --prices: is for --dry-run only"),
        (["--source-endpoint", "s3.example.com"], "dth: --source-endpoint: 's3.example.com'"),
        (
            ["--source-profile", "p", "--source-credentials", "/c.json"],
            "dth: --source-profile: give a profile or a credentials file, not both",
        ),
        (["--destination-account", "x"], "dth: --destination-account: is for Cloudflare R2"),
    ],
)
def test_a_bad_value_is_named_by_its_flag(args: list[str], sentence: str) -> None:
    (line,) = complaints("transfer", *PLACES, *args)
    assert line.startswith(sentence)


def test_a_bad_place_is_named_by_its_argument() -> None:
    (line,) = complaints("transfer", "photos", "s3://b")
    assert line.startswith("dth: SOURCE: 'photos' has no scheme; write s3://photos for a bucket")
    (line,) = complaints("transfer", "s3://b/x", "s3://b/x")
    assert line.startswith("dth: DESTINATION: is the source")


def test_all_faults_are_told_a_line_each() -> None:
    lines = complaints(
        "transfer", "photos", "s3://b", "--max-size", "5x", "--requests", "x", "--newer-than", "?"
    )
    assert sorted(line.split(":")[1].strip() for line in lines) == [
        "--max-size",
        "--newer-than",
        "--requests",
        "SOURCE",
    ]


def test_the_host_is_not_asked_where_the_input_is_bad() -> None:
    host = FakeHost()
    complaints("transfer", *PLACES, "--attempts", "none", host=host)
    assert host.asked == {}


def test_a_bad_variable_is_named_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTH_BANDWIDHT", "1MB/s")
    (line,) = complaints("runs")
    assert line.startswith("dth: DTH_BANDWIDHT: there is no such setting; did you mean")
    monkeypatch.delenv("DTH_BANDWIDHT")
    monkeypatch.setenv("DTH_SOURCE_ENDPOINT", "nowhere")
    (line,) = complaints("transfer", *PLACES)
    assert line.startswith("dth: DTH_SOURCE_ENDPOINT: ")


def test_a_run_that_is_not_there_is_named_as_the_argument() -> None:
    host = FakeHost(error=InputError("run", "there is no run 'x'; dth runs lists those"))
    assert complaints("show", "x", host=host) == [
        "dth: RUN: there is no run 'x'; dth runs lists those"
    ]


@pytest.mark.parametrize(
    ("args", "sentence", "advice"),
    [
        (["trasnfer"], "No such command 'trasnfer'. Did you mean 'transfer'?", "dth --help"),
        (["runs", "--jsn"], "No such option '--jsn'. Did you mean '--json'?", "dth runs --help"),
        (["transfer", "s3://a"], "DESTINATION is missing.", "dth transfer --help"),
        (["show"], "RUN is missing.", "dth show --help"),
        (
            ["transfer", *PLACES, "--compare", "siz"],
            "--compare: 'siz' is not one of its values; did you mean size?",
            "dth transfer --help",
        ),
        (
            ["transfer", *PLACES, "--copy", "x"],
            "--copy: 'x' is not one of its values; choose one of auto, server, stream",
            "dth transfer --help",
        ),
        (
            ["transfer", *PLACES, "--source-provider", "amazon"],
            "--source-provider: 'amazon' is not one of its values; choose one of aws,",
            "dth transfer --help",
        ),
        (["runs", "--limit", "0"], "--limit: '0' is not a whole number from 1", "dth runs --help"),
        (["runs", "extra"], "Got unexpected extra argument (extra)", "dth runs --help"),
    ],
)
def test_wrong_usage_is_told_with_the_nearest_right_one(
    args: list[str], sentence: str, advice: str
) -> None:
    said, tried = complaints(*args)
    assert said.startswith(f"dth: {sentence}")
    assert tried == f"Try `{advice}`."


def test_no_command_shows_the_overview() -> None:
    result = dth()
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err
