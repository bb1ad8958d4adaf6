"""Where a state on AWS is, and the clients that reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from transferhub.aws.client import DYNAMODB, SQS, AwsClient, AwsError, AwsFault, Service
from transferhub.aws.queue import Queue
from transferhub.aws.table import Table
from transferhub.errors import InputError, StateError
from transferhub.state.aws.schema import QueueSchema, TableSchema
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.transport import TransportConfig

SCHEME = "aws://"

_PATIENCE = timedelta(seconds=30)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_OPTIONS = {"region", "profile"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlace:
    """A state on AWS, as `aws://NAME?region=REGION&profile=PROFILE` names it.

    Attributes:
        region: "" where the URL names none.
        profile: of the AWS configuration files; "" for the usual chain.
    """

    name: str
    region: str = ""
    profile: str = ""


def parse_place(url: str, *, field: str = "--ledger") -> AwsPlace:
    """Raises InputError: it is no such URL."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise InputError(field, f"{url!r} is no URL; write aws://NAME?region=REGION") from None
    if not url.startswith(SCHEME) or parts.path not in ("", "/") or parts.fragment:
        raise InputError(field, f"{url!r} names no state on AWS; write aws://NAME?region=REGION")
    # Not parts.hostname: names keep their case.
    name = parts.netloc
    if not _NAME.fullmatch(name):
        raise InputError(
            field,
            f"{name!r} is no name of a state: letters, digits, - and _, 64 at most, and a letter"
            " or digit first",
        )
    if unknown := sorted(options.keys() - _OPTIONS):
        raise InputError(field, f"there is no option {unknown[0]!r}; there are region and profile")
    region = options.get("region", "")
    if region and not _REGION.fullmatch(region):
        raise InputError(field, f"{region!r} is no region; write one such as eu-west-1")
    return AwsPlace(name=name, region=region, profile=options.get("profile", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the services are: https:// or http://, host and port."""

    dynamodb: str
    sqs: str

    @classmethod
    def of(cls, region: str, env: Mapping[str, str]) -> Endpoints:
        """AWS's own, or those that the usual variables name (AWS_ENDPOINT_URL_SQS and its like)."""
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"

        def of(service: Service) -> str:
            named = env.get(f"AWS_ENDPOINT_URL_{service.name.upper()}")
            return (
                named or env.get("AWS_ENDPOINT_URL") or f"https://{service.name}.{region}.{suffix}"
            )

        return cls(dynamodb=of(DYNAMODB), sqs=of(SQS))


class Connection:
    """The clients of one state. Close it."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        endpoints: Endpoints,
        credentials: CredentialSource,
        transport: TransportConfig | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        """Args:
        patience: for how long throttled and unanswered requests are sent again.

        Raises:
            InputError: the CA bundle or the proxy cannot be used.
        """
        self.name = name
        self.region = region
        self._patience = patience

        def client(service: Service, endpoint: str) -> AwsClient:
            return AwsClient(
                service,
                endpoint=endpoint,
                region=region,
                credentials=credentials,
                transport=transport,
                patience=patience,
            )

        self.dynamodb = client(DYNAMODB, endpoints.dynamodb)
        self.sqs = client(SQS, endpoints.sqs)
        self._queues: dict[str, Queue] = {}

    def resource(self, name: str) -> str:
        """What a table or queue of this state is called."""
        return f"{self.name}-{name}"

    def table(self, schema: TableSchema) -> Table:
        return Table(self.dynamodb, self.resource(schema.name), patience=self._patience)

    async def queue(self, schema: QueueSchema) -> Queue:
        """Raises AwsError: there is none, or it may not be used."""
        if schema.name not in self._queues:
            answer = await self.sqs.ask("GetQueueUrl", {"QueueName": self.resource(schema.name)})
            url = answer["QueueUrl"]
            self._queues[schema.name] = Queue(self.sqs, url, patience=self._patience)
        return self._queues[schema.name]

    @contextmanager
    def failures(self) -> Iterator[None]:
        """What AWS refuses, as a StateError."""
        try:
            yield
        except AwsError as error:
            raise state_error(error, f"the state {self.name} in {self.region}") from error

    async def aclose(self) -> None:
        await self.dynamodb.aclose()
        await self.sqs.aclose()


def state_error(error: AwsError, place: str) -> StateError:
    """Args:
    place: names the state for people.
    """
    advice = _ADVICE[error.fault]
    words = " ".join(part for part in (error.name, error.detail) if part)[:400]
    return StateError(
        f"{error.action} of {place} failed ({words}): {advice.text}.", code=advice.code
    )


class _Advice(NamedTuple):
    code: str
    text: str


_ADVICE = {
    AwsFault.THROTTLED: _Advice(
        code="state_throttled",
        text="AWS kept slowing it down; use on-demand tables, raise their capacity, or start less",
    ),
    AwsFault.TRANSIENT: _Advice(
        code="state_unreachable", text="AWS kept failing; start again later"
    ),
    AwsFault.UNREACHABLE: _Advice(
        code="state_unreachable",
        text="check the region, the network and the endpoint; start again then",
    ),
    AwsFault.EXPIRED: _Advice(
        code="state_expired",
        text="the credentials have expired, or the clock of this machine is wrong; renew them",
    ),
    AwsFault.UNKNOWN: _Advice(
        code="state_denied", text="AWS does not know these credentials; check the keys"
    ),
    AwsFault.DENIED: _Advice(
        code="state_denied",
        text="the credentials may not do this; compare their policy with `dth aws policy`",
    ),
    AwsFault.MISSING: _Advice(
        code="state_missing",
        text=(
            "there is no such state in this account and region; check its name, or create it with"
            " `dth aws create-state`"
        ),
    ),
    AwsFault.CONDITION: _Advice(
        code="state", text="another process changed it; this is an error of ours"
    ),
    AwsFault.REFUSED: _Advice(
        code="state", text="this is an error of ours, or the state is of another version"
    ),
}
