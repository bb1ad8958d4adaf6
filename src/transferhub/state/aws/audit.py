"""`AwsAudit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from transferhub.aws.attributes import Item
from transferhub.aws.table import Put, When
from transferhub.model.people import AuditEntry, How
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import HUB
from transferhub.state.aws.shelf import changes, equal, first_items, name_key
from transferhub.state.values import from_micros, to_micros, whole_text

_ALL = "audit#"
_NUMBERS = {"pk": "audit-number#", "sk": "#"}
_CHOSEN = ("subject", "who", "action")
"""What entries are chosen by, the narrowest first."""

_MOST = 10**20 - 1


class AwsAudit:
    """An Audit in DynamoDB.

    An entry stands in four places, written together: among all, and among those of its subject, of
    who did it, and of its action; so no choice reads what it does not show, but for what a second
    one leaves out. That is one unit for its number and eight for each KB of it: $0.000006, at the
    pace of people.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = connection.table(HUB)

    async def append(self, entry: AuditEntry) -> AuditEntry:
        with self._connection.failures():
            numbers = await self._table.update(_NUMBERS, changes({}, {"last": 1}))
            assert numbers is not None
            numbered = replace(entry, number=numbers["last"])
            await self._table.transact([Put(item) for item in _to_items(numbered)])
        return numbered

    async def entries(
        self,
        *,
        before: int | None = None,
        who: str = "",
        action: str = "",
        subject: str = "",
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        given = {"subject": subject, "who": who, "action": action}
        chosen = [(name, whole_text(given[name])) for name in _CHOSEN if given[name]]
        partition = _partition(*chosen[0]) if chosen else _ALL
        further = equal(dict(chosen[1:])) if chosen[1:] else None
        end = _MOST if before is None else min(before, _MOST)
        which = When("pk = :pk AND sk < :end", {":pk": partition, ":end": _place(max(end, 0))})
        with self._connection.failures():
            items = await first_items(
                self._table, which, limit=limit, descending=True, keep=further
            )
        return [_from_item(item) for item in items]

    async def aclose(self) -> None:
        await self._connection.aclose()


def _partition(name: str, value: str) -> str:
    return f"{_ALL}{name}{name_key(value)}"


def _place(number: int) -> str:
    return f"{number:020}"


def _to_items(entry: AuditEntry) -> Sequence[Item]:
    chosen_by = {
        "subject": whole_text(entry.subject),
        "who": whole_text(entry.who),
        "action": whole_text(entry.action),
    }
    values = {
        **chosen_by,
        "sk": _place(entry.number),
        "number": entry.number,
        "at": to_micros(entry.at),
        "how": entry.how.value,
        "before": json.dumps(dict(entry.before)),
        "after": json.dumps(dict(entry.after)),
    }
    partitions = [_ALL, *(_partition(*choice) for choice in chosen_by.items())]
    return [{"pk": partition, **values} for partition in partitions]


def _from_item(item: Item) -> AuditEntry:
    return AuditEntry(
        number=item["number"],
        at=from_micros(item["at"]),
        who=item["who"],
        how=How(item["how"]),
        action=item["action"],
        subject=item["subject"],
        before=json.loads(item["before"]),
        after=json.loads(item["after"]),
    )
