"""What a request to AWS takes, and whether a policy grants it.

ministack enforces actions and resources, but knows nothing of leading keys; `allows` does.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tests.conformance.aws_states import connection_to
from tests.servers.aws_faults import Asked, AwsProxy
from tests.servers.endpoint import Endpoint
from tests.servers.iam import user_with
from tests.servers.ministack import ACCOUNT
from transferhub.state.aws.access import Role, policy
from transferhub.state.aws.connection import Connection

REGION = "us-east-1"


class Need(NamedTuple):
    """What a request takes: an action on a resource, and the key of the items that it names."""

    action: str
    arn: str
    key: str = ""


def needs_of(asked: Asked) -> Iterator[Need]:
    """As the Service Authorization Reference has them."""
    parameters = asked.parameters
    if asked.service == "sqs":
        queue = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
        action = asked.action.removesuffix("Batch")
        yield Need(f"sqs:{action}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
    elif "TransactItems" in parameters:
        for item in parameters["TransactItems"]:
            [(verb, body)] = item.items()
            action = {"ConditionCheck": "ConditionCheckItem"}.get(verb, f"{verb}Item")
            yield _need(action, body["TableName"], body.get("Item") or body["Key"])
    elif "RequestItems" in parameters:
        [(table, body)] = parameters["RequestItems"].items()
        requests = [{"Get": {"Key": key}} for key in body["Keys"]] if "Keys" in body else body
        for request in requests:
            [named] = request.values()
            yield _need(asked.action, table, named.get("Item") or named["Key"])
    elif "KeyConditionExpression" in parameters:
        found = re.match(r"\S+ = (:\w+)", parameters["KeyConditionExpression"])
        assert found is not None
        key = {"pk": parameters["ExpressionAttributeValues"][found[1]]}
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        yield _need(asked.action, f"{parameters['TableName']}{index}", key)
    else:
        key = parameters.get("Item") or parameters.get("Key") or {}
        yield _need(asked.action, parameters["TableName"], key)


def _need(action: str, table: str, key: Mapping[str, Any]) -> Need:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
    return Need(f"dynamodb:{action}", arn, key.get("pk", {}).get("S", ""))


def kinds_of(statement: Mapping[str, Any]) -> list[str]:
    named = statement["Condition"].get("ForAllValues:StringLike", {})
    return [*named.get("dynamodb:LeadingKeys", ())]


def allows(statement: Mapping[str, Any], need: Need) -> bool:
    """As IAM evaluates it."""
    kinds = kinds_of(statement)
    return (
        need.action in statement["Action"]
        and need.arn == statement["Resource"]
        and (not kinds or any(fnmatchcase(need.key, kind) for kind in kinds))
    )


@asynccontextmanager
async def as_role(
    root: Endpoint, name: str, role: Role, *, of: str = ""
) -> AsyncIterator[tuple[AwsProxy, Connection]]:
    """Reaches a state with the rights of a role, and sees what it asks for.

    Args:
        of: the state that the rights are for, where it is another one.
    """
    document = policy(role, of or name, region=REGION, account=ACCOUNT)
    with user_with(root, document) as user:
        async with AwsProxy(root.url, ca_bundle=root.ca_bundle) as proxy:
            connection = connection_to(user.at(proxy.url), name)
            try:
                yield proxy, connection
            finally:
                await connection.aclose()
