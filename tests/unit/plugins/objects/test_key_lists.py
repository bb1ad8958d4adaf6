import csv
import io
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transferhub.engine.seen_keys import SeenKeys
from transferhub.errors import InputError
from transferhub.plugins.objects.key_lists import (
    manifest_pages,
    read_manifest,
    read_prefixes,
    refuse_bad_lists,
    with_digests,
)
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec

BUCKET = Location.parse("s3://bucket", field="source")
FOLDER = Location.parse("s3://bucket/pre", field="source")
DISK = Location.parse("file:///data", field="source")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def write(folder: Path, content: str | bytes, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def prefixes(path: Path, source: Location = BUCKET) -> list[str]:
    return read_prefixes(path, source=source)


def keys(path: Path, source: Location = BUCKET, **values: Any) -> list[str]:
    return [key for page in read_manifest(path, source=source, **values) for key in page]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a/\nb/\n", ["a/", "b/"]),
        ("b/\r\n\r\na/", ["a/", "b/"]),
        ("\ufeffa/\n", ["a/"]),
        ("  a/ \t\n\n \n", ["a/"]),
        ("a/b/\na/\na/c\na/", ["a/"]),
        ("a b/\u2028c\n", ["a b/\u2028c"]),
    ],
)
def test_a_prefix_list_is_read(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert prefixes(write(tmp_path, content)) == expected


@pytest.mark.parametrize("content", ["", "\n\n", " \r\n\t\n", "\ufeff"])
def test_an_empty_prefix_list_is_never_everything(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"prefix_list.*holds no prefix"):
        prefixes(write(tmp_path, content))


def test_prefixes_are_relative_to_the_source(tmp_path: Path) -> None:
    assert prefixes(write(tmp_path, "pre/b\npre/a\n"), FOLDER) == ["a", "b"]
    assert prefixes(write(tmp_path, "pre/b\np\n"), FOLDER) == [""]
    with pytest.raises(InputError, match=r"line 2: 'other/' must start with .*'pre/'"):
        prefixes(write(tmp_path, "pre/b\nother/\n"), FOLDER)


def test_a_url_in_a_prefix_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: .*must not name scheme and bucket"):
        prefixes(write(tmp_path, "s3://bucket/a\n"))
    assert prefixes(write(tmp_path, "a:b\n")) == ["a:b"]


@pytest.mark.parametrize("reader", [prefixes, keys])
def test_a_line_that_is_not_utf8_is_named(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(InputError, match=r"line 3 of .* is not UTF-8"):
        reader(write(tmp_path, b"a\nb\n\xff\xfe\n"))


@pytest.mark.parametrize("reader", [prefixes, keys])
def test_a_list_that_cannot_be_read_is_an_input_error(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        reader(tmp_path / "absent")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        reader(tmp_path)


def test_a_long_prefix_list_is_merged_in_short_time(tmp_path: Path) -> None:
    path = write(
        tmp_path, "\n".join(f"{i % 50_000:07}/{i}/" for i in range(200_000)) + "\n0000001/\n"
    )
    found = prefixes(path)
    assert len(found) == 200_000 - 4 + 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("b\na\n", ["b", "a"]),
        ("a\r\n\r\nb", ["a", "b"]),
        ("\ufeffa\n", ["a"]),
        (" a \n", [" a "]),
        ("a,b\n", ["a,b"]),
        ("a\nb\na\n", ["a", "b"]),
        ("a%20b+c\n", ["a%20b+c"]),
    ],
)
def test_a_manifest_holds_exact_keys(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert keys(write(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\nb\n", ["a", "b"]),
        ("key\na\n", ["a"]),
        ("Size,Key\n5,a%20b\n", ["a%20b"]),
        ("bucket,key\nbucket,a+b\n", ["a+b"]),
        ("bucket,a%20b%2Bc+d\n", ["a b+c d"]),
        ('"bucket","a%2C%22b","v1"\r\n\r\n', ['a,"b']),
        ('key\n"a,b"\n"c""d"\n', ["a,b", 'c"d']),
        ('"a\nb"\n', ["a\nb"]),
        ("\ufeffKey\na\n", ["a"]),
    ],
)
def test_a_csv_manifest_is_read(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert keys(write(tmp_path, content, "m.CSV")) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("bucket,a\nother,b\n", "line 2: it names the bucket 'other', the source is 'bucket'"),
        ("a,b\n", "line 1: it names the bucket 'a'"),
        ("Bucket,Key\nother,b\n", "line 2: it names the bucket 'other'"),
        ("bucket,a\nbucket\n", "line 2: it has too few columns"),
        ("bucket,\n", "line 1: its key is empty"),
        ('key\n"a', "line 2: it is not CSV"),
        ("key\n", "holds no key"),
        ("", "holds no key"),
    ],
)
def test_a_csv_manifest_that_is_wrong_names_the_line(
    tmp_path: Path, content: str, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        keys(write(tmp_path, content, "m.csv"))
    assert caught.value.field == "manifest"
    assert sentence in caught.value.message


def test_manifest_keys_are_relative_to_the_source(tmp_path: Path) -> None:
    assert keys(write(tmp_path, "pre/b\npre/\npre/a\n"), FOLDER) == ["b", "a"]
    with pytest.raises(InputError, match="line 2: 'b' must start with"):
        keys(write(tmp_path, "pre/b\nb\n"), FOLDER)


def test_a_folder_has_no_bucket_column(tmp_path: Path) -> None:
    assert keys(write(tmp_path, "key\na/b\n", "m.csv"), DISK) == ["a/b"]
    with pytest.raises(InputError, match="has one column"):
        keys(write(tmp_path, "x,a/b\n", "m.csv"), DISK)


@given(st.lists(texts.filter(lambda key: "\n" not in key and not key.endswith("\r")), min_size=1))
def test_lines_come_back_as_they_are(tmp_path_factory: Any, given_keys: list[str]) -> None:
    if given_keys[0].startswith("\ufeff"):
        return
    path = write(tmp_path_factory.mktemp("m"), "\n".join(given_keys))
    assert keys(path) == list(dict.fromkeys(given_keys))


@pytest.mark.parametrize("encode", [quote, quote_plus])
@given(given_keys=st.lists(texts, min_size=1))
@example(given_keys=["KEY", "bucket"])
def test_s3_batch_manifests_come_back_as_they_are(
    tmp_path_factory: Any, encode: Any, given_keys: list[str]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("photos", encode(key, safe="/")) for key in given_keys])
    path = write(tmp_path_factory.mktemp("m"), text.getvalue(), "m.csv")
    photos = Location.parse("s3://photos", field="source")
    assert keys(path, photos) == list(dict.fromkeys(given_keys))


def test_a_manifest_comes_in_pages(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(f"{i}\n" for i in range(2_500)) * 2)
    assert [len(page) for page in read_manifest(path, source=BUCKET)] == [1_000, 1_000, 500]


async def test_a_manifest_comes_in_pages_without_blocking(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(f"{i}\n" for i in range(2_500)))
    pages = [len(page) async for page in manifest_pages(path, source=BUCKET)]
    assert pages == [1_000, 1_000, 500]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1)))
def test_seen_keys_are_a_set(pages: list[list[str]]) -> None:
    known: set[str] = set()
    with SeenKeys() as seen:
        for page in pages:
            fresh = [key for key in dict.fromkeys(page) if key not in known]
            assert seen.add(page) == fresh
            known.update(page)


def test_the_content_of_a_list_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n")
    spec = parse_spec({"source": "s3://a", "destination": "s3://b", "manifest": str(path)})
    one = with_digests(spec)
    write(tmp_path, "b\n")
    assert one.manifest_sha256
    assert with_digests(spec).fingerprint() != one.fingerprint()
    path.unlink()
    with pytest.raises(InputError, match=r"manifest: .*cannot be read"):
        with_digests(spec)


def spec_with(**lists: Path) -> ObjectsSpec:
    values = {name: str(path) for name, path in lists.items()}
    return parse_spec({"source": "s3://bucket/pre", "destination": "s3://b", **values})


@pytest.mark.parametrize("field", ["prefix_list", "manifest"])
def test_a_run_does_not_go_on_with_a_list_that_has_changed(tmp_path: Path, field: str) -> None:
    path = write(tmp_path, "pre/a\n")
    spec = with_digests(spec_with(**{field: path}))
    refuse_bad_lists(spec)
    write(tmp_path, "pre/b\n")
    with pytest.raises(InputError, match=f"^{field}: .* has changed since the run began"):
        refuse_bad_lists(spec)


@pytest.mark.parametrize("field", ["prefix_list", "manifest"])
@pytest.mark.parametrize("content", ["\n\n", "pre/a\n" * 1_500 + "other\n", b"pre/a\n\xff\n"])
def test_a_bad_list_is_found_before_a_run_begins(
    tmp_path: Path, field: str, content: str | bytes
) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        refuse_bad_lists(spec_with(**{field: write(tmp_path, content)}))
