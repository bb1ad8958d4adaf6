"""What a hub's line makes of servers that answer well, badly or not at all."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from transferhub import errors
from transferhub.errors import HubError, InputError, TransferHubError
from transferhub.hosts.remote.line import Line
from transferhub.model.faults import flatten

ASKED = "query { me { name } }"


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives one answer to everything, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def error_of(ask: Callable[[], object]) -> TransferHubError:
    with pytest.raises(TransferHubError) as caught:
        ask()
    return caught.value


def refused(told: dict[str, Any], status: int = 200, ident: str = "id") -> TransferHubError:
    with answering(status, json.dumps({"errors": [told]}).encode()) as (url, _):
        line = Line(url, "dth_token")
        try:
            return error_of(lambda: line.ask(ASKED, ident=ident))
        finally:
            line.close()


def test_what_is_asked_and_answered() -> None:
    with answering(200, b'{"data": {"me": {"name": "ada"}}}') as (url, asked):
        line = Line(f"{url}/hub/", "dth_token")
        assert line.ask(ASKED, {"id": "1"}) == {"name": "ada"}
        line.close()
    ((path, headers, body),) = asked
    assert path == "/hub/graphql"
    assert headers["authorization"] == "Bearer dth_token"
    assert body == {"query": ASKED, "variables": {"id": "1"}}


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, b"<html>", "{url} is no hub: it answered 404."),
        (200, b"<html>", "{url} is no hub: it answered 200."),
        (200, b"[]", "{url} is no hub: it answered 200."),
        (502, b"{}", "{url} is no hub: it answered 502."),
    ],
)
def test_what_is_no_hub(status: int, body: bytes, sentence: str) -> None:
    with answering(status, body) as (url, _):
        line = Line(url, "dth_token")
        error = error_of(lambda: line.ask(ASKED))
        line.close()
    assert (error.message, error.code) == (sentence.format(url=url), "no_hub")


def test_a_redirect_says_where_it_leads_and_is_not_followed() -> None:
    elsewhere = "https://hub.example.com/graphql?token=1"
    with answering(308, b"", location=elsewhere) as (url, asked):
        line = Line(url, "dth_token")
        error = error_of(lambda: line.ask(ASKED))
        line.close()
    assert error.message == (
        f"{url} sends requests on elsewhere; write --server https://hub.example.com."
    )
    assert len(asked) == 1


def test_a_server_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        line = Line(url, "dth_token")
        error = error_of(lambda: line.ask(ASKED))
        line.close()
        thread.join()
    assert error.message == (
        f"{url} ended the connection without an answer. Does it want https://?"
    )
    assert error.code == "hub_unreachable"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("sign_in", errors.SignInError),
        ("forbidden", errors.AccessError),
        ("too_many", errors.TooManyError),
        ("wrong_state", errors.MoveError),
        ("conflict", errors.ConflictError),
        ("state", errors.StateError),
        ("vault", errors.VaultError),
        ("internal", TransferHubError),
        ("bad_request", HubError),
        ("a_code_of_tomorrow", HubError),
    ],
)
def test_an_error_of_the_hub_keeps_its_kind_and_code(
    code: str, kind: type[TransferHubError]
) -> None:
    error = refused({"message": "No.", "extensions": {"code": code}}, status=401)
    assert (type(error), error.code, error.message) == (kind, code, "No.")


def test_each_field_that_is_wrong_is_named_as_we_name_it() -> None:
    fields = [
        {"field": "spec.partSize", "message": "spec.partSize: is odd"},
        {"field": "id", "message": "id: there is no task 'x'"},
    ]
    extensions = {"code": "bad_input", "field": "spec.partSize", "fields": fields}
    error = refused({"message": "…", "extensions": extensions}, ident="task")
    assert isinstance(error, InputError)
    assert [(one.field, one.message) for one in flatten([error])] == [
        ("spec.part_size", "spec.part_size: is odd"),
        ("task", "task: there is no task 'x'"),
    ]


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ("hub.example.com", "'hub.example.com' is no address"),
        ("ftp://hub", "'ftp://hub' is no address"),
        ("https://", "'https://' is no address"),
        ("https://hub:port", "is no address"),
        ("https://hub/?a=1", "is no address"),
        ("https://me:hunter2@hub", "holds no credentials"),
        ("http://10.0.0.1:8420", "http:// would show the token to everyone on the way"),
    ],
)
def test_an_address_that_cannot_be_used(server: str, sentence: str) -> None:
    error = error_of(lambda: Line(server, "dth_token"))
    assert isinstance(error, InputError)
    assert error.field == "--server"
    assert sentence in error.message
    assert "hunter2" not in error.message


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_plain_http_is_for_this_machine(server: str) -> None:
    Line(server, "dth_token").close()


def test_a_token_that_cannot_stand_in_a_header() -> None:
    assert error_of(lambda: Line("https://hub", "a\nb")).message == (
        "--token: has characters that no token has"
    )
