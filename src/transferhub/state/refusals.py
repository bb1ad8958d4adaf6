"""What every store says where it refuses a writer."""

from __future__ import annotations

from transferhub.errors import ConflictError, LeaseLostError
from transferhub.model.run import Run, TaskId
from transferhub.model.transfer import RunId


def task_exists(ident: TaskId) -> ConflictError:
    return ConflictError(f"Task {ident} exists already.")


def task_changed(ident: TaskId) -> ConflictError:
    return ConflictError(f"Task {ident} was changed by another writer; read it again.")


def run_exists(ident: RunId) -> ConflictError:
    return ConflictError(f"Run {ident} exists already.")


def run_changed(ident: RunId) -> ConflictError:
    return ConflictError(f"Run {ident} was changed by another writer; read it again.")


def run_lost(run: Run) -> LeaseLostError:
    return LeaseLostError(f"Run {run.ident} is not kept by {run.keeper} any more.")


def user_exists(name: str) -> ConflictError:
    return ConflictError(f"User {name} exists already.")


def user_changed(name: str) -> ConflictError:
    return ConflictError(f"User {name} was changed by another writer; read it again.")


def credential_exists(name: str) -> ConflictError:
    return ConflictError(f"Credential {name} exists already.")


def credential_changed(name: str) -> ConflictError:
    return ConflictError(f"Credential {name} was changed by another writer; read it again.")


def channel_exists(name: str) -> ConflictError:
    return ConflictError(f"Channel {name} exists already.")


def channel_changed(name: str) -> ConflictError:
    return ConflictError(f"Channel {name} was changed by another writer; read it again.")
