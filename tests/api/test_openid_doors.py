"""Tokens of a real OpenID provider at the doors of the application."""

import asyncio
import hmac
import json
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from joserfc.jwk import RSAKey

from tests.api.test_app import QUERY, code_of
from tests.api.web import Client, Hub, served
from tests.servers.oidc_provider import CALLBACK, OidcProvider
from tests.servers.process import find_program
from transferhub.control.openid import IssuerKeys, OpenId, OpenIdRules
from transferhub.hosts.openid import HttpJson
from transferhub.model.clock import utc_now
from transferhub.model.people import Role

Serve = Callable[..., Client]


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(clock: Clock) -> Iterator[Serve]:
    """Gives a client of an application that takes tokens of a provider."""
    with ExitStack() as stack:

        def start(provider: OidcProvider, hub: Hub | None = None, **changes: Any) -> Client:
            rules = OpenIdRules(
                issuer=provider.issuer,
                audience="console",
                roles={"anns": Role.ADMIN, "bens": Role.VIEWER},
            )
            fetch = HttpJson()
            keys = IssuerKeys(fetch, provider.issuer, clock)
            openid = OpenId(replace(rules, **changes), keys, clock)
            return stack.enter_context(served(hub or Hub(), openid=openid, close=fetch.aclose))

        yield start


@pytest.fixture
def token(oidc_provider: OidcProvider) -> str:
    return str(oidc_provider.sign_in("ann", nonce="n")["id_token"])


def ask(client: Client, token: str) -> tuple[int, Any]:
    return client.ask("GET", "/session", authorization=token, origin="")


def refusal(client: Client, token: str) -> tuple[int, str]:
    status, answer = ask(client, token)
    return status, code_of(answer)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}"])
def test_a_token_of_the_provider_comes_in(
    serve: Serve, oidc_provider: OidcProvider, token: str, form: str
) -> None:
    client = serve(oidc_provider)
    told = {"name": "ann@example.org", "role": "admin", "how": "openid"}
    assert ask(client, form.format(token)) == (200, told)
    status, answer = client.ask(
        "POST", "/graphql", QUERY, authorization=form.format(token), origin=""
    )
    assert status == 200
    assert "name='ann@example.org'" in str(answer["data"]["things"])


def test_a_group_gives_its_role_and_no_group_gives_none(
    serve: Serve, oidc_provider: OidcProvider
) -> None:
    client = serve(oidc_provider)
    of = {name: oidc_provider.sign_in(name, nonce="n")["id_token"] for name in ("ben", "eve")}
    assert ask(client, of["ben"])[1]["role"] == "viewer"
    assert refusal(client, of["eve"]) == (403, "forbidden")


def test_a_token_for_another_audience_is_refused(serve: Serve, oidc_provider: OidcProvider) -> None:
    for_api = str(oidc_provider.sign_in("ann", nonce="n")["access_token"])
    assert refusal(serve(oidc_provider), for_api) == (401, "sign_in")
    assert ask(serve(oidc_provider, audience=oidc_provider.api), for_api)[0] == 200


def test_a_token_of_another_issuer_is_refused(
    serve: Serve, oidc_provider: OidcProvider, token: str
) -> None:
    """It signs with the same key, so that only what the token says tells it apart."""
    client = serve(oidc_provider)
    with OidcProvider() as other:
        foreign = str(other.sign_in("ann", nonce="n")["id_token"])
    assert refusal(client, foreign) == (401, "sign_in")
    assert ask(client, token)[0] == 200


def test_a_token_expires(
    serve: Serve, oidc_provider: OidcProvider, token: str, clock: Clock
) -> None:
    client = serve(oidc_provider)
    assert ask(client, token)[0] == 200
    clock.ahead = timedelta(days=1)
    assert refusal(client, token) == (401, "sign_in")


def test_an_unsigned_token_is_refused(
    serve: Serve, oidc_provider: OidcProvider, token: str
) -> None:
    client = serve(oidc_provider)
    _, claims, signature = token.split(".")
    head = encoded({"alg": "none", "typ": "JWT"})
    for forged in (f"{head}.{claims}.", f"{head}.{claims}.{signature}", f"{head}.{claims}"):
        assert refusal(client, forged) == (401, "sign_in")


def test_a_public_key_is_no_password_to_sign_with(
    serve: Serve, oidc_provider: OidcProvider, token: str
) -> None:
    head, claims, _ = token.split(".")
    with urlopen(f"{oidc_provider.issuer}/jwks") as answer:  # noqa: S310 - on loopback
        [key] = json.load(answer)["keys"]
    signed = f"{encoded({**json.loads(decoded(head)), 'alg': 'HS256'})}.{claims}"
    pem = RSAKey.import_key(key).as_pem(private=False)
    signature = hmac.digest(pem, signed.encode(), "sha256")
    forged = f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert refusal(serve(oidc_provider), forged) == (401, "sign_in")


def test_claims_cannot_be_changed(serve: Serve, oidc_provider: OidcProvider) -> None:
    client = serve(oidc_provider)
    head, claims, signature = str(oidc_provider.sign_in("ben", nonce="n")["id_token"]).split(".")
    better = encoded({**json.loads(decoded(claims)), "groups": ["anns"]})
    assert refusal(client, f"{head}.{better}.{signature}") == (401, "sign_in")


def test_new_keys_of_the_provider_are_taken_and_old_ones_are_not(
    serve: Serve, clock: Clock
) -> None:
    with OidcProvider(fresh_keys=True) as provider:
        client = serve(provider)
        former = str(provider.sign_in("ann", nonce="n")["id_token"])
        assert ask(client, former)[0] == 200
        provider.rotate()
        clock.ahead = timedelta(minutes=2)
        present = str(provider.sign_in("ann", nonce="n")["id_token"])
        assert ask(client, present)[0] == 200
        assert refusal(client, former) == (401, "sign_in")


def test_an_api_token_still_comes_in(serve: Serve, oidc_provider: OidcProvider) -> None:
    hub = Hub()
    client = serve(oidc_provider, hub)
    assert ask(client, f"Bearer {asyncio.run(hub.token())}")[1]["how"] == "token"
    assert refusal(client, "Bearer dth_no.such.token") == (401, "sign_in")


@pytest.mark.parametrize("rubbish", ["x", "a.b.c", "..", "é", "Bearer", "Bearer ", "Basic YTpi"])
def test_rubbish_is_refused(serve: Serve, oidc_provider: OidcProvider, rubbish: str) -> None:
    assert refusal(serve(oidc_provider), rubbish) == (401, "sign_in")


def encoded(values: Any) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


NODE = """
const [module, step, ...given] = process.argv.slice(1);
const { begin, finish } = await import(module);
const [auth, redirect, kept, back] = JSON.parse(given[0]);
const done = step === "begin" ? await begin(auth, redirect)
  : await finish(auth, redirect, kept, new URL(back).searchParams);
console.log(JSON.stringify(done));
"""
PAGE = Path(__file__).parents[2] / "src" / "transferhub" / "web" / "openid.js"


def page_does(step: str, *given: Any) -> Any:
    """What the page's own module answers, run by Node.js."""
    node = str(find_program("node", install="install Node.js"))
    words = ["--input-type=module", "-e", NODE, "--", str(PAGE), step, json.dumps(given)]
    ended = subprocess.run([node, *words], capture_output=True, text=True, check=False, timeout=30)
    if ended.returncode:
        raise AssertionError(ended.stderr)
    return json.loads(ended.stdout)


def auth_of(provider: OidcProvider, token: str = "id_token") -> dict[str, str]:
    return {
        "authority": provider.issuer,
        "clientId": "console",
        "scope": "openid",
        "token": token,
    }


def test_the_page_signs_in_with_pkce(serve: Serve, oidc_provider: OidcProvider) -> None:
    auth = auth_of(oidc_provider)
    begun = page_does("begin", auth, CALLBACK)
    back = oidc_provider.follow(begun["url"], "ann")
    client = serve(oidc_provider)
    token = page_does("finish", auth, CALLBACK, begun["kept"], back)
    assert ask(client, f"Bearer {token}")[1]["name"] == "ann@example.org"


def test_the_page_takes_the_token_that_is_for_the_hub(
    serve: Serve, oidc_provider: OidcProvider
) -> None:
    auth = auth_of(oidc_provider, "access_token")
    begun = page_does("begin", auth, CALLBACK)
    back = oidc_provider.follow(begun["url"], "ann")
    client = serve(oidc_provider, audience=oidc_provider.api)
    token = page_does("finish", auth, CALLBACK, begun["kept"], back)
    assert ask(client, f"Bearer {token}")[0] == 200


@pytest.mark.parametrize("name", ["verifier", "state", "nonce"])
def test_the_page_takes_no_answer_of_another_sign_in(
    oidc_provider: OidcProvider, name: str
) -> None:
    auth = auth_of(oidc_provider)
    begun, other = (page_does("begin", auth, CALLBACK) for _ in range(2))
    back = oidc_provider.follow(begun["url"], "ann")
    kept = {**begun["kept"], name: other["kept"][name]}
    with pytest.raises(AssertionError, match=r"another sign-in|grant request is invalid"):
        page_does("finish", auth, CALLBACK, kept, back)
