"""Image registries: any that speaks the OCI distribution protocol, Amazon ECR among them."""

from transferhub.registries.base import GivenLogin, Login, LoginSource, Registry
from transferhub.registries.client import RegistryClient
from transferhub.registries.ecr import EcrLogin, open_ecr
from transferhub.registries.manifest import (
    Contents,
    Descriptor,
    Digest,
    Manifest,
    Platform,
    manifest_of,
    read_contents,
)
from transferhub.registries.requests import RegistryConfig

__all__ = [
    "Contents",
    "Descriptor",
    "Digest",
    "EcrLogin",
    "GivenLogin",
    "Login",
    "LoginSource",
    "Manifest",
    "Platform",
    "Registry",
    "RegistryClient",
    "RegistryConfig",
    "manifest_of",
    "open_ecr",
    "read_contents",
]
