from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.objects import UploadedPart
from transferhub.stores.s3 import xml

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def parsed(body: bytes | str) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - written by these tests


holdable = st.text(max_size=30).filter(xml.can_hold)


@given(st.lists(holdable, min_size=1, max_size=5))
def test_a_parser_reads_the_keys_of_a_delete_exactly(keys: list[str]) -> None:
    root = parsed(xml.delete_body(keys))
    assert [element.text or "" for element in root.iter("Key")] == keys
    assert root.findtext("Quiet") == "true"


@given(st.dictionaries(holdable, holdable, max_size=5))
def test_tags_are_read_as_they_were_written(tags: Mapping[str, str]) -> None:
    assert xml.parse_tags(xml.tags_body(tags)) == tags


def test_parts_are_listed_with_their_quotes_and_in_the_order_given() -> None:
    parts = [UploadedPart(number=n, etag=f"{n:032x}", size=1) for n in (1, 7)]
    root = parsed(xml.complete_body(parts))
    assert [part.findtext("PartNumber") for part in root] == ["1", "7"]
    assert [part.findtext("ETag") for part in root] == [f'"{1:032x}"', f'"{7:032x}"']


@given(st.text(max_size=30))
def test_what_can_be_held_is_what_a_parser_takes(text: str) -> None:
    try:
        parsed(f"<a>{escape(text)}</a>".encode())
    except (ET.ParseError, UnicodeEncodeError):
        assert not xml.can_hold(text)
    else:
        assert xml.can_hold(text)
    parsed(f"<a>{escape(xml.replaced(text))}</a>".encode())


@given(st.text(max_size=30))
def test_references_are_resolved_as_xml_does(text: str) -> None:
    escaped = "".join(f"&#{ord(c)};" if c in "&<>\"'\r\n\t" else c for c in text)
    assert xml.unescape(escaped) == text
    assert xml.unescape("".join(f"&#x{ord(c):X};" for c in text)) == text


@pytest.mark.parametrize("text", ["&", "a & b", "&nbsp;", "&#;", "&#xZ;", "&#x110000;", "&amp"])
def test_a_reference_that_xml_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(xml.UnknownEntityError):
        xml.unescape(text)


@pytest.mark.parametrize("character", ["\x01", "\x00", "\ufffe", "\x0b"])
@pytest.mark.parametrize("form", ["raw", "decimal", "hexadecimal"])
def test_an_answer_that_xml_cannot_hold_is_read_with_replacements(
    character: str, form: str
) -> None:
    written = {
        "raw": character,
        "decimal": f"&#{ord(character)};",
        "hexadecimal": f"&#x{ord(character):x};",
    }[form]
    if form != "raw" and character == "\ufffe":
        written = character
    body = f"<DeleteResult><Error><Key>a{written}b</Key><Code>X</Code></Error></DeleteResult>"
    assert xml.parse_failures(body.encode()) == [{"Key": "a\ufffdb", "Code": "X"}]


@pytest.mark.parametrize("root", ["ListPartsResult", "ListPartsResponse", "ListParts"])
@pytest.mark.parametrize("start", ["", '<?xml version="1.0"?>', " \n <?xml version='1.0'?>\n"])
def test_a_root_is_known_under_its_names(root: str, start: str) -> None:
    body = f"{start}<{root} {NAMESPACE}><Part><PartNumber>1</PartNumber></Part></{root}>".encode()
    assert xml.parse_rows(body, "ListPartsResult", "Part").rows == [{"PartNumber": "1"}]


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<ListPartsResult>", b"\xff", b"{}"])
def test_any_other_answer_is_refused(body: bytes) -> None:
    with pytest.raises(xml.BadXmlError):
        xml.parse_rows(body, "ListPartsResult", "Part")


def test_markers_count_only_where_more_follows() -> None:
    for truncated, markers in (("true", True), ("True", True), ("false", False), ("", False)):
        body = (
            f"<ListPartsResult><IsTruncated>{truncated}</IsTruncated>"
            "<NextPartNumberMarker>5</NextPartNumberMarker></ListPartsResult>"
        )
        page = xml.parse_rows(body.encode(), "ListPartsResult", "Part")
        assert bool(page.markers) is markers


def test_a_missing_element_is_named() -> None:
    root = parsed("<a><UploadId/></a>")
    with pytest.raises(xml.BadXmlError, match="<UploadId> is missing"):
        xml.required(root, "UploadId")
