from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.objects import ObjectEntry
from transferhub.stores.s3.listing import (
    Page,
    decode_key,
    parse_any_layout,
    parse_known_layout,
    parse_page,
    parse_time,
)
from transferhub.stores.s3.xml import BadXmlError

MOMENT = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

HOSTILE = [
    "a&b",
    "<Key>",
    "]]>",
    "&amp;",
    "&#x1;",
    "a+b",
    "a%2Fb",
    "a b ",
    "//",
    "\t",
    "\r\n",
    "🦊",
]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# What an XML document can hold.
xml_text = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"
    ).filter(lambda c: c in "\t\n\r" or ord(c) >= 0x20),
    min_size=1,
    max_size=20,
)
xml_keys = st.one_of(xml_text, st.sampled_from(HOSTILE))
any_keys = st.one_of(st.text(min_size=1, max_size=20).filter(_is_utf8), xml_keys)


def entries_of(keys: st.SearchStrategy[str]) -> st.SearchStrategy[list[ObjectEntry]]:
    return st.lists(
        st.builds(
            ObjectEntry,
            key=keys,
            size=st.integers(0, 5 << 40),
            etag=st.sampled_from(["", "d41d8cd98f00b204e9800998ecf8427e", "0" * 32 + "-12"]),
            modified_at=st.integers(0, 10**9).map(lambda s: MOMENT + timedelta(seconds=s)),
            storage_class=st.sampled_from(["", "STANDARD", "GLACIER"]),
        ),
        max_size=5,
    )


class Layout(NamedTuple):
    """How one server or another writes a page."""

    declaration: str = DECLARATION
    namespace: str = NAMESPACE
    quote: str = "&quot;"
    owner: str = ""
    checksums: str = ""
    between: str = ""
    size_first: bool = False
    times: str = "%Y-%m-%dT%H:%M:%S.000Z"


USUAL = Layout()
OWNER = "<Owner><ID>75aa57f0</ID><DisplayName>me</DisplayName></Owner>"
layouts = st.builds(
    Layout,
    declaration=st.sampled_from(["", DECLARATION, DECLARATION.replace('"', "'")]),
    namespace=st.sampled_from(["", NAMESPACE]),
    quote=st.sampled_from(["", "&quot;", "&#34;", '"']),
    owner=st.sampled_from(["", OWNER, "<Owner><ID>x</ID><DisplayName/></Owner>"]),
    checksums=st.sampled_from(
        [
            "",
            "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>",
            "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>",
        ]
    ),
    between=st.sampled_from(["", "\n  "]),
    size_first=st.booleans(),
    times=st.sampled_from(["%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%dT%H:%M:%SZ"]),
)


def text(value: str) -> str:
    """As XML holds it: a carriage return only as a reference, or parsers would change it."""
    return escape(value, {"\r": "&#13;", "\t": "&#9;", "\n": "&#xA;", '"': "&quot;"})


def entry(one: ObjectEntry, layout: Layout, *, encoded: bool) -> str:
    key = quote_plus(one.key, safe="/") if encoded else text(one.key)
    etag = f"<ETag>{layout.quote}{one.etag}{layout.quote}</ETag>" if one.etag else ""
    assert one.modified_at is not None
    parts = [
        f"<Key>{key}</Key>",
        f"<LastModified>{one.modified_at.strftime(layout.times)}</LastModified>",
        f"{etag}{layout.checksums}",
        f"<Size>{one.size}</Size>",
        layout.owner,
        f"<StorageClass>{one.storage_class}</StorageClass>" if one.storage_class else "",
    ]
    if layout.size_first:
        parts.insert(0, parts.pop(3))
    return f"{layout.between}<Contents>{''.join(parts)}</Contents>"


def page(
    entries: Sequence[ObjectEntry], layout: Layout = USUAL, *, token: str = "", encoded: bool
) -> bytes:
    head = f"{layout.declaration}<ListBucketResult{layout.namespace}><Name>b</Name><Prefix/>"
    encoding = "<EncodingType>url</EncodingType>" if encoded else ""
    more = f"<NextContinuationToken>{text(token)}</NextContinuationToken>" if token else ""
    truncated = f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>"
    rows = "".join(entry(one, layout, encoded=encoded) for one in entries)
    return f"{head}{encoding}{truncated}{more}{rows}{layout.between}</ListBucketResult>".encode()


MODEL = botocore.session.Session().get_service_model("s3").operation_model("ListObjectsV2")


def botocore_keys(body: bytes) -> list[tuple[str, int]]:
    answer = {"body": body, "headers": {}, "status_code": 200}
    parsed = create_parser("rest-xml").parse(answer, MODEL.output_shape)
    return [(found["Key"], found["Size"]) for found in parsed.get("Contents", [])]


@given(entries_of(any_keys), layouts, st.sampled_from(["", "token+/=", "a&b<c"]))
def test_an_encoded_page_gives_exactly_its_entries(
    entries: list[ObjectEntry], layout: Layout, token: str
) -> None:
    body = page(entries, layout, token=token, encoded=True)
    assert parse_page(body) == Page(entries, token, bool(token))


@given(entries_of(xml_keys), layouts)
def test_a_plain_page_gives_exactly_its_entries_as_botocore_reads_them(
    entries: list[ObjectEntry], layout: Layout
) -> None:
    body = page(entries, layout, encoded=False)
    assert parse_page(body) == Page(entries, "", False)
    assert botocore_keys(body) == [(one.key, one.size) for one in entries]


@given(entries_of(xml_keys), layouts, st.booleans())
def test_both_parsers_agree(entries: list[ObjectEntry], layout: Layout, encoded: bool) -> None:
    body = page(entries, layout, encoded=encoded)
    quick = parse_known_layout(body)
    assert quick in (None, parse_any_layout(body))


@pytest.mark.parametrize(
    "row",
    [
        (
            "<Key>a</Key><LastModified>{time}</LastModified><ETag>&#34;{etag}&#34;</ETag><Size>3</Size>"
            "<Owner><ID>me</ID><DisplayName/></Owner><StorageClass>STANDARD</StorageClass>"
        ),
        (
            "<Key>a</Key><ETag>&#34;{etag}&#34;</ETag><Size>3</Size>"
            "<StorageClass>STANDARD</StorageClass><LastModified>{time}</LastModified>"
        ),
    ],
    ids=["MinIO", "SeaweedFS"],
)
def test_pages_of_servers_written_in_go_take_the_quick_way(row: str) -> None:
    etag = "e" * 32
    contents = row.format(time=f"{MOMENT:%Y-%m-%dT%H:%M:%SZ}", etag=etag)
    body = f"<ListBucketResult><Contents>{contents}</Contents></ListBucketResult>".encode()
    assert parse_known_layout(body) == Page(
        [ObjectEntry("a", 3, etag, MOMENT, "STANDARD")], "", False
    )


def test_the_usual_layout_takes_the_quick_way() -> None:
    entries = [ObjectEntry(key, 3, "e" * 32, MOMENT, "STANDARD") for key in HOSTILE]
    body = page(entries, Layout(owner=OWNER), encoded=True)
    assert parse_known_layout(body) == Page(entries, "", False)


@given(st.text(st.characters(max_codepoint=0x1F), min_size=1, max_size=5))
def test_characters_that_xml_cannot_hold_are_taken_as_they_are(key: str) -> None:
    raw = f"<ListBucketResult><Contents><Key>{key.replace(chr(13), '&#13;')}</Key>"
    raw += "<LastModified>2026-03-01T12:30:05Z</LastModified><Size>1</Size></Contents>"
    found = parse_page(f"{raw}</ListBucketResult>".encode())
    assert [one.key for one in found.entries] == [key]


@given(st.binary(max_size=200))
def test_what_is_no_page_is_refused_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(BadXmlError):
        parse_page(body)


@given(st.data())
def test_a_page_that_is_cut_off_is_refused_and_never_shorter(data: st.DataObject) -> None:
    entries = [ObjectEntry(f"k{number}", number, "", MOMENT) for number in range(3)]
    body = page(entries, token="next", encoded=True)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(BadXmlError):
        parse_page(body[:cut])


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>It works!</body></html>",
        b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>k</Key><Size>many</Size></Contents></ListBucketResult>",
        b"<!DOCTYPE x [<!ENTITY e 'v'>]><Other/>",
    ],
)
def test_other_documents_are_refused(body: bytes) -> None:
    with pytest.raises(BadXmlError):
        parse_page(body)


def test_entities_of_a_document_type_do_not_grow() -> None:
    bomb = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        bomb += f'<!ENTITY {name} "{f"&{before};" * 10}">'
    body = f"{bomb}]><ListBucketResult><Name>&j;</Name></ListBucketResult>".encode()
    with pytest.raises(BadXmlError):
        parse_page(body)


def test_a_page_without_entries_may_go_on() -> None:
    assert parse_page(page([], token="next", encoded=True)) == Page([], "next", True)


def test_the_token_of_a_last_page_is_not_taken() -> None:
    body = page([], token="next", encoded=False).replace(b"true", b"false")
    assert parse_page(body) == Page([], "", False)


@given(any_keys)
def test_a_key_is_decoded_however_the_server_wrote_a_space(key: str) -> None:
    assert decode_key(quote(key, safe="")) == decode_key(quote_plus(key, safe="/")) == key


def test_bytes_that_are_no_utf8_are_never_taken_for_another_key() -> None:
    assert decode_key("%ff") != decode_key("%fe")
    with pytest.raises(UnicodeEncodeError):
        decode_key("%ff").encode()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-01T12:30:05.000Z", MOMENT),
        ("2026-03-01T12:30:05Z", MOMENT),
        ("2026-03-01T12:30:05", MOMENT),
        ("2026-03-01T12:30:05.123456789Z", MOMENT + timedelta(microseconds=123456)),
        ("2026-03-01T13:30:05+01:00", MOMENT),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_as_servers_write_them(written: str, moment: datetime | None) -> None:
    assert parse_time(written) == moment
