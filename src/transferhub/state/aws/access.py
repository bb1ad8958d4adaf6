"""What each role may do with a state on AWS, and no more: the rights of its IAM policy.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
DynamoDB" and "for Amazon SQS". Transactions and batches of messages have no actions of their own:
they take those of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from transferhub.state.aws.schema import (
    BY1,
    DEAD,
    DUE,
    HUB,
    LEDGER,
    QUEUES,
    TABLES,
    WORK,
    IndexSchema,
    QueueSchema,
    TableSchema,
)


class Role(StrEnum):
    """Who uses a state. A WORKER copies what a finder found. A FINDER carries whole runs: `dth
    worker`. A HUB has tasks, and runs of its own: `dth up` and `dth transfer`. A CREATOR creates
    and deletes states, and reads nothing of them."""

    WORKER = "worker"
    FINDER = "finder"
    HUB = "hub"
    CREATOR = "creator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Actions on one table, one of its indexes, or one queue.

    Attributes:
        kinds: patterns of the `pk` of items that they are for; () for all.
    """

    on: TableSchema | QueueSchema
    actions: tuple[str, ...]
    index: IndexSchema | None = None
    kinds: tuple[str, ...] = ()

    def arn(self, name: str, *, region: str, account: str, partition: str) -> str:
        """Args:
        name: of the state.
        """
        resource = f"{name}-{self.on.name}"
        if isinstance(self.on, QueueSchema):
            return f"arn:{partition}:sqs:{region}:{account}:{resource}"
        index = f"/index/{self.index.name}" if self.index else ""
        return f"arn:{partition}:dynamodb:{region}:{account}:table/{resource}{index}"


_READ = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
_WRITE = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)
_QUERY = ("dynamodb:Query",)
_FIND_QUEUE = ("sqs:GetQueueUrl",)
_LOOK_AT_QUEUE = ("sqs:GetQueueAttributes",)
_LOOK_AT_TABLE = ("dynamodb:DescribeTable",)
_TAKE = ("sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage")
_HOLD = ("sqs:ChangeMessageVisibility",)

_CARRIED = ("inbox*", "log*", "member#", "run#*", "runs-*")
"""Kinds of items of the hub's table that change while runs are carried."""

_GIVEN = ("runs", "task#*", "tasks-events", "vault#")
"""Those that they only read: their task, those that hear of changes in the queue of work, and the
sealed credentials that the hub lends them."""

_TOLD = ("sample*",)
"""Those that they only write."""

_WORKS = (
    Right(on=LEDGER, actions=(*_READ, *_WRITE)),
    Right(on=LEDGER, index=DUE, actions=_QUERY),
    Right(on=WORK, actions=(*_FIND_QUEUE, *_TAKE, *_HOLD)),
    Right(on=DEAD, actions=_FIND_QUEUE),
)
_HEARS = (
    Right(on=HUB, actions=_READ, kinds=("inbox*", "task#*", "tasks-events")),
    Right(on=HUB, actions=("dynamodb:PutItem",), kinds=("inbox*",)),
)
"""For what stores tell of changes in the queue of work: whoever receives it keeps it for its tasks,
or it would become a dead letter."""

_LOOKS = (
    *(Right(on=table, actions=_LOOK_AT_TABLE) for table in TABLES),
    *(Right(on=queue, actions=_LOOK_AT_QUEUE) for queue in QUEUES),
)
"""For `dth doctor`."""

RIGHTS: dict[Role, tuple[Right, ...]] = {
    Role.WORKER: (*_WORKS, *_HEARS),
    Role.FINDER: (
        *_WORKS,
        *_LOOKS,
        Right(on=HUB, actions=_READ, kinds=(*_CARRIED, *_GIVEN)),
        Right(on=HUB, actions=_WRITE, kinds=(*_CARRIED, *_TOLD)),
        Right(on=HUB, index=BY1, actions=_QUERY),
    ),
    Role.HUB: (
        *_WORKS,
        *_LOOKS,
        Right(on=HUB, actions=(*_READ, *_WRITE)),
        Right(on=HUB, actions=("dynamodb:ConditionCheckItem",), kinds=("channel#",)),
        Right(on=HUB, index=BY1, actions=_QUERY),
        Right(on=DEAD, actions=_TAKE),
    ),
    Role.CREATOR: (
        *(
            Right(
                on=table,
                actions=(
                    "dynamodb:CreateTable",
                    "dynamodb:DeleteTable",
                    "dynamodb:DescribeTable",
                    "dynamodb:DescribeTimeToLive",
                    "dynamodb:UpdateContinuousBackups",
                    "dynamodb:UpdateTable",
                    "dynamodb:UpdateTimeToLive",
                ),
            )
            for table in TABLES
        ),
        *(
            Right(
                on=queue,
                actions=(
                    "sqs:CreateQueue",
                    "sqs:DeleteQueue",
                    "sqs:GetQueueAttributes",
                    "sqs:GetQueueUrl",
                ),
            )
            for queue in QUEUES
        ),
    ),
}


def partition_of(region: str) -> str:
    """The partition of AWS that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def policy(role: Role, name: str, *, region: str, account: str) -> dict[str, Any]:
    """The document of an IAM policy with the rights of a role.

    Args:
        name: of the state.
        account: twelve digits.
    """
    partition = partition_of(region)
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(right, right.arn(name, region=region, account=account, partition=partition))
            for right in RIGHTS[role]
        ],
    }


def _statement(right: Right, arn: str) -> dict[str, Any]:
    # Both services also answer without TLS.
    condition: dict[str, Any] = {"Bool": {"aws:SecureTransport": "true"}}
    if right.kinds:
        # Each request for items has leading keys: there is no Scan among the actions.
        condition["ForAllValues:StringLike"] = {"dynamodb:LeadingKeys": list(right.kinds)}
    return {
        "Effect": "Allow",
        "Action": sorted(right.actions),
        "Resource": arn,
        "Condition": condition,
    }
