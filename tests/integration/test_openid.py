"""Tokens of a real OpenID provider."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.servers.oidc_provider import OidcProvider
from transferhub.control.openid import IssuerKeys, OpenId, OpenIdRules
from transferhub.errors import AccessError, SignInError
from transferhub.hosts.openid import HttpJson
from transferhub.model.clock import utc_now
from transferhub.model.people import Caller, How, Role


@pytest.fixture
async def fetch() -> AsyncIterator[HttpJson]:
    fetch = HttpJson()
    yield fetch
    await fetch.aclose()


@pytest.fixture
def rules(oidc_provider: OidcProvider) -> OpenIdRules:
    roles = {"anns": Role.ADMIN, "bens": Role.VIEWER}
    return OpenIdRules(issuer=oidc_provider.issuer, audience="console", roles=roles)


@pytest.fixture
def keys(oidc_provider: OidcProvider, fetch: HttpJson) -> IssuerKeys:
    return IssuerKeys(fetch, oidc_provider.issuer, utc_now)


ANN = Caller(name="ann@example.org", role=Role.ADMIN, how=How.OPENID)


async def test_an_id_token_is_its_caller(
    oidc_provider: OidcProvider, rules: OpenIdRules, keys: IssuerKeys
) -> None:
    token = oidc_provider.sign_in("ann", nonce="n-1")["id_token"]
    assert await OpenId(rules, keys, utc_now).caller(token, nonce="n-1") == ANN
    with pytest.raises(SignInError, match="nonce"):
        await OpenId(rules, keys, utc_now).caller(token, nonce="n-2")


async def test_an_access_token_is_for_its_audience_alone(
    oidc_provider: OidcProvider, rules: OpenIdRules, keys: IssuerKeys
) -> None:
    token = oidc_provider.sign_in("ben", nonce="n")["access_token"]
    api = OpenId(replace(rules, audience=oidc_provider.api), keys, utc_now)
    assert await api.caller(token) == Caller(name="ben", role=Role.VIEWER, how=How.OPENID)
    with pytest.raises(SignInError, match="aud"):
        await OpenId(rules, keys, utc_now).caller(token)


async def test_a_person_without_a_group_of_ours_is_not_let_in(
    oidc_provider: OidcProvider, rules: OpenIdRules, keys: IssuerKeys
) -> None:
    token = oidc_provider.sign_in("eve", nonce="n")["id_token"]
    with pytest.raises(AccessError, match="No group of eve") as caught:
        await OpenId(rules, keys, utc_now).caller(token)
    assert caught.value.code == "forbidden"


async def test_a_token_expires_and_cannot_be_changed(
    oidc_provider: OidcProvider, rules: OpenIdRules, keys: IssuerKeys
) -> None:
    token = oidc_provider.sign_in("ann", nonce="n")["id_token"]
    head, claims, signature = token.split(".")
    with pytest.raises(SignInError, match="not signed"):
        await OpenId(rules, keys, utc_now).caller(f"{head}.{claims[:-1]}x.{signature}")

    def tomorrow() -> datetime:
        return utc_now() + timedelta(days=1)

    with pytest.raises(SignInError, match="expired"):
        await OpenId(rules, keys, tomorrow).caller(token)
