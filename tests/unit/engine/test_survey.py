from transferhub.engine.survey import Survey
from transferhub.model.transfer import Difference, RunId, ScanCounts, Shard, Transfer

RUN = RunId("run")


def shard(ident: str, same: int) -> Shard:
    return Shard(ident=ident, done=True, detail="", counts=ScanCounts(same=same))


async def test_a_survey_sees_each_difference_and_sums_its_ranges() -> None:
    seen: list[Transfer] = []
    survey = Survey(seen.append)
    assert survey.counts == ScanCounts()
    one, two = Transfer("a", Difference.NEW), Transfer("b", Difference.EXTRA)
    assert await survey.record(RUN, [one, two], [shard("0", 1), shard("1", 10)]) == 2
    assert seen == [one, two]
    assert survey.counts == ScanCounts(same=11)


async def test_a_range_that_is_recorded_again_counts_once() -> None:
    survey = Survey(lambda _: None)
    await survey.record(RUN, [], [shard("0", 1), shard("1", 10)])
    await survey.record(RUN, [], [shard("0", 5)])
    assert survey.counts == ScanCounts(same=15)
    assert await survey.shards(RUN) == [shard("0", 5), shard("1", 10)]


async def test_a_survey_that_begins_anew_forgets_everything() -> None:
    seen: list[Transfer] = []
    survey = Survey(seen.append, seen.clear)
    await survey.record(RUN, [Transfer("a", Difference.NEW)], [shard("0", 1)])
    await survey.reset(RUN)
    assert (seen, survey.counts, await survey.shards(RUN)) == ([], ScanCounts(), [])
