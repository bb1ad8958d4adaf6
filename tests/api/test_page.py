"""The page at `/`: its files, and what a strict policy of content asks of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.web import Client, Hub, served

WEB = Path(__file__).parents[2] / "src" / "transferhub" / "web"
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@pytest.fixture
def client() -> Iterator[Client]:
    with served(Hub()) as client:
        yield client


def test_the_page_is_there_for_everybody_and_is_asked_for_anew(client: Client) -> None:
    status, page = client.ask("GET", "/")
    assert status == 200
    assert page == (WEB / "index.html").read_text()
    assert client.headers["content-type"].startswith("text/html")
    assert client.headers["cache-control"] == "no-cache"
    assert "default-src 'none'" in client.headers["content-security-policy"]


@pytest.mark.parametrize("path", [at for at in WEB.iterdir() if at.name != "index.html"], ids=str)
def test_each_file_is_there(client: Client, path: Path) -> None:
    status, _ = client.ask("GET", f"/static/{path.name}")
    assert status == 200
    assert client.headers["content-type"].startswith(KINDS[path.suffix])
    mark = client.headers["etag"]
    assert client.ask("GET", f"/static/{path.name}", if_none_match=mark)[0] == 304


@pytest.mark.parametrize(
    "path", ["/static/no.js", "/static/../app.js", "/static/%2e%2e/app.py", "/x"]
)
def test_there_are_no_other_files(client: Client, path: str) -> None:
    assert client.ask("GET", path)[0] == 404


def test_all_that_the_page_names_is_there() -> None:
    text = "".join(path.read_text() for path in WEB.iterdir())
    named = set(re.findall(r'"/static/([^"]+)"', text)) | set(
        re.findall(r'from "\./([^"]+)"', text)
    )
    assert named == {path.name for path in WEB.iterdir()} - {"index.html"}


def test_nothing_of_the_page_needs_an_unsafe_policy() -> None:
    page = (WEB / "index.html").read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", page)
    scripts = "".join(path.read_text() for path in WEB.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|document\.write", scripts)


def test_both_languages_say_the_same() -> None:
    english, chinese = (WEB / "words.js").read_text().split("const zh = ")
    names = [re.findall(r"^\s+(\w+):", part, re.MULTILINE) for part in (english, chinese)]
    assert len(names[0]) > 60
    assert names[0] == names[1]


def test_every_word_that_is_asked_for_is_there() -> None:
    known = set(re.findall(r"^\s+(\w+):", (WEB / "words.js").read_text(), re.MULTILINE))
    page = (WEB / "index.html").read_text()
    scripts = "".join(path.read_text() for path in WEB.glob("*.js"))
    asked = set(re.findall(r'data-word="(\w+)"', page)) | set(
        re.findall(r"[^/]words\.(\w+)", scripts)
    )
    assert asked <= known
