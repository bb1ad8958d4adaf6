from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.control.hub_desk import ADMIN, HOURLY, OPERATOR, START, VIEWER, HubDesk, draft
from transferhub.control.specs import Spec
from transferhub.errors import AccessError, ConflictError, InputError, MoveError
from transferhub.model.faults import InputErrors
from transferhub.model.pages import RunFilter, TaskFilter
from transferhub.model.people import Caller
from transferhub.model.run import RunState, TaskId, TaskState
from transferhub.model.transfer import Totals

FOUR = datetime(2026, 1, 2, 4, tzinfo=UTC)


@pytest.fixture
def desk() -> HubDesk:
    return HubDesk()


async def test_a_task_is_created_with_its_next_run(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY, tags=["prod", "prod"], description=" all ")
    assert (task.owner, task.state, task.version) == ("the operator", TaskState.ACTIVE, 1)
    assert (task.tags, task.description) == (("prod",), "all")
    assert (task.created_at, task.next_run_at) == (START, FOUR)
    assert await desk.tasks.get(VIEWER, task.ident) == task
    upcoming = await desk.tasks.upcoming(VIEWER, task.ident, 3)
    assert upcoming == [FOUR, FOUR + timedelta(hours=1), FOUR + timedelta(hours=2)]


async def test_a_task_without_a_schedule_has_no_next_run(desk: HubDesk) -> None:
    task = await desk.task()
    assert (task.next_run_at, await desk.tasks.upcoming(VIEWER, task.ident, 3)) == (None, [])


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"name": " "}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"name": "x" * 201}, ["name"]),
        ({"kind": "files"}, ["kind"]),
        ({"spec": {"source": "s3://a"}}, ["spec.destination"]),
        ({"spec": {}}, ["spec.source", "spec.destination"]),
        ({"description": "x" * 2_001}, ["description"]),
        ({"tags": ["a b"]}, ["tags"]),
        ({"tags": [str(n) for n in range(21)]}, ["tags"]),
        ({"schedule": {"cron": "61 * * * *"}}, ["schedule.cron"]),
        (
            {"name": "", "spec": {}, "tags": [""], "schedule": {"cron": "x"}},
            ["name", "tags", "spec.source", "spec.destination", "schedule.cron"],
        ),
    ],
)
async def test_every_fault_is_named_at_once_and_nothing_is_changed(
    desk: HubDesk, given: dict[str, Any], fields: list[str]
) -> None:
    task = await desk.task()
    for attempt in (
        desk.tasks.create(OPERATOR, draft(**given)),
        desk.tasks.update(OPERATOR, task.ident, draft(**given)),
    ):
        with pytest.raises(InputError) as caught:
            await attempt
        found = [fault.field for fault in getattr(caught.value, "faults", (caught.value,))]
        assert found == fields
    assert (await desk.store.tasks()).items == (task,)
    assert len(await desk.audit()) == 1


async def test_an_update_keeps_what_was_and_what_a_run_used(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY)
    desk.now += timedelta(minutes=1)
    updated = await desk.tasks.update(ADMIN, task.ident, draft(name="Films"), version=1)
    assert (updated.name, updated.version, updated.owner) == ("Films", 2, "the operator")
    assert (updated.created_at, updated.updated_at) == (START, desk.now)
    assert updated.next_run_at is None
    names = [version.name for version in await desk.tasks.versions(VIEWER, task.ident)]
    assert names == ["Films", "Photos"]
    entry, *_ = await desk.audit()
    assert (entry.action, entry.before["name"], entry.after["name"]) == (
        "task.update",
        "Photos",
        "Films",
    )
    assert "spec" not in entry.after


async def test_an_update_overwrites_no_other_one(desk: HubDesk) -> None:
    task = await desk.task()
    await desk.tasks.update(OPERATOR, task.ident, draft(name="First"), version=1)
    with pytest.raises(ConflictError, match="at version 2, and you changed version 1"):
        await desk.tasks.update(OPERATOR, task.ident, draft(name="Second"), version=1)


async def test_a_clone_is_paused(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY, tags=["prod"])
    clone = await desk.tasks.clone(ADMIN, task.ident, "Copy")
    assert (clone.name, clone.state, clone.owner) == ("Copy", TaskState.PAUSED, "the admin")
    assert (clone.spec, clone.schedule, clone.tags) == (task.spec, task.schedule, task.tags)
    assert clone.ident != task.ident
    assert [due.ident for due in await desk.store.due_tasks(FOUR)] == [task.ident]


async def test_pausing_means_not_to_catch_up(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY)
    assert (await desk.tasks.pause(OPERATOR, task.ident)).state is TaskState.PAUSED
    with pytest.raises(MoveError, match="is paused already"):
        await desk.tasks.pause(OPERATOR, task.ident)
    desk.now += timedelta(days=5)
    resumed = await desk.tasks.resume(OPERATOR, task.ident)
    assert resumed.next_run_at == FOUR + timedelta(days=5)
    with pytest.raises(MoveError, match="is active already"):
        await desk.tasks.resume(OPERATOR, task.ident)


@pytest.mark.parametrize("purge", [False, True])
async def test_a_deleted_task_leaves_its_history_unless_purged(desk: HubDesk, purge: bool) -> None:
    task = await desk.task()
    run = await desk.ended(task)
    await desk.dead_letters(run.ident, "a")
    await desk.tasks.delete(ADMIN, task.ident, purge=purge)
    with pytest.raises(InputError, match="there is no task"):
        await desk.tasks.get(VIEWER, task.ident)
    kept = (await desk.store.runs(RunFilter(task=task.ident))).items
    assert len(kept) == (0 if purge else 1)
    totals: Totals = await desk.ledger.totals(run.ident)
    assert bool(totals.tallies) is not purge


async def test_a_task_with_a_run_under_way_is_not_deleted(desk: HubDesk) -> None:
    task = await desk.task()
    run = await desk.claimed(task)
    with pytest.raises(MoveError, match=f"Run {run.ident} of task {task.ident} is running"):
        await desk.tasks.delete(ADMIN, task.ident, purge=True)
    assert (await desk.store.get_task(task.ident)) == task


async def test_tasks_are_found_by_words(desk: HubDesk) -> None:
    await desk.task()
    films = await desk.task(name="Films")
    page = await desk.tasks.page(VIEWER, TaskFilter(words="film destination"))
    assert (page.items, page.total) == ((films,), 1)


async def test_no_task_has_a_spec_that_is_not_admitted() -> None:
    async def admit(spec: Spec) -> None:
        if "secret" in spec.title:
            raise InputError("source", "tasks of this hub may not use it", code="not_allowed")

    desk = HubDesk(admit)
    task = await desk.task()
    bad = draft(spec={"source": "s3://secret", "destination": "s3://b"}, name="")
    for verb in (desk.tasks.create(OPERATOR, bad), desk.tasks.update(OPERATOR, task.ident, bad)):
        with pytest.raises(InputErrors) as caught:
            await verb
        assert [(fault.field, fault.code) for fault in caught.value.faults] == [
            ("name", "bad_input"),
            ("spec.source", "not_allowed"),
        ]
    assert (await desk.tasks.page(VIEWER)).items == (task,)


Verb = Callable[[HubDesk, Caller, TaskId], Awaitable[object]]
READS: dict[str, Verb] = {
    "get": lambda desk, who, task: desk.tasks.get(who, task),
    "page": lambda desk, who, _: desk.tasks.page(who),
    "versions": lambda desk, who, task: desk.tasks.versions(who, task),
    "upcoming": lambda desk, who, task: desk.tasks.upcoming(who, task, 1),
}
WRITES: dict[str, Verb] = {
    "create": lambda desk, who, _: desk.tasks.create(who, draft()),
    "update": lambda desk, who, task: desk.tasks.update(who, task, draft()),
    "clone": lambda desk, who, task: desk.tasks.clone(who, task, "Copy"),
    "pause": lambda desk, who, task: desk.tasks.pause(who, task),
    "delete": lambda desk, who, task: desk.tasks.delete(who, task, purge=False),
}


@pytest.mark.parametrize("verb", READS)
async def test_a_viewer_may_look(desk: HubDesk, verb: str) -> None:
    await READS[verb](desk, VIEWER, (await desk.task()).ident)


@pytest.mark.parametrize("verb", WRITES)
async def test_an_operator_may_change_and_a_viewer_may_not(desk: HubDesk, verb: str) -> None:
    task = await desk.task()
    with pytest.raises(AccessError, match="needs the role operator"):
        await WRITES[verb](desk, VIEWER, task.ident)
    assert (await desk.store.tasks()).items == (task,)
    assert len(await desk.audit()) == 1
    await WRITES[verb](desk, OPERATOR, task.ident)
    assert len(await desk.audit()) == 2


async def test_a_viewer_may_not_resume_and_only_an_admin_may_purge(desk: HubDesk) -> None:
    task = await desk.task()
    await desk.tasks.pause(OPERATOR, task.ident)
    with pytest.raises(AccessError):
        await desk.tasks.resume(VIEWER, task.ident)
    with pytest.raises(AccessError, match="needs the role admin"):
        await desk.tasks.delete(OPERATOR, task.ident, purge=True)


@pytest.mark.parametrize("verb", sorted({*READS, *WRITES} - {"page", "create"}))
async def test_an_unknown_task_is_named(desk: HubDesk, verb: str) -> None:
    with pytest.raises(InputError, match="there is no task 'nobody'") as caught:
        await {**READS, **WRITES}[verb](desk, ADMIN, TaskId("nobody"))
    assert caught.value.code == "no_task"


async def test_an_ended_run_does_not_keep_a_task(desk: HubDesk) -> None:
    task = await desk.task()
    await desk.ended(task, RunState.FAILED)
    await desk.tasks.delete(OPERATOR, task.ident, purge=False)
