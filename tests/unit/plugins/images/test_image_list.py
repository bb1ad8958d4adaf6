import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.plugins.images.image_list import MAX_FAULTS, ImageList, lines_of, open_list

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def images(text: str, *, host: str = "ghcr.io", prefix: str = "") -> list[str]:
    """What a list names; a repository of which all tags are meant ends in :*."""
    names = []
    with ImageList.read(lines_of(text), field="images", host=host, prefix=prefix) as found:
        for listed in found.repositories():
            names += [f"{listed.repository}:*"] if listed.all_tags else []
            names += [str(image) for image in listed.images]
    return [name.removeprefix(f"{host}/") for name in names]


def faults(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        images(text)
    found = caught.value.faults if isinstance(caught.value, InputErrors) else (caught.value,)
    assert all(fault.field == "images" for fault in found)
    return [fault.message.removeprefix("images: ") for fault in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1,b:2", ["a:1", "b:2"]),
        ("a:1\nb:2\n", ["a:1", "b:2"]),
        ("a:1\r\nb:2\r\n", ["a:1", "b:2"]),
        ("a:1\rb:2", ["a:1", "b:2"]),
        ("\ufeffa:1", ["a:1"]),
        (" a:1 ,\t b:2 ,, \n\n ,", ["a:1", "b:2"]),
        ("a", ["a:latest"]),
        ("a,a:latest", ["a:latest"]),
        ("a:ALL_TAGS", ["a:*"]),
        ("a:ALL_TAGS,a:1,a", ["a:*"]),
        (f"a:ALL_TAGS,a@{A},a:1@{B}", ["a:*", f"a@{A}", f"a:1@{B}"]),
        ("a:all_tags", ["a:all_tags"]),
        (f"a@{A}", [f"a@{A}"]),
        (f"a:1@{A}", [f"a:1@{A}"]),
        (f"a@{A}, a@{B}", [f"a@{A}", f"a@{B}"]),
        ("# all\na:1 # the first, b:2\n#", ["a:1"]),
        ("a:1,a:1\na:1", ["a:1"]),
        ("b,a,b:1,a:2", ["a:2", "a:latest", "b:1", "b:latest"]),
        ("ghcr.io/a:1,GHCR.io/a:1,a:1", ["a:1"]),
    ],
)
def test_a_list_is_read(text: str, expected: list[str]) -> None:
    assert images(text) == expected


def test_names_are_read_below_the_sources_prefix() -> None:
    assert images("app:1", prefix="team/") == ["team/app:1"]


def test_without_a_registry_each_image_names_its_own() -> None:
    assert images("nginx,quay.io/a/b:1,registry:5000/a:b", host="") == [
        "docker.io/library/nginx:latest",
        "quay.io/a/b:1",
        "registry:5000/a:b",
    ]


@pytest.mark.parametrize("text", ["", "\n\n", " , ,\n", "# nothing", "\ufeff"])
def test_a_list_that_names_nothing_is_refused(text: str) -> None:
    assert "names no image" in faults(text)[0]


def test_all_that_cannot_be_read_is_told_at_once_with_its_line() -> None:
    found = faults(f"a:1, B:2\n\nc:\nd@md5:0\nquay.io/e\nf:ALL_TAGS@{A}\ng:1")
    assert [message.split(":", 1)[0] for message in found] == [
        "line 1", "line 3", "line 4", "line 5", "line 6",
    ]  # fmt: skip
    assert "'B:2': a repository has no capital letters; write 'b'" in found[0]


def test_more_faults_than_anybody_reads_are_counted() -> None:
    found = faults("\n".join(f"a{n}:" for n in range(MAX_FAULTS + 1_234)))
    assert len(found) == MAX_FAULTS + 1
    assert found[-1] == "and 1,234 more entries like these"
    assert faults("b:,\n" * (MAX_FAULTS + 1))[-1] == "and 1 more entry like these"


def test_a_tag_cannot_be_two_images() -> None:
    assert faults(f"a:1@{A}\nb:1\na:1@{B}\n") == [
        f"line 3: 'ghcr.io/a:1@{B}' is another image than line 1 says for this tag; keep one"
    ]
    assert len(faults(f"a:1\na:1@{B}")) == 1
    assert len(faults(f"a:1,a:1@{B}")) >= 1


def test_bytes_that_are_no_text_are_told_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"\xef\xbb\xbfa:1\r\nb\xff:2\r\nc:3")
    with open_list(str(path), field="images_file") as lines, pytest.raises(InputError) as caught:
        ImageList.read(lines, field="images_file")
    assert caught.value.message == "images_file: line 2: is not UTF-8; write plain letters"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="cannot be read: No such file"),
        open_list(str(tmp_path / "x"), field="images_file"),
    ):
        raise AssertionError


def test_memory_does_not_grow_with_the_list() -> None:
    count = 20_000
    lines = (f"team/app{n % 100}:v{n}\n" for n in range(count))
    tracemalloc.start()
    try:
        with ImageList.read(lines, field="images", host="ghcr.io") as found:
            _, peak = tracemalloc.get_traced_memory()
            assert len(found) == count
            assert sum(len(listed.images) for listed in found.repositories()) == count
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


@given(st.lists(st.sampled_from(["a", "a:1", "b:ALL_TAGS", "b:2", f"c@{A}", "", " "])), st.data())
def test_how_a_list_is_parted_and_ordered_changes_nothing(parts: list[str], data: object) -> None:
    assert isinstance(data, st.DataObject)
    if not any(part.strip() for part in parts):
        return
    shuffled = data.draw(st.permutations(parts))
    seps = data.draw(st.lists(st.sampled_from([",", "\n", "\r\n", " ,\n"]),
                              min_size=len(parts), max_size=len(parts)))  # fmt: skip
    text = "".join(part + sep for part, sep in zip(shuffled, seps, strict=True))
    assert images(text) == images(",".join(parts))
