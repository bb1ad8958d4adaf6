"""A bucket's notifications are written whole, so those of others are written as they were read."""

import pytest

from tests.unit.stores.s3.scripted import Answer, ScriptedTransport, error, scripted
from transferhub.errors import DeniedError, TransientError
from transferhub.stores.s3 import xml

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
THEIRS = (
    "<TopicConfiguration><Id>t</Id><Topic>arn:t</Topic><Event>s3:ObjectCreated:*</Event>"
    "<Filter><S3Key><FilterRule><Name>suffix</Name><Value>.é&amp;</Value></FilterRule></S3Key>"
    "</Filter></TopicConfiguration>"
    "<QueueConfiguration><Id>q</Id><Queue>arn:q</Queue><Event>s3:ObjectRemoved:*</Event>"
    "</QueueConfiguration>"
    "<CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:f</CloudFunction>"
    "<Event>s3:ObjectRestore:*</Event></CloudFunctionConfiguration>"
    "<EventBridgeConfiguration />"
)
OURS = (
    "<QueueConfiguration><Id>ours</Id><Queue>arn:ours</Queue><Event>s3:ObjectCreated:*</Event>"
    "<Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/</Value></FilterRule></S3Key></Filter>"
    "</QueueConfiguration>"
)
DONE = Answer()


def configured(inner: str) -> Answer:
    name = "NotificationConfiguration"
    return Answer(body=f'<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode())


def written(transport: ScriptedTransport) -> str:
    """What the last request wrote, without the outermost element."""
    request = transport.requests[-1]
    assert (request.method, request.query) == ("PUT", "notification=")
    assert request.body is not None
    root = xml.parse(request.body, "NotificationConfiguration")
    assert root.tag.startswith(f"{{{NAMESPACE}}}")
    text = bytes(request.body).decode()
    text = text[text.index(">") + 1 : text.rindex("<")] if len(root) else ""
    return text.replace("&#233;", "é")


@pytest.mark.parametrize("there", [THEIRS, f"{THEIRS}{OURS.replace('in/', 'old/')}"])
async def test_ours_is_added_once_and_all_others_stay(there: str) -> None:
    store, transport = scripted(configured(there), DONE)
    await store.notifications.add_queue("ours", "arn:ours", ["s3:ObjectCreated:*"], prefix="in/")
    assert written(transport) == THEIRS + OURS


async def test_ours_is_removed_and_all_others_stay() -> None:
    store, transport = scripted(configured(OURS + THEIRS), DONE)
    assert await store.notifications.remove("ours")
    assert written(transport) == THEIRS


async def test_nothing_is_written_where_ours_is_not_there() -> None:
    store, transport = scripted(configured(THEIRS))
    assert not await store.notifications.remove("ours")
    assert [request.method for request in transport.requests] == ["GET"]


@pytest.mark.parametrize("body", [b"", b"<NotificationConfiguration/>"])
async def test_a_bucket_without_notifications_gets_its_first(body: bytes) -> None:
    store, transport = scripted(Answer(body=body), DONE)
    await store.notifications.add_queue("ours", "arn:ours", ["s3:ObjectCreated:*"], prefix="in/")
    assert written(transport) == OURS


@pytest.mark.parametrize("body", [b"<html/>", b"not XML"])
async def test_nothing_is_written_where_what_is_there_cannot_be_read(body: bytes) -> None:
    store, transport = scripted(Answer(body=body))
    with pytest.raises(TransientError, match="not what S3 would send"):
        await store.notifications.add_queue("ours", "arn:ours", [])
    assert [request.method for request in transport.requests] == ["GET"]


async def test_a_refusal_names_the_permission() -> None:
    store, _ = scripted(error("AccessDenied", status=403))
    with pytest.raises(DeniedError, match="s3:GetBucketNotification"):
        await store.notifications.remove("ours")
