"""The services that hand out AWS credentials, as one server on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_ASSUMED = """<{verb}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{verb}Result>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId>
</AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>{expires}</Expiration></Credentials>
</{verb}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{verb}Response>"""
_REFUSED = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>User is not authorized to perform: sts:AssumeRole</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


class AwsServices:
    """The container's and the machine's metadata, STS and SSO; each answer has new keys.

    Attributes:
        lasts: how long what it gives is valid.
        status: of every answer; those that are no 200 hold no credentials.
        asked: parameters of each request that gave or refused credentials.
    """

    def __init__(self) -> None:
        self.lasts = timedelta(hours=1)
        self.status = HTTPStatus.OK
        self.asked: list[dict[str, str]] = []
        services = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: object) -> None:
                """Says nothing."""

            def do_GET(self) -> None:
                self._answer(services.get(self.path, dict(self.headers)))

            def do_PUT(self) -> None:
                self._answer("imds-token")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer(services.sts({k: v[0] for k, v in parse_qs(body).items()}))

            def _answer(self, text: str) -> None:
                body = text.encode()
                self.send_response(services.status)
                self.send_header("content-length", str(len(body)))
                # botocore wants the token's life time back.
                self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def get(self, target: str, headers: dict[str, str]) -> str:
        parts = urlsplit(target)
        if parts.path.endswith("/security-credentials/"):
            return "machine-role"
        self.asked.append({**{k: v[0] for k, v in parse_qs(parts.query).items()}, **headers})
        key, secret, expires = self._keys()
        if parts.path == "/federation/credentials":
            milliseconds = int(datetime.fromisoformat(expires).timestamp() * 1000)
            return json.dumps(
                {
                    "roleCredentials": {
                        "accessKeyId": key,
                        "secretAccessKey": secret,
                        "sessionToken": "token",
                        "expiration": milliseconds,
                    }
                }
            )
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": key,
                "SecretAccessKey": secret,
                "Token": "token",
                "Expiration": expires,
            }
        )

    def sts(self, asked: dict[str, str]) -> str:
        self.asked.append(asked)
        if self.status is not HTTPStatus.OK:
            return _REFUSED
        key, secret, expires = self._keys()
        return _ASSUMED.format(verb=asked["Action"], key=key, secret=secret, expires=expires)

    def _keys(self) -> tuple[str, str, str]:
        expires = (datetime.now(UTC) + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"key{len(self.asked)}", "hunter2", expires


@contextmanager
def aws_services() -> Iterator[AwsServices]:
    services = AwsServices()
    thread = threading.Thread(target=services.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield services
    finally:
        services.server.shutdown()
        thread.join()
        services.server.server_close()
