"""How a sender shows over HTTP that it is one."""

from base64 import b64encode

import pytest
from starlette.requests import Request

from transferhub.api.events import proof_of
from transferhub.control.intake import Proof


def asked(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


def basic(login: bytes) -> str:
    return f"Basic {b64encode(login).decode()}"


@pytest.mark.parametrize(
    ("headers", "proof"),
    [
        ({}, Proof()),
        ({"authorization": "Bearer t"}, Proof(token="t")),
        ({"authorization": "bearer  t "}, Proof(token="t")),
        ({"authorization": "t"}, Proof(token="t")),
        ({"authorization": basic(b"anyone:t:u")}, Proof(token="t:u")),
        ({"authorization": basic(b"no password")}, Proof()),
        ({"authorization": basic(b"\xff:\xff")}, Proof()),
        ({"authorization": "Basic !"}, Proof()),
        ({"x_dth_signature": "sha256=aB"}, Proof(signature="aB")),
        ({"x_dth_signature": "aB"}, Proof(signature="aB")),
        ({"x_hub_signature_256": "sha256=c"}, Proof(signature="c")),
        ({"authorization": "Bearer t", "x_dth_signature": "s"}, Proof(signature="s")),
    ],
)
def test_a_token_or_a_signature_is_read(headers: dict[str, str], proof: Proof) -> None:
    assert proof_of(asked(**headers)) == proof
