"""Whatever is asked, the running hub has an answer that is meant: what schemathesis makes of the
schema, and good input in which some fields are anything."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.graphql import nodes

from tests.api.hub_desk import Desk, desk_served, put
from tests.api.operations import fields_of, inputs_of, written
from tests.api.snapshot import taken
from transferhub.model.people import Role

EXAMPLES = 12
"""Of each operation and mode."""

BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

OPERATIONS = [
    (root, name)
    for root, kind in (("Query", "query"), ("Mutation", "mutation"))
    for name in fields_of(kind)
]

schemathesis.graphql.scalar(
    "AWSDateTime",
    st.datetimes(timezones=st.timezones()).map(lambda at: nodes.String(at.isoformat())),
)
schemathesis.graphql.scalar("AWSJSON", st.text().map(nodes.String))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_served("sqlite", tmp_path_factory.mktemp("hub")) as desk:
        yield desk


@pytest.fixture(scope="module")
def token(desk: Desk) -> str:
    return desk.world.token(Role.ADMIN)


@pytest.fixture(scope="module")
def schema(desk: Desk, token: str) -> Any:
    """As the hub itself tells it."""
    url = f"http://127.0.0.1:{desk.world.port}/graphql"
    return schemathesis.graphql.from_url(url, headers={"Authorization": token})


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("root", "name"), OPERATIONS, ids=[name for _, name in OPERATIONS])
def test_no_request_breaks_the_hub(
    schema: Any, token: str, root: str, name: str, mode: GenerationMode
) -> None:
    @BOUNDED
    @given(case=schema[root][name].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": token})
        assert answer.status_code < 500
        assert "internal" not in codes_of(answer.json()), answer.text

    ask()


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["", "s3://", "file:///", "*", "[", "\0", "\ud800", "9" * 40, "-1", "1e400"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MUTATIONS = [name for name in fields_of("mutation") if list(inputs_of(name))]


OF_IMAGES = [("createTask", True), ("updateTask", True)]


@pytest.mark.parametrize(
    ("mutation", "images"), [*((mutation, False) for mutation in MUTATIONS), *OF_IMAGES]
)
def test_good_input_with_anything_in_it_is_done_or_refused(
    desk: Desk, mutation: str, images: bool
) -> None:
    paths = sorted(path for path in inputs_of(mutation) if not (images and path.startswith("spec")))
    client = desk.world.user_client(f"fuzz.{mutation.lower()}.{images:d}", Role.ADMIN)

    @BOUNDED
    @given(changes=st.dictionaries(st.sampled_from(paths), ANYTHING, min_size=1, max_size=3))
    def ask(changes: dict[str, Any]) -> None:
        asked = desk.good(mutation, images=images)
        places = [(places_of(mutation, path), value) for path, value in changes.items()]
        for where, value in sorted(places, key=lambda place: -len(place[0])):  # from within
            put(asked, where, value)
        before = taken(desk.world)
        answer = client.ask(written("mutation", mutation, asked), **asked)
        assert "internal" not in codes_of(answer), (asked, answer)
        if "errors" in answer and mutation != "changePassword":  # whose failures are counted
            assert taken(desk.world) == before, (asked, answer)

    ask()


def places_of(mutation: str, path: str) -> Sequence[str]:
    where = path.split(".")
    return where if where[0] in fields_of("mutation")[mutation].args else ["input", *where]


def codes_of(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", ())]
