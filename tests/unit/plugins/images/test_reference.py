import re
from pathlib import Path

import botocore
import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.plugins.images.ecr import (
    MAX_NAME_LENGTH,
    MIN_NAME_LENGTH,
    EcrHost,
    check_ecr_repository,
)
from transferhub.plugins.images.reference import (
    Reference,
    check_repository,
    parse_host,
    parse_reference,
)

SHA = "sha256:" + "a1" * 32
SHA512 = "sha512:" + "b2" * 64
HUB = "docker.io"

COMPONENT = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
REPOSITORIES = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)
PORTS = st.one_of(st.just(""), st.integers(1, 65_535).map(lambda port: f":{port}"))
NAMES = st.one_of(
    st.sampled_from(["localhost", "ghcr.io", "GHCR.io", "Registry", "10.0.0.1", "docker.io"]),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
HOSTS = st.builds(
    lambda name, port: name + (port or (":5000" if name == "Registry" else "")), NAMES, PORTS
).filter(lambda host: not host.lower().startswith("docker.io:"))
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
DIGESTS = st.one_of(
    st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}"),
    st.binary(min_size=64, max_size=64).map(lambda data: f"sha512:{data.hex()}"),
)
MAYBE = st.just("")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("nginx", HUB, "library/nginx", "", ""),
        ("nginx:1.27", HUB, "library/nginx", "1.27", ""),
        ("library/nginx", HUB, "library/nginx", "", ""),
        ("docker.io/nginx", HUB, "library/nginx", "", ""),
        ("index.docker.io/nginx", HUB, "library/nginx", "", ""),
        ("index.docker.io:5000/a", "index.docker.io:5000", "a", "", ""),
        ("registry-1.docker.io/a/b", HUB, "a/b", "", ""),
        ("bitnami/redis:7", HUB, "bitnami/redis", "7", ""),
        ("registry:5000/a:b", "registry:5000", "a", "b", ""),
        ("registry:5000/a", "registry:5000", "a", "", ""),
        ("a:5000", HUB, "library/a", "5000", ""),
        (f"a@{SHA}", HUB, "library/a", "", SHA),
        (f"a:1@{SHA}", HUB, "library/a", "1", SHA),
        (f"registry:5000/a/b:c@{SHA512}", "registry:5000", "a/b", "c", SHA512),
        ("localhost/a", "localhost", "a", "", ""),
        ("localhost", HUB, "library/localhost", "", ""),
        ("GHCR.IO/team/app:V1", "ghcr.io", "team/app", "V1", ""),
        ("LocalHost/a", "localhost", "a", "", ""),
        ("[::1]:5000/a:b", "[::1]:5000", "a", "b", ""),
        ("[0:0:0:0:0:0:0:1]/a", "[::1]", "a", "", ""),
        ("[2001:DB8::1]:443/a@" + SHA, "[2001:db8::1]:443", "a", "", SHA),
        ("10.0.0.1:05000/a", "10.0.0.1:5000", "a", "", ""),
        ("a.b/c", "a.b", "c", "", ""),
        ("a__b/c--d/e.f_g", HUB, "a__b/c--d/e.f_g", "", ""),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/x/y:1",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "x/y",
            "1",
            "",
        ),
        ("a:" + "t" * 128, HUB, "library/a", "t" * 128, ""),
    ],
)
def test_a_reference_is_read(text: str, host: str, repository: str, tag: str, digest: str) -> None:
    found = parse_reference(text, field="images")
    assert found == Reference(host, repository, tag, digest)
    assert parse_reference(str(found), field="images") == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("nginx:", "ends in a colon"),
        ("nginx:" + "t" * 129, "129 characters"),
        ("nginx:.1", "the tag '.1' may hold"),
        ("nginx:a b", "the tag 'a b'"),
        ("nginx:a:b", "no host|may hold|repository"),
        ("Team/app", "no repository|no capital|docker|host"),
        ("team/App", "no capital letters; write 'team/app'"),
        ("ghcr.io/Team/app", "no capital letters"),
        ("/nginx", "slash"),
        ("a//b", "slash"),
        ("a/b/", "slash"),
        ("ghcr.io/", "names no repository"),
        ("a___b", "may hold"),
        ("a..b", "may hold"),
        ("-a", "may hold"),
        ("a/_b", "may hold"),
        ("é", "may hold"),
        ("a@sha256", "no digest"),
        ("a@", "no digest"),
        ("a@md5:" + "0" * 32, "no digest"),
        ("a@sha384:" + "0" * 96, "no digest"),
        ("a@sha256:" + "A1" * 32, "has 64 digits"),
        ("a@sha256:" + "a" * 63, "has 64 digits"),
        ("a@sha512:" + "a" * 64, "has 128 digits"),
        ("a:1@" + SHA + "@" + SHA, "has 64 digits"),
        ("docker://nginx", "without docker://"),
        ("https://ghcr.io/a", "without https://"),
        ("ho_st.io/a", "is no host"),
        ("host.io:/a", "is no host"),
        ("host.io:0/a", "a port is"),
        ("host.io:65536/a", "a port is"),
        ("host.io:99999999999999999999/a", "a port is"),
        ("[::1/a", "is no host"),
        ("[1.2.3.4]/a", "IPv6|no host"),
        ("[:::1]/a", "IPv6"),
        ("-a.io/b", "is no host"),
        ("ghcr.io/" + "a" * 248, "256 characters"),
        ("a\n:1", "may hold"),
        ("a:1\n", "the tag"),
    ],
)
def test_what_is_wrong_with_a_reference_is_said_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_reference(text, field="images")
    assert caught.value.field == "images"
    assert re.search(says, caught.value.message), caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 330


@given(HOSTS, REPOSITORIES, MAYBE | TAGS, MAYBE | DIGESTS)
def test_a_reference_that_is_written_reads_as_itself(
    host: str, repository: str, tag: str, digest: str
) -> None:
    text = f"{host}/{repository}{':' if tag else ''}{tag}{'@' if digest else ''}{digest}"
    found = parse_reference(text, field="images")
    assert parse_reference(str(found), field="images") == found
    assert (found.tag, found.digest) == (tag, digest)
    assert found.repository.endswith(repository)
    assert parse_reference(f"{found.host}/{found.name}", field="images") == found.within


@given(st.text(alphabet="aA0./:@-_[] sh256\n", max_size=40))
def test_any_text_is_a_reference_or_a_fault(text: str) -> None:
    try:
        found = parse_reference(text, field="images")
    except InputError:
        return
    assert parse_reference(str(found), field="images") == found
    check_repository(found.repository, field="x", host=found.host)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("app:1", "registry:5000/team/app:1"),
        ("registry:5000/other/app:1", "registry:5000/other/app:1"),
        ("Registry:5000/app", "registry:5000/app"),
    ],
)
def test_in_a_registry_its_host_may_be_left_out(text: str, written: str) -> None:
    found = parse_reference(text, field="images", host="registry:5000", prefix="team/")
    assert str(found) == written


def test_in_a_registry_another_host_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"names the registry quay\.io, and the source is ghcr\.io"
    ):
        parse_reference("quay.io/a", field="images", host="ghcr.io")


def test_docker_hub_answers_under_another_name() -> None:
    found = parse_reference(f"nginx:1@{SHA}", field="images")
    assert (found.server, found.name, found.manifest) == ("registry-1.docker.io", "nginx", SHA)
    assert str(found.tagged("2")) == "docker.io/library/nginx:2"
    assert str(found.pinned(SHA)) == f"docker.io/library/nginx@{SHA}"
    assert parse_reference("ghcr.io/a:1", field="images").server == "ghcr.io"
    assert parse_reference("ghcr.io/library/a", field="images").name == "library/a"


@pytest.mark.parametrize("text", ["http://a", "a/b", "", "a b", "user@host", "registry"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_host(text, field="source")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("1.dkr.ecr.us-east-1.amazonaws.com", None),
        ("public.ecr.aws", None),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com", None),
        ("x123456789012.dkr.ecr.us-east-1.amazonaws.com", None),
        ("123456789012.dkr.ecr.amazonaws.com", None),
        ("ghcr.io", None),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", ("us-east-1", "aws", "")),
        ("123456789012.DKR.ECR.us-east-1.amazonaws.com:443", ("us-east-1", "aws", "")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ("cn-north-1", "aws-cn", "")),
        ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", ("us-gov-west-1", "aws-us-gov", "")),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", ("us-east-1", "aws", "fips")),
        (
            "123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com",
            ("us-gov-east-1", "aws-us-gov", "fips"),
        ),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", ("eu-west-1", "aws", "dual_stack")),
        ("123456789012.dkr-ecr-fips.us-gov-west-1.on.aws",
         ("us-gov-west-1", "aws-us-gov", "fips dual_stack")),
        ("123456789012.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
         ("cn-northwest-1", "aws-cn", "dual_stack")),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", ("eusc-de-east-1", "aws-eusc", "")),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", ("us-iso-east-1", "aws-iso", "")),
        ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", ("us-isob-east-1", "aws-iso-b", "")),
        ("vpce-0a1-x9-us-east-1a.dkr.ecr.us-east-1.vpce.amazonaws.com",
         ("us-east-1", "aws", "private")),
        ("vpce-0a1-x9.dkr.ecr.cn-north-1.vpce.amazonaws.com.cn",
         ("cn-north-1", "aws-cn", "private")),
    ],
)  # fmt: skip
def test_hosts_of_ecr_are_known_in_every_partition(
    host: str, expected: tuple[str, str, str] | None
) -> None:
    found = EcrHost.parse(host)
    if expected is None:
        assert found is None
        return
    assert found is not None
    region, partition, flags = expected
    assert (found.region, found.partition) == (region, partition)
    assert found.account == ("" if found.private else "123456789012")
    assert [name for name in ("fips", "dual_stack", "private") if getattr(found, name)] == (
        flags.split()
    )


def test_every_partition_of_botocore_has_its_hosts() -> None:
    known = Path(botocore.__file__).with_name("data") / "partitions.json"
    rows = re.findall(
        r'"dnsSuffix" : "([^"]+)",\s+"dualStackDnsSuffix" : "api\.([^"]+)"', known.read_text()
    )
    assert len(rows) > 6
    for ordinary, dual in rows:
        for host in (f"dkr.ecr.xx-east-1.{ordinary}", f"dkr-ecr.xx-east-1.on.{dual}"):
            assert EcrHost.parse(f"123456789012.{host}") is not None, host


def test_names_that_ecr_takes_are_those_of_its_own_model() -> None:
    shape = get_session().get_service_model("ecr").shape_for("RepositoryName")
    limits = shape.metadata
    assert (limits["min"], limits["max"]) == (MIN_NAME_LENGTH, MAX_NAME_LENGTH)
    for name in ("a", "a" * 257):
        with pytest.raises(InputError, match="Amazon ECR has 2 to 256"):
            check_ecr_repository(name, field="rename")
    for name in ("ab", "a__b/c---d", "1.2", "a" * 255):
        check_ecr_repository(name, field="rename")
        check_repository(name, field="rename")
        assert re.fullmatch(limits["pattern"], name)
