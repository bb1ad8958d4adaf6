"""Which objects of a listing are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from transferhub.model.globs import compile_globs
from transferhub.model.objects import ObjectEntry
from transferhub.plugins.objects.spec import ObjectsSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The filters of a spec. What a store does not tell (a time that is missing) filters nothing.

    Attributes:
        trivial: everything is selected, so nobody needs to ask.
        by_key: `selects_key` may say no.
        by_entry: `selects` may say no where `selects_key` says yes.
    """

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None
    min_size: int | None = None
    max_size: int | None = None
    newer_than: datetime | None = None
    older_than: datetime | None = None
    storage_classes: frozenset[str] = frozenset()

    @classmethod
    def from_spec(cls, spec: ObjectsSpec) -> Self:
        return cls(
            include=compile_globs(spec.include, field="include"),
            exclude=compile_globs(spec.exclude, field="exclude"),
            min_size=spec.min_size,
            max_size=spec.max_size,
            newer_than=spec.newer_than,
            older_than=spec.older_than,
            storage_classes=frozenset(spec.storage_classes_in),
        )

    @property
    def by_key(self) -> bool:
        return self.include is not None or self.exclude is not None

    @property
    def by_entry(self) -> bool:
        limits = (self.min_size, self.max_size, self.newer_than, self.older_than)
        return bool(self.storage_classes) or any(limit is not None for limit in limits)

    @property
    def trivial(self) -> bool:
        return not (self.by_key or self.by_entry)

    def selects_key(self, key: str) -> bool:
        if self.include is not None and self.include.fullmatch(key) is None:
            return False
        return self.exclude is None or self.exclude.fullmatch(key) is None

    def selects(self, key: str, entry: ObjectEntry) -> bool:
        return (
            self._selects_size(entry.size)
            and self._selects_time(entry.modified_at)
            and self._selects_class(entry.storage_class)
            and self.selects_key(key)
        )

    def _selects_size(self, size: int) -> bool:
        if self.min_size is not None and size < self.min_size:
            return False
        return self.max_size is None or size <= self.max_size

    def _selects_time(self, modified_at: datetime | None) -> bool:
        if modified_at is None:
            return True
        if self.newer_than is not None and modified_at < self.newer_than:
            return False
        return self.older_than is None or modified_at < self.older_than

    def _selects_class(self, storage_class: str) -> bool:
        # S3 leaves the class out where it is STANDARD, in HEAD and in some servers' listings.
        return not self.storage_classes or (storage_class or "STANDARD") in self.storage_classes
