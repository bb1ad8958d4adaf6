"""XML as S3 speaks it: answers other than listings, and the few bodies that are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from transferhub.model.objects import UploadedPart


class BadXmlError(Exception):
    """The answer is not the XML that was expected. Stays inside the adapter."""


class UnknownEntityError(Exception):
    """Character data holds a reference that XML does not define by itself."""


_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos);|#([0-9]{1,7});|#x([0-9a-fA-F]{1,6});)?")
# Characters that XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORBIDDEN_REFERENCE = re.compile(
    r"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bcef]|1[0-9a-f]));", re.IGNORECASE
)
# A parser would change the raw forms of these, or end the text at them.
_ESCAPES = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("\t"): "&#9;",
    ord("\n"): "&#10;",
    ord("\r"): "&#13;",
}


def unescape(text: str) -> str:
    """Resolves references as XML does, also those to characters that XML cannot hold.

    Raises:
        UnknownEntityError: one of them is not XML's own.
    """
    return _REFERENCE.sub(_resolved, text)


def _resolved(reference: re.Match[str]) -> str:
    name, decimal, hexadecimal = reference.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else None
    if code is None or code > 0x10FFFF:  # noqa: PLR2004 - the last code point
        raise UnknownEntityError
    return chr(code)


def can_hold(text: str) -> bool:
    """Whether XML can hold every character of it."""
    return _FORBIDDEN.search(text) is None


def replaced(text: str) -> str:
    """The text with U+FFFD for every character that XML cannot hold, as some servers send it."""
    return _FORBIDDEN.sub("\ufffd", text)


def local_name(element: ET.Element) -> str:
    """The name without its namespace; servers disagree on that, or send none."""
    return element.tag.rpartition("}")[2]


def parse(body: bytes, root: str) -> ET.Element:
    """The root element, which must be named so; some servers say Response for Result.

    Characters that XML cannot hold come out as U+FFFD.

    Raises:
        BadXmlError: it is not, or this is no XML.
    """
    try:
        # S3 keeps a connection alive with white space, which may not come before a declaration.
        element = ET.fromstring(body.lstrip())
    except ET.ParseError as error:
        element = _parse_replaced(body, error)
    if local_name(element).removesuffix("Response") not in {root, root.removesuffix("Result")}:
        raise BadXmlError(f"<{root}> was expected, <{local_name(element)}> came")
    return element


def _parse_replaced(body: bytes, error: ET.ParseError) -> ET.Element:
    """Reads what is XML but for characters that XML cannot hold, as keys may have them."""
    text = _FORBIDDEN_REFERENCE.sub("\ufffd", replaced(body.decode(errors="replace")))
    try:
        return ET.fromstring(text.lstrip())
    except ET.ParseError:
        raise BadXmlError(str(error)) from error


def child_text(element: ET.Element, name: str) -> str:
    for child in element:
        if local_name(child) == name:
            return child.text or ""
    return ""


def required(element: ET.Element, name: str) -> str:
    """Raises:
    BadXmlError: there is no such child, or it is empty.
    """
    text = child_text(element, name)
    if not text:
        raise BadXmlError(f"<{name}> is missing")
    return text


def children(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in element if local_name(child) == name)


class RowsPage(NamedTuple):
    """A page of ListParts or ListMultipartUploads.

    Attributes:
        markers: what the page says beside its rows; empty on the last page.
        encoded: keys are URL-encoded.
    """

    rows: list[Mapping[str, str]]
    markers: Mapping[str, str]
    encoded: bool


def parse_rows(body: bytes, root: str, row: str) -> RowsPage:
    """Raises:
    BadXmlError: the root is not named so.
    """
    element = parse(body, root)
    fields = _texts(element)
    return RowsPage(
        [_texts(child) for child in children(element, row)],
        fields if fields.get("IsTruncated", "").lower() == "true" else {},
        fields.get("EncodingType", "").lower() == "url",
    )


def _texts(element: ET.Element) -> Mapping[str, str]:
    return {local_name(child): child.text or "" for child in element}


def parse_tags(body: bytes) -> Mapping[str, str]:
    tags: dict[str, str] = {}
    for tag_set in children(parse(body, "Tagging"), "TagSet"):
        for tag in children(tag_set, "Tag"):
            tags[child_text(tag, "Key")] = child_text(tag, "Value")
    return tags


def parse_failures(body: bytes) -> Sequence[Mapping[str, str]]:
    """What DeleteObjects could not delete: Key, Code and Message of each."""
    return [_texts(child) for child in children(parse(body, "DeleteResult"), "Error")]


def tags_body(tags: Mapping[str, str]) -> bytes:
    rows = "".join(
        f"<Tag><Key>{_escaped(name)}</Key><Value>{_escaped(value)}</Value></Tag>"
        for name, value in tags.items()
    )
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()


def delete_body(keys: Sequence[str]) -> bytes:
    """A quiet DeleteObjects: the answer holds only what failed."""
    rows = "".join(f"<Object><Key>{_escaped(key)}</Key></Object>" for key in keys)
    return f"<Delete><Quiet>true</Quiet>{rows}</Delete>".encode()


def complete_body(parts: Sequence[UploadedPart]) -> bytes:
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag></Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
