"""Kinds of tasks, and what a run takes of a machine's limits."""

from dataclasses import replace
from pathlib import Path

import pytest

from transferhub.control.runs import Runs
from transferhub.engine.retry import FATAL_CODES, MACHINE_CODES
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, RunError
from transferhub.hosts.carrier import State
from transferhub.hosts.following import open_events
from transferhub.hosts.kinds import KINDS, Kind, kind_of
from transferhub.hosts.local import LocalHost
from transferhub.hosts.objects import ObjectsKind
from transferhub.hosts.settings import Settings
from transferhub.hosts.steering import Steering
from transferhub.model.run import TaskId
from transferhub.plugins.images.spec import parse_spec as parse_images
from transferhub.plugins.objects.replication import ObjectReplication
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.memory import MemoryInbox, MemoryLedger, MemoryTaskStore

IMAGES = parse_images({"source": "a.example", "destination": "b.example", "all": True})


class Crew:
    def __init__(self) -> None:
        self.told: list[Tuning] = []

    def retune(self, tuning: Tuning) -> None:
        self.told.append(tuning)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_reads_what_its_specs_write(name: str) -> None:
    kind = kind_of(name)
    given = {"source": "s3://a", "destination": "s3://b"}
    spec = kind.parse(given if name == "objects" else {**IMAGES.to_json()})
    assert spec.kind == name
    assert kind.parse(spec.to_json()) == spec


def test_there_is_no_other_kind() -> None:
    with pytest.raises(InputError, match="'nothing' is no kind of task; write objects") as caught:
        kind_of("nothing")
    assert caught.value.field == "kind"


async def test_a_kind_opens_both_sides_of_its_specs(tmp_path: Path) -> None:
    kind: Kind[ObjectsSpec] = ObjectsKind()
    (tmp_path / "from").mkdir()
    spec = kind.parse({"source": f"file://{tmp_path}/from", "destination": f"file://{tmp_path}/to"})
    keys = tmp_path / "keys.json"
    keys.write_text('{"access_key_id": "AKIA", "secret_access_key": "x"}')
    keys.chmod(0o644)
    bucket = kind.parse(
        {"source": {"url": "s3://a", "credentials_file": str(keys)}, "destination": "s3://b"}
    )
    replication = kind.open(spec, Tuning(), {}, folder=tmp_path, looking=True)
    try:
        assert isinstance(replication, ObjectReplication)
        await replication.check()
        assert not (tmp_path / "to").exists()
    finally:
        await replication.aclose()
    assert kind.warnings(spec, {}, None) == []
    assert [str(keys) in said for said in kind.warnings(bucket, {}, None)] == [True]


@pytest.mark.parametrize(
    ("source", "fatal"),
    [("public", MACHINE_CODES), ("a.example", FATAL_CODES), ("ecr://eu-west-1", FATAL_CODES)],
)
async def test_one_of_many_registries_ends_no_run(
    source: str, fatal: frozenset[str], tmp_path: Path
) -> None:
    kind = kind_of("images")
    image = "c.example/d" if source == "public" else "d"
    spec = kind.parse({"source": source, "destination": "b.example", "images": image})
    replication = kind.open(spec, Tuning(), {}, folder=tmp_path)
    try:
        assert set(replication.fatal_codes) == fatal
    finally:
        await replication.aclose()


def test_images_are_carried_by_one_process_that_has_attempts_of_its_own() -> None:
    kind = kind_of("images")
    spec = kind.parse({**IMAGES.to_json(), "concurrency": 6, "attempts": 2})
    for given, concurrency in ((64, 6), (4, 4)):
        tuned = kind.tuned(spec, Tuning(processes=8, concurrency=given))
        assert (tuned.processes, tuned.concurrency, tuned.attempts) == (1, concurrency, 2)
        assert kind.tuned(spec, tuned) == tuned


def test_limits_are_cut_to_what_a_run_takes_of_them_whenever_they_change() -> None:
    steering, crew = Steering(Tuning(concurrency=64, processes=4)), Crew()
    steering.fit(lambda given: replace(given, concurrency=min(given.concurrency, 10), processes=1))
    steering.attach(crew)
    assert (steering.tuning.concurrency, steering.tuning.processes) == (10, 1)
    steering.retune(Tuning(concurrency=99, processes=4))
    assert crew.told == []
    steering.retune(Tuning(concurrency=5, processes=4))
    assert [(told.concurrency, told.processes) for told in crew.told] == [(5, 1)]


async def test_only_objects_are_followed() -> None:
    tasks, ledger = MemoryTaskStore(), MemoryLedger()
    state = State(ledger=ledger, tasks=tasks, runs=Runs(tasks, ledger))
    task = await state.runs.task_of(IMAGES)
    run = state.runs.new(task)
    with pytest.raises(RunError, match="a task of kind images follows no events"):
        await open_events(state, run, IMAGES, MemoryInbox())
    objects = kind_of("objects").parse(
        {"source": "s3://a", "destination": "s3://b", "mirror": True}
    )
    events = await open_events(state, run, objects, MemoryInbox())
    assert (events.following.task, events.guard.delete) == (TaskId(task.ident), True)


def test_images_are_not_verified_by_a_second_look(tmp_path: Path) -> None:
    settings = Settings.load(state=str(tmp_path / "state"))
    host = LocalHost(settings, talk=lambda _: None, observer=None)
    with pytest.raises(InputError, match="images are verified as they are copied"):
        host.transfer(IMAGES, settings.tuning(), verify=True)
    assert not (tmp_path / "state").exists()
