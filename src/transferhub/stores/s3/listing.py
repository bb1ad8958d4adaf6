"""Pages of ListObjectsV2 and ListObjects: what S3 answers, as entries.

A page is read by two parsers that agree: one expression for the layout that nearly every server
sends, which takes a quarter of the time, and ElementTree for everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from transferhub.model.objects import ObjectEntry
from transferhub.stores.s3.xml import BadXmlError, UnknownEntityError, local_name, unescape


class Page(NamedTuple):
    """One page.

    Attributes:
        next_token: of ListObjectsV2; "" where there is none.
        truncated: more keys follow.
    """

    entries: list[ObjectEntry]
    next_token: str
    truncated: bool


class _Row(NamedTuple):
    """An entry as it stands in the XML, entities resolved."""

    key: str
    modified_at: str
    etag: str
    size: str
    storage_class: str


def parse_page(body: bytes) -> Page:
    """Raises:
    BadXmlError: it is no page of a listing.
    """
    page = parse_known_layout(body)
    return parse_any_layout(body) if page is None else page


_OWNER = "(?:<Owner>(?:<ID>[^<]*</ID>|<DisplayName>[^<]*</DisplayName>|<DisplayName/>)*</Owner>)?"
_ENTRY = re.compile(
    "<Contents>"
    "<Key>([^<]*)</Key>"
    "<LastModified>([^<]*)</LastModified>"
    "(?:<ETag>([^<]*)</ETag>)?"
    "(?:<ChecksumAlgorithm>[^<]*</ChecksumAlgorithm>)*"
    "(?:<ChecksumType>[^<]*</ChecksumType>)?"
    "<Size>([0-9]+)</Size>"
    f"{_OWNER}"
    "(?:<StorageClass>([^<]*)</StorageClass>)?"
    f"{_OWNER}"
    "</Contents>"
)
_OPEN, _CLOSE = "<Contents>", "</Contents>"


def parse_known_layout(body: bytes) -> Page | None:
    """Reads entries that stand side by side in the usual order; None where the page is not so.

    It is more lenient than XML in one thing: characters that XML cannot hold, which some servers
    send all the same, are taken as they are.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    start = text.find(_OPEN)
    if start < 0:
        return None
    end = text.rfind(_CLOSE) + len(_CLOSE)
    rows = _ENTRY.findall(text, start, end)
    count = len(rows)
    # Every row was understood, and nothing stands between them.
    if text.count(_OPEN) != count or text.count(_CLOSE + _OPEN) != count - 1:
        return None
    fields = _shell(text[:start], text[end:])
    if fields is None:
        return None
    try:
        return _page(fields, [_unescaped(row) for row in rows] if "&" in text else rows)
    except UnknownEntityError:
        return None


def _shell(head: str, tail: str) -> Mapping[str, str] | None:
    """What the page says beside its entries."""
    if "<!" in head or not _is_utf8(head):
        return None
    try:
        root = ET.fromstring(f"{head}<Contents/>{tail}".encode())
    except ET.ParseError:
        return None
    fields = _fields(root)
    return fields if local_name(root) == "ListBucketResult" and "Contents" in fields else None


def _is_utf8(head: str) -> bool:
    declaration = head.partition("?>")[0].lower()
    return "encoding" not in declaration or "utf-8" in declaration


def _unescaped(row: tuple[str, str, str, str, str]) -> tuple[str, str, str, str, str]:
    key, modified_at, etag, size, storage_class = row
    if "&" in key:
        key = unescape(key)
    if "&" in etag:
        etag = etag.replace("&quot;", '"')
        if "&" in etag:
            etag = unescape(etag)
    if "&" in storage_class:
        storage_class = unescape(storage_class)
    return key, modified_at, etag, size, storage_class


def parse_any_layout(body: bytes) -> Page:
    """Reads any well-formed page.

    Raises:
        BadXmlError: it is no page of a listing.
    """
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        raise BadXmlError(str(error)) from error
    if local_name(root) != "ListBucketResult":
        raise BadXmlError(f"<ListBucketResult> was expected, <{local_name(root)}> came")
    rows = []
    for element in root:
        if local_name(element) == "Contents":
            found = _fields(element)
            rows.append(
                _Row(
                    found.get("Key", ""),
                    found.get("LastModified", ""),
                    found.get("ETag", ""),
                    found.get("Size", ""),
                    found.get("StorageClass", ""),
                )
            )
    return _page(_fields(root), rows)


def _fields(element: ET.Element) -> Mapping[str, str]:
    return {local_name(child): child.text or "" for child in element}


def _page(fields: Mapping[str, str], rows: Iterable[tuple[str, str, str, str, str]]) -> Page:
    encoded = fields.get("EncodingType", "").lower() == "url"
    try:
        entries = [
            ObjectEntry(
                decode_key(key) if encoded else key,
                int(size),
                etag.strip('"'),
                parse_time(modified_at),
                storage_class,
            )
            for key, modified_at, etag, size, storage_class in rows
        ]
    except ValueError as error:
        raise BadXmlError(f"an entry is not as it should be: {error}") from error
    truncated = fields.get("IsTruncated", "").lower() == "true"
    return Page(entries, fields.get("NextContinuationToken", "") if truncated else "", truncated)


def decode_key(key: str) -> str:
    """Undoes `encoding-type=url`: S3 writes a space as `+`, and a plus as `%2B`.

    Bytes that are no UTF-8 become lone surrogates, which no request can carry: the key is refused
    when it is asked for, and is never taken for another one.
    """
    return unquote_plus(key, errors="surrogateescape") if "%" in key or "+" in key else key


def parse_time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
