"""What AWS bills for a ledger, and at what price.

Sources: "Amazon DynamoDB on-demand pricing" (aws.amazon.com/dynamodb/pricing/on-demand: standard
tables, as since the reduction of November 2024) and "Amazon SQS pricing"
(aws.amazon.com/sqs/pricing: standard queues, after the first free million of a month), both for
us-east-1, in November 2026.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Unit(StrEnum):
    """A unit of a transaction counts twice already, an eventual read half."""

    SQS = "SQS requests"
    WRITE = "write units"
    TRANSACTED = "write units, in transactions"
    INDEX = "write units, of the index"
    STRONG = "read units, strong"
    EVENTUAL = "read units, eventual"


Units = Counter[Unit]

_WRITE, _READ, _REQUEST = 0.625e-6, 0.125e-6, 0.40e-6

DOLLARS: Mapping[Unit, float] = {
    Unit.SQS: _REQUEST,
    Unit.WRITE: _WRITE,
    Unit.TRANSACTED: _WRITE,
    Unit.INDEX: _WRITE,
    Unit.STRONG: _READ,
    Unit.EVENTUAL: _READ,
}

ORIGINAL_DOLLARS = 354 / 107e6
"""Of DynamoDB and SQS for an object of 10 KB, as the original publishes: $354 for 107 million."""


def price(units: Mapping[Unit, float]) -> float:
    """In dollars."""
    return sum(DOLLARS[unit] * count for unit, count in units.items())
