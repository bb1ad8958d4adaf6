"""docker-registry with tokens: a real registry, and a place in this process that gives them."""

import base64
import http.server
import json
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.servers.certificates import make_certificates
from tests.servers.docker_registry import INSTALL, Account
from tests.servers.process import Scoped, ServerProcess, find_program, free_ports
from tests.servers.pusher import Pusher

_ISSUER, _SERVICE = "tests", "docker-registry"


class TokenRegistry(Scoped):
    """One registry, and the place that gives tokens for it, both on loopback without TLS.

    Args:
        account: who may do everything; others get no token.

    Attributes:
        asked: the scopes of each token that was asked for.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.asked: list[list[str]] = []
        self.valid_seconds = 300
        self.folder = Path(tempfile.mkdtemp(prefix="token-registry-"))
        (self.port,) = free_ports(1)
        self._certificates = make_certificates(self.folder)
        self._key = ECKey.import_key(self._certificates.key.read_bytes())
        self._place = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._place.serve_forever, daemon=True)
        configuration = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "storage")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host, "secret": "one-of-its-own"},
            "auth": {
                "token": {
                    "realm": f"http://127.0.0.1:{self._place.server_port}/token",
                    "service": _SERVICE,
                    "issuer": _ISSUER,
                    "rootcertbundle": str(self._certificates.ca),
                }
            },
        }
        # JSON is YAML.
        (self.folder / "registry.json").write_text(json.dumps(configuration))
        self._process = ServerProcess(
            [
                find_program("docker-registry", install=INSTALL),
                "serve",
                self.folder / "registry.json",
            ],
            folder=self.folder,
            ready=self._answers,
            name="token-registry",
            environment={"GOMAXPROCS": "2", "OTEL_TRACES_EXPORTER": "none"},
        )

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._process.start()

    def stop(self) -> None:
        self._process.kill()
        if self._thread.is_alive():
            self._place.shutdown()
        self._place.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        with Pusher(f"http://{self.host}") as asking:
            try:
                return asking.ask("GET", "/v2/")[0] == http.HTTPStatus.UNAUTHORIZED
            except OSError:
                return False

    def give(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        scopes = [one for scope in query.get("scope", []) for one in scope.split()]
        self.asked.append(scopes)
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": _SERVICE,
            "sub": self.account.user,
            "jti": secrets.token_hex(8),
            "nbf": now - 10,
            "iat": now,
            "exp": now + self.valid_seconds,
            "access": access,
        }
        certificate = x509.load_pem_x509_certificate(self._certificates.certificate.read_bytes())
        chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
        token = jwt.encode({"alg": "ES256", "typ": "JWT", "x5c": chain}, claims, self._key)
        return {"token": token, "expires_in": self.valid_seconds}


def _handler_of(registry: TokenRegistry) -> type[http.server.BaseHTTPRequestHandler]:
    pair = f"{registry.account.user}:{registry.account.secret}"
    wanted = f"Basic {base64.b64encode(pair.encode()).decode()}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("authorization") != wanted:
                self._say(401, {"details": "incorrect username or password"})
                return
            self._say(200, registry.give(parse_qs(urlsplit(self.path).query)))

        def _say(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Nobody reads it."""

    return Handler
