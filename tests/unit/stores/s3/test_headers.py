from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.s3.headers import (
    decode_metadata,
    encode_metadata,
    parse_http_date,
    read_info,
    write_headers,
)
from transferhub.stores.s3.providers import AWS, RCLONE

FIELDS = {
    "content_type": "content-type",
    "content_encoding": "content-encoding",
    "content_language": "content-language",
    "content_disposition": "content-disposition",
    "cache_control": "cache-control",
    "expires": "expires",
}
utf8 = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(utf8)
def test_metadata_travels_as_printable_ascii_and_comes_back_as_it_was(value: str) -> None:
    encoded = encode_metadata(value)
    assert encoded.isascii()
    assert encoded == encoded.strip()
    assert encoded == "" or encoded.isprintable()
    assert decode_metadata(encoded) == value


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
def test_a_value_that_this_client_did_not_encode_is_left_alone(value: str) -> None:
    if decode_metadata(value) != value:
        assert "=?" in value
        assert not decode_metadata(value).isascii() or not decode_metadata(value).isprintable()


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("=?UTF-8?Q?=C3=BC?=", "ü"),
        ("=?utf-8?b?w7w=?=", "ü"),
        ("=?UTF-8?B?eA==?=", "=?UTF-8?B?eA==?="),
        ("=?UTF-8?B?broken", "=?UTF-8?B?broken"),
        ("=?NOSUCH?B?w7w=?=", "=?NOSUCH?B?w7w=?="),
        ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
    ],
)
def test_encoded_words_of_any_writer_are_read(shown: str, value: str) -> None:
    assert decode_metadata(shown) == value


@given(st.text(max_size=30), st.sampled_from(sorted(FIELDS)))
def test_a_field_is_sent_exactly_or_named_as_not_kept(value: str, name: str) -> None:
    given_fields: dict[str, Any] = {name: value}
    attributes = Attributes(**given_fields)
    headers, not_kept = write_headers(attributes, WriteOptions(), AWS)
    if value:
        assert (headers == {FIELDS[name]: value}) is (not_kept == ())
        assert not_kept in {(), (name,)}
        assert not_kept or not set(value) & set("\r\n\0")
    else:
        assert (headers, not_kept) == ({}, ())


def test_a_field_that_the_server_loses_in_silence_is_sent_and_named() -> None:
    attributes = Attributes(content_type="text/plain", expires="Wed, 21 Oct 2099 07:28:00 GMT")
    headers, not_kept = write_headers(attributes, WriteOptions(), RCLONE)
    assert headers["expires"] == attributes.expires
    assert not_kept == ("expires",)


@given(st.dictionaries(st.text(max_size=10), utf8, max_size=4))
def test_metadata_is_sent_under_names_that_a_header_can_have(metadata: dict[str, str]) -> None:
    headers, not_kept = write_headers(Attributes(metadata=metadata), WriteOptions(), AWS)
    assert not_kept in {(), ("metadata",)}
    for header in headers:
        assert header.startswith("x-amz-meta-")
        assert header.isascii()
        assert not set(header) & set(' :\r\n\t"(),/;<=>?@[]{}')
    lost = {name for name in metadata if f"x-amz-meta-{name.lower()}" not in headers}
    assert bool(lost) is bool(not_kept)


@given(st.dictionaries(utf8, utf8, max_size=4))
def test_tags_are_sent_as_a_query(tags: dict[str, str]) -> None:
    headers, _ = write_headers(Attributes(), WriteOptions(tags=tags), AWS)
    sent = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    assert dict(sent) == tags


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the strategy adds the zone
def test_dates_are_read_as_the_standard_library_reads_them(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert parse_http_date(format_datetime(moment, usegmt=True)) == moment
    assert parse_http_date(format_datetime(moment)) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "Mon, 99 Jan 2024 00:00:00 GMT", "0" * 29])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


def test_an_answer_tells_all_of_an_object() -> None:
    info = read_info(
        "key",
        {
            "etag": f'"{"a" * 32}-12"',
            "last-modified": "Sun, 01 Mar 2026 12:30:00 GMT",
            "content-type": "text/plain",
            "content-encoding": "gzip,aws-chunked",
            "x-amz-meta-owner": "me",
            "x-amz-storage-class": "GLACIER_IR",
            "x-amz-version-id": "v1",
            "x-amz-tagging-count": "2",
            "x-amz-server-side-encryption": "aws:kms:dsse",
            "x-amz-checksum-crc32": "AAAAAA==",
            "x-amz-checksum-sha256": "AAAA-3",
        },
        7,
        checksums=True,
    )
    assert (info.size, info.etag, info.parts) == (7, f"{'a' * 32}-12", 12)
    assert info.modified_at == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert info.attributes == Attributes(
        content_type="text/plain", content_encoding="gzip", metadata={"owner": "me"}
    )
    assert (info.storage_class, info.version, info.tag_count) == ("GLACIER_IR", "v1", 2)
    assert info.encrypted_by_key
    assert info.checksums == {"crc32": "AAAAAA=="}


def test_a_checksum_of_checksums_is_none_of_the_object() -> None:
    headers = {"x-amz-checksum-type": "COMPOSITE", "x-amz-checksum-crc32c": "AAAAAA=="}
    assert read_info("key", headers, 1, checksums=True).checksums == {}


def test_a_bucket_without_versions_has_none() -> None:
    info = read_info("key", {"x-amz-version-id": "null", "x-amz-tagging-count": "many"}, 0)
    assert (info.version, info.tag_count, info.etag, info.modified_at) == ("", 0, "", None)
