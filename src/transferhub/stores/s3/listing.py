"""Pages of ListObjectsV2 and ListObjects: what S3 answers, as entries.

A page is read by two parsers that agree: expressions for the layouts that nearly every server
sends, which take a fifth of the time, and ElementTree for everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from transferhub.model.objects import ObjectEntry, entries_of
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


class _Columns(NamedTuple):
    """The entries as they stand in the XML, field by field; ETags without quotes."""

    keys: Sequence[str] = ()
    modified_at: Sequence[str] = ()
    etags: Sequence[str] = ()
    sizes: Sequence[str] = ()
    storage_classes: Sequence[str] = ()


def parse_page(body: bytes) -> Page:
    """Raises:
    BadXmlError: it is no page of a listing.
    """
    page = parse_known_layout(body)
    return parse_any_layout(body) if page is None else page


_OWNER = "(?:<Owner>(?:<ID>[^<]*</ID>|<DisplayName>[^<]*</DisplayName>|<DisplayName/>)*</Owner>)?"
_QUOTE = '(?:"|&quot;|&#34;)?'
_VALUES = {
    "keys": "[^<]*",
    "modified_at": "[^<]*",
    "etags": '[^<&"]*',
    "sizes": "[0-9]+",
    "storage_classes": "[^<]*",
}


def _value(name: str) -> str:
    return f"(?P<{name}>{_VALUES[name]})"


_KEY = f"<Key>{_value('keys')}</Key>"
_TIME = f"<LastModified>{_value('modified_at')}</LastModified>"
_ETAG = f"(?:<ETag>{_QUOTE}{_value('etags')}{_QUOTE}</ETag>)?"
_CHECKSUMS = (
    "(?:<ChecksumAlgorithm>[^<]*</ChecksumAlgorithm>)*(?:<ChecksumType>[^<]*</ChecksumType>)?"
)
_SIZE = f"<Size>{_value('sizes')}</Size>"
_CLASS = f"(?:<StorageClass>{_value('storage_classes')}</StorageClass>)?"
_LAYOUTS = (
    # Amazon S3, and those that follow it to the letter.
    re.compile(
        f"<Contents>{_KEY}{_TIME}{_ETAG}{_CHECKSUMS}{_SIZE}{_OWNER}{_CLASS}{_OWNER}</Contents>"
    ),
    # SeaweedFS.
    re.compile(f"<Contents>{_KEY}{_ETAG}{_SIZE}{_OWNER}{_CLASS}{_TIME}{_OWNER}</Contents>"),
)
_OPEN, _CLOSE = "<Contents>", "</Contents>"
_AND = "&"


def parse_known_layout(body: bytes) -> Page | None:
    """Reads entries that stand side by side in a usual order; None where the page is not so.

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
    found = (layout.match(text, start, end) for layout in _LAYOUTS)
    first = next((match for match in found if match is not None), None)
    if first is None:
        return None
    columns = _rows_like(first, text, end) or _rows_of(first.re, text, start, end)
    fields = _shell(text[:start], text[end:]) if columns else None
    if columns is None or fields is None:
        return None
    try:
        return _page(fields, _unescaped(columns))
    except UnknownEntityError:
        return None


def _rows_like(first: re.Match[str], text: str, end: int) -> _Columns | None:
    """The entries where all are written as the first one is, as they mostly are; else None."""
    spans = sorted((first.span(name), name) for name in _VALUES if first.span(name)[0] >= 0)
    starts = [first.start(), *(span[1] for span, _ in spans)]
    ends = [*(span[0] for span, _ in spans), first.end()]
    frames = tuple(text[a:b] for a, b in zip(starts, ends, strict=True))
    names = tuple(name for _, name in spans)
    rows = _expression(frames, names).findall(text, first.start(), end)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    # Every character belongs to one of the rows.
    values = sum(len("".join(column)) for column in columns.values())
    if values + len(rows) * sum(map(len, frames)) != end - first.start():
        return None
    missing = dict.fromkeys(_VALUES.keys() - columns.keys(), ("",) * len(rows))
    return _Columns(**columns, **missing)


@lru_cache(maxsize=8)
def _expression(frames: Sequence[str], names: Sequence[str]) -> re.Pattern[str]:
    """For rows of these values, with these texts before, between and after them."""
    head, *others = map(re.escape, frames)
    values = [f"({_VALUES[name]}){frame}" for name, frame in zip(names, others, strict=True)]
    return re.compile(head + "".join(values))


def _rows_of(layout: re.Pattern[str], text: str, start: int, end: int) -> _Columns | None:
    rows = layout.findall(text, start, end)
    count = len(rows)
    # Every row was understood, and nothing stands between them.
    if text.count(_OPEN) != count or text.count(_CLOSE + _OPEN) != count - 1:
        return None
    return _Columns(**dict(zip(layout.groupindex, zip(*rows, strict=True), strict=True)))


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


def _unescaped(columns: _Columns) -> _Columns:
    """ETags hold no references: such a page is not of the known layout."""
    return columns._replace(
        keys=_each(unescape, columns.keys, _AND),
        storage_classes=_each(unescape, columns.storage_classes, _AND),
    )


def _each(change: Callable[[str], str], texts: Sequence[str], marks: str) -> Sequence[str]:
    """The texts, those with one of the marks changed."""
    whole = "".join(texts)
    if not any(mark in whole for mark in marks):
        return texts
    return [change(one) if any(mark in one for mark in marks) else one for one in texts]


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
    rows = [_row(_fields(child)) for child in root if local_name(child) == "Contents"]
    columns = _Columns._make(zip(*rows, strict=True)) if rows else _Columns()
    etags = [etag.strip('"') for etag in columns.etags]
    return _page(_fields(root), columns._replace(etags=etags))


def _row(fields: Mapping[str, str]) -> tuple[str, ...]:
    names = ("Key", "LastModified", "ETag", "Size", "StorageClass")
    return tuple([fields.get(name, "") for name in names])


def _fields(element: ET.Element) -> Mapping[str, str]:
    return {local_name(child): child.text or "" for child in element}


def _page(fields: Mapping[str, str], columns: _Columns) -> Page:
    keys = columns.keys
    if fields.get("EncodingType", "").lower() == "url":
        keys = _each(decode_key, keys, "%+")
    # Many objects of a page are often of the same second.
    times = {text: parse_time(text) for text in set(columns.modified_at)}
    classes = {name: name for name in columns.storage_classes}
    try:
        entries = entries_of(
            keys,
            map(int, columns.sizes),
            columns.etags,
            map(times.__getitem__, columns.modified_at),
            map(classes.__getitem__, columns.storage_classes),
        )
    except ValueError as error:
        raise BadXmlError(f"an entry is not as it should be: {error}") from error
    truncated = fields.get("IsTruncated", "").lower() == "true"
    return Page(entries, fields.get("NextContinuationToken", "") if truncated else "", truncated)


def decode_key(key: str) -> str:
    """Undoes `encoding-type=url`: S3 writes a space as `+`, and a plus as `%2B`.

    Bytes that are no UTF-8 become lone surrogates, which no request can carry: the key is refused
    when it is asked for, and is never taken for another one.
    """
    return unquote_plus(key, errors="surrogateescape")


def parse_time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
