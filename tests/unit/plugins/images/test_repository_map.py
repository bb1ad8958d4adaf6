import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.plugins.images.reference import Reference, parse_reference
from transferhub.plugins.images.repository_map import MAX_FAULTS, RepositoryMap


def reference(text: str) -> Reference:
    return parse_reference(text, field="images")


def faults(map_: RepositoryMap, *sources: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        map_.destinations([reference(source) for source in sources])
    error = caught.value
    return [f.message for f in (error.faults if isinstance(error, InputErrors) else (error,))]


@pytest.mark.parametrize(
    ("values", "source", "expected"),
    [
        ({}, "ghcr.io/team/app", "team/app"),
        ({}, "nginx", "nginx"),
        ({}, "bitnami/redis", "bitnami/redis"),
        ({"prefix": "mirror/"}, "nginx", "mirror/nginx"),
        ({"source_prefix": "team/"}, "ghcr.io/team/a/b", "a/b"),
        ({"source_prefix": "team/", "prefix": "x/"}, "ghcr.io/team/a", "x/a"),
        ({"rename": {"team/app": "app2"}}, "ghcr.io/team/app", "app2"),
        ({"rename": {"team/app": "app2"}, "prefix": "x/"}, "ghcr.io/team/app", "x/app2"),
        ({"rename": {"team/app": "app2"}}, "ghcr.io/team/app/b", "team/app/b"),
        ({"rename": {"team/": "squad/"}}, "ghcr.io/team/a/b", "squad/a/b"),
        ({"rename": {"team/": ""}}, "ghcr.io/team/a/b", "a/b"),
        ({"rename": {"team/": "x/", "team/a/": "y/"}}, "ghcr.io/team/a/b", "y/b"),
        ({"rename": {"team/": "x/", "team/a": "y"}}, "ghcr.io/team/a", "y"),
        ({"rename": {"team/": "x/"}}, "ghcr.io/my/team/a", "my/team/a"),
        ({"host": "docker.io"}, "ghcr.io/a", "library/a"),
        ({"host": "docker.io", "prefix": "me/"}, "ghcr.io/a", "me/a"),
    ],
)
def test_a_repository_has_a_destination(
    values: dict[str, object], source: str, expected: str
) -> None:
    found = RepositoryMap(**values)  # type: ignore[arg-type]
    assert found.faults() == []
    assert found.destinations([reference(source)]) == {reference(source): expected}


def test_two_that_go_to_one_are_told_before_anything_starts() -> None:
    found = faults(RepositoryMap(rename={"x/": ""}), "ghcr.io/a", "quay.io/a", "ghcr.io/x/a", "b")
    assert len(found) == 2
    assert "ghcr.io/a and ghcr.io/x/a both go to 'a'; give one of them another name" in found[0]
    assert "ghcr.io/a and quay.io/a" in found[1]


def test_what_goes_to_itself_is_told() -> None:
    found = faults(RepositoryMap(host="ghcr.io"), "ghcr.io/a", "quay.io/b")
    assert found == ["rename: ghcr.io/a would go to itself; give it a prefix or a name"]


def test_names_that_the_destination_cannot_have_are_told() -> None:
    assert "2 to 256" in faults(RepositoryMap(ecr=True), "ghcr.io/a")[0]
    long = RepositoryMap(host="registry.example.com", prefix="p" * 240 + "/")
    assert "at most 255" in faults(long, "ghcr.io/app")[0]


def test_more_faults_than_anybody_reads_are_counted() -> None:
    sources = [f"ghcr.io/{letter}" for letter in "abcdef"]
    many = [f"{host}.io/{n}" for host in ("a", "b") for n in range(MAX_FAULTS + 5)]
    assert len(faults(RepositoryMap(ecr=True), *sources)) == 6
    found = faults(RepositoryMap(), *many)
    assert len(found) == MAX_FAULTS + 1
    assert found[-1] == "rename: and 5 more like these"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"prefix": "a"}, "prefix: 'a' is a folder of repositories; write 'a/'"),
        ({"prefix": "A/"}, "prefix: 'A': a repository has no capital letters"),
        ({"prefix": "/"}, "prefix: '' names no repository"),
        ({"rename": {"a/": "b"}}, "rename: 'a/' is a folder, and 'b' is none; write 'b/'"),
        ({"rename": {"a": "b/"}}, "rename: 'a' is a repository"),
        ({"rename": {"a": ""}}, "rename: 'a' is a repository"),
        ({"rename": {"": "b"}}, "rename: '' names no repository"),
        ({"rename": {"a": "B"}}, "rename: 'B': a repository has no capital letters; write 'b'"),
        ({"rename": {"a:1": "b"}}, "rename: 'a:1': the repository"),
    ],
)
def test_what_is_wrong_with_prefix_and_rename_is_told(values: dict[str, object], says: str) -> None:
    found = RepositoryMap(**values).faults()  # type: ignore[arg-type]
    assert len(found) == 1
    assert found[0].message.startswith(says), found[0].message


NAMES = st.from_regex(r"[a-c](/[a-c]){0,2}", fullmatch=True)


@given(st.sets(NAMES), st.dictionaries(NAMES.map(lambda n: f"{n}/"), NAMES.map(lambda n: f"{n}/")))
def test_no_two_repositories_have_one_destination(names: set[str], rename: dict[str, str]) -> None:
    found = RepositoryMap(rename=rename, prefix="p/")
    sources = [reference(f"ghcr.io/{name}") for name in sorted(names)]
    try:
        destinations = found.destinations(sources)
    except InputError:
        assert len({found.destination(source) for source in sources}) < len(sources)
        return
    assert len(set(destinations.values())) == len(sources)
    assert all(name.startswith("p/") for name in destinations.values())
