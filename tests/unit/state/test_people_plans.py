"""What a verb on people, audit entries and credentials costs does not grow with the tables."""

from tests.conformance.people import NOW, entry, link, sealed, session, token, user
from tests.unit.state.plans import Plans
from transferhub.model.people import Strikes
from transferhub.state.sql.audit import SqlAudit
from transferhub.state.sql.database import Database
from transferhub.state.sql.people import SqlPeople
from transferhub.state.sql.vault import SqlVault


async def ask_people(people: SqlPeople) -> None:
    await people.create_user(user("ann"))
    await people.update_user(user("ann"))
    await people.get_user("ann")
    await people.users(after="a")
    await people.create_session(session("x"))
    await people.touch_session("x", NOW)
    await people.get_session("x")
    await people.end_session("x")
    await people.end_sessions("ann")
    await people.create_link(link("x"))
    await people.take_link("x", NOW)
    await people.create_token(token("a"))
    await people.get_token("digest of a")
    await people.tokens(owner="ann")
    await people.revoke_token("a", NOW)
    strikes = Strikes(count=1, at=NOW)
    await people.replace_strikes("k", None, strikes)
    await people.replace_strikes("k", strikes, Strikes(count=2, at=NOW))
    await people.replace_strikes("k", await people.strikes("k"), None)
    await people.purge(NOW, NOW)


async def ask_audit(audit: SqlAudit) -> None:
    await audit.append(entry("ann"))
    await audit.entries(before=9)
    await audit.entries(who="ann", before=9)
    await audit.entries(action="user.create")
    await audit.entries(subject="x")


async def ask_vault(vault: SqlVault) -> None:
    await vault.create(sealed("a"))
    await vault.replace(sealed("a", version=2), sealed("a"))
    await vault.get("a")
    await vault.all(after="a")
    await vault.delete("a")


async def test_every_statement_uses_an_index(database: Database, plans: Plans) -> None:
    await ask_people(SqlPeople(database))
    await ask_audit(SqlAudit(database))
    await ask_vault(SqlVault(database))
    read = {line for line in plans.lines if line.startswith(("SEARCH", "SCAN"))}
    ours = {line for line in read if "json" not in line and "CONSTANT" not in line}
    assert len(ours) > 10
    assert {line for line in ours if not line.startswith("SEARCH")} <= {"SCAN (subquery-1)"}
    assert not {line for line in plans.lines if "TEMP B-TREE" in line}
