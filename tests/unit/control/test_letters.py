import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.control.letters import Desk, Letter, cut, shown
from transferhub.control.phrases import PHRASES
from transferhub.model.channel import parse_channel
from transferhub.model.notice import MOST_TOLD, Cause, Language, Message, Notice, NoticeKind

CLOCK = FakeClock()
NOTICE = Notice(
    ident="n",
    kind=NoticeKind.COMPLETED_WITH_FAILURES,
    at=CLOCK(),
    task="task-1",
    task_name="Photos",
    run="run-1",
    objects=12_345,
    bytes=5_000_000_000,
    seconds=185,
    failed=10,
    causes=(Cause(code="denied", count=8), Cause(code="strange", count=2)),
    keys=("a/1", "b\n2"),
)


def message(*notices: Notice, count: int = 0) -> Message:
    return Message(
        ident="m",
        channel="c",
        kind=notices[0].kind,
        task=notices[0].task,
        notices=notices,
        count=count or len(notices),
        created_at=CLOCK(),
        planned_at=CLOCK(),
        due_at=CLOCK(),
    )


def letter(
    *notices: Notice,
    count: int = 0,
    language: Language = Language.EN,
    url: str = "https://hub.test/",
) -> Letter:
    values = {"kind": "slack", "name": "c", "url": "https://s.test/x", "language": language}
    desk = Desk(url, clock=CLOCK, new_ident=lambda: "i")
    return desk.letter(message(*notices, count=count), parse_channel(values))


def test_a_run_with_failures_tells_counts_causes_keys_and_a_link() -> None:
    told = letter(NOTICE)
    assert told.title == "Photos: the run has ended, but not all was copied"
    assert told.lines == (
        "12,345 objects copied, 5.0 GB moved, in 3m 05s.",
        "Objects that failed: 10.",
        "- 8 × denied: a permission is missing",
        "- 2 × strange: strange",
        "The first of them:",
        "- a/1",
        "- b\\n2",
    )
    assert told.link == "https://hub.test/runs/run-1"


def test_the_same_in_chinese() -> None:
    told = letter(NOTICE, language=Language.ZH)
    assert told.title == "Photos:运行已结束,但有对象未能复制"
    assert told.lines[:3] == (
        "已复制 12,345 个对象,传输 5.0 GB,用时 3m 05s。",
        "失败的对象:10 个。",
        "- 8 × denied:缺少权限",
    )
    assert told.link_text == "查看详情"


def test_a_run_of_images_speaks_of_images() -> None:
    images = replace(NOTICE, task_kind="images", kind=NoticeKind.DEAD_LETTERS)
    english, chinese = letter(images), letter(images, language=Language.ZH)
    assert (english.title, chinese.title) == (
        "Photos: images fail for good",
        "Photos:有镜像最终失败",
    )
    assert english.lines[:2] == (
        "12,345 images copied, 5.0 GB moved, in 3m 05s.",
        "Images that failed: 10.",
    )
    assert "object" not in english.text(9_999)
    assert "对象" not in chinese.text(9_999)
    gone = replace(NOTICE, task_kind="")
    assert letter(gone).lines == letter(NOTICE).lines


def test_many_runs_of_a_task_become_one_text() -> None:
    other = replace(NOTICE, ident="o", run="run-2", keys=("c", "a/1"))
    told = letter(NOTICE, other)
    assert told.title == "Photos: 2 runs have ended with failures"
    assert told.lines[1:5] == (
        "Objects that failed: 20.",
        "- 16 × denied: a permission is missing",
        "- 4 × strange: strange",
        "The first of them:",
    )
    assert told.lines[5:] == ("- a/1", "- b\\n2", "- c")
    assert told.link == "https://hub.test/tasks/task-1"


def test_the_figures_of_one_run_are_not_added_to_themselves() -> None:
    growing = [
        replace(NOTICE, ident=f"{n}", kind=NoticeKind.DEAD_LETTERS, failed=n) for n in (1, 12)
    ]
    told = letter(*growing)
    assert "Objects that failed: 12." in told.lines
    assert told.link == "https://hub.test/runs/run-1"


def test_a_failed_run_tells_its_reason() -> None:
    failed = replace(
        NOTICE, kind=NoticeKind.RUN_FAILED, code="no_bucket", detail="There\tis none.", failed=0
    )
    told = letter(failed)
    assert told.lines[0] == "Reason (no_bucket): There\\tis none."
    assert len(told.lines) == 2


def test_lags_and_lost_machines_are_told_in_words() -> None:
    lag = replace(NOTICE, kind=NoticeKind.EVENT_LAG, lag=900.0, run="")
    assert letter(lag).lines == ("The oldest event has waited for 15m 00s.",)
    lost = Notice(ident="l", kind=NoticeKind.WORKER_LOST, at=CLOCK(), task_name="host-1", objects=3)
    assert letter(lost).title == "A machine of the hub is lost: host-1"
    assert "3 runs" in letter(lost).lines[0]
    assert letter(lost).link == "https://hub.test/"


def test_what_is_not_kept_whole_is_said() -> None:
    told = letter(NOTICE, count=MOST_TOLD + 5)
    assert told.title == "Photos: 25 runs have ended with failures"
    assert told.lines[-1] == "Figures are of the first 20."


def test_without_a_public_address_there_is_no_link() -> None:
    assert letter(NOTICE, url="").link == ""
    assert not letter(NOTICE, url="").text(9_999).endswith(": ")


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("language", Language)
def test_every_kind_has_words_in_every_language(kind: NoticeKind, language: Language) -> None:
    for count in (1, 2):
        told = letter(replace(NOTICE, kind=kind), count=count, language=language)
        assert told.lines
        assert "{" not in told.title + "".join(told.lines)


def test_both_languages_explain_every_code_of_a_store_and_of_an_object() -> None:
    text = (Path(__file__).parents[3] / "docs" / "errors.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    wanted = {
        code
        for section in sections
        if section.startswith(("Reaching a store", "Objects", "Registries"))
        for code in re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE)
    }
    assert len(wanted) > 20
    for phrases in PHRASES.values():
        assert wanted - phrases.codes.keys() == set()


def test_a_text_has_its_bytes_and_keeps_title_and_link() -> None:
    long = replace(NOTICE, keys=tuple(f"{n}{'é' * 300}" for n in range(5)))
    told = letter(long)
    for most in (400, 1_000, 2_048):
        text = told.text(most)
        assert len(text.encode()) <= most
        assert text.startswith(told.title)
        assert text.endswith("Look at it: https://hub.test/runs/run-1")
    assert told.text(99_999) == "\n".join((told.title, *told.lines, f"Look at it: {told.link}"))


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [
        ("a b", 9, "a b"),
        ("a\r\nb", 9, "a\\r\\nb"),
        ("\u202eevil", 20, "\\u202eevil"),
        ("\x00", 9, "\\x00"),
        ("abcdef", 4, "abc…"),
        ("\n" * 9, 4, "\\n\\…"),
    ],
)
def test_hostile_text_stays_one_short_line(text: str, longest: int, expected: str) -> None:
    assert shown(text, longest) == expected
    assert len(shown(text, longest)) <= longest


@pytest.mark.parametrize(("most", "expected"), [(9, "ééé"), (5, "é…"), (3, "…"), (2, "")])
def test_a_cut_never_splits_a_sign(most: int, expected: str) -> None:
    assert cut("ééé", most) == expected


def test_a_letter_holds_the_same_for_programs() -> None:
    document: dict[str, Any] = letter(NOTICE).document
    assert document["count"] == 1
    assert Notice.from_json(document["notices"][0]) == NOTICE
