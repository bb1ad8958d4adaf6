"""Runs as items of the hub's table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.aws.table import When
from transferhub.model.pages import RunFilter
from transferhub.model.run import UNDER_WAY_STATES, Run, RunOrder, RunState, TaskId, Trigger
from transferhub.model.transfer import RunId
from transferhub.state.aws.views import Entry, moment_text, place_text
from transferhub.state.cursors import Place
from transferhub.state.values import (
    from_micros,
    from_micros_or_none,
    to_micros,
    to_micros_or_none,
    whole_text,
)

ALL = "runs"
QUEUED = "runs-queued"
"""Oldest first."""

KEPT = "runs-kept"
"""Those that have a keeper, by `kept_until` in steps of `_STEP`: most beats of a keeper leave the
place as it is, and so write the run alone."""

UNTOLD = "runs-untold"
"""By `ended_at`."""

_STEP = 10_000_000
"""Microseconds."""

_UNDER_WAY = "under-way"
"""One group: a run that is claimed between two reads must not be missed by both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """Attributes:
    number: grows with each run that is created.
    told_at: the `ended_at` of which people were told, in microseconds.
    """

    run: Run
    number: int
    told_at: int = 0
    edition: int = 1

    @classmethod
    def of(cls, item: Item) -> ListedRun:
        return cls(
            run=_to_run(item),
            number=item["number"],
            told_at=item["told_at"],
            edition=item["edition"],
        )

    @property
    def title(self) -> str:
        return f"Run {self.run.ident}"

    @property
    def key(self) -> Item:
        return run_key(self.run.ident)

    @property
    def item(self) -> Item:
        return {
            **self.key,
            **_to_attributes(self.run),
            "number": self.number,
            "told_at": self.told_at,
            "edition": self.edition,
        }

    @property
    def place(self) -> Place:
        """In all lists of runs."""
        return Place(to_micros(self.run.created_at), self.number)

    @property
    def is_untold(self) -> bool:
        ended_at = self.run.ended_at
        hidden = self.run.trigger is Trigger.COMMAND
        return ended_at is not None and not hidden and to_micros(ended_at) > self.told_at

    def is_lapsed(self, now: datetime) -> bool:
        until = self.run.kept_until
        return self._is_kept and until is not None and until <= now

    def is_kept_by(self, keeper: str) -> bool:
        return self._is_kept and self.run.keeper == keeper

    def with_run(self, run: Run) -> ListedRun:
        return replace(self, run=run, edition=self.edition + 1)

    def told(self, told_at: int) -> ListedRun:
        return replace(self, told_at=told_at, edition=self.edition + 1)

    def entries(self) -> Sequence[Entry]:
        return [*self._entries()]

    def _entries(self) -> Iterator[Entry]:
        run, at = self.run, place_text(self.place)
        facts = {"ident": run.ident, "trigger": run.trigger.value}
        group = _group(run.state)
        grouped = {**facts, "state": run.state.value} if group == _UNDER_WAY else facts
        yield Entry(ALL, at, facts)
        yield Entry(_by(run.trigger), at, facts)
        yield Entry(of_task(run.task), at, facts)
        yield Entry(_in_group(group), at, grouped)
        yield Entry(_of_task_in_group(run.task, group), at, grouped)
        number = place_text(Place(0, self.number))
        if run.state is RunState.QUEUED:
            yield Entry(QUEUED, at, facts)
        if self._is_kept and run.kept_until is not None:
            step = to_micros(run.kept_until) // _STEP * _STEP
            yield Entry(KEPT, moment_text(step) + number, facts)
        if self.is_untold and run.ended_at is not None:
            yield Entry(UNTOLD, moment_text(to_micros(run.ended_at)) + number, facts)

    @property
    def _is_kept(self) -> bool:
        return self.run.state is RunState.RUNNING and bool(self.run.keeper)


def run_key(ident: RunId) -> Item:
    return {"pk": f"run#{ident}", "sk": "run"}


def moment_key(task: TaskId, scheduled_at: datetime) -> Item:
    """Of the item that tells which run a moment of a schedule started."""
    return {"pk": f"moment#{to_micros(scheduled_at)}#{task}", "sk": "moment"}


def of_task(task: TaskId) -> str:
    return f"runs-of#{task}"


def views_of(chosen: RunFilter) -> Sequence[tuple[str, When | None]]:
    """The views that have all runs that are chosen, in the order in which runs move on, and what
    is kept of each; None: all of it."""
    trigger = None if chosen.trigger is None else chosen.trigger.value
    by_trigger = _only(trigger=trigger)
    if not chosen.states:
        if chosen.task is not None:
            return [(of_task(chosen.task), by_trigger)]
        return [(ALL, None) if chosen.trigger is None else (_by(chosen.trigger), None)]
    if chosen.task is None and {*chosen.states} == {RunState.QUEUED}:
        return [(QUEUED, by_trigger)]
    found: list[tuple[str, When | None]] = []
    for group in dict.fromkeys(map(_group, sorted(chosen.states, key=[*RunState].index))):
        view = _in_group(group) if chosen.task is None else _of_task_in_group(chosen.task, group)
        state = _one_under_way(chosen) if group == _UNDER_WAY else None
        found.append((view, _only(trigger=trigger, state=state)))
    return found


def _one_under_way(chosen: RunFilter) -> str | None:
    """The state that is chosen of those of this group; None: both."""
    states = UNDER_WAY_STATES.intersection(chosen.states)
    return next(iter(states)).value if len(states) == 1 else None


def _only(**facts: str | None) -> When | None:
    """Entries with these facts."""
    wanted = {name: value for name, value in facts.items() if value is not None}
    if not wanted:
        return None
    return When(
        " AND ".join(f"#{name} = :{name}" for name in wanted),
        {f":{name}": value for name, value in wanted.items()},
        {f"#{name}": name for name in wanted},
    )


def _group(state: RunState) -> str:
    return _UNDER_WAY if state in UNDER_WAY_STATES else state.value


def _by(trigger: Trigger) -> str:
    return f"runs-by#{trigger.value}"


def _in_group(group: str) -> str:
    return f"runs-in#{group}"


def _of_task_in_group(task: TaskId, group: str) -> str:
    return f"runs-of-in#{group}#{task}"


def _to_attributes(run: Run) -> Item:
    attributes = {
        "ident": run.ident,
        "task": run.task,
        "task_version": run.task_version,
        "state": run.state.value,
        "created_at": to_micros(run.created_at),
        "started_at": to_micros_or_none(run.started_at),
        "ended_at": to_micros_or_none(run.ended_at),
        "error_code": run.error_code,
        "error": whole_text(run.error),
        "workers": json.dumps(run.workers),
        "summary": json.dumps(dict(run.summary)),
        "resumed": run.resumed,
        "trigger": run.trigger.value,
        "order": run.order.value,
        "scheduled_at": to_micros_or_none(run.scheduled_at),
        "keeper": run.keeper,
        "kept_until": to_micros_or_none(run.kept_until),
        "version": run.version,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _to_run(item: Item) -> Run:
    return Run(
        ident=RunId(item["ident"]),
        task=TaskId(item["task"]),
        task_version=item["task_version"],
        state=RunState(item["state"]),
        created_at=from_micros(item["created_at"]),
        started_at=from_micros_or_none(item.get("started_at")),
        ended_at=from_micros_or_none(item.get("ended_at")),
        error_code=item["error_code"],
        error=item["error"],
        workers=tuple(json.loads(item["workers"])),
        summary=json.loads(item["summary"]),
        resumed=item["resumed"],
        trigger=Trigger(item["trigger"]),
        order=RunOrder(item["order"]),
        scheduled_at=from_micros_or_none(item.get("scheduled_at")),
        keeper=item["keeper"],
        kept_until=from_micros_or_none(item.get("kept_until")),
        version=item["version"],
    )
