"""What a user can rely on is listed in the documentation, no more and no less."""

import re
from pathlib import Path

from transferhub.engine.compare import CompareMode
from transferhub.engine.progress import Summary
from transferhub.engine.report import COLUMNS, document
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.settings import Settings
from transferhub.model.channel import KINDS, Security
from transferhub.model.notice import NoticeKind
from transferhub.model.run import UNDER_WAY_STATES, RunState
from transferhub.model.transfer import Difference, RunId, TransferState
from transferhub.plugins.objects.location import SCHEMES
from transferhub.stores.s3 import PROVIDERS
from transferhub.stores.s3.errors import Operation

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([^`]+)`")


def chapter(page: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level."""
    level = heading.split(" ", maxsplit=1)[0]
    text = (DOCS / page).read_text()
    assert f"\n{heading}\n" in text, f"{page} has no chapter {heading!r}"
    rest = text.partition(f"\n{heading}\n")[2]
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def column(text: str, number: int) -> list[str]:
    """What stands as code in a column of the tables of a text, from 0."""
    cells = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [name for row in cells if len(row) > number for name in CODE.findall(row[number])]


def test_every_setting_is_listed() -> None:
    settings = [setting.name for setting in Settings.load(env={"HOME": "/home/u"}).described()]
    listed = column((DOCS / "operations/tuning.md").read_text(), 1)
    assert sorted(listed) == sorted(f"DTH_{name.upper()}" for name in settings)


def test_every_setting_of_a_hub_is_listed() -> None:
    hub = HubSettings.load(env={"HOME": "/home/u"}, machine_file=Path("/none"))
    listed = column((DOCS / "operations/settings.md").read_text(), 0)
    assert sorted(listed) == sorted(setting.name for setting in hub.described())


def test_every_event_and_every_field_of_a_channel_is_listed() -> None:
    page = "operations/notifications.md"
    assert column(chapter(page, "## What it tells"), 0) == [*NoticeKind]
    channels = chapter(page, "## Channels")
    kinds = [name for name in column(channels, 0) if name in KINDS]
    assert kinds == [*KINDS]
    rows = {
        kind: next(r for r in channels.splitlines() if r.startswith(f"| `{kind}`"))
        for kind in KINDS
    }
    common = set(column(channels, 0)) - KINDS.keys()
    for kind, model in KINDS.items():
        assert set(model.model_fields) - {"kind"} == common | set(column(rows[kind], 1)) - {
            *Security
        }


def test_every_column_of_the_report_is_listed_in_order() -> None:
    assert tuple(column(chapter("reports.md", "## The report"), 0)) == COLUMNS


def test_every_field_of_the_summary_is_listed() -> None:
    summary = Summary(run=RunId("1"), status=RunState.FAILED, error_code="run", error="It failed.")
    listed = column(chapter("reports.md", "## The summary"), 0)
    assert sorted(listed) == sorted(document(summary))


def test_every_state_that_a_report_can_show_is_named() -> None:
    row = next(
        line
        for line in chapter("reports.md", "## The report").splitlines()
        if line.startswith("| `state`")
    )
    underway = {TransferState.WAITING, TransferState.LEASED, TransferState.IN_PARTS}
    assert set(CODE.findall(row)) - {"state"} == {*TransferState} - underway


def test_every_difference_is_explained() -> None:
    assert column(chapter("concepts.md", "## The verdict of a key"), 0) == [
        Difference.NEW,
        Difference.CHANGED,
        Difference.SAME,
        Difference.EXTRA,
    ]


def test_every_compare_mode_is_explained() -> None:
    listed = set(column(chapter("concepts.md", "## Compare modes"), 0)) - {"--compare"}
    assert listed == {mode.value for mode in CompareMode}


def test_every_end_of_a_run_is_explained() -> None:
    listed = column(chapter("concepts.md", "## The end of a run"), 0)
    assert sorted(listed) == sorted(set(RunState) - UNDER_WAY_STATES)


def test_every_scheme_and_provider_is_listed() -> None:
    text = (DOCS / "operations/providers.md").read_text()
    assert {scheme for scheme in SCHEMES if f"`{scheme}://`" not in text} == set()
    assert {name for name in PROVIDERS if f"`{name}`" not in text} == set()


def test_every_permission_that_an_error_may_name_is_explained() -> None:
    text = (DOCS / "operations/permissions.md").read_text()
    unused = {Operation.LIST_PARTS, Operation.PUT_TAGS}  # no run asks for these
    named = {
        action
        for operation in set(Operation) - unused
        for action in re.findall(r"s3:\w+", operation.permission)
    }
    assert {action for action in named if f"`{action}`" not in text} == set()
