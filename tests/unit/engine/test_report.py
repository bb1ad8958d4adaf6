import asyncio
import csv
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.progress import Summary
from transferhub.engine.report import COLUMNS, balance, document, write_report, write_summary
from transferhub.errors import StateError
from transferhub.model.run import RunState
from transferhub.model.transfer import (
    NOT_KEPT,
    Action,
    Difference,
    Failure,
    Outcome,
    RunId,
    ScanCounts,
    Shard,
    Tally,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
    WorkerId,
)
from transferhub.state.memory import MemoryLedger

RUN = RunId("run")
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)

hostile = st.text(st.sampled_from("a,;\"'\r\n\t\x00\x1b\u2028 =é\U0001f600"), max_size=8)
keys = hostile.map("k{}".format) | st.text(min_size=1, max_size=20)
records = st.builds(
    TransferRecord,
    transfer=st.builds(
        Transfer,
        key=keys,
        difference=st.sampled_from([Difference.NEW, Difference.CHANGED, Difference.EXTRA]),
        size=st.integers(0, 1 << 50),
        etag=hostile,
        modified_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        storage_class=hostile,
        action=st.sampled_from(Action),
    ),
    state=st.sampled_from(TransferState),
    attempts=st.integers(0, 9),
    moved_bytes=st.integers(0, 9),
    destination_etag=hostile,
    code=hostile,
    message=hostile,
    note=hostile | hostile.map(NOT_KEPT.__add__),
    ended_at=st.none() | st.just(NOON),
)


async def told(rows: Sequence[TransferRecord]) -> AsyncIterator[TransferRecord]:
    for row in rows:
        yield row


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@given(st.lists(records, max_size=8))
def test_every_row_of_a_report_can_be_read_back(folder: Path, rows: list[TransferRecord]) -> None:
    path = folder / "report.csv.gz"
    noted = asyncio.run(write_report(path, told(rows)))
    found = read(path)
    assert noted == sum(r["state"] == "done" and r["note"].startswith(NOT_KEPT) for r in found)
    assert [row["key"] for row in found] == [row.transfer.key for row in rows]
    for row, record in zip(found, rows, strict=True):
        transfer = record.transfer
        assert tuple(row) == COLUMNS
        assert row["difference"] == transfer.difference
        assert (row["action"], row["state"]) == (transfer.action, record.state)
        assert (int(row["size"]), int(row["attempts"])) == (transfer.size, record.attempts)
        assert (row["etag"], row["destination_etag"]) == (transfer.etag, record.destination_etag)
        assert (row["code"], row["message"], row["note"]) == record[5:8]
        at = transfer.modified_at
        assert row["modified_at"] == ("" if at is None else at.isoformat())


def record(key: str) -> TransferRecord:
    transfer = Transfer(key, Difference.NEW)
    return TransferRecord(transfer, TransferState.DONE, 1, 0, "", "", "", "", NOON)


async def test_a_report_may_have_more_rows_than_fit_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "report.csv.gz"
    await write_report(path, told([record(str(number)) for number in range(4_001)]))
    assert [row["key"] for row in read(path)] == [str(number) for number in range(4_001)]


@pytest.mark.parametrize(
    "error", [StateError("gone"), OSError(5, "read"), KeyError("k"), asyncio.CancelledError()]
)
async def test_a_report_that_breaks_off_leaves_the_earlier_one(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "report.csv.gz"
    await write_report(path, told([record("earlier")]))

    async def broken() -> AsyncIterator[TransferRecord]:
        yield record("later")
        raise error

    with pytest.raises(StateError if isinstance(error, OSError) else type(error)):
        await write_report(path, broken())
    assert [row["key"] for row in read(path)] == ["earlier"]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


async def test_a_report_that_has_no_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    path = tmp_path / "taken" / "report.csv.gz"
    with pytest.raises(StateError, match=r"report.+--state.+dth report"):
        await write_report(path, told([]))
    with pytest.raises(StateError, match="summary"):
        write_summary(path, Summary(run=RUN, status=RunState.SUCCEEDED))


def test_a_summary_is_the_document_of_its_run(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    summary = Summary(
        run=RUN,
        status=RunState.FAILED,
        scan=ScanCounts(scanned_source=3, new=3),
        error_code="unbalanced",
        error="it does not",
        faults=("one",),
        notes=("é\n",),
    )
    write_summary(path, summary)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found == document(summary)
    assert (found["run"], found["status"], found["scanned_source"]) == ("run", "failed", 3)
    assert (found["faults"], found["notes"]) == (["one"], ["é\n"])
    assert found["error"] == {"code": "unbalanced", "message": "it does not"}
    assert "error" not in document(replace(summary, error_code=""))
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


# Balance

COPY, DELETE = Action.COPY, Action.DELETE
BALANCED = Totals(
    scan=ScanCounts(scanned_source=23, same=1, new=8, changed=7, filtered=3, archived=4, extra=9),
    shards=2,
    shards_done=2,
    tallies={
        (COPY, TransferState.DONE): Tally(9),
        (COPY, TransferState.FAILED): Tally(3),
        (COPY, TransferState.VANISHED): Tally(2),
        (COPY, TransferState.SKIPPED): Tally(1),
        (COPY, TransferState.ARCHIVED): Tally(4),
        (DELETE, TransferState.DONE): Tally(4),
        (DELETE, TransferState.HELD): Tally(5),
    },
    moved_bytes=0,
    uploads=0,
)

NAMES = {
    "same": ["scanned"],
    "filtered": ["scanned"],
    "scanned_source": ["scanned"],
    "new": ["scanned", "new + changed"],
    "changed": ["scanned", "new + changed"],
    "archived": ["scanned", "archived is"],
    "extra": ["extra"],
}


def faults_of(totals: Totals, words: Sequence[str]) -> None:
    faults = balance(totals)
    assert len(faults) == len(words)
    assert all(fault.startswith(word) for fault, word in zip(faults, words, strict=True))


def test_a_run_that_balances_has_no_faults() -> None:
    assert balance(BALANCED) == []


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize(("name", "words"), NAMES.items())
def test_a_count_of_the_scan_that_is_off_by_one_is_named(
    name: str, words: list[str], step: int
) -> None:
    scan = replace(BALANCED.scan, **{name: getattr(BALANCED.scan, name) + step})
    faults_of(replace(BALANCED, scan=scan), words)


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("at", BALANCED.tallies)
def test_a_tally_that_is_off_by_one_is_named(at: tuple[Action, TransferState], step: int) -> None:
    tallies = {**BALANCED.tallies, at: Tally(BALANCED.tallies[at].count + step)}
    word = "new + changed"
    if at[0] is DELETE:
        word = "extra"
    elif at[1] is TransferState.ARCHIVED:
        word = "archived is"
    faults_of(replace(BALANCED, tallies=tallies), [word])


@pytest.mark.parametrize(
    "state", [TransferState.WAITING, TransferState.LEASED, TransferState.IN_PARTS]
)
def test_a_copy_that_has_not_ended_is_no_end(state: TransferState) -> None:
    tallies = {**BALANCED.tallies, (COPY, TransferState.DONE): Tally(8), (COPY, state): Tally(1)}
    faults_of(replace(BALANCED, tallies=tallies), ["new + changed"])


def test_ranges_that_were_not_compared_are_counted() -> None:
    assert balance(replace(BALANCED, shards=5)) == ["3 key ranges were not compared to the end"]


async def end_all(ledger: MemoryLedger) -> None:
    leases = await ledger.lease(
        RUN, WorkerId("w"), limit=100, max_bytes=100, duration=timedelta(minutes=1)
    )
    states = cycle([TransferState.DONE, TransferState.VANISHED, TransferState.SKIPPED])
    await ledger.complete([Outcome(lease, next(states)) for lease in leases[::2]])
    await ledger.fail([Failure(lease, "denied", "no", None) for lease in leases[1::2]])


@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from([Difference.NEW, Difference.CHANGED]),
            st.sampled_from([TransferState.WAITING, TransferState.ARCHIVED]),
        ),
        st.integers(0, 5),
    ),
    st.integers(0, 5),
)
def test_what_a_ledger_was_told_balances_once_all_of_it_has_ended(
    copies: dict[tuple[Difference, TransferState], int], extra: int
) -> None:
    async def check() -> None:
        ledger = MemoryLedger()
        transfers = [
            Transfer(f"{difference}{state}{number}", difference, state=state)
            for (difference, state), count in copies.items()
            for number in range(count)
        ]
        waiting = [t.difference for t in transfers if t.state is TransferState.WAITING]
        new, changed = waiting.count(Difference.NEW), waiting.count(Difference.CHANGED)
        archived = len(transfers) - new - changed
        transfers += [
            Transfer(f"extra{n}", Difference.EXTRA, action=DELETE, state=TransferState.HELD)
            for n in range(extra)
        ]
        counts = ScanCounts(
            scanned_source=new + changed + archived,
            new=new,
            changed=changed,
            archived=archived,
            extra=extra,
        )
        shard = Shard(ident="0", done=True, detail="", counts=counts)
        await ledger.record(RUN, transfers, [shard])
        open_copies = new + changed > 0
        assert bool(balance(await ledger.totals(RUN))) is open_copies
        await end_all(ledger)
        assert balance(await ledger.totals(RUN)) == []

    asyncio.run(check())
