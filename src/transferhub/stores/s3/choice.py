"""Which client carries the requests to a host."""

from __future__ import annotations

from transferhub.stores.s3.plain import PlainTransport
from transferhub.stores.s3.reqwest import ReqwestTransport, read_certificates
from transferhub.stores.s3.transport import Transport, TransportConfig


def choose_transport(origin: str, config: TransportConfig) -> Transport:
    """The one that costs the least CPU.

    Raises:
        InputError: the CA bundle or the proxy cannot be used.
    """
    if origin.startswith("http://") and not config.proxy:
        read_certificates(config)  # needed by nobody here, and mistyped all the same
        return PlainTransport(origin, config)
    return ReqwestTransport(origin, config)
