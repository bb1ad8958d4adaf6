import asyncio
from collections.abc import Iterator

import pytest

from tests.api.web import PASSWORD, Client, Hub, served

QUERY = {"query": "{ things(first: 1) { caller } }"}
RENAME = {"query": 'mutation { rename(name: "new") { name caller } }'}


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def client(hub: Hub) -> Iterator[Client]:
    with served(hub) as client:
        yield client


def code_of(answer: object) -> str:
    assert isinstance(answer, dict)
    code = answer["errors"][0]["extensions"]["code"]
    assert isinstance(code, str)
    return code


def test_a_link_gives_a_session_once(client: Client, hub: Hub) -> None:
    link = asyncio.run(hub.link())
    status, told = client.ask("POST", "/session", {"link": link})
    assert (status, told) == (200, {"name": "guest", "role": "admin", "how": "link"})
    flags = client.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    status, answer = client.ask("POST", "/graphql", QUERY)
    assert status == 200
    assert "name='guest'" in str(answer["data"]["things"][0]["caller"])
    status, answer = client.ask("POST", "/session", {"link": link})
    assert (status, code_of(answer)) == (401, "sign_in")


def test_a_password_gives_a_session_until_it_is_left(client: Client, hub: Hub) -> None:
    asyncio.run(hub.user("ada"))
    status, _ = client.ask("POST", "/session", {"name": "ada", "password": PASSWORD})
    assert status == 200
    cookie = client.cookie
    assert client.ask("GET", "/session")[1]["name"] == "ada"
    assert client.ask("DELETE", "/session")[0] == 200
    client.cookie = cookie
    assert client.ask("GET", "/session")[0] == 401
    assert client.ask("POST", "/graphql", QUERY)[0] == 401


def test_wrong_passwords_are_refused_and_then_slowed_down(client: Client, hub: Hub) -> None:
    asyncio.run(hub.user("ada"))
    wrong = {"name": "ada", "password": "wrong horse battery"}
    answers = [client.ask("POST", "/session", wrong) for _ in range(7)]
    assert [status for status, _ in answers][:3] == [401, 401, 401]
    assert answers[-1][0] == 429
    assert int(client.headers["retry-after"]) >= 1
    assert PASSWORD not in str(answers)


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}"])
def test_a_token_needs_no_origin(client: Client, hub: Hub, form: str) -> None:
    token = asyncio.run(hub.token())
    status, answer = client.ask(
        "POST", "/graphql", QUERY, authorization=form.format(token), origin=""
    )
    assert (status, len(answer["data"]["things"])) == (200, 1)


def test_an_unknown_token_is_refused(client: Client) -> None:
    status, answer = client.ask("POST", "/graphql", QUERY, authorization="Bearer dth_wrong")
    assert (status, code_of(answer)) == (401, "sign_in")


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://127.0.0.1:1"])
def test_a_cookie_works_from_this_site_only(client: Client, hub: Hub, origin: str) -> None:
    assert client.ask("POST", "/session", {"link": asyncio.run(hub.link())})[0] == 200
    assert client.ask("POST", "/graphql", RENAME)[0] == 200
    for method, path, body in (
        ("POST", "/graphql", RENAME),
        ("DELETE", "/session", None),
        ("POST", "/session", {"link": "x"}),
    ):
        status, answer = client.ask(method, path, body, origin=origin)
        assert (status, code_of(answer)) == (403, "forbidden")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_taken(client: Client, hub: Hub, kind: str) -> None:
    assert client.ask("POST", "/session", {"link": asyncio.run(hub.link())})[0] == 200
    status, answer = client.ask("POST", "/graphql", RENAME, content_type=kind)
    assert (status, code_of(answer)) == (400, "bad_input")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_input"),
        (b"[]", 400, "bad_input"),
        (b"{}", 400, "bad_input"),
        (b"\xff", 400, "bad_input"),
        (b"[" * 100_000, 400, "bad_input"),
        (b'{"query": 1}', 400, "bad_input"),
        (b'{"query": "{x}", "variables": []}', 200, "bad_request"),
        (b'{"query": "{x}", "variables": [1]}', 400, "bad_input"),
        (b" " * ((1 << 20) + 1), 413, "too_long"),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    client: Client, hub: Hub, body: bytes, status: int, code: str
) -> None:
    token = asyncio.run(hub.token())
    found, answer = client.ask("POST", "/graphql", body, authorization=token)
    assert (found, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "{ things { name } }", "operationName": "\\ud800"}',
        b'{"query": "query ($i: ShelfInput) { __typename }", "variables": {"i": {"\\ud800": 1}}}',
        b'{"query": "{ \\ud800 }"}',
    ],
)
def test_half_a_surrogate_pair_is_answered(client: Client, hub: Hub, body: bytes) -> None:
    token = asyncio.run(hub.token())
    status, answer = client.ask("POST", "/graphql", body, authorization=token)
    assert status == 200
    assert code_of(answer) in ("bad_request", "bad_input")


@pytest.mark.parametrize("given", [{}, {"name": "ada"}, {"name": 1, "password": "x"}, {"link": ""}])
def test_a_sign_in_that_lacks_something_names_it(client: Client, given: object) -> None:
    status, answer = client.ask("POST", "/session", given)
    assert (status, code_of(answer)) == (400, "bad_input")
    assert "missing" in answer["errors"][0]["message"]


def test_another_host_is_refused(client: Client) -> None:
    status, answer = client.ask("GET", "/healthz", host="evil.example")
    assert (status, code_of(answer)) == (421, "bad_host")


def test_every_answer_is_kept_from_harm(client: Client) -> None:
    for path in ("/healthz", "/graphql", "/nothing", "/config.json"):
        client.ask("GET", path)
        policy = client.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert client.headers["x-content-type-options"] == "nosniff"


def test_config_says_how_to_sign_in_and_is_not_kept(client: Client) -> None:
    status, told = client.ask("GET", "/config.json")
    assert (status, told) == (200, {"graphqlUrl": "/graphql", "auth": {"mode": "local"}})
    assert client.headers["cache-control"] == "no-store"


def test_it_is_ready_when_its_state_is(client: Client, hub: Hub) -> None:
    assert client.ask("GET", "/readyz")[0] == 200
    hub.broken = True
    status, answer = client.ask("GET", "/readyz")
    assert (status, code_of(answer)) == (503, "state")
    assert client.ask("GET", "/healthz")[0] == 200


def test_over_https_the_cookie_is_of_this_host_alone(hub: Hub) -> None:
    with served(hub, secure=True) as client:
        assert client.ask("POST", "/session", {"link": asyncio.run(hub.link())})[0] == 200
        cookie = client.headers["set-cookie"]
        assert cookie.startswith("__Host-dth=")
        assert "secure" in cookie.lower()
