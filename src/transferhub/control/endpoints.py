"""Refuses endpoints that would reach a machine's own metadata service.

Such a service gives credentials to whoever asks from that machine, so a hub that reaches any
endpoint for anyone must not reach it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from unicodedata import normalize
from urllib.parse import urlsplit

from transferhub.errors import InputError

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host's name, [] where it has none."""

_BLOCKED = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: AWS, Google, Azure, Oracle, OpenStack and most others
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's own channel to its machines
        "192.0.0.192/32",  # Oracle Cloud, formerly
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google
    )
)
_EMBEDDING = {ip_network("64:ff9b::/96"): 0, ip_network("2002::/16"): 80}
"""Networks of IPv6 that carry an IPv4 address, so many bits above the end (NAT64, 6to4)."""

_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
    }
)


async def check_endpoint(
    url: str, resolve: Resolve, *, allowed: frozenset[str] = frozenset(), field: str = "endpoint"
) -> None:
    """Refuses a URL whose host is, or resolves to, a link-local address or a metadata service.

    A name may resolve to something else later: check again where a run starts.

    Args:
        allowed: hosts that may be reached all the same, in small letters.

    Raises:
        InputError: with the code `blocked_address`.
    """
    host = host_of(url, field=field)
    if host in allowed:
        return
    if host in _NAMES or await _is_blocked(host, resolve):
        raise blocked(host, field)


def blocked(host: str, field: str) -> InputError:
    return InputError(
        field,
        f"{host} is a link-local address or a metadata service, which the hub does not reach.",
        code="blocked_address",
    )


def host_of(url: str, *, field: str = "endpoint") -> str:
    """The URL's host as resolvers read it: small letters, no dot at its end."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    host = normalize("NFKC", host).replace("。", ".").rstrip(".").lower()
    if not host:
        raise InputError(field, "It names no host.")
    return host


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is written as, in any spelling that resolvers read; else None.

    >>> address_of("0xa9fea9fe"), address_of("169.254.43518"), address_of("example.org")
    (IPv4Address('169.254.169.254'), IPv4Address('169.254.169.254'), None)
    """
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # decimal, hexadecimal, octal, fewer parts
    except (OSError, ValueError):
        return None


def is_blocked(address: IPv4Address | IPv6Address) -> bool:
    """Also where IPv6 carries the IPv4 address in some way."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_blocked(address.ipv4_mapped)
        for network, shift in _EMBEDDING.items():
            if address in network:
                return is_blocked(IPv4Address(int(address) >> shift & 0xFFFF_FFFF))
    return any(address in network for network in _BLOCKED)


def is_refused(address: str) -> bool:
    """Whether an address, as a socket tells it, is blocked; what cannot be read is."""
    known = address_of(address)
    return known is None or is_blocked(known)


async def resolve_name(host: str) -> Sequence[str]:
    """Resolves as this machine does."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


async def _is_blocked(host: str, resolve: Resolve) -> bool:
    written = address_of(host)
    if written is not None:
        return is_blocked(written)
    found = [address_of(address) for address in await resolve(host)]
    return any(is_blocked(address) for address in found if address is not None)
