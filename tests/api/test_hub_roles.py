"""Which role and which scope each mutation needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.api.hub_world import TASK, GraphClient, World, hub_served
from tests.api.operations import fields_of, written
from tests.api.snapshot import taken
from tests.api.web import PASSWORD
from transferhub.api.hub_graph import MUTATIONS
from transferhub.model.people import EVERYTHING, Role, Scope
from transferhub.model.run import RunState

VIEWER, OPERATOR, ADMIN = Role
TASKS, CREDENTIALS, PEOPLE = Scope
NUMBERS = count(1)


ESTIMATE = """{ estimate(objects: 1, size: 1, spec: {
  source: {url: "s3://a"}, destination: {url: "s3://b"}}) { cost } }"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Who may do it, and with what it is asked.

    Attributes:
        how: in which case.
        also: another scope that it takes.
        ends: the code of the error that whoever may do it gets; "" for none.
    """

    mutation: str
    needs: Role
    scope: Scope
    asked: Callable[[World], Mapping[str, Any]]
    how: str = ""
    ends: str = ""
    also: frozenset[Scope] = frozenset()


def task(world: World) -> str:
    return str(world.client().create()["id"])


def paused(world: World) -> str:
    ident = task(world)
    world.client().get("mutation ($t: ID!) { pauseTask(id: $t) { id } }", t=ident)
    return ident


def ended(world: World) -> str:
    run = world.run_of(task(world), RunState.COMPLETED_WITH_FAILURES)
    world.dead_letters(run.ident, "a")
    return run.ident


def name() -> str:
    return f"n{next(NUMBERS)}"


def user(world: World) -> str:
    made = name()
    world.do(world.hub.accounts.create_user(world.root, made, PASSWORD, VIEWER))
    return made


def credential(world: World) -> Mapping[str, Any]:
    return {"name": name(), "kind": "TOKEN", "token": "t"}


def stored_credential(world: World) -> str:
    made = credential(world)
    world.client().get(
        "mutation ($c: CredentialInput!) { putCredential(input: $c) { name } }", c=made
    )
    return str(made["name"])


def channel() -> Mapping[str, Any]:
    return {"name": name(), "kind": "slack", "url": "http://127.0.0.1:1/nobody"}


def stored_channel(world: World) -> str:
    made = channel()
    world.client().get("mutation ($c: ChannelInput!) { putChannel(input: $c) { name } }", c=made)
    return str(made["name"])


ROWS = [
    Row(mutation="createTask", needs=OPERATOR, scope=TASKS, asked=lambda _: {"input": TASK}),
    Row(
        mutation="updateTask",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world), "version": 1, "input": {**TASK, "name": "New"}},
    ),
    Row(
        mutation="cloneTask",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world), "name": "Copy"},
    ),
    Row(mutation="pauseTask", needs=OPERATOR, scope=TASKS, asked=lambda world: {"id": task(world)}),
    Row(
        mutation="resumeTask",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": paused(world)},
    ),
    Row(
        mutation="deleteTask", needs=OPERATOR, scope=TASKS, asked=lambda world: {"id": task(world)}
    ),
    Row(
        mutation="deleteTask",
        needs=ADMIN,
        scope=TASKS,
        asked=lambda world: {"id": task(world), "purge": True},
        how="purge",
    ),
    Row(
        mutation="setTaskLimits",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world), "limits": {"concurrency": 5}},
    ),
    Row(
        mutation="setTaskEvents",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world), "events": None},
    ),
    Row(
        mutation="createEventToken",
        needs=ADMIN,
        scope=CREDENTIALS,
        also=frozenset({TASKS}),
        asked=lambda world: {"id": task(world)},
    ),
    Row(
        mutation="setUpEvents",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world)},
        ends="bad_input",
    ),
    Row(
        mutation="takeDownEvents",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": task(world)},
        ends="bad_input",
    ),
    Row(
        mutation="startRun", needs=OPERATOR, scope=TASKS, asked=lambda world: {"task": task(world)}
    ),
    Row(
        mutation="stopRun",
        needs=OPERATOR,
        scope=TASKS,
        asked=lambda world: {"id": world.run_of(task(world)).ident},
    ),
    Row(mutation="retryRun", needs=OPERATOR, scope=TASKS, asked=lambda world: {"id": ended(world)}),
    Row(
        mutation="putCredential",
        needs=ADMIN,
        scope=CREDENTIALS,
        asked=lambda world: {"input": credential(world)},
    ),
    Row(
        mutation="deleteCredential",
        needs=ADMIN,
        scope=CREDENTIALS,
        asked=lambda world: {"name": stored_credential(world)},
    ),
    Row(mutation="rotateCredentials", needs=ADMIN, scope=CREDENTIALS, asked=lambda _: {}),
    Row(
        mutation="createUser",
        needs=ADMIN,
        scope=PEOPLE,
        asked=lambda _: {"name": name(), "password": PASSWORD, "role": "VIEWER"},
    ),
    Row(
        mutation="setUserRole",
        needs=ADMIN,
        scope=PEOPLE,
        asked=lambda world: {"name": user(world), "role": "OPERATOR"},
    ),
    Row(
        mutation="disableUser", needs=ADMIN, scope=PEOPLE, asked=lambda world: {"name": user(world)}
    ),
    Row(
        mutation="enableUser", needs=ADMIN, scope=PEOPLE, asked=lambda world: {"name": user(world)}
    ),
    Row(
        mutation="setPassword",
        needs=ADMIN,
        scope=PEOPLE,
        asked=lambda world: {"name": user(world), "password": "a battery of new horses"},
    ),
    Row(
        mutation="createLink",
        needs=ADMIN,
        scope=PEOPLE,
        asked=lambda _: {"name": "guest", "role": "VIEWER"},
    ),
    Row(
        mutation="createToken",
        needs=VIEWER,
        scope=PEOPLE,
        asked=lambda _: {"label": "x", "role": "VIEWER", "duration": "1d"},
    ),
    Row(
        mutation="createToken",
        needs=OPERATOR,
        scope=PEOPLE,
        asked=lambda _: {"label": "x", "role": "OPERATOR", "duration": "1d"},
        how="of an operator",
    ),
    Row(
        mutation="putChannel",
        needs=ADMIN,
        scope=CREDENTIALS,
        asked=lambda _: {"input": channel()},
    ),
    Row(
        mutation="deleteChannel",
        needs=ADMIN,
        scope=CREDENTIALS,
        asked=lambda world: {"name": stored_channel(world)},
    ),
    Row(
        mutation="testChannel",
        needs=ADMIN,
        scope=CREDENTIALS,
        asked=lambda world: {"name": stored_channel(world)},
    ),
    Row(
        mutation="drainWorker",
        needs=ADMIN,
        scope=TASKS,
        asked=lambda world: {"id": world.worker(name())},
    ),
]
OWN = {"changePassword", "revokeToken"}
"""What everybody may do with what is theirs: tested by itself below."""


def named(row: object) -> str:
    return f"{row.mutation} {row.how}".strip() if isinstance(row, Row) else str(row)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with hub_served("memory", tmp_path_factory.mktemp("hub")) as world:
        yield world


@pytest.fixture(scope="module")
def callers(world: World) -> Mapping[Role, GraphClient]:
    return {role: world.user_client(f"a.{role}", role) for role in Role}


def codes_of(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", ())]


def ask(client: GraphClient, row: Row, world: World) -> Any:
    asked = row.asked(world)
    before = taken(world)
    answer = client.ask(written("mutation", row.mutation, asked), **asked)
    return before, answer


@pytest.mark.parametrize("row", ROWS, ids=named)
@pytest.mark.parametrize("role", Role)
def test_a_mutation_is_for_its_role_and_those_above(
    world: World, callers: Mapping[Role, GraphClient], row: Row, role: Role
) -> None:
    before, answer = ask(callers[role], row, world)
    if role.covers(row.needs):
        assert codes_of(answer) == ([row.ends] if row.ends else [])
    else:
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "forbidden"
        assert f"needs the role {row.needs}" in error["message"]
        assert taken(world) == before


@pytest.mark.parametrize("row", [row for row in ROWS if row.mutation != "createToken"], ids=named)
def test_a_token_without_its_scope_does_nothing(world: World, row: Row) -> None:
    client = world.client(ADMIN, EVERYTHING - {row.scope})
    before, answer = ask(client, row, world)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "forbidden"
    assert f"the scope {row.scope}" in error["message"]
    assert taken(world) == before
    _, answer = ask(world.client(ADMIN, {row.scope, *row.also}), row, world)
    assert codes_of(answer) == ([row.ends] if row.ends else [])


def test_no_token_makes_another_one(world: World) -> None:
    make = 'mutation { createToken(label: "x", role: VIEWER, duration: "1d") { secret } }'
    assert world.client().refused(make) == [("forbidden", "")]


@pytest.mark.parametrize("role", Role)
def test_everybody_changes_their_own_password(world: World, role: Role) -> None:
    change = "mutation ($o: String!, $n: String!) { changePassword(old: $o, new: $n) }"
    asked = {"o": PASSWORD, "n": "a battery of new horses"}
    assert world.user_client(name(), role).get(change, **asked) is True
    assert world.client(role).refused(change, **asked) == [("forbidden", "")]


@pytest.mark.parametrize("role", Role)
def test_everybody_revokes_their_own_tokens_and_an_administrator_all(
    world: World, callers: Mapping[Role, GraphClient], role: Role
) -> None:
    make = 'mutation { createToken(label: "x", role: VIEWER, duration: "1d") { token { id } } }'
    revoke = "mutation ($t: ID!) { revokeToken(id: $t) }"
    mine = callers[role].get(make)["token"]["id"]
    assert callers[role].get(revoke, t=mine) is True
    others = callers[OPERATOR if role is VIEWER else VIEWER].get(make)["token"]["id"]
    if role is ADMIN:
        assert callers[role].get(revoke, t=others) is True
    else:
        assert callers[role].refused(revoke, t=others) == [("no_token", "id")]


OF_A_TASK = """
task(id: $t) { id }
taskVersions(id: $t) { version }
nextRuns(task: $t)
taskEvents(id: $t) { waiting }
run(id: $r) { id }
transfers(run: $r) { cursor }
failures(run: $r) { cursor }
failureGroups(run: $r) { code }
logs(run: $r) { more }
series(run: $r, since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z") { at }
""".strip().splitlines()


@pytest.mark.parametrize("field", OF_A_TASK)
def test_a_viewer_sees_all_of_a_task_and_a_token_of_other_scopes_nothing(
    world: World, callers: Mapping[Role, GraphClient], field: str
) -> None:
    ident = task(world)
    declared = "$t: ID!" if "$t" in field else "$r: ID!"
    query = f"query ({declared}) {{ {field} }}"
    asked = {"t": ident} if "$t" in field else {"r": world.run_of(ident).ident}
    callers[VIEWER].get(query, **asked)
    assert world.client(ADMIN, EVERYTHING - {TASKS}).refused(query, **asked) == [("forbidden", "")]


@pytest.mark.parametrize(
    ("query", "needs"),
    [
        ("{ users { items { name } } }", ADMIN),
        ("{ audit { items { number } } }", ADMIN),
        ("{ credentials { items { name } } }", VIEWER),
        ("{ tokens { id } }", VIEWER),
        ("{ tasks { items { id } } }", VIEWER),
        ("{ workers { id } }", VIEWER),
        ("{ me { name } }", VIEWER),
        ("{ specSchema(kind: OBJECTS) }", VIEWER),
        ('{ nextRuns(schedule: {cron: "0 3 * * *"}) }', VIEWER),
        ("{ runs { items { id } } }", VIEWER),
        ("{ channels { name } }", ADMIN),
        (ESTIMATE, OPERATOR),
        ("{ messages { items { id } } }", ADMIN),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_a_query_is_for_its_role_and_those_above(
    callers: Mapping[Role, GraphClient], query: str, needs: Role, role: Role
) -> None:
    if role.covers(needs):
        callers[role].get(query)
    else:
        assert callers[role].refused(query) == [("forbidden", "")]


def test_every_mutation_has_a_row() -> None:
    assert {row.mutation for row in ROWS} | OWN == set(MUTATIONS)


def test_the_schema_says_which_role_a_mutation_needs() -> None:
    for row in ROWS:
        field = fields_of("mutation")[row.mutation]
        told = [field.description, *(argument.description for argument in field.args.values())]
        if row.needs is ADMIN:
            assert "Needs the role ADMIN" in str(told), row.mutation
