"""Notification channels: one model for each kind, the only truth about its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.notice import Language, NoticeKind

_ADDRESS = re.compile(r"[^@\s,;<>\"]{1,128}@[^@\s,;<>\"]{1,253}")
_HOST = re.compile(r"[^\s/@?#\\]{1,253}")
_LONGEST_URL = 2_048
_SHORTEST_SECRET = 16
_SHOWN_FROM = 16
TROUBLE = tuple(kind for kind in NoticeKind if kind is not NoticeKind.RUN_FINISHED)


class Security(StrEnum):
    """How e-mail goes to its server: STARTTLS on a plain port, TLS from the start, or NONE, which
    is for a server on this machine."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text) or not text.isprintable():
        raise ValueError("is no e-mail address")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text) or not text.isprintable():
        raise ValueError("is no host name or address")
    return text


def _url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or len(text) > _LONGEST_URL or not text.isascii() or not text.isprintable():
        raise ValueError(f"is no URL that begins with https:// and has up to {_LONGEST_URL} signs")
    if " " in text or parts.username is not None or parts.fragment:
        raise ValueError("may hold no space, no user and no fragment")
    return secret


def _long_secret(secret: SecretStr) -> SecretStr:
    if not _SHORTEST_SECRET <= len(secret.get_secret_value()) <= _LONGEST_URL:
        raise ValueError(f"has fewer than {_SHORTEST_SECRET} characters")
    return secret


_Address: TypeAlias = Annotated[str, AfterValidator(_address)]
_Url: TypeAlias = Annotated[SecretStr, AfterValidator(_url)]
_Tag: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]


class _Channel(BaseModel):
    """What all kinds have. `SECRETS` names the fields that no answer holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    SECRETS: ClassVar[tuple[str, ...]] = ()

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="What the channel is called: letters, digits, and . _ - between them.",
    )
    enabled: bool = Field(default=True, description="Whether anything is sent to it.")
    events: tuple[NoticeKind, ...] = Field(
        default=TROUBLE, min_length=1, description="What it is told of."
    )
    tasks: tuple[_Tag, ...] = Field(
        default=(), max_length=100, description="Ids of the tasks it is told of; empty for all."
    )
    tags: tuple[_Tag, ...] = Field(
        default=(),
        max_length=20,
        description="It is told of tasks with one of these tags too; empty for all.",
    )
    language: Language = Field(default=Language.EN, description="Of its messages.")
    window: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="Seconds in which notices of one kind about one task become one message.",
    )

    @property
    def described(self) -> str:
        """Where its messages go; no secret."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """The host that is given its secrets."""
        raise NotImplementedError


class EmailChannel(_Channel):
    """E-mail by SMTP."""

    SECRETS: ClassVar[tuple[str, ...]] = ("password",)

    kind: Literal["email"] = "email"
    host: Annotated[str, AfterValidator(_host)] = Field(description="The SMTP server.")
    port: int = Field(default=587, ge=1, le=65_535, description="587 for STARTTLS, 465 for TLS.")
    security: Security = Field(
        default=Security.STARTTLS, description="NONE only to a server on this machine."
    )
    user: str = Field(default="", max_length=256, description="Empty for no login.")
    password: SecretStr = Field(default=SecretStr(""), description="Of the user.")
    sender: _Address = Field(description="The address that it comes from.")
    recipients: tuple[_Address, ...] = Field(
        min_length=1, max_length=50, description="The addresses that it goes to."
    )

    @model_validator(mode="after")
    def _login_is_whole(self) -> EmailChannel:
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("give user and password, or neither")
        return self

    @property
    def described(self) -> str:
        first, *others = self.recipients
        more = f" (+{len(others)})" if others else ""
        return f"{first}{more} by {self.host}:{self.port}"

    @property
    def target(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.security}://{quote(self.user, safe='')}@{host}:{self.port}"


class _UrlChannel(_Channel):
    SECRETS: ClassVar[tuple[str, ...]] = ("url",)

    url: _Url

    @property
    def described(self) -> str:
        text = self.url.get_secret_value()
        parts = urlsplit(text)
        end = text[-4:] if len(f"{parts.path}?{parts.query}") > _SHOWN_FROM else ""
        return f"{parts.scheme}://{parts.netloc}/…{end}"

    @property
    def target(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"


class WebhookChannel(_UrlChannel):
    """A program of yours: signed JSON by HTTP POST."""

    SECRETS: ClassVar[tuple[str, ...]] = ("url", "secret")

    kind: Literal["webhook"] = "webhook"
    url: _Url = Field(description="Where the JSON goes.")
    secret: Annotated[SecretStr, AfterValidator(_long_secret)] = Field(
        description="Signs each message: 16 characters or more, or whsec_ and Base64."
    )


class SlackChannel(_UrlChannel):
    """Slack, by an incoming webhook."""

    kind: Literal["slack"] = "slack"
    url: _Url = Field(description="The incoming webhook: https://hooks.slack.com/services/…")


class FeishuChannel(_UrlChannel):
    """Feishu or Lark, by a custom bot."""

    SECRETS: ClassVar[tuple[str, ...]] = ("url", "secret")

    kind: Literal["feishu"] = "feishu"
    url: _Url = Field(description="The bot: https://open.feishu.cn/open-apis/bot/v2/hook/…")
    secret: SecretStr = Field(
        default=SecretStr(""), description="Of the bot's signature verification; empty for none."
    )


class DingTalkChannel(_UrlChannel):
    """DingTalk, by a custom robot."""

    SECRETS: ClassVar[tuple[str, ...]] = ("url", "secret")

    kind: Literal["dingtalk"] = "dingtalk"
    url: _Url = Field(description="The robot: https://oapi.dingtalk.com/robot/send?access_token=…")
    secret: SecretStr = Field(
        default=SecretStr(""), description="SEC… of the robot's signing; empty for none."
    )


class WeComChannel(_UrlChannel):
    """WeCom, by a group robot."""

    kind: Literal["wecom"] = "wecom"
    url: _Url = Field(
        description="The robot: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"
    )


Channel: TypeAlias = (
    EmailChannel | WebhookChannel | SlackChannel | FeishuChannel | DingTalkChannel | WeComChannel
)

KINDS: Mapping[str, type[Channel]] = {
    "email": EmailChannel,
    "webhook": WebhookChannel,
    "slack": SlackChannel,
    "feishu": FeishuChannel,
    "dingtalk": DingTalkChannel,
    "wecom": WeComChannel,
}

_CHANNEL: TypeAdapter[Channel] = TypeAdapter(Annotated[Channel, Field(discriminator="kind")])


def channel_schema() -> dict[str, Any]:
    """The JSON Schema of all kinds, chosen by `kind`."""
    return _CHANNEL.json_schema()


def parse_channel(values: Mapping[str, Any]) -> Channel:
    """Reads JSON values.

    Raises:
        InputError: what is wrong; InputErrors, naming each field, where it is more than one. None
            quotes a value.
    """
    kind = KINDS.get(str(values.get("kind", "")))
    if kind is None:
        raise InputError("kind", f"write one of {', '.join(KINDS)}")
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    faults = [_fault(detail) for detail in details if not _is_echo(detail, details)]
    raise_faults(faults)
    raise AssertionError(faults)


def public(channel: Channel) -> dict[str, Any]:
    """Its settings as JSON values, without secrets."""
    return channel.model_dump(mode="json", exclude=set(channel.SECRETS))


def secrets_of(channel: Channel) -> dict[str, str]:
    """By field; "" where there is none."""
    return {name: getattr(channel, name).get_secret_value() for name in channel.SECRETS}


def _is_echo(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is only too short because what is in it is wrong."""
    loc = detail["loc"]
    within = (other for other in details if other["loc"][:-1] == loc)
    return detail["type"] == "too_short" and any(within)


def _fault(detail: ErrorDetails) -> InputError:
    field = ".".join(str(at) for at in detail["loc"]) or "password"
    match detail["type"]:
        case "missing":
            sentence = "is missing"
        case "extra_forbidden":
            sentence = "is no field of this kind of channel"
        case _:
            sentence = detail["msg"].removeprefix("Value error, ")
    return InputError(field[:80], sentence)
