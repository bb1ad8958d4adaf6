import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.exceptions import NoArgsIsHelpError

from transferhub.cli.reference import reference
from transferhub.cli.root import root

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *REPOSITORY.glob("README*.md"),
    *(page for page in (REPOSITORY / "docs").rglob("*.md") if page.name != "cli.md"),
]

BASH = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(dth [^`\n]+)`")
PROGRAM = re.compile(r"(?:[\w.~-]*/)*dth")
PLACEHOLDERS = re.compile(r"…|\bCOMMAND\b")


def shown_commands(text: str) -> Iterator[list[str]]:
    """The words of each `dth` in the blocks of a page, without the `dth`."""
    for block in BASH.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _commands_in(line)


def named_commands(text: str) -> Iterator[list[str]]:
    """The same in its sentences, where arguments may be left out."""
    for inline in INLINE.findall(BASH.sub("", text)):
        if not PLACEHOLDERS.search(inline):
            yield shlex.split(inline)[1:]


def _commands_in(line: str) -> Iterator[list[str]]:
    """Of a line of shell: pipes and `$(...)` hold commands of their own."""
    for inner in re.findall(r"\$\((dth [^)]*)\)", line):
        yield shlex.split(inner)[1:]
    words = shlex.split(re.split(r" [|<>] ", line, maxsplit=1)[0], comments=True)
    for at, word in enumerate(words):
        if PROGRAM.fullmatch(word):
            rest = words[at + 1 :]
            if rest:
                yield rest
            return


def fault_of(words: list[str], *, whole: bool = True) -> str:
    """What dth says of the words, "" where it understands them."""
    try:
        with root.make_context("dth", list(words)) as context:
            _understand(root, context)
            return ""
    except click.exceptions.Exit:
        return ""  # --help and --version
    except (click.MissingParameter, click.BadOptionUsage, NoArgsIsHelpError) as error:
        return error.format_message() if whole else ""
    except click.ClickException as error:
        return error.format_message()


def _understand(group: click.Group, context: click.Context) -> None:
    """Reads what stands behind a command's own options; raises ClickException."""
    words = [*context._protected_args, *context.args]  # noqa: SLF001 - click tells it no other way
    if not words:
        return
    name, command, rest = group.resolve_command(context, words)
    assert command is not None
    with command.make_context(name, rest, parent=context) as inside:
        if isinstance(command, click.Group):
            _understand(command, inside)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_of_a_page_is_one_that_dth_understands(page: Path) -> None:
    text = page.read_text()
    faults = {shlex.join(words): fault_of(words) for words in shown_commands(text)}
    for words in named_commands(text):
        faults.setdefault(shlex.join(words), fault_of(words, whole=False))
    assert {words: fault for words, fault in faults.items() if fault} == {}


def test_the_pages_show_commands() -> None:
    assert sum(len(list(shown_commands(page.read_text()))) for page in PAGES) > 30


def test_the_command_line_page_is_current() -> None:
    written = (REPOSITORY / "docs" / "cli.md").read_text()
    assert written == reference(), "run: .venv/bin/python -m transferhub.cli.reference"


@pytest.mark.parametrize(
    "words", [["transfer", "s3://a"], ["transfer", "s3://a", "s3://b", "--nonsense"], ["fly"]]
)
def test_a_command_that_dth_does_not_know_is_noticed(words: list[str]) -> None:
    assert fault_of(words) != ""


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    text = 'Run `dth runs`.\n```bash\nzcat "$(dth report last)" | head\n1 * * * * dth show x\n```\n'
    assert list(shown_commands(text)) == [["report", "last"], ["show", "x"]]
    assert list(named_commands(text)) == [["runs"]]
