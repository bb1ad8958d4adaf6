from base64 import b64decode
from collections.abc import Awaitable, Callable
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from tests.unit.stores.s3.scripted import Answer, ScriptedTransport, error, scripted
from transferhub.errors import (
    ChangedError,
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.model.objects import Attributes, UploadedPart, WriteOptions
from transferhub.stores.s3 import Anonymous, S3Store
from transferhub.stores.s3.transport import Fault, Request, TransportError

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
EMPTY = md5(usedforsecurity=False).digest()
OK = Answer(fields={"etag": f'"{ETAG}"'})
OBJECT = Answer(body=b"body", fields={"etag": f'"{ETAG}"', "content-length": "4"})
PLAIN: Any = {"attributes": Attributes(), "options": WriteOptions()}
PART = UploadedPart(number=1, etag=ETAG, size=1)


def result(name: str, inner: str = "") -> Answer:
    return Answer(body=f"<{name}>{inner}</{name}>".encode())


LISTED = result("ListBucketResult")
COPIED = result("CopyObjectResult", f"<ETag>&quot;{ETAG}&quot;</ETag>")
COPIED_PART = result("CopyPartResult", f"<ETag>{ETAG}</ETag>")
STARTED = result("InitiateMultipartUploadResult", "<UploadId>id</UploadId>")
COMPLETED = result("CompleteMultipartUploadResult", f"<ETag>{ETAG}-1</ETag>")
DELETED = result("DeleteResult")
PARTS = result("ListPartsResult")
UPLOADS = result("ListMultipartUploadsResult")
TAGGED = result("Tagging", "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>")
HEADED = Answer(fields={"etag": ETAG, "content-length": "4"})


async def get(store: S3Store, **options: Any) -> bytes:
    async with store.get("key", **options) as reader:
        return await reader.read()


Verb = Callable[[S3Store], Awaitable[object]]
VERBS: dict[str, tuple[Verb, Answer]] = {
    "check": (lambda s: s.check(), LISTED),
    "list": (lambda s: s.list("p/"), LISTED),
    "head": (lambda s: s.head("key"), HEADED),
    "get": (get, OBJECT),
    "put": (lambda s: s.put("key", b"", md5=EMPTY, **PLAIN), OK),
    "delete one": (lambda s: s.delete(["key"]), Answer(status=204)),
    "delete many": (lambda s: s.delete(["key", "other"]), DELETED),
    "copy": (lambda s: s.copy(s, "a", "key", if_match="", **PLAIN), COPIED),
    "create upload": (lambda s: s.create_upload("key", **PLAIN), STARTED),
    "upload part": (lambda s: s.upload_part("key", "id", 1, b"", md5=EMPTY), OK),
    "copy part": (
        lambda s: s.copy_part(s, "a", "key", "id", 1, offset=0, length=5, if_match=""),
        COPIED_PART,
    ),
    "complete": (lambda s: s.complete_upload("key", "id", [PART]), COMPLETED),
    "abort": (lambda s: s.abort_upload("key", "id"), Answer(status=204)),
    "list parts": (lambda s: s.list_parts("key", "id"), PARTS),
    "list uploads": (lambda s: s.list_uploads("key"), UPLOADS),
    "get tags": (lambda s: s.get_tags("key"), TAGGED),
    "put tags": (lambda s: s.put_tags("key", {"a": "b"}), OK),
    "put no tags": (lambda s: s.put_tags("key", {}), Answer(status=204)),
}
every_verb = pytest.mark.parametrize("name", VERBS)


def query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


async def ask(name: str, *answers: Answer | TransportError, **options: Any) -> ScriptedTransport:
    """Sends what a verb sends, with its own answer where none is given."""
    verb, answer = VERBS[name]
    store, transport = scripted(*(answers or (answer,)), **options)
    await verb(store)
    return transport


@every_verb
async def test_every_request_is_signed_with_its_token(name: str) -> None:
    (request,) = (await ask(name)).requests
    assert "Credential=AKID/" in request.headers["authorization"]
    assert "/eu-west-1/s3/aws4_request" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "hunter3"
    signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert set(signed.split(";")) == {"host", *request.headers} - {"authorization"}


@every_verb
async def test_an_anonymous_request_carries_nothing_of_it(name: str) -> None:
    (request,) = (await ask(name, credentials=Anonymous())).requests
    assert not {"authorization", "x-amz-date", "x-amz-security-token"} & set(request.headers)


@every_verb
async def test_the_requester_says_that_they_pay(name: str) -> None:
    (request,) = (await ask(name, request_payer=True)).requests
    assert request.headers["x-amz-request-payer"] == "requester"
    assert "x-amz-request-payer" in request.headers["authorization"]


@every_verb
async def test_a_refusal_of_any_verb_is_classed(name: str) -> None:
    for refusal, kind in (
        (error("SlowDown", status=503), ThrottledError),
        (error("AccessDenied", status=403), DeniedError),
        (error("InternalError", status=500), TransientError),
        (error("NoSuchBucket", status=404), NotFoundError),
        (TransportError(Fault.BROKEN, "reset"), TransientError),
        (TransportError(Fault.UNTRUSTED, "unknown issuer"), DeniedError),
    ):
        if name == "delete one":
            store, _transport = scripted(refusal)
            assert isinstance((await store.delete(["key"]))["key"], kind)
        else:
            with pytest.raises(kind):
                await ask(name, refusal)


@pytest.mark.parametrize(
    "name",
    ["list", "delete many", "copy", "create upload", "copy part", "complete", "list parts",
     "list uploads", "get tags"],
)  # fmt: skip
async def test_a_success_that_is_none_is_classed(name: str) -> None:
    with pytest.raises(TransientError) as caught:
        await ask(name, error("InternalError", "We failed", status=200))
    assert caught.value.vendor_code == "InternalError"
    with pytest.raises(DeniedError, match="s3:"):
        await ask(name, error("AccessDenied", status=200))
    for body in (b"", b"<html>welcome</html>", b"{}"):
        with pytest.raises(TransientError) as caught:
            await ask(name, Answer(body=body))
        assert caught.value.code == "garbled"
    with pytest.raises(TransientError, match="reset"):
        await ask(name, Answer(cut=TransportError(Fault.BROKEN, "reset")))


class TestListing:
    async def test_a_page_is_asked_for_in_the_second_version(self) -> None:
        store, transport = scripted(LISTED, LISTED)
        await store.list("a b/", start_after="a b/é&", limit=7)
        await store.list("a b/", start_after="a b/é&", token="t+/=")
        first, second = map(query, transport.requests)
        assert first == {
            "list-type": "2",
            "max-keys": "7",
            "encoding-type": "url",
            "prefix": "a b/",
            "start-after": "a b/é&",
        }
        assert second["continuation-token"] == "t+/="

    async def test_the_first_version_goes_on_from_the_last_key(self) -> None:
        page = result(
            "ListBucketResult",
            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
            "<Contents><Key>a+b%2F</Key><Size>1</Size></Contents>",
        )
        store, transport = scripted(page, LISTED, provider="cos")
        token = (await store.list(start_after="a")).next_token
        assert token == "a b/"
        assert (await store.list(start_after="a", token=token)).next_token == ""
        first, second = map(query, transport.requests)
        assert "list-type" not in first
        assert (first["marker"], second["marker"]) == ("a", "a b/")

    async def test_a_store_that_does_not_encode_is_not_asked_to(self) -> None:
        store, transport = scripted(LISTED, provider="kodo")
        await store.list()
        assert "encoding-type" not in query(transport.requests[0])

    async def test_a_page_that_goes_nowhere_is_refused(self) -> None:
        with pytest.raises(TransientError, match="how to go on") as caught:
            await ask("list", result("ListBucketResult", "<IsTruncated>true</IsTruncated>"))
        assert caught.value.code == "garbled"


class TestReading:
    async def test_a_range_of_one_version_is_asked_for(self) -> None:
        part = Answer(
            status=206,
            body=b"od",
            fields={"etag": f'"{ETAG}"', "content-length": "2", "content-range": "bytes 1-2/4"},
        )
        store, transport = scripted(part)
        assert await get(store, offset=1, length=2, if_match=ETAG) == b"od"
        (request,) = transport.requests
        assert request.headers["range"] == "bytes=1-2"
        assert request.headers["if-match"] == f'"{ETAG}"'

    async def test_the_size_of_a_range_is_that_of_the_object(self) -> None:
        store, _transport = scripted(
            Answer(
                status=206,
                body=b"y",
                fields={"content-length": "1", "content-range": "bytes 3-3/4", "etag": "e"},
            )
        )
        async with store.get("key", offset=3) as reader:
            assert (reader.length, reader.info.size) == (1, 4)

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (Answer(body=b"body", fields={"content-length": "4"}), TransientError),
            (
                Answer(body=b"b", fields={"content-range": "bytes 0-0/4"}),
                TransientError,
            ),
            (Answer(body=b"od", fields={"content-range": "elephants"}), TransientError),
            (error("InvalidRange", status=416), ChangedError),
        ],
    )
    async def test_another_range_than_asked_for_is_refused(
        self, answer: Answer, kind: type[StoreError]
    ) -> None:
        store, _transport = scripted(answer)
        with pytest.raises(kind):
            await get(store, offset=1, length=2)

    async def test_a_server_that_ignores_if_match_does_not_get_away_with_it(self) -> None:
        store, _transport = scripted(OBJECT)
        with pytest.raises(ChangedError, match="ETag"):
            await get(store, if_match="0" * 32)

    async def test_an_object_that_went_away_is_not_found_rather_than_changed(self) -> None:
        store, _transport = scripted(error("PreconditionFailed", status=412), Answer(status=404))
        with pytest.raises(NotFoundError):
            await get(store, if_match=ETAG)

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(body=b"bod", fields={"content-length": "4"}),
            Answer(body=b"body!", fields={"content-length": "4"}),
            Answer(
                body=b"bo",
                fields={"content-length": "4"},
                cut=TransportError(Fault.BROKEN, "reset"),
            ),
        ],
    )
    async def test_a_body_is_whole_or_an_error(self, answer: Answer) -> None:
        store, _transport = scripted(answer, answer)
        with pytest.raises(TransientError):
            await get(store)
        async with store.get("key") as reader:
            with pytest.raises(TransientError):
                _ = [chunk async for chunk in reader.chunks()]

    async def test_a_body_of_unknown_length_is_refused(self) -> None:
        store, _transport = scripted(Answer(body=b"body"))
        with pytest.raises(TransientError, match="no known length"):
            await get(store)

    async def test_an_empty_object_has_no_range(self) -> None:
        empty = Answer(fields={"content-length": "0", "etag": ETAG})
        store, transport = scripted(error("InvalidRange", status=416), empty)
        assert await get(store, length=5) == b""
        assert "range" not in transport.requests[1].headers

    async def test_a_head_without_a_length_is_refused(self) -> None:
        with pytest.raises(TransientError) as caught:
            await ask("head", Answer())
        assert caught.value.code == "garbled"


class TestWriting:
    async def test_a_write_carries_its_md5_and_all_that_is_kept(self) -> None:
        store, transport = scripted(OK)
        await store.put(
            "key",
            b"",
            md5=EMPTY,
            attributes=Attributes(
                content_type="text/plain",
                content_encoding="gzip",
                content_language="de",
                content_disposition="inline",
                cache_control="no-cache",
                expires="Sun, 01 Mar 2026 12:30:00 GMT",
                metadata={"Owner": "me"},
            ),
            options=WriteOptions(
                storage_class="STANDARD_IA",
                acl="private",
                sse="aws:kms",
                kms_key="arn:key",
                tags={"a b": "c&d"},
            ),
        )
        headers = transport.requests[0].headers
        assert b64decode(headers["content-md5"]) == EMPTY
        assert {
            "content-type": "text/plain",
            "content-encoding": "gzip",
            "content-language": "de",
            "content-disposition": "inline",
            "cache-control": "no-cache",
            "expires": "Sun, 01 Mar 2026 12:30:00 GMT",
            "x-amz-meta-owner": "me",
            "x-amz-storage-class": "STANDARD_IA",
            "x-amz-acl": "private",
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "arn:key",
            "x-amz-tagging": "a+b=c%26d",
        }.items() <= headers.items()

    async def test_what_a_store_cannot_keep_is_told(self) -> None:
        store, transport = scripted(OK, provider="r2")
        written = await store.put(
            "key",
            b"",
            md5=EMPTY,
            attributes=Attributes(content_type="a\nb", metadata={"näme": "x"}),
            options=WriteOptions(tags={"a": "b"}),
        )
        assert written.not_kept == ("content_type", "metadata", "tags")
        assert "x-amz-tagging" not in transport.requests[0].headers

    async def test_what_an_upload_cannot_keep_is_told_when_it_begins(self) -> None:
        store, _transport = scripted(STARTED)
        begun = await store.create_upload(
            "key", attributes=Attributes(content_type="\x00"), options=WriteOptions()
        )
        assert begun.not_kept == ("content_type",)

    async def test_a_copy_pins_its_source_and_replaces_what_is_kept(self) -> None:
        store, transport = scripted(COPIED)
        written = await store.copy(store, "a b/ü+", "key", if_match=ETAG, **PLAIN)
        assert written.etag == ETAG
        headers = transport.requests[0].headers
        assert headers["x-amz-copy-source"] == "/bucket/a%20b/%C3%BC%2B"
        assert headers["x-amz-copy-source-if-match"] == f'"{ETAG}"'
        assert headers["x-amz-metadata-directive"] == "REPLACE"

    async def test_a_part_is_copied_from_its_range(self) -> None:
        store, transport = scripted(COPIED_PART)
        part = await store.copy_part(store, "a", "key", "id", 3, offset=10, length=5, if_match=ETAG)
        assert part == UploadedPart(number=3, etag=ETAG, size=5)
        (request,) = transport.requests
        assert request.headers["x-amz-copy-source-range"] == "bytes=10-14"
        assert query(request) == {"partNumber": "3", "uploadId": "id"}

    async def test_a_source_that_changed_is_not_copied(self) -> None:
        with pytest.raises(ChangedError):
            await ask("copy", error("PreconditionFailed", status=412))

    @pytest.mark.parametrize("provider", ["gcs", "rclone"])
    async def test_what_a_provider_cannot_do_is_not_asked(self, provider: str) -> None:
        store, transport = scripted(provider=provider)
        with pytest.raises(UnsupportedError, match="not possible there"):
            await store.copy_part(store, "a", "key", "id", 1, offset=0, length=5, if_match="")
        with pytest.raises(UnsupportedError, match="not possible there"):
            await store.get_tags("key")
        assert transport.requests == []
        assert store.capabilities.tags is store.capabilities.server_copy is False

    async def test_a_part_that_is_missing_is_corrupt_and_an_upload_not_found(self) -> None:
        with pytest.raises(CorruptError):
            await ask("complete", error("InvalidPart"))
        for status in (200, 404):
            with pytest.raises(NotFoundError) as caught:
                await ask("complete", error("NoSuchUpload", status=status))
            assert caught.value.code == "no_upload"


class TestDeleting:
    async def test_keys_that_xml_cannot_hold_are_deleted_one_by_one(self) -> None:
        store, transport = scripted(DELETED, Answer(status=204), Answer(status=204))
        assert await store.delete(["a", "b\x01", "<&>", "c\ufffe"]) == {}
        batch, *single = transport.requests
        root = ET.fromstring(batch.body or b"")  # noqa: S314 - our own
        assert [element.text for element in root.iter("Key")] == ["a", "<&>"]
        assert batch.query == "delete="
        assert b64decode(batch.headers["content-md5"])
        assert [(request.method, request.path) for request in single] == [
            ("DELETE", "/b%01"),
            ("DELETE", "/c%EF%BF%BE"),
        ]

    async def test_only_keys_that_failed_are_told_each_with_its_class(self) -> None:
        answer = result(
            "DeleteResult",
            "<Error><Key>a</Key><Code>AccessDenied</Code></Error>"
            "<Error><Key>b &amp; c</Key><Code>InternalError</Code></Error>"
            "<Error><Key>d</Key><Code>NoSuchKey</Code></Error>"
            "<Error><Key>e</Key><Code>NeverHeardOfIt</Code></Error>",
        )
        store, _transport = scripted(answer)
        failed = await store.delete(["a", "b & c", "d", "e", "f"])
        assert {key: type(found) for key, found in failed.items()} == {
            "a": DeniedError,
            "b & c": TransientError,
            "e": TransientError,
        }

    async def test_a_store_without_batches_deletes_one_by_one(self) -> None:
        answers = [Answer(status=204), error("NoSuchKey", status=404)]
        store, transport = scripted(*answers, provider="gcs")
        assert await store.delete(["a", "b"]) == {}
        assert {request.method for request in transport.requests} == {"DELETE"}

    async def test_a_key_that_no_store_holds_fails_alone(self) -> None:
        store, transport = scripted(DELETED)
        failed = await store.delete(["a", "", "\ud800", "x" * 1025, "b"])
        assert {key: found.code for key, found in failed.items()} == dict.fromkeys(
            ["", "\ud800", "x" * 1025], "bad_key"
        )
        assert len(transport.requests) == 1

    async def test_a_failure_whose_key_was_changed_on_its_way_is_still_told(self) -> None:
        answer = result("DeleteResult", "<Error><Key>A</Key><Code>AccessDenied</Code></Error>")
        store, _transport = scripted(answer)
        with pytest.raises(DeniedError, match="'A'"):
            await store.delete(["a", "b"])


class TestUploads:
    @staticmethod
    def parts(*numbers: int, marker: int | None = None) -> Answer:
        rows = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;e{n}&quot;</ETag><Size>5</Size></Part>"
            for n in numbers
        )
        more = f"<NextPartNumberMarker>{marker}</NextPartNumberMarker>" if marker else ""
        truncated = f"<IsTruncated>{'true' if marker else 'false'}</IsTruncated>"
        return result("ListPartsResult", f"{more}{truncated}{rows}")

    async def test_parts_are_listed_over_pages(self) -> None:
        store, transport = scripted(self.parts(1, 2, marker=2), self.parts(5))
        found = await store.list_parts("key", "id")
        assert [(part.number, part.etag, part.size) for part in found] == [
            (1, "e1", 5),
            (2, "e2", 5),
            (5, "e5", 5),
        ]
        assert query(transport.requests[1])["part-number-marker"] == "2"

    async def test_a_marker_that_names_the_part_that_follows_loses_none(self) -> None:
        store, transport = scripted(self.parts(1, 2, marker=3), self.parts(3))
        assert len(await store.list_parts("key", "id")) == 3
        assert query(transport.requests[1])["part-number-marker"] == "2"

    async def test_pages_that_repeat_themselves_end(self) -> None:
        store, _transport = scripted(self.parts(1, marker=1), self.parts(1, marker=1))
        assert len(await store.list_parts("key", "id")) == 1

    @staticmethod
    def uploads(*keys: str, more: str = "", encoded: str = "") -> Answer:
        rows = "".join(
            f"<Upload><Key>{key}</Key><UploadId>id of {key}</UploadId></Upload>" for key in keys
        )
        markers = (
            f"<IsTruncated>true</IsTruncated><NextKeyMarker>{more}</NextKeyMarker>"
            "<NextUploadIdMarker>u</NextUploadIdMarker>"
            if more
            else ""
        )
        return result("ListMultipartUploadsResult", f"{encoded}{markers}{rows}")

    async def test_uploads_of_keys_that_only_start_so_are_not_ours(self) -> None:
        store, transport = scripted(self.uploads("key", "key2", "key/", more="key2"))
        assert [one.upload_id for one in await store.list_uploads("key")] == ["id of key"]
        assert query(transport.requests[0]) == {"uploads": "", "prefix": "key"}

    async def test_uploads_of_one_key_go_over_pages(self) -> None:
        store, transport = scripted(
            self.uploads("key", "key", more="key"), self.uploads("key", "key2")
        )
        assert len(await store.list_uploads("key")) == 3
        assert query(transport.requests[1])["key-marker"] == "key"
        assert query(transport.requests[1])["upload-id-marker"] == "u"

    async def test_uploads_of_a_hostile_key_are_found_encoded(self) -> None:
        url = "<EncodingType>url</EncodingType>"
        store, transport = scripted(self.uploads("a%01b+c", "a%01b+cd", encoded=url))
        (found,) = await store.list_uploads("a\x01b c")
        assert found.key == "a\x01b c"
        assert query(transport.requests[0])["encoding-type"] == "url"

    async def test_giving_up_what_is_gone_is_no_failure_but_a_missing_bucket_is(self) -> None:
        await ask("abort", error("NoSuchUpload", status=404))
        with pytest.raises(NotFoundError, match="no such bucket"):
            await ask("abort", error("NoSuchBucket", status=404))


POSTS = {"delete many", "create upload", "complete"}


@pytest.mark.parametrize("name", sorted(VERBS.keys() - POSTS))
async def test_a_connection_that_was_closed_while_idle_costs_no_failure(name: str) -> None:
    closed = TransportError(Fault.UNANSWERED, "closed")
    first, second = (await ask(name, closed, VERBS[name][1])).requests
    assert first == second


@pytest.mark.parametrize("name", sorted(POSTS))
async def test_what_may_have_been_done_is_not_asked_for_twice(name: str) -> None:
    with pytest.raises(TransientError):
        await ask(name, TransportError(Fault.UNANSWERED, "closed"), VERBS[name][1])


async def test_a_server_that_closes_every_connection_is_not_asked_for_ever() -> None:
    closed = TransportError(Fault.UNANSWERED, "closed")
    with pytest.raises(TransientError, match="instead of an answer"):
        await ask("head", closed, closed)


async def test_the_servers_clock_is_known_from_any_answer() -> None:
    date = {"date": "Sun, 01 Mar 2026 12:30:00 GMT"}
    store, _transport = scripted(Answer(status=403, fields=date))
    before = store.server_time
    with pytest.raises(DeniedError):
        await store.head("key")
    after = store.server_time
    assert before is None
    assert after is not None
    assert after.isoformat().startswith("2026-03-01T12:30:0")


@pytest.mark.parametrize("key", ["", "\ud800", "é" * 513])
@pytest.mark.parametrize("name", ["head", "get", "put", "create"])
async def test_a_key_that_s3_cannot_hold_is_refused_before_anything_is_sent(
    key: str, name: str
) -> None:
    verbs: dict[str, Verb] = {
        "head": lambda s: s.head(key),
        "get": lambda s: s.get(key).__aenter__(),
        "put": lambda s: s.put(key, b"", md5=EMPTY, **PLAIN),
        "create": lambda s: s.create_upload(key, **PLAIN),
    }
    store, transport = scripted()
    with pytest.raises(UnsupportedError) as caught:
        await verbs[name](store)
    assert caught.value.code == "bad_key"
    assert transport.requests == []


async def test_a_server_that_may_not_be_listed_is_written_to_all_the_same() -> None:
    denied = error("AccessDenied", status=403)
    store, transport = scripted(denied, OK, OK, provider="other")
    await store.put("a//b", b"", md5=EMPTY, **PLAIN)
    await store.put("c//d", b"", md5=EMPTY, **PLAIN)
    assert [request.method for request in transport.requests] == ["GET", "PUT", "PUT"]


async def test_a_balancer_in_front_of_a_server_does_not_hide_who_it_is() -> None:
    busy = Answer(status=503, fields={"server": "balancer"})
    who = Answer(body=LISTED.body, fields={"server": "SeaweedFS 4.48"})
    store, _transport = scripted(busy, who, provider="other")
    with pytest.raises(ThrottledError):
        await store.put("a//b", b"", md5=EMPTY, **PLAIN)
    with pytest.raises(UnsupportedError):
        await store.put("a//b", b"", md5=EMPTY, **PLAIN)


async def test_a_server_that_would_change_a_key_is_asked_who_it_is_first() -> None:
    who = Answer(body=LISTED.body, fields={"server": "SeaweedFS 4.48"})
    store, transport = scripted(who, provider="other")
    with pytest.raises(UnsupportedError, match="empty segments"):
        await store.put("a//b", b"", md5=EMPTY, **PLAIN)
    assert [request.method for request in transport.requests] == ["GET"]
