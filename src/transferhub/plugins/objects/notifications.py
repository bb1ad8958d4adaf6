"""What has to be set up so that a source tells the hub of its changes: documents, word for word.

Sources: Amazon S3 User Guide, "Granting permissions to publish event notification messages" and
"Using EventBridge"; MinIO's `mc event`; SeaweedFS's `weed scaffold -config=notification`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from transferhub.model.event import EventSource, SourceKind
from transferhub.plugins.objects.spec import ObjectsSpec

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
"""Amazon S3's names of what changes objects."""

_VERSION = "2012-10-17"
_NOT_IN_SID = re.compile(r"[^A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One thing to set up: where, and what stands there."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What makes the source of a task tell of its changes.

    Attributes:
        ident: the name of the notification, by which ours is told from those of others.
        sid: the same for statements of policies.
        can_apply: whether the hub can set it up by itself.
    """

    ident: str
    sid: str
    source: EventSource
    spec: ObjectsSpec
    url: str
    can_apply: bool

    @classmethod
    def of(cls, task: str, spec: ObjectsSpec, source: EventSource, *, hub_url: str) -> Arrangement:
        """Args:
        hub_url: where senders reach the hub, without a slash at its end.
        """
        return cls(
            ident=f"dth-{task}",
            sid=f"dth{_NOT_IN_SID.sub('', task)}",
            source=source,
            spec=spec,
            url=f"{hub_url}/events/{task}",
            can_apply=source.kind is SourceKind.SQS,
        )

    @property
    def queue_arn(self) -> str:
        """Of the queue's URL, whose path is account and name."""
        parts = urlsplit(self.source.queue_url)
        account, _, name = parts.path.strip("/").rpartition("/")
        partition = self._partition
        return f"arn:{partition}:sqs:{self.source.queue_region}:{account}:{name}"

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self._partition}:s3:::{self.spec.source.bucket}"

    @property
    def _partition(self) -> str:
        if self.source.queue_region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.source.queue_region.startswith("us-gov-") else "aws"

    @property
    def prefix(self) -> str:
        return self.spec.source.prefix

    def notification(self) -> Mapping[str, Any]:
        """The bucket's notification, as `aws s3api put-bucket-notification-configuration` has
        it."""
        queue: dict[str, Any] = {
            "Id": self.ident,
            "QueueArn": self.queue_arn,
            "Events": list(EVENTS),
        }
        if self.prefix:
            rules = [{"Name": "prefix", "Value": self.prefix}]
            queue["Filter"] = {"Key": {"FilterRules": rules}}
        return {"QueueConfigurations": [queue]}

    def statement(self) -> Mapping[str, Any]:
        """Lets the bucket send to the queue."""
        return self._sending(self.sid, "s3.amazonaws.com", self.bucket_arn)

    def rule(self) -> Mapping[str, Any]:
        """The event pattern of an EventBridge rule."""
        named: dict[str, Any] = {"bucket": {"name": [self.spec.source.bucket]}}
        if self.prefix:
            named["object"] = {"key": [{"prefix": self.prefix}]}
        return {
            "source": ["aws.s3"],
            "detail-type": ["Object Created", "Object Deleted"],
            "detail": named,
        }

    def permissions(self) -> Mapping[str, Any]:
        """What the hub's credentials must be allowed. Without s3:ListBucket a key that is gone
        looks like one that may not be read."""
        queue = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        allow = [
            {"Effect": "Allow", "Action": queue, "Resource": self.queue_arn},
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": f"{self.bucket_arn}/{self.prefix}*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.bucket_arn},
        ]
        return {"Version": _VERSION, "Statement": allow}

    def merged(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """The queue's policy with our statement, and all others as they are."""
        without = self.without(policy)
        others = without.get("Statement", [])
        return {"Version": _VERSION, **without, "Statement": [*others, self.statement()]}

    def without(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """The queue's policy without our statement; {} where nothing else stands there."""
        statements = policy.get("Statement", [])
        known = [statements] if isinstance(statements, Mapping) else list(statements)
        others = [each for each in known if each.get("Sid") != self.sid]
        return {**policy, "Statement": others} if others else {}

    def pieces(self) -> list[Piece]:
        """For people, in the order in which they are set up."""
        if self.source.kind is SourceKind.SQS:
            return self._of_queue()
        return self._of_webhook()

    def _of_queue(self) -> list[Piece]:
        rule = f"arn:{self._partition}:events:{self.source.queue_region}:*:rule/{self.ident}"
        bridge = self._sending(f"{self.sid}bridge", "events.amazonaws.com", rule)
        return [
            _piece(f"Policy of the queue {self.source.queue_name}: add", self.statement()),
            _piece(
                f"Notification of the bucket {self.spec.source.bucket}: add", self.notification()
            ),
            _piece("IAM policy of the hub's credentials", self.permissions()),
            _piece("Or, instead of the notification, an EventBridge rule", self.rule()),
            _piece("whose target is the queue, with this in the queue's policy", bridge),
        ]

    def _of_webhook(self) -> list[Piece]:
        bucket, prefix = self.spec.source.bucket, self.prefix
        filtered = f' --prefix "{prefix}"' if prefix else ""
        name = self.sid.lower()
        minio = (
            f'mc admin config set ALIAS notify_webhook:{name} endpoint="{self.url}"'
            ' auth_token="TOKEN" queue_dir="/var/lib/minio/events"\n'
            "mc admin service restart ALIAS\n"
            f"mc event add ALIAS/{bucket} arn:minio:sqs::{name}:webhook --event put,delete"
            f"{filtered}"
        )
        seaweedfs = (
            "[notification.webhook]\n"
            "enabled = true\n"
            f'endpoint = "{self.url}"\n'
            'bearer_token = "TOKEN"\n'
            f'path_prefixes = ["/buckets/{bucket}/{prefix}"]'
        )
        anything = (
            f"POST {self.url}\n"
            "Authorization: Bearer TOKEN\n"
            "or, over the body, X-Dth-Signature: sha256=HMAC-SHA256(TOKEN, body) in hexadecimal\n\n"
            + json.dumps({"Records": [_example(bucket, f"{prefix}KEY")]}, indent=2)
        )
        return [
            Piece(title="MinIO", text=minio),
            Piece(title="SeaweedFS: notification.toml of the filer", text=seaweedfs),
            Piece(title="Anything else, also Alibaba Cloud OSS in its own form", text=anything),
        ]

    def _sending(self, sid: str, service: str, source_arn: str) -> Mapping[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": self.queue_arn,
            "Condition": {"ArnLike": {"aws:SourceArn": source_arn}},
        }


def _piece(title: str, document: Mapping[str, Any]) -> Piece:
    return Piece(title=title, text=json.dumps(document, indent=2))


def _example(bucket: str, key: str) -> Mapping[str, Any]:
    return {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
    }
