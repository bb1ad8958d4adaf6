"""The certificates that the user trusts."""

from __future__ import annotations

import re

from transferhub.errors import InputError
from transferhub.stores.s3.transport import TransportConfig

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_certificates(config: TransportConfig) -> list[bytes]:
    """Those of the CA bundle, in PEM. Raises InputError where it cannot be used."""
    if config.ca_bundle is None:
        return []
    try:
        bundle = config.ca_bundle.read_bytes()
    except OSError as error:
        raise InputError(
            "ca_bundle", f"{config.ca_bundle} cannot be read ({error.strerror})"
        ) from error
    found = [bytes(one) for one in _CERTIFICATE.findall(bundle)]
    if not found:
        raise InputError(
            "ca_bundle", f"{config.ca_bundle} holds no certificate; a PEM file is wanted"
        )
    return found
