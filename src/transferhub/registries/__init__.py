"""Image registries: any that speaks the OCI distribution protocol, Amazon ECR among them."""

from transferhub.registries.base import GivenLogin, Login, LoginSource, Registry
from transferhub.registries.client import RegistryClient
from transferhub.registries.ecr import EcrLogin, open_ecr
from transferhub.registries.ecr_repositories import EcrRepositories, RepositoryOptions
from transferhub.registries.manifest import (
    Contents,
    Descriptor,
    Digest,
    Manifest,
    Platform,
    manifest_of,
    read_contents,
)
from transferhub.registries.oci_repositories import OciRepositories
from transferhub.registries.repositories import MOVABLE, ListedImage, Repositories, TagRule
from transferhub.registries.requests import RegistryConfig

__all__ = [
    "MOVABLE",
    "Contents",
    "Descriptor",
    "Digest",
    "EcrLogin",
    "EcrRepositories",
    "GivenLogin",
    "ListedImage",
    "Login",
    "LoginSource",
    "Manifest",
    "OciRepositories",
    "Platform",
    "Registry",
    "RegistryClient",
    "RegistryConfig",
    "Repositories",
    "RepositoryOptions",
    "TagRule",
    "manifest_of",
    "open_ecr",
    "read_contents",
]
