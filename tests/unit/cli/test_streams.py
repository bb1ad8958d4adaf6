import io
import os

import pytest

from tests.unit.cli.fake_host import FakeHost, progress, summary
from transferhub.cli import main
from transferhub.cli.documents import as_json
from transferhub.cli.streams import Stream, tolerant
from transferhub.cli.text import visible
from transferhub.hosts.masking import masked


class BrokenPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_run_goes_on_when_nobody_reads_its_progress() -> None:
    host = FakeHost(ends=summary(), shows=[progress()], says=["x"])
    out = io.StringIO()
    code = main(["transfer", "s3://a", "s3://b"], open_host=host.opened, out=out, err=BrokenPipe())
    assert code == 0
    assert "3,400 done" in out.getvalue()


def test_the_exit_code_stands_when_nobody_reads_the_end() -> None:
    host = FakeHost()
    err = io.StringIO()
    args = ["transfer", "s3://a", "s3://b", "--json"]
    assert main(args, open_host=host.opened, out=BrokenPipe(), err=err) == 0
    assert err.getvalue() == ""


def test_a_stream_whose_reader_left_writes_nowhere() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as raw:  # noqa: PTH123 - a descriptor is no path
        stream = Stream(raw)
        stream.line("a")
        assert stream.abandoned
        stream.line("b")


def test_a_key_that_the_terminal_cannot_hold_is_escaped() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    stream = tolerant(raw)
    stream.line("ü 😀")
    assert raw.buffer.getvalue() == b"\xfc \\U0001f600\n"
    assert as_json({"key": "ü😀"}, stream) == '{\n  "key": "\\u00fc\\ud83d\\ude00"\n}'


def test_json_shows_keys_as_they_are_where_it_can() -> None:
    assert as_json(["ü😀"], Stream(io.StringIO())) == '[\n  "ü😀"\n]'
    assert as_json(["\udc80"], Stream(io.StringIO())) == '[\n  "\\udc80"\n]'


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a b", "a b"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("ü", "ü"), ("\u202e", "\\u202e")],
)
def test_control_characters_are_shown_as_escapes(key: str, shown: str) -> None:
    assert visible(key) == shown


def test_secrets_of_the_environment_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("DTH_SOURCE_SESSION_TOKEN", "token-token-token")
    assert masked("wJalrXUtnFEMI/K7MDENG token-token-token x") == "*** *** x"
