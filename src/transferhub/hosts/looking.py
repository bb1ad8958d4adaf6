"""Looks at both sides of a spec and changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from transferhub.engine.compare import CompareMode
from transferhub.engine.folders import writing
from transferhub.engine.groups import unless
from transferhub.engine.progress import Summary
from transferhub.engine.survey import Survey
from transferhub.engine.tuning import Tuning
from transferhub.errors import TransferHubError
from transferhub.hosts.credentials import Lent
from transferhub.hosts.objects import open_replication
from transferhub.model.run import RunState
from transferhub.model.transfer import Difference, RunId, ScanCounts, Transfer
from transferhub.plugins.objects.estimate import Preview
from transferhub.plugins.objects.prices import PriceTable
from transferhub.plugins.objects.replication import ObjectReplication
from transferhub.plugins.objects.sample import WorkSample
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.plugins.objects.verification import Verification, verdict

_FIRST_DIFFERENCES = 1_000


class Looker:
    """Lists and compares, outside of any run."""

    def __init__(
        self,
        state: Path,
        env: Mapping[str, str],
        *,
        talk: Callable[[str], None],
        lent: Lent | None = None,
    ) -> None:
        """Args:
        state: the folder in which listings may be sorted.
        lent: by a hub; None where there is none.
        """
        self._spool = state / "spool"
        self._env = env
        self._lent = lent
        self._talk = talk

    async def preview(self, spec: ObjectsSpec, tuning: Tuning, prices: PriceTable) -> Preview:
        """What a transfer would do."""
        preview, _ = await self.glance(spec, tuning, prices, None)
        return preview

    async def glance(
        self, spec: ObjectsSpec, tuning: Tuning, prices: PriceTable, within: timedelta | None
    ) -> tuple[Preview, bool]:
        """What a transfer would do, by what can be listed in that time; and whether that is all."""
        async with self._looking(spec, tuning) as replication:
            sample = WorkSample(spec, server_copy=replication.server_side)
            survey = Survey(sample.see, sample.forget)
            limit = asyncio.timeout(None if within is None else within.total_seconds())
            try:
                async with limit:
                    await self._survey(replication, survey)
            except TimeoutError:
                if not limit.expired():
                    raise
            return sample.preview(survey.counts, prices), not limit.expired()

    async def compare(self, spec: ObjectsSpec, tuning: Tuning) -> Verification:
        """How far the two sides are the same."""
        started = time.monotonic()
        differences: list[tuple[str, Difference]] = []

        def see(transfer: Transfer) -> None:
            if transfer.difference is Difference.EXTRA and not spec.mirror:
                return
            if len(differences) < _FIRST_DIFFERENCES:
                differences.append((transfer.key, transfer.difference))

        async with self._looking(spec, tuning) as replication:
            scan = await self._survey(replication, Survey(see, differences.clear))
        unequal = scan.new + scan.changed + scan.archived + (scan.extra if spec.mirror else 0)
        return Verification(
            scan=scan,
            differences=differences,
            seconds=time.monotonic() - started,
            equal=not unequal,
        )

    async def verified(
        self, spec: ObjectsSpec, summary: Summary, tuning: Tuning, stop: asyncio.Event
    ) -> Summary:
        """The summary with what a second look at both sides finds, by etags where they tell."""
        self._talk("verifying: both sides are listed and compared again")
        never_replaced = spec.compare is CompareMode.MISSING_ONLY
        mode = CompareMode.MISSING_ONLY if never_replaced else CompareMode.ETAG
        try:
            comparison = self.compare(spec.model_copy(update={"compare": mode}), tuning)
            found = await unless(stop, comparison)
        except TransferHubError as error:
            sentence = f"the copies ended, but could not be verified: {error.message}"
            return replace(summary, status=RunState.FAILED, error_code=error.code, error=sentence)
        if found is None:
            note = "the copies ended, and were not verified"
            return replace(summary, status=RunState.CANCELLED, notes=(*summary.notes, note))
        note, equal = verdict(found, mirror=spec.mirror)
        status = summary.status
        if not equal and status is RunState.SUCCEEDED:
            status = RunState.COMPLETED_WITH_FAILURES
        return replace(summary, status=status, notes=(*summary.notes, note))

    async def _survey(self, replication: ObjectReplication, survey: Survey) -> ScanCounts:
        with writing("the folder", self._spool):
            self._spool.mkdir(parents=True, exist_ok=True)
        await replication.check()
        await replication.find(RunId("survey"), survey, self._spool, self._talk)
        return survey.counts

    @asynccontextmanager
    async def _looking(self, spec: ObjectsSpec, tuning: Tuning) -> AsyncIterator[ObjectReplication]:
        """A replication that nothing is copied with."""
        replication = open_replication(spec, tuning, self._env, lent=self._lent, looking=True)
        try:
            yield replication
        finally:
            await replication.aclose()
