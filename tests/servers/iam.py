"""Users of ministack where it enforces IAM, made with AWS's own client."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import botocore.session

from tests.servers.endpoint import Endpoint


@contextmanager
def user_with(root: Endpoint, policy: Mapping[str, Any]) -> Iterator[Endpoint]:
    """A user who has this policy alone, for as long as the scope lasts."""
    client: Any = botocore.session.Session().create_client(
        "iam",
        endpoint_url=root.url,
        region_name=root.region,
        aws_access_key_id=root.access_key_id,
        aws_secret_access_key=root.secret_access_key,
        verify=None if root.ca_bundle is None else str(root.ca_bundle),
    )
    user = {"UserName": f"user-{uuid4().hex[:12]}"}
    client.create_user(**user)
    client.put_user_policy(
        **user, PolicyName="only", PolicyDocument=json.dumps(_with_batches(policy))
    )
    key = client.create_access_key(**user)["AccessKey"]
    try:
        yield Endpoint(
            url=root.url,
            access_key_id=key["AccessKeyId"],
            secret_access_key=key["SecretAccessKey"],
            region=root.region,
            ca_bundle=root.ca_bundle,
        )
    finally:
        client.delete_access_key(**user, AccessKeyId=key["AccessKeyId"])
        client.delete_user_policy(**user, PolicyName="only")
        client.delete_user(**user)
        client.close()


_BATCHED = {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:SendMessage"}


def _with_batches(policy: Mapping[str, Any]) -> dict[str, Any]:
    """AWS has no actions for batches of messages, ministack has."""
    statements = [
        {
            **statement,
            "Action": [
                *statement["Action"],
                *(f"{action}Batch" for action in statement["Action"] if action in _BATCHED),
            ],
        }
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": statements}
