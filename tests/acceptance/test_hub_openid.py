"""People of an OpenID provider at the real `dth up`."""

import json
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.command import Dth
from tests.acceptance.fleet import up
from tests.servers.hub import LINK
from tests.servers.oidc_provider import OidcProvider

ME = "{ me { name role how } }"
PAUSE = 'mutation { pauseTask(id: "none") { id } }'


class Page:
    """What the console asks with a token of the provider."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc

    def get(self, path: str) -> tuple[Any, str]:
        """The document, and the policy that came with it."""
        return self._ask("GET", path, None, {})

    def graph(self, token: str, query: str) -> Any:
        headers = {"authorization": token, "content-type": "application/json"}
        return self._ask("POST", "/graphql", json.dumps({"query": query}), headers)[0]

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[Any, str]:
        connection = HTTPConnection(self._netloc, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            policy = answer.getheader("content-security-policy") or ""
            return json.loads(answer.read()), policy
        finally:
            connection.close()


def code_of(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


def test_groups_of_the_provider_are_roles_of_the_hub(dth: Dth, oidc_provider: OidcProvider) -> None:
    hub = dth.having(
        DTH_OIDC_ISSUER=oidc_provider.issuer,
        DTH_OIDC_CLIENT="console",
        DTH_OIDC_ROLES="anns=operator,bens=viewer",
    )
    with ExitStack() as scope:
        running = up(hub, scope)
        found = LINK.search(running.out)
        assert found is not None
        page = Page(found[1])
        told, policy = page.get("/config.json")
        assert told["auth"] == {
            "mode": "oidc",
            "authority": oidc_provider.issuer,
            "clientId": "console",
            "scope": "openid profile email",
            "logoutUrl": "",
            "token": "id_token",
        }
        assert f"connect-src 'self' {oidc_provider.issuer};" in policy
        names = ("ann", "ben", "eve")
        ann, ben, eve = (oidc_provider.sign_in(name, nonce="n")["id_token"] for name in names)
        assert page.graph(ann, ME)["data"]["me"] == {
            "name": "ann@example.org",
            "role": "OPERATOR",
            "how": "OPENID",
        }
        assert page.graph(f"Bearer {ben}", ME)["data"]["me"]["role"] == "VIEWER"
        assert code_of(page.graph(f"Bearer {ann}", PAUSE)) == "no_task"
        assert code_of(page.graph(f"Bearer {ben}", PAUSE)) == "forbidden"
        assert code_of(page.graph(eve, ME)) == "forbidden"
        assert code_of(page.graph(f"{ann}x", ME)) == "sign_in"
