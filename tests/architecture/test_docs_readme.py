import re
from pathlib import Path

import pytest

from transferhub.cli.exits import MEANING

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"

FENCE = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r" +# .*")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)\)")
BROKEN_CHINESE = re.compile(r"^(?![#|]).*[\u3000-\u9fff\uff00-\uffef]\n(?![-#|\n]).+", re.MULTILINE)
EXIT_CODE = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)

READMES = [REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md"]
TRANSLATED = [
    (REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md"),
    *((path.with_suffix("").with_suffix(".md"), path) for path in sorted(DOCS.rglob("*.zh.md"))),
]


def blocks(text: str) -> list[str]:
    """The code of a page, without its comments."""
    return [COMMENT.sub("", block) for block in FENCE.findall(text)]


def exit_codes(path: Path) -> dict[int, str]:
    return {int(code): meaning for code, meaning in EXIT_CODE.findall(path.read_text())}


def test_the_readme_lists_the_exit_codes() -> None:
    assert exit_codes(READMES[0]) == {code.value: text for code, text in MEANING.items()}


def test_the_chinese_readme_lists_the_same_exit_codes() -> None:
    assert exit_codes(READMES[1]).keys() == exit_codes(READMES[0]).keys()


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_link_of_a_readme_leads_somewhere(readme: Path) -> None:
    links = [link for link in LINK.findall(readme.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED, ids=lambda path: path.name)
def test_a_translation_has_the_same_commands_and_chapters(english: Path, chinese: Path) -> None:
    ours, theirs = english.read_text(), chinese.read_text()
    assert blocks(theirs) == blocks(ours)
    chapters, others = (HEADING.findall(FENCE.sub("", text)) for text in (ours, theirs))
    assert others == chapters


@pytest.mark.parametrize("page", [chinese for _, chinese in TRANSLATED], ids=lambda path: path.name)
def test_no_chinese_sentence_is_broken_over_lines(page: Path) -> None:
    # A line's end would be shown as a space, which Chinese has not.
    assert BROKEN_CHINESE.findall(FENCE.sub("", page.read_text())) == []


def test_each_page_of_the_documentation_is_named_in_the_readme() -> None:
    pages = [*DOCS.glob("*.md"), *DOCS.glob("operations/*.md")]
    named = set(LINK.findall(READMES[0].read_text()))
    expected = {str(page.relative_to(REPOSITORY)) for page in pages if ".zh" not in page.suffixes}
    assert expected - named == set()
