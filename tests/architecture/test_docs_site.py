import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "--quiet", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


class Fetches(HTMLParser):
    """What a browser fetches by itself when it shows a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        address = named.get(FETCHED.get(tag, ""))
        if address and named.get("rel") not in ("canonical", "alternate", "prev", "next"):
            self.found.append(address)


def fetches(site: Path) -> Iterator[tuple[str, str]]:
    for page in sorted(site.rglob("*.html")):
        for address in Fetches(page).found:
            yield str(page.relative_to(site)), address


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    everything = list(fetches(site))
    assert everything
    assert [found for found in everything if re.match(r"(\w+:)?//", found[1])] == []


def test_home_and_tutorial_are_there_in_both_languages(site: Path) -> None:
    for page in ("index.html", "tutorial.html"):
        assert 'lang="en"' in (site / page).read_text()
        assert 'lang="zh"' in (site / "zh" / page).read_text()
        assert (site / page).read_text() != (site / "zh" / page).read_text()
