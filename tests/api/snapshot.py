"""All that a hub remembers, to see that nothing changed."""

from typing import Any

from tests.api.hub_world import World


def taken(world: World) -> Any:
    return world.do(_taken(world))


async def _taken(world: World) -> Any:
    state = world.state
    runs = (await state.tasks.runs(limit=1_000)).items
    return {
        "tasks": (await state.tasks.tasks(limit=1_000)).items,
        "runs": runs,
        "failures": [await state.ledger.failures(run.ident) for run in runs],
        "workers": [(member.ident, member.draining) for member in await state.fleet.members()],
        "users": await state.people.users(limit=1_000),
        "tokens": await state.people.tokens(),
        "credentials": await state.vault.all(limit=1_000),
        "channels": await state.channels.channels(limit=1_000),
        "audit": await state.audit.entries(limit=1),
    }
