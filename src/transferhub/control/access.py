"""Whether a caller may do something; every verb asks first."""

from __future__ import annotations

from transferhub.errors import AccessError
from transferhub.model.people import Caller, Role, Scope


def authorise(caller: Caller, needed: Role, scope: Scope = Scope.TASKS) -> None:
    """Raises AccessError where the caller's role or token does not allow it."""
    if not caller.role.covers(needed):
        raise AccessError(f"This needs the role {needed}; {caller.name} is {caller.role}.")
    if scope not in caller.scopes:
        raise AccessError(f"This needs an API token with the scope {scope}.")
