"""What requests and traffic cost.

A price table is a JSON file:

    {"version": 1, "currency": "USD", "providers": {"aws": {
        "note": "where the prices are from", "as_of": "2025-06",
        "per_1000": {"list": 0.005, "get": 0.0004, "put": 0.005, "multipart": 0.005,
                     "head": 0.0004, "tags": 0.0004, "delete": 0},
        "egress_per_gb": 0.09}}}

`per_1000` are prices of 1,000 requests, `egress_per_gb` of 2^30 bytes read to the internet.
Providers are named as in `Location.provider_name`; one that is not listed has no known price, which
is not a price of zero. The table in this package holds public list prices of one region each, with
their date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults

_GIGABYTE = 1 << 30
_FIELD = "prices"


class RequestKind(StrEnum):
    """MULTIPART: create, upload (or copy) part, complete. TAGS: reading tags; they are written
    along with the object. DELETE: up to 1,000 keys."""

    LIST = "list"
    GET = "get"
    PUT = "put"
    MULTIPART = "multipart"
    HEAD = "head"
    TAGS = "tags"
    DELETE = "delete"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prices(_Model):
    """The prices of one provider."""

    note: str = Field(default="", description="Where they are from.")
    as_of: str = Field(default="", description="Their date, YYYY-MM.")
    per_1000: dict[RequestKind, float] = Field(description="Of 1,000 requests, by kind.")
    egress_per_gb: float = Field(ge=0, description="Of 2^30 bytes read to the internet.")

    def of_requests(self, kind: RequestKind, count: int) -> float | None:
        """None where the kind has no known price."""
        price = self.per_1000.get(kind)
        return None if price is None else price * count / 1_000

    def of_egress(self, size: int) -> float:
        return self.egress_per_gb * size / _GIGABYTE


class PriceTable(_Model):
    """Prices by provider."""

    version: int = Field(default=1, ge=1, le=1, description="Of this form of the file.")
    currency: str = Field(default="USD", description="Of all prices.")
    providers: dict[str, Prices] = Field(description="By the name of the provider.")


def load_prices(path: str = "") -> PriceTable:
    """The table of a file, "" for the one in this package.

    Raises:
        InputError: it cannot be read, or is no price table.
    """
    try:
        text = Path(path).read_text("utf-8") if path else _packaged()
        values = json.loads(text)
    except OSError as error:
        raise InputError(_FIELD, f"{path!r} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(_FIELD, f"{path!r} is not JSON in UTF-8: {error}") from None
    try:
        return PriceTable.model_validate(values)
    except ValidationError as error:
        raise_faults(_faults(path, error))
        raise


def _faults(path: str, error: ValidationError) -> Iterator[InputError]:
    """Each with the place in the file, such as providers.aws.egress_per_gb."""
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(step) for step in detail["loc"] if step != "[key]")
        match detail["type"]:
            case "extra_forbidden":
                sentence = "there is no such field"
            case "missing":
                sentence = "is missing"
            case _:
                sentence = detail["msg"]
        yield InputError(_FIELD, f"{path!r}, {place or 'the whole'}: {sentence}")


def _packaged() -> str:
    return files(__package__).joinpath("prices.json").read_text("utf-8")
