"""Where a bucket tells of its changes.

Source: Amazon S3 API Reference, PutBucketNotificationConfiguration. It replaces all of a bucket's
notifications at once, so what others set up is read before and written again as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5
from xml.etree import ElementTree as ET

from transferhub.stores.s3 import xml
from transferhub.stores.s3.errors import Operation
from transferhub.stores.s3.headers import content_md5
from transferhub.stores.s3.requests import Requests

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_QUERY = {"notification": ""}
_ROOT = "NotificationConfiguration"


class BucketNotifications:
    """The notifications of one bucket. Verbs raise StoreError."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def add_queue(
        self, ident: str, queue_arn: str, events: Sequence[str], *, prefix: str = ""
    ) -> None:
        """Tells a queue of these events, under the id `ident`, whose former notification goes."""
        root = await self._read()
        _remove(root, ident)
        root.append(_queue(ident, queue_arn, events, prefix))
        await self._write(root)

    async def remove(self, ident: str) -> bool:
        """Removes the notification of this id; False where there is none."""
        root = await self._read()
        if not _remove(root, ident):
            return False
        await self._write(root)
        return True

    async def _read(self) -> ET.Element:
        operation = Operation.GET_NOTIFICATIONS
        response = await self._requests.send(operation, "GET", "", query=_QUERY)
        body = await self._requests.body_of(operation, "", response)
        with self._requests.xml_expected(operation, ""):
            return _parse(body)

    async def _write(self, root: ET.Element) -> None:
        # One name space for all, without a prefix: not every server knows prefixes.
        root.set("xmlns", _NAMESPACE)
        body = ET.tostring(root)
        digest = md5(body, usedforsecurity=False).digest()
        await self._requests.send(
            Operation.PUT_NOTIFICATIONS,
            "PUT",
            "",
            query=_QUERY,
            headers=content_md5(digest),
            body=body,
        )


def _parse(body: bytes) -> ET.Element:
    """The configuration, whatever a server calls it, without name spaces.

    Raises:
        BadXmlError
    """
    try:
        root = ET.fromstring(body) if body.strip() else ET.Element(_ROOT)
    except ET.ParseError as error:
        raise xml.BadXmlError(str(error)) from error
    for element in root.iter():
        element.tag = xml.local_name(element)
    if "Notification" not in root.tag:
        raise xml.BadXmlError(f"<{_ROOT}> was expected, <{root.tag}> came")
    root.tag = _ROOT
    return root


def _remove(root: ET.Element, ident: str) -> bool:
    ours = [child for child in root if xml.child_text(child, "Id") == ident]
    for child in ours:
        root.remove(child)
    return bool(ours)


def _queue(ident: str, queue_arn: str, events: Sequence[str], prefix: str) -> ET.Element:
    queue = ET.Element("QueueConfiguration")
    ET.SubElement(queue, "Id").text = ident
    ET.SubElement(queue, "Queue").text = queue_arn
    for event in events:
        ET.SubElement(queue, "Event").text = event
    if prefix:
        rule = ET.SubElement(ET.SubElement(ET.SubElement(queue, "Filter"), "S3Key"), "FilterRule")
        ET.SubElement(rule, "Name").text = "prefix"
        ET.SubElement(rule, "Value").text = prefix
    return queue
