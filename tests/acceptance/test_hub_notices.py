"""What the real `dth up` tells people."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.fleet import up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import Place, content_of
from tests.servers.receivers import HttpReceiver
from transferhub.model.run import RunState

PATIENCE_S = 60


@pytest.fixture
async def receiver(desk: Desk) -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as receiver:
        await desk.services.channels.put(
            ADMIN,
            {
                "kind": "webhook",
                "name": "own",
                "url": receiver.url,
                "secret": "0123456789abcdef",
                "events": ["run_finished", "run_failed"],
            },
        )
        yield receiver


async def documents(receiver: HttpReceiver, least: int) -> dict[str, Mapping[str, Any]]:
    """By id, once so many requests have come."""
    async with asyncio.timeout(PATIENCE_S):
        await receiver.count(least)
    found = [json.loads(got.body) for got in receiver.received]
    return {document["data"]["id"]: document for document in found}


async def test_the_ends_of_runs_reach_a_receiver(
    pair: Dth, source: Place, destination: Place, desk: Desk, receiver: HttpReceiver
) -> None:
    source.fill({f"{n}": content_of(f"{n}", 100) for n in range(20)})
    good = await desk.task(source, destination, name="Good")
    missing = replace(destination, bucket="no-such-bucket")
    bad = await desk.task(source, missing, name="Bad")
    with ExitStack() as scope:
        up(pair, scope)
        runs = {task.name: await desk.start(task) for task in (good, bad)}
        found = await documents(receiver, 2)
    by_type = {document["type"]: document["data"] for document in found.values()}
    assert by_type["run_finished"]["title"] == "Good: the run has finished"
    [notice] = by_type["run_finished"]["notices"]
    assert (notice["run"], notice["objects"]) == (runs["Good"].ident, 20)
    assert by_type["run_finished"]["link"].endswith(f"/runs/{runs['Good'].ident}")
    [notice] = by_type["run_failed"]["notices"]
    assert notice["code"] == "no_bucket"


async def test_a_hub_that_is_killed_tells_of_the_run_when_it_is_back(
    pair: Dth, source: Place, destination: Place, desk: Desk, receiver: HttpReceiver
) -> None:
    source.fill({"a": b"a"})
    run = await desk.start(await desk.task(source, destination))
    with ExitStack() as scope:
        hub = up(pair, scope)
        assert (await desk.ended(run)).state is RunState.SUCCEEDED
        hub.process.kill()
        hub.process.wait()
        up(pair, scope)
        [document] = (await documents(receiver, 1)).values()
    assert document["data"]["notices"][0]["run"] == run.ident
