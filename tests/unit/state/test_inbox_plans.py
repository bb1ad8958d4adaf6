"""What a verb on events costs does not grow with the inbox."""

from tests.conformance.inboxes import TASK, event
from tests.unit.state.plans import Plans
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.database import Database
from transferhub.state.sql.events import SqlInbox


async def test_every_statement_uses_an_index(database: Database, plans: Plans) -> None:
    inbox = SqlInbox(database)
    await inbox.put(TASK, [event("a"), event("b")])
    await inbox.lag()
    await inbox.count(TASK)
    await inbox.done(TASK, await inbox.waiting(TASK, limit=1))
    await inbox.forget(TASK)
    assert plans.of_table("inbox") <= {
        "SEARCH COVERING INDEX ix_inbox_task_since_key (task=?)",
        "SEARCH COVERING INDEX ix_inbox_task_since_key (task>?)",
        "SEARCH INDEX ix_inbox_task_since_key (task=?)",
        "SEARCH INDEX sqlite_autoindex_inbox_1 (task=?)",
        "SEARCH INDEX sqlite_autoindex_inbox_1 (task=? AND key=?)",
    }
    assert not {line for line in plans.lines if "TEMP B-TREE" in line}


async def test_tasks_that_hear_of_events_are_found_by_their_own_index(
    database: Database, plans: Plans
) -> None:
    await SqlTaskStore(database).event_tasks()
    assert {line for line in plans.lines if "tasks" in line} == {
        "SCAN tasks USING INDEX ix_tasks_events"
    }
