import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from tests.conformance.ledger_facts import FakeClock
from transferhub.control.openid import IssuerKeys, OpenId, OpenIdRules, to_caller
from transferhub.errors import AccessError, InputError, SignInError
from transferhub.model.people import Caller, How, Role

ISSUER = "https://login.example.org/pool"
RULES = OpenIdRules(
    issuer=ISSUER,
    audience="hub",
    roles={"ops": Role.OPERATOR, "root": Role.ADMIN, "all": Role.VIEWER},
)
FIRST = RSAKey.generate_key(2048, {"kid": "first"})
SECOND = ECKey.generate_key("P-256", {"kid": "second"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "first"})


class FakeIssuer:
    """A provider whose answers the test sets."""

    def __init__(self) -> None:
        self.keys: list[Key] = [FIRST]
        self.described: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.asked: list[str] = []
        self.is_down = False

    async def get(self, url: str) -> Any:
        self.asked.append(url)
        if self.is_down:
            raise AccessError("It is down.", code="no_provider")
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return self.described
        assert url == f"{ISSUER}/keys"
        return KeySet(self.keys).as_dict()


class Side:
    def __init__(self, rules: OpenIdRules = RULES) -> None:
        self.clock = FakeClock()
        self.issuer = FakeIssuer()
        self.keys = IssuerKeys(self.issuer, ISSUER, self.clock)
        self.openid = OpenId(rules, self.keys, self.clock)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": "hub",
            "sub": "u-1",
            "email": "ann@example.org",
        }
        claims |= {"groups": ["ops"], "iat": now, "exp": now + 300} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Key = FIRST, alg: str = "RS256", **changes: Any) -> str:
        header = {"alg": alg, "kid": key.kid}
        return jwt.encode(header, self.claims(**changes), key, algorithms=[alg])


@pytest.fixture
def side() -> Side:
    return Side()


ANN = Caller(name="ann@example.org", role=Role.OPERATOR, how=How.OPENID)


async def test_a_valid_token_is_its_caller(side: Side) -> None:
    assert await side.openid.caller(side.token()) == ANN
    assert await side.openid.caller(side.token(aud=["other", "hub"])) == ANN
    assert await side.openid.caller(side.token(nonce="n-1"), nonce="n-1") == ANN
    assert len(side.issuer.asked) == 2


async def test_an_access_token_of_cognito_names_its_client(side: Side) -> None:
    token = side.token(aud=None, token_use="access", client_id="hub")
    assert await side.openid.caller(token) == ANN
    for wrong in ({"token_use": "id"}, {"client_id": "other"}, {"aud": "other"}):
        claims: dict[str, Any] = {"aud": None, "token_use": "access", "client_id": "hub"} | wrong
        with pytest.raises(SignInError):
            await side.openid.caller(side.token(**claims))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example.org"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": {"hub": 1}},
        {"sub": None},
        {"exp": None},
        {"exp": 1},
        {"exp": "tomorrow"},
        {"nbf": 1 << 40},
        {"iat": 1 << 40},
        {"nonce": "other"},
        {"nonce": None},
    ],
)
async def test_a_claim_that_does_not_hold_is_refused(side: Side, wrong: dict[str, Any]) -> None:
    claims = {"nonce": "n-1"} | wrong
    with pytest.raises(SignInError, match="identity provider") as caught:
        await side.openid.caller(side.token(**claims), nonce="n-1")
    assert caught.value.code == "sign_in"


async def test_clocks_may_differ_by_the_leeway(side: Side) -> None:
    token = side.token()
    side.clock.advance(359)
    assert await side.openid.caller(token) == ANN
    side.clock.advance(2)
    with pytest.raises(SignInError, match="does not hold"):
        await side.openid.caller(token)


async def test_a_signature_of_another_key_is_refused(side: Side) -> None:
    with pytest.raises(SignInError, match="not signed as it must be"):
        await side.openid.caller(side.token(FOREIGN))


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_a_token_without_a_signature_is_refused(side: Side) -> None:
    for alg in ("none", "None", "nOnE", ""):
        for kid in ({}, {"kid": "first"}):
            token = f"{encoded({'alg': alg, **kid})}.{encoded(side.claims())}."
            with pytest.raises(SignInError):
                await side.openid.caller(token)


async def test_a_public_key_is_no_shared_secret(side: Side) -> None:
    signed = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(side.claims())}"
    mac = hmac.digest(FIRST.as_pem(private=False), signed.encode(), "sha256")
    signature = urlsafe_b64encode(mac).rstrip(b"=").decode()
    with pytest.raises(SignInError, match="not signed as it must be"):
        await side.openid.caller(f"{signed}.{signature}")


async def test_an_algorithm_that_was_not_agreed_on_is_refused() -> None:
    side = Side()
    with pytest.raises(SignInError):
        await side.openid.caller(side.token(alg="PS256"))
    with pytest.raises(SignInError):
        await side.openid.caller(side.token(alg="RS512"))
    strict = Side(replace(RULES, algorithms=frozenset({"ES256"})))
    with pytest.raises(SignInError):
        await strict.openid.caller(strict.token())


@pytest.mark.parametrize("name", ["HS256", "none", "dir", "x"])
def test_rules_allow_no_shared_secrets(name: str) -> None:
    for names in ({name}, {name, "RS256"}, set[str]()):
        with pytest.raises(InputError, match=r"^algorithms: "):
            OpenIdRules(issuer=ISSUER, audience="hub", roles={}, algorithms=frozenset(names))


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_rubbish_is_refused(token: str) -> None:
    side = Side()
    for text in (token, f"{encoded({'alg': 'RS256', 'kid': 'first'})}.{token}"):
        with pytest.raises(SignInError):
            await side.openid.caller(text)


@pytest.mark.parametrize(
    "header", [1, [], {}, {"alg": 1}, {"alg": "RS256", "kid": 1}, {"alg": "RS256", "crit": ["x"]}]
)
async def test_a_header_of_rubbish_is_refused(side: Side, header: object) -> None:
    with pytest.raises(SignInError):
        await side.openid.caller(f"{encoded(header)}.{encoded(side.claims())}.AAAA")
    with pytest.raises(SignInError, match="too long"):
        await side.openid.caller("x" * 100_000)


async def test_rotated_keys_are_found_at_once_and_old_ones_stop(side: Side) -> None:
    old = side.token()
    await side.openid.caller(old)
    side.clock.advance(61)
    side.issuer.keys = [SECOND]
    assert await side.openid.caller(side.token(SECOND, "ES256")) == ANN
    with pytest.raises(SignInError, match="names no key"):
        await side.openid.caller(old)


async def test_unknown_keys_do_not_make_the_hub_ask_again_and_again(side: Side) -> None:
    await side.openid.caller(side.token())
    side.clock.advance(61)
    for _ in range(20):
        with pytest.raises(SignInError):
            await side.openid.caller(side.token(SECOND, "ES256"))
    assert len(side.issuer.asked) == 4


async def test_keys_are_fetched_anew_after_their_lifetime(side: Side) -> None:
    await side.openid.caller(side.token())
    side.clock.advance(3_600)
    await side.openid.caller(side.token())
    assert len(side.issuer.asked) == 4


async def test_known_keys_serve_while_the_issuer_is_away_for_a_day(side: Side) -> None:
    await side.openid.caller(side.token())
    side.issuer.is_down = True
    side.clock.advance(80_000)
    assert await side.openid.caller(side.token()) == ANN
    side.clock.advance(10_000)
    for _ in range(2):
        with pytest.raises(AccessError) as caught:
            await side.openid.caller(side.token())
        assert caught.value.code == "no_provider"
    side.issuer.is_down = False
    side.clock.advance(61)
    assert await side.openid.caller(side.token()) == ANN


@pytest.mark.parametrize(
    "described", [None, [], {}, {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/keys"}]
)
async def test_an_issuer_that_describes_another_one_is_refused(side: Side, described: Any) -> None:
    side.issuer.described = described
    with pytest.raises(AccessError, match="describes another issuer") as caught:
        await side.openid.caller(side.token())
    assert caught.value.code == "no_provider"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["all", "root", "ops"]}, Role.ADMIN),
        ({"groups": "ops"}, Role.OPERATOR),
        ({"groups": ["x", 1, None, {"a": 1}, "all"]}, Role.VIEWER),
        ({"groups": ["ROOT"]}, None),
        ({"groups": {"root": True}}, None),
        ({}, None),
    ],
)
def test_the_highest_group_gives_the_role(claims: dict[str, Any], role: Role | None) -> None:
    who = {"sub": "u-1", **claims}
    if role is None:
        with pytest.raises(AccessError, match="No group of u-1") as caught:
            to_caller(who, RULES)
        assert caught.value.code == "forbidden"
    else:
        assert to_caller(who, RULES) == Caller(name="u-1", role=role, how=How.OPENID)


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("cognito:groups", {"cognito:groups": ["root"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["root"]}}),
        ("https://x.org/groups", {"https://x.org/groups": ["root"]}),
    ],
)
def test_groups_are_found_where_providers_put_them(claim: str, claims: dict[str, Any]) -> None:
    rules = OpenIdRules(
        issuer=ISSUER, audience="hub", roles=RULES.roles, groups_claim=claim, everyone=Role.VIEWER
    )
    assert to_caller({"sub": "u", **claims}, rules).role is Role.ADMIN
    assert to_caller({"sub": "u", "realm_access": 1}, rules).role is Role.VIEWER
