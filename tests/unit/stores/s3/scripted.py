"""A transport that answers from a script, and a store on it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from transferhub.stores.s3 import (
    Credentials,
    CredentialSource,
    EndpointOptions,
    S3Config,
    S3Store,
    StaticCredentials,
    find_provider,
    resolve_endpoint,
)
from transferhub.stores.s3.transport import Request, Response, TransportError

KEYS = Credentials(access_key="AKID", secret_key="hunter2", token="hunter3")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer. `cut`: so many bytes of the body come before the connection ends."""

    status: int = 200
    body: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)
    cut: TransportError | None = None

    def header(self, name: str) -> str:
        return self.fields.get(name, "")

    def headers(self) -> Mapping[str, str]:
        return self.fields

    async def read(self) -> bytes:
        if self.cut:
            raise self.cut
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body
        if self.cut:
            raise self.cut


class ScriptedTransport:
    """Gives the next answer to each request, whatever it is.

    Attributes:
        requests: in the order in which they came.
    """

    def __init__(self, answers: Iterable[Answer | TransportError]) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Response]:
        yield await self.send(request)

    async def aclose(self) -> None:
        """Nothing to free."""


def scripted(
    *answers: Answer | TransportError,
    provider: str = "aws",
    region: str = "eu-west-1",
    request_payer: bool = False,
    credentials: CredentialSource | None = None,
) -> tuple[S3Store, ScriptedTransport]:
    transport = ScriptedTransport(answers)
    options = EndpointOptions(endpoint="" if provider == "aws" else "https://s3.example")
    store = S3Store(
        S3Config(
            bucket="bucket",
            endpoint=resolve_endpoint(find_provider(provider), region, options, bucket="bucket"),
            request_payer=request_payer,
        ),
        credentials or StaticCredentials(KEYS),
        transport=transport,
        raw_transport=transport,
    )
    return store, transport


def error(code: str, message: str = "", *, status: int = 400, more: str = "") -> Answer:
    """An answer as S3 refuses."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return Answer(status=status, body=body.encode(), fields={"x-amz-request-id": "ID1"})
