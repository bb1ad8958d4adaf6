from collections.abc import Sequence

import pytest

from transferhub.control.endpoints import check_endpoint, resolve_name
from transferhub.errors import InputError

NAMES = {
    "s3.example.org": ["203.0.113.7", "2001:db8::7"],
    "evil.example.org": ["203.0.113.7", "169.254.169.254"],
    "evil6.example.org": ["fe80::1%eth0"],
    "mapped.example.org": ["::ffff:169.254.169.254"],
}


async def resolve(host: str) -> Sequence[str]:
    return NAMES.get(host, [])


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1:8080",
        "user:pw@169.254.169.254",
        "2852039166",  # decimal
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "0251.0376.0251.0376",  # octal
        "169.254.43518",  # three parts
        "169.16689662",
        "169.254.169.254.",
        "①⑥⑨.254.169.254",
        "169。254。169。254",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "[FD00:0EC2:0:0:0:0:0:254]",
        "[fd20:ce::254]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "100.100.100.200",
        "168.63.129.16",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "instance-data.ec2.internal",
        "evil.example.org",
        "EVIL.example.org:9000",
        "evil6.example.org",
        "mapped.example.org",
    ],
)
async def test_a_metadata_service_is_refused_however_it_is_spelt(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(InputError, match="metadata service") as caught:
            await check_endpoint(f"{scheme}://{host}/latest", resolve)
        assert caught.value.code == "blocked_address"
        assert caught.value.field == "endpoint"
        assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        "s3.example.org",
        "unknown.example.org",
        "127.0.0.1:9000",
        "localhost",
        "10.1.2.3",
        "192.168.1.1",
        "[::1]:8333",
        "[fd00:1234::1]",
        "[2001:db8::1]",
        "[64:ff9b::8.8.8.8]",
        "169.253.255.255",
        "169.255.0.1",
        "metadata.example.org",
        "0xa9fea9fe.example.org",
    ],
)
async def test_any_other_endpoint_is_let_through(host: str) -> None:
    await check_endpoint(f"https://{host}", resolve)


async def test_an_allowed_host_is_let_through_and_no_other() -> None:
    allowed = frozenset({"169.254.10.1", "evil.example.org"})
    await check_endpoint("http://169.254.10.1:9000", resolve, allowed=allowed)
    await check_endpoint("http://Evil.example.org", resolve, allowed=allowed)
    with pytest.raises(InputError):
        await check_endpoint("http://169.254.169.254", resolve, allowed=allowed)


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[", "file:///etc"])
async def test_a_url_without_a_host_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"^source: It names no host"):
        await check_endpoint(url, resolve, field="source")


async def test_names_are_resolved_as_this_machine_does() -> None:
    assert {"127.0.0.1", "::1"} & {*await resolve_name("localhost")}
    assert await resolve_name("a" * 70 + ".invalid") == []
