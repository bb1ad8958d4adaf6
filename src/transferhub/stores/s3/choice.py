"""Which clients carry the requests to a host."""

from __future__ import annotations

from transferhub.stores.s3.certificates import read_certificates
from transferhub.stores.s3.plain import PlainTransport
from transferhub.stores.s3.transport import Transport, TransportConfig


def choose_transports(origin: str, config: TransportConfig) -> tuple[Transport, Transport]:
    """The one that costs the least CPU, and one for what that would change or cannot show.

    Raises:
        InputError: the CA bundle or the proxy cannot be used.
    """
    if origin.startswith("http://") and not config.proxy:
        read_certificates(config)  # needed by nobody here, and mistyped all the same
        plain = PlainTransport(origin, config)
        return plain, plain
    # Both take a while to load, and plain HTTP needs neither.
    from transferhub.stores.s3.raw import RawTransport  # noqa: PLC0415
    from transferhub.stores.s3.reqwest import ReqwestTransport  # noqa: PLC0415

    return ReqwestTransport(origin, config), RawTransport(origin, config)
