"""What a verb on channels and messages costs does not grow with the tables."""

from tests.conformance.ledger_facts import FakeClock
from tests.conformance.notices import LEASE, add, channel, notice
from tests.unit.state.plans import Plans
from transferhub.model.notice import MessageState
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.outbox import SqlOutbox
from transferhub.state.sql.runs import SqlRuns


async def test_every_statement_uses_an_index(database: Database, plans: Plans) -> None:
    clock = FakeClock()
    channels, outbox = SqlChannels(database, clock), SqlOutbox(database, clock)
    await channels.create_channel(channel(clock, "a"))
    await channels.replace_channel(channel(clock, "a", version=2), channel(clock, "a"))
    await channels.get_channel("a")
    [sealed] = await channels.all(after="")
    await channels.replace(sealed, sealed)
    await add(outbox, notice(clock, "1"), "a")
    await add(outbox, notice(clock, "2"), "a")
    clock.advance(5)
    [message] = await outbox.claim(LEASE)
    await outbox.settle(message, MessageState.SENT, due_at=None)
    await outbox.messages(channel="a", before=9)
    await outbox.messages(before=9)
    await outbox.purge(clock.advance(1))
    await channels.delete_channel("a")
    await SqlRuns(database, clock).untold_runs()
    read = {line for line in plans.lines if line.startswith(("SEARCH", "SCAN"))}
    ours = {line for line in read if "json" not in line and "CONSTANT" not in line}
    assert len(ours) > 10
    scans = {line for line in ours if not line.startswith("SEARCH")}
    assert scans <= {"SCAN (subquery-1)", "SCAN runs USING INDEX ix_runs_untold"}
    assert not {line for line in plans.lines if "TEMP B-TREE" in line}
