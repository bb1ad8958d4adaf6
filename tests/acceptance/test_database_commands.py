"""`dth database`: with the hubs and transfers that use the database meanwhile."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

import transferhub
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.fleet import SLOW, fill, on_machine, up
from tests.acceptance.hub import Desk
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.rules import Hold
from transferhub.state.sql.revision import COMPATIBLE_SINCE, HEAD

NEWER = "9999"
_MIGRATION = f'''
"""What a version to come may do: only add."""
import sqlalchemy as sa
from alembic import op

revision = "{NEWER}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "transfers", "tasks"):
        op.add_column(table, sa.Column("to_come", sa.Text(), nullable=False, server_default=""))
        op.create_index(f"ix_{{table}}_to_come", table, ["to_come"])
    op.create_table("to_come", sa.Column("id", sa.Integer(), primary_key=True))
'''


@pytest.fixture
async def desk(postgres_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield await Desk.open(tmp_path / "desk", postgres_url, stack)


def of_version_to_come(dth: Dth, folder: Path, since: str) -> Dth:
    """The same command of a version whose tables have more; programs from `since` on can use
    them."""
    package = folder / "newer" / "transferhub"
    shutil.copytree(Path(transferhub.__file__).parent, package)
    sql = package / "state" / "sql"
    (sql / "migrations" / "versions" / f"{NEWER}_to_come.py").write_text(_MIGRATION)
    text = (sql / "revision.py").read_text()
    for name, former, now in (("HEAD", HEAD, NEWER), ("COMPATIBLE_SINCE", COMPATIBLE_SINCE, since)):
        line = f'{name} = "{former}"'
        assert line in text
        text = text.replace(line, f'{name} = "{now}"')
    (sql / "revision.py").write_text(text)
    return dth.having(PYTHONPATH=str(package.parent))


@pytest.mark.postgresql
async def test_a_fleet_works_on_while_its_database_is_upgraded(
    pair: Dth,
    source: Place,
    destination: Place,
    desk: Desk,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    old = on_machine(pair, "old", postgres_url)
    newer = of_version_to_come(old, tmp_path, COMPATIBLE_SINCE)
    run = await desk.start(task)
    with ExitStack() as scope:
        up(old, scope, "--concurrency", 4)
        await desk.under_way(run)
        upgraded = newer.well("database", "upgrade", "--json").json
        assert (upgraded["before"], upgraded["revision"]) == (HEAD, NEWER)
        assert newer.well("database", "upgrade", "--json").json["before"] == NEWER
        assert (await desk.run(run)).ended_at is None
        first = await desk.ended(run)
        # Carried by a process of the old version that began with the new tables.
        second = await desk.ended(await desk.start(task))
        both = [first.summary["same"], second.summary["same"]]
    assert_moved(first.summary, source, destination)
    assert both == [0, 300]
    assert old.well("database", "show", "--json").json["revision"] == NEWER
    assert "is up to date: revision 9999" in old.well("database", "upgrade").out


@pytest.mark.postgresql
def test_what_an_old_version_cannot_use_it_refuses(
    dth: Dth, postgres_url: str, tmp_path: Path
) -> None:
    old = on_machine(dth, "old", postgres_url)
    of_version_to_come(old, tmp_path, NEWER).well("database", "upgrade")
    for words in (["runs"], ["up", "--port", "0"], ["database", "upgrade"]):
        refused = old.well(*words, code=3)
        assert "was written by a newer version of this program: install that one" in refused.err


@pytest.mark.postgresql
def test_the_tables_of_a_server_are_shown_and_not_copied(dth: Dth, postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", "postgres:a-password@")
    dth = dth.having("a-password", DTH_DATABASE=url)
    made = dth.well("database", "upgrade")
    assert made.out.endswith(f"has its tables now, of revision {HEAD}.\n")
    shown = dth.well("database", "show", "--json").json
    assert {table["name"] for table in shown["tables"]} >= {"runs", "transfers", "compatibility"}
    assert shown["bytes"] > 1_000_000
    assert ":***@" in shown["database"]
    refused = dth.well("database", "backup", dth.folder / "copy", code=2)
    assert "use pg_dump" in refused.err


def test_a_backup_is_made_while_a_hub_runs_and_restored_when_it_does_not(dth: Dth) -> None:
    copy = dth.folder / "copy.sqlite3"
    with ExitStack() as scope:
        hub = up(dth, scope)
        made = dth.well("database", "backup", copy, "--json").json
        assert (made["file"], made["bytes"]) == (str(copy), copy.stat().st_size)
        refused = dth.well("database", "restore", copy, code=3)
        assert "is being worked on by process" in refused.err
        hub.process.terminate()
        assert hub.wait().code == 0
    assert "is there already" in dth.well("database", "backup", copy, code=2).err
    restored = dth.well("database", "restore", copy, "--json").json
    assert Path(restored["former"]).is_file()
    shown = dth.well("database", "show")
    assert HEAD in shown.out
    assert "compatibility" in shown.out
    (copy.with_name("notes")).write_text("of somebody")
    refused = dth.well("database", "restore", copy.with_name("notes"), code=2)
    assert refused.err.startswith(f"dth: FILE: {dth.folder}/notes is no backup of this program")


def test_a_database_is_not_restored_under_a_transfer(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    fill(source, 5)
    pair.transfer(source, destination)
    copy = pair.folder / "copy.sqlite3"
    pair.well("database", "backup", copy)
    source.fill({"later": b"x"})
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold(response=True)
    proxy.add(hold, operation="PutObject")
    with pair.between(source.endpoint, seen).start("transfer", source, destination) as running:
        hold.wait()
        refused = pair.well("database", "restore", copy, code=3)
        assert "is under way; wait for it, or stop it first" in refused.err
        hold.release()
        assert running.wait().code == 0
    pair.well("database", "restore", copy)
    assert [run["status"] for run in pair.well("runs", "--json").json] == ["succeeded"]


def test_nothing_is_shown_where_there_is_nothing(dth: Dth) -> None:
    assert "There is nothing in" in dth.well("database", "show", code=3).err
    assert not list(dth.state.glob("*.sqlite3"))
