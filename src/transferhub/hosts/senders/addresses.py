"""Where a receiver is, and whether the hub may reach it."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.control.endpoints import Resolve, address_of, is_refused
from transferhub.errors import SendError


async def addresses_of(host: str, resolve: Resolve, *, guarded: bool) -> Sequence[str]:
    """The addresses to connect to; looked up once, so that no other one is reached than was
    checked.

    Args:
        guarded: whether link-local addresses and metadata services are refused.

    Raises:
        SendError: it has no address, or one that is refused.
    """
    written = address_of(host)
    found = [str(written)] if written else await resolve(host)
    if not found:
        raise SendError(f"{host} has no address.")
    if guarded and any(is_refused(address) for address in found):
        raise SendError(
            f"{host} is a link-local address or a metadata service, which the hub does not reach.",
            code="blocked_address",
        )
    return found
