"""An object store in a folder of a disk."""

from transferhub.stores.local.store import LocalStore

__all__ = ["LocalStore"]
