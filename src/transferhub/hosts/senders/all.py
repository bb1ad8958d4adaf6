"""The senders of all kinds of channels."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

from transferhub.control.channels import Sender, Senders
from transferhub.control.endpoints import Resolve, resolve_name
from transferhub.hosts.senders.dingtalk import DingTalkSender
from transferhub.hosts.senders.discreet import DiscreetSender
from transferhub.hosts.senders.feishu import FeishuSender
from transferhub.hosts.senders.http import HttpPost
from transferhub.hosts.senders.slack import SlackSender
from transferhub.hosts.senders.smtp import EmailSender
from transferhub.hosts.senders.webhook import WebhookSender
from transferhub.hosts.senders.wecom import WeComSender


def open_senders(
    stack: AsyncExitStack,
    *,
    guarded: bool = True,
    resolve: Resolve = resolve_name,
    trust: ssl.SSLContext | None = None,
) -> Senders:
    """By kind of channel; they work until `stack` ends.

    Args:
        guarded: whether link-local addresses and metadata services are refused.
        trust: None trusts what the system trusts.
    """
    http = HttpPost(resolve, guarded=guarded, trust=trust)
    stack.push_async_callback(http.aclose)
    senders: dict[str, Sender] = {
        "email": EmailSender(resolve, guarded=guarded, trust=trust),
        "webhook": WebhookSender(http),
        "slack": SlackSender(http),
        "feishu": FeishuSender(http),
        "dingtalk": DingTalkSender(http),
        "wecom": WeComSender(http),
    }
    return {kind: DiscreetSender(sender) for kind, sender in senders.items()}
