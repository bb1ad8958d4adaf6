import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.registries.challenges import Challenge, best_challenge, read_challenges

HUB = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
    'scope="repository:library/alpine:pull,push",error="insufficient_scope"'
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("Basic", (Challenge(scheme="basic"),)),
        ('Basic realm="a, b"', (Challenge(scheme="basic", realm="a, b"),)),
        ('bearer Realm = "x" , service=y', (Challenge(scheme="bearer", realm="x", service="y"),)),
        (r'Basic realm="a\"b"', (Challenge(scheme="basic", realm='a"b'),)),
        (
            'Negotiate, Basic realm="x"',
            (Challenge(scheme="negotiate"), Challenge(scheme="basic", realm="x")),
        ),
        (
            'Basic realm="x", Bearer realm="https://t.test",scope="a b"',
            (
                Challenge(scheme="basic", realm="x"),
                Challenge(scheme="bearer", realm="https://t.test", scope="a b"),
            ),
        ),
        (
            HUB,
            (
                Challenge(
                    scheme="bearer",
                    realm="https://auth.docker.io/token",
                    service="registry.docker.io",
                    scope="repository:library/alpine:pull,push",
                    error="insufficient_scope",
                ),
            ),
        ),
        ('Bearer realm="never closed', (Challenge(scheme="bearer"),)),
    ],
)
def test_challenges_are_read(header: str, expected: tuple[Challenge, ...]) -> None:
    assert [one.scheme for one in read_challenges(header)] == [one.scheme for one in expected]
    if "never closed" not in header:
        assert read_challenges(header) == expected


def test_a_token_comes_before_a_password() -> None:
    best = best_challenge('Basic realm="x", Bearer realm="https://t.test"')
    assert best is not None
    assert best.scheme == "bearer"


@pytest.mark.parametrize("header", ["", "Negotiate", 'Digest realm="x"'])
def test_what_cannot_be_answered_is_no_challenge(header: str) -> None:
    assert best_challenge(header) is None


@given(st.text(max_size=200))
def test_any_header_is_read(header: str) -> None:
    read_challenges(header)
