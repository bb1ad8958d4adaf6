import pytest

from transferhub.registries.paging import next_target

HERE = "/v2/_catalog?n=2"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("", ""),
        ('</v2/_catalog?last=b&n=2>; rel="next"', "/v2/_catalog?last=b&n=2"),
        ("</v2/_catalog?last=b&n=2>; rel=next", "/v2/_catalog?last=b&n=2"),
        ('<?last=b>; rel="next"', "/v2/_catalog?last=b"),
        ('<_catalog?last=b>; rel="next"', "/v2/_catalog?last=b"),
        ('<https://inside.test:5000/v2/_catalog?last=b>; rel="next"', "/v2/_catalog?last=b"),
        ('<//evil.test/v2/_catalog?last=a%2Fb>; rel="next"', "/v2/_catalog?last=a%2Fb"),
        ('</first>; rel="prev", </second>; rel="next"', "/second"),
        ('</first>; title="next"', ""),
        ('</first>; rel="first next"', "/first"),
        ("nonsense", ""),
    ],
)
def test_a_list_goes_on_at_the_same_host(link: str, expected: str) -> None:
    assert next_target(link, HERE) == expected
