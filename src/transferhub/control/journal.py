"""`Journal`: writes the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transferhub.control.access import authorise
from transferhub.model.clock import Clock
from transferhub.model.people import AuditEntry, Caller, Role, Scope, masked
from transferhub.state.people import Audit

_ABSENT = object()


class Journal:
    """Notes who changed what, without secrets."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    async def note(
        self,
        caller: Caller,
        action: str,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Appends one entry with the fields that differ; secrets are masked.

        Args:
            action: a verb and its noun, such as "user.create".
            before: JSON values; None where it is new.
            after: None where it is gone.
        """
        was, now = dict(before or {}), dict(after or {})
        entry = AuditEntry(
            at=self._clock(),
            who=caller.name,
            how=caller.how,
            action=action,
            subject=subject,
            before=masked(_unlike(was, now)),
            after=masked(_unlike(now, was)),
        )
        return await self._audit.append(entry)

    async def entries(
        self,
        caller: Caller,
        *,
        before: int | None = None,
        who: str = "",
        action: str = "",
        subject: str = "",
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Newest first, those whose numbers are below `before`."""
        authorise(caller, Role.ADMIN, Scope.PEOPLE)
        return await self._audit.entries(
            before=before, who=who, action=action, subject=subject, limit=limit
        )


def _unlike(fields: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if others.get(name, _ABSENT) != value}
