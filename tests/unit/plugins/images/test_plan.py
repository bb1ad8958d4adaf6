import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.execution import DeleteGuard
from transferhub.errors import GuardError, InputError
from transferhub.model.transfer import Action, Difference, TransferState
from transferhub.plugins.images.plan import (
    WORK,
    DestinationSide,
    Plan,
    PlanRow,
    RowKind,
    SourceSide,
    make_plan,
    row_of,
    transfer_of,
)
from transferhub.plugins.images.reference import Reference
from transferhub.plugins.images.selection import ImageEntry
from transferhub.registries.manifest import Contents, Descriptor, Digest
from transferhub.registries.repositories import TagRule

NOW = datetime(2024, 5, 8, tzinfo=UTC)


def digest(name: str) -> str:
    return f"sha256:{sha256(name.encode()).hexdigest()}"


def blob(name: str, size: int = 0) -> Descriptor:
    return Descriptor(media_type="", digest=Digest(name), size=size)


def index(*members: str) -> Contents:
    return Contents(manifests=tuple(map(blob, members)))


def short(row: PlanRow) -> str:
    """Such as `copy a:1=x`, where x is the name that the digest is of."""
    names = {digest(name): name for name in "abcdefgimnrsuvwxyz"}
    return f"{row.kind} {row.repository}:{row.tag}={names.get(row.digest, '')}"


def source(tags: Mapping[str, str], *untagged: str, name: str = "app", **values: Any) -> SourceSide:
    images = [ImageEntry(tag=tag, digest=digest(image)) for tag, image in tags.items()]
    images += [ImageEntry(digest=digest(image)) for image in untagged]
    return SourceSide(repository=Reference("ghcr.io", name), images=tuple(images), **values)


def destination(
    tags: Mapping[str, str] | None = None, *digests: str, name: str = "app", **values: Any
) -> DestinationSide:
    return DestinationSide(
        repository=name,
        tags={tag: digest(image) for tag, image in (tags or {}).items()},
        digests=frozenset(map(digest, digests)),
        **values,
    )


def lines(plan: Plan) -> list[str]:
    return [short(row) for row in plan.rows]


@pytest.mark.parametrize(
    ("wanted", "there", "values", "expected"),
    [
        ({"1": "x"}, {}, {}, ["copy app:1=x"]),
        ({"1": "x"}, {"1": "x"}, {}, ["skip app:1=x"]),
        ({"1": "x"}, {"1": "y"}, {}, ["copy app:1=x"]),
        ({"1": "x"}, {"2": "x"}, {}, ["retag app:1=x"]),
        ({"1": "x"}, {"1": "y", "2": "x"}, {}, ["retag app:1=x"]),
        ({"1": "x", "2": "x", "a": "y"}, {}, {}, ["copy app:1=x", "copy app:a=y", "retag app:2=x"]),
        ({"1": "x", "2": "x"}, {"1": "x"}, {}, ["retag app:2=x", "skip app:1=x"]),
        ({"1": "x"}, {"1": "y"}, {"rule": TagRule(immutable=True)}, ["conflict app:1=x"]),
        ({"1": "x"}, {"1": "x"}, {"rule": TagRule(immutable=True)}, ["skip app:1=x"]),
        ({"1": "x"}, {}, {"rule": TagRule(immutable=True)}, ["copy app:1=x"]),
        (
            {"1": "x", "2": "x"},
            {"1": "y"},
            {"rule": TagRule(immutable=True)},
            ["copy app:2=x", "conflict app:1=x"],
        ),
        (
            {"latest": "x", "1": "x"},
            {"latest": "y", "1": "y"},
            {"rule": TagRule(immutable=True, exceptions=("late*",))},
            ["copy app:latest=x", "conflict app:1=x"],
        ),
        ({}, {"9": "x"}, {"extra": {"9"}}, ["extra app:9=x"]),
        ({}, {"9": "x"}, {}, []),
        ({"9": "x"}, {"9": "x"}, {"extra": {"9"}}, ["skip app:9=x"]),
        ({"9": "x"}, {"9": "y"}, {"extra": {"9"}}, ["copy app:9=x"]),
    ],
)
def test_each_tag_has_its_row(
    wanted: dict[str, str], there: dict[str, str], values: dict[str, Any], expected: list[str]
) -> None:
    assert lines(make_plan([(source(wanted), destination(there, **values))])) == expected


@pytest.mark.parametrize(
    ("rule", "tag", "expected"),
    [
        (TagRule(), "1", False),
        (TagRule(immutable=True), "1", True),
        (TagRule(immutable=True, exceptions=("latest", "dev-*")), "dev-1", False),
        (TagRule(immutable=True, exceptions=("latest", "dev-*")), "latest2", True),
        (TagRule(exceptions=("v*",)), "v1", True),
        (TagRule(exceptions=("v*",)), "x", False),
        (TagRule(immutable=True, exceptions=("a.b",)), "axb", True),
        (TagRule(immutable=True, exceptions=("*rc*",)), "1-rc-2", False),
    ],
)
def test_a_rule_says_which_tags_may_not_move(rule: TagRule, tag: str, expected: bool) -> None:
    assert rule.is_immutable(tag) is expected


def test_what_has_no_tag_goes_by_its_digest() -> None:
    sides = (source({"1": "x"}, "x", "u", "v"), destination({}, "v"))
    plan = make_plan([sides])
    assert lines(plan) == ["copy app:=u", "copy app:1=x", "skip app:=v"]
    assert plan.rows[0].key == f"app@{digest('u')}"


def test_images_of_an_index_go_with_it() -> None:
    manifests = {digest("i"): index(digest("m"), digest("n"))}
    plan = make_plan([(source({"1": "i", "amd64": "n"}, "m"), destination())], manifests=manifests)
    assert lines(plan) == ["copy app:1=i", "copy app:amd64=n"]


def test_images_of_an_index_that_is_there_are_there() -> None:
    manifests = {digest("i"): index(digest("m"))}
    plan = make_plan([(source({"1": "m"}), destination({"9": "i"}))], manifests=manifests)
    assert lines(plan) == ["retag app:1=m"]


def test_one_copy_is_enough_in_each_repository() -> None:
    plan = make_plan(
        [
            (source({"1": "x", "2": "x"}, name="b"), destination(name="b", exists=False)),
            (source({"1": "x"}, name="a"), destination(name="a", exists=False)),
            (source({}, name="c"), destination(name="c", exists=False)),
            (source({"1": "y"}, name="d"), destination(name="d")),
        ]
    )
    assert lines(plan) == ["copy a:1=x", "copy b:1=x", "copy d:1=y", "retag b:2=x"]
    assert plan.create == ("a", "b")
    assert (plan.rows[3].after, plan.rows[3].wave) == ((plan.rows[1].place,), 1)


def test_what_was_asked_for_and_is_gone_is_told() -> None:
    gone = (ImageEntry(tag="9"), ImageEntry(digest=digest("z")))
    plan = make_plan([(source({}, gone=gone), destination())])
    assert lines(plan) == ["gone app:=z", "gone app:9="]
    assert (plan.counts.scanned_source, plan.counts.new) == (2, 2)


def test_referrers_go_after_what_they_refer_to() -> None:
    side = source(
        {"1": "x", "2": "y"},
        referrers={
            digest("x"): [digest("s"), digest("r")],
            digest("s"): [digest("z"), digest("x")],
            digest("y"): [digest("w")],
            digest("v"): [digest("u")],
        },
    )
    plan = make_plan([(side, destination({"2": "a"}, "r", rule=TagRule(immutable=True)))])
    assert lines(plan) == [
        "copy app:1=x",
        "referrer app:=s",
        "referrer app:=z",
        "conflict app:2=y",
        "skip app:=r",
    ]
    rows = plan.of_kind(RowKind.REFERRER)
    assert [(r.subject, r.after, r.wave) for r in rows] == [
        (digest("x"), (f"app@{digest('x')}",), 1),
        (digest("s"), (f"app@{digest('s')}",), 2),
    ]


def test_referrers_of_an_images_platforms_go_too() -> None:
    manifests = {
        digest("i"): index(
            digest("m"),
        )
    }
    side = source({"1": "i"}, referrers={digest("m"): [digest("s")]})
    plan = make_plan([(side, destination({"1": "i"}))], manifests=manifests)
    assert lines(plan) == ["referrer app:=s", "skip app:1=i"]


def test_a_referrer_whose_tag_may_not_move_goes_by_its_digest() -> None:
    side = source({"1": "x", "s": "s"}, referrers={digest("x"): [digest("s")]})
    there = destination({"1": "x", "s": "a"}, rule=TagRule(immutable=True))
    assert lines(make_plan([(side, there)])) == [
        "referrer app:=s",
        "conflict app:s=s",
        "skip app:1=x",
    ]


def test_a_tag_cannot_be_two_images() -> None:
    side = SourceSide(
        repository=Reference("ghcr.io", "app"),
        images=(ImageEntry(tag="1", digest=digest("x")), ImageEntry(tag="1", digest=digest("y"))),
    )
    with pytest.raises(InputError, match=r"ghcr\.io/app:1 is asked for as two images"):
        make_plan([(side, destination())])


def image(*layers: str, size: int = 10) -> Contents:
    return Contents(layers=tuple(blob(layer, size) for layer in layers))


def test_one_image_carries_a_base_before_the_others_start() -> None:
    names = "xyz"
    manifests = {digest(n): image("base", f"layer-{n}", size=100) for n in names}
    sides = [(source({"1": n}, name=n), destination(name=n)) for n in names]
    plan = make_plan(sides, manifests=manifests)
    first, *others = plan.rows
    assert (first.wave, first.after, first.size) == (0, (), 200)
    assert [(r.wave, r.after, r.size) for r in others] == [(1, (first.place,), 100)] * 2
    assert (plan.upload_bytes, plan.unmeasured, plan.pulls) == (400, 0, 3)


def test_what_carries_most_for_others_goes_first() -> None:
    manifests = {
        digest("x"): Contents(layers=(blob("base", 10), blob("own", 9_000))),
        digest("y"): image("base", "middle", "y"),
        digest("z"): image("base", "middle", "z"),
    }
    sides = [(source({"1": n}, name=n), destination(name=n)) for n in "xyz"]
    plan = make_plan(sides, manifests=manifests)
    waves = {row.repository: row.wave for row in plan.rows}
    assert sorted(waves.values()) == [0, 1, 1]
    assert waves["x"] == 1


def test_a_base_that_is_there_is_not_uploaded() -> None:
    manifests = {digest(n): image("base", n) for n in "xyz"}
    sides = [
        (source({"1": "x"}, name="a"), destination({"1": "x"}, name="a")),
        (source({"1": "y"}, name="b"), destination(name="b")),
        (source({"1": "z"}, name="c"), destination(name="c")),
    ]
    plan = make_plan(sides, manifests=manifests, blobs={"z"})
    assert [(r.repository, r.size, r.after) for r in plan.of_kind(RowKind.COPY)] == [
        ("b", 10, ()),
        ("c", 0, ()),
    ]
    assert plan.upload_bytes == 10


def test_what_is_not_known_is_said_to_be_unmeasured() -> None:
    manifests = {digest("i"): index(digest("m"), digest("n")), digest("m"): image("a")}
    images = (ImageEntry(tag="1", digest=digest("i"), size=77, pushed_at=NOW),)
    side = SourceSide(repository=Reference("ghcr.io", "app"), images=images)
    plan = make_plan([(side, destination())], manifests=manifests)
    assert (plan.unmeasured, plan.upload_bytes, plan.pulls) == (1, 0, 3)
    assert (plan.rows[0].size, plan.rows[0].pushed_at) == (77, NOW)


@pytest.mark.parametrize(
    ("wanted", "untagged", "there", "expected"),
    [
        ({}, [], {"9": "x"}, [("9", False)]),
        ({"1": "x"}, [], {"1": "x", "9": "x"}, [("9", True)]),
        ({"1": "x"}, [], {"1": "y", "9": "x"}, [("9", True)]),
        ({"1": "x"}, [], {"1": "y", "9": "y"}, [("9", False)]),
        ({}, ["x"], {"9": "x"}, []),
        ({"1": "i"}, [], {"1": "i", "9": "m"}, []),
        ({}, [], {"8": "x", "9": "x"}, [("8", False), ("9", False)]),
    ],
)
def test_what_is_pruned_takes_nothing_along(
    wanted: dict[str, str],
    untagged: list[str],
    there: dict[str, str],
    expected: list[tuple[str, bool]],
) -> None:
    manifests = {
        digest("i"): index(
            digest("m"),
        )
    }
    side = destination(there, extra=set(there) - set(wanted))
    plan = make_plan([(source(wanted, *untagged), side)], manifests=manifests)
    assert [(r.tag, r.shared) for r in plan.of_kind(RowKind.EXTRA)] == expected


def test_more_than_the_guard_allows_is_not_pruned() -> None:
    there = {str(n): "x" for n in range(10)}
    plan = make_plan([(source({}), destination(there, extra={"1", "2"}))])
    plan.check_prune(DeleteGuard(delete=True, most_percent=20), "ghcr.io")
    with pytest.raises(GuardError, match=r"2 of 10"):
        plan.check_prune(DeleteGuard(delete=True), "ghcr.io")
    assert plan.counts.extra == 2


def test_a_row_is_a_transfer_of_the_ledger() -> None:
    plan = make_plan(
        [
            (
                source({"1": "x", "2": "x", "3": "y", "4": "z"}, gone=(ImageEntry(tag="7"),)),
                destination({"1": "a", "3": "b", "4": "z", "9": "a"}, "y", extra={"9"}),
            )
        ]
    )
    found = {t.key: t for t in plan.transfers()}
    assert list(found) == ["app:1", "app:3", "app:2", "app:7", "app:9"]
    assert found["app:1"].etag == digest("x")
    assert json.loads(found["app:1"].detail) == {
        "kind": "copy",
        "replaces": digest("a"),
        "repository": "app",
        "source": "ghcr.io/app",
        "tag": "1",
    }
    assert found["app:1"].difference is Difference.CHANGED
    assert found["app:9"].action is Action.DELETE
    assert found["app:9"].state is TransferState.HELD
    assert {t.state for k, t in found.items() if k != "app:9"} == {TransferState.WAITING}
    counts = plan.counts
    assert (counts.new, counts.changed, counts.same, counts.extra) == (2, 2, 1, 1)
    assert counts.scanned_source == counts.new + counts.changed + counts.same


# A small world in which plans are carried out.


@dataclass
class World:
    """Repositories of a destination: tags and digests of each."""

    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: dict[str, set[str]] = field(default_factory=dict)

    def apply(self, rows: Sequence[PlanRow], manifests: Mapping[str, Contents]) -> None:
        before = {name: set(digests) for name, digests in self.digests.items()}
        for row in rows:
            tags = self.tags.setdefault(row.repository, {})
            digests = self.digests.setdefault(row.repository, set())
            match row.kind:
                case RowKind.COPY | RowKind.REFERRER:
                    assert row.digest not in before.get(row.repository, set()), "it was there"
                    digests.update(closure(row.digest, manifests))
                case RowKind.RETAG:
                    assert row.digest in digests, "there is nothing to tag"
                case RowKind.EXTRA:
                    del tags[row.tag]
                    if not row.shared and row.digest not in tags.values():
                        digests.discard(row.digest)
            if row.kind in WORK and row.tag:
                tags[row.tag] = row.digest


def closure(one: str, manifests: Mapping[str, Contents]) -> set[str]:
    known = manifests.get(one, Contents())
    return {one, *(d for member in known.manifests for d in closure(member.digest, manifests))}


IMAGES = "abcdefgh"
TAGS = st.dictionaries(st.sampled_from(["1", "2", "3", "latest"]), st.sampled_from(IMAGES))
REPOSITORIES = st.dictionaries(st.sampled_from(["p", "q", "r"]), TAGS, min_size=1)
BLOBS = st.lists(st.sampled_from(["b1", "b2", "b3", "b4"]), unique=True, max_size=3)


@st.composite
def known_manifests(draw: st.DrawFn) -> dict[str, Contents]:
    """Indexes name only what comes after them, so that there are no circles."""
    known = {}
    for at, name in enumerate(IMAGES):
        if draw(st.booleans()):
            members = draw(st.lists(st.sampled_from(IMAGES[at + 1 :] or "-"), max_size=2))
            known[digest(name)] = Contents(
                layers=tuple(blob(b, int(b[1])) for b in draw(BLOBS)),
                manifests=tuple(blob(digest(m)) for m in members if m != "-"),
            )
    return known


def pairs(
    wanted: Mapping[str, Mapping[str, str]],
    untagged: Mapping[str, set[str]],
    referrers: Mapping[str, Sequence[str]],
    world: World,
    rule: TagRule,
) -> list[tuple[SourceSide, DestinationSide]]:
    found = []
    for name, tags in wanted.items():
        there = world.tags.get(name, {})
        side = DestinationSide(
            repository=name,
            tags=dict(there),
            digests=frozenset(world.digests.get(name, set())),
            rule=rule,
            extra=there.keys() - tags.keys(),
        )
        found.append(
            (source(tags, *untagged.get(name, ()), name=name, referrers=referrers), side)
        )  # fmt: skip
    return found


@given(
    REPOSITORIES,
    st.dictionaries(st.sampled_from(["p", "q"]), st.sets(st.sampled_from(IMAGES), max_size=2)),
    REPOSITORIES,
    known_manifests(),
    st.dictionaries(st.sampled_from(IMAGES).map(digest),
                    st.lists(st.sampled_from(IMAGES).map(digest), max_size=2)),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_plan_that_is_carried_out_gives_the_sources_state(
    wanted: dict[str, dict[str, str]],
    untagged: dict[str, set[str]],
    there: dict[str, dict[str, str]],
    manifests: dict[str, Contents],
    referrers: dict[str, list[str]],
    immutable: bool,
    prune: bool,
    order: Any,
) -> None:
    world = World(tags={n: {t: digest(i) for t, i in tags.items()} for n, tags in there.items()})
    for name, tags in world.tags.items():
        world.digests[name] = {d for image in tags.values() for d in closure(image, manifests)}
    before = {name: dict(tags) for name, tags in world.tags.items()}
    rule = TagRule(immutable=immutable)
    sides = pairs(wanted, untagged, referrers, world, rule)
    plan = make_plan(sides, manifests=manifests)

    shuffled = list(sides)
    order.shuffle(shuffled)
    assert make_plan(shuffled, manifests=manifests) == plan
    assert max(Counter(row.key for row in plan.rows).values(), default=0) <= 1
    assert all(row_of(transfer_of(row)) == row for row in plan.rows)
    places = [row.place for row in plan.rows if row.kind in (RowKind.COPY, RowKind.REFERRER)]
    assert len(places) == len(set(places))
    transfers = Counter(transfer.action for transfer in plan.transfers())
    assert plan.counts.new + plan.counts.changed == transfers[Action.COPY]
    assert plan.counts.extra == transfers[Action.DELETE]
    for at, row in enumerate(plan.rows):
        if row.kind is not RowKind.SKIP:
            assert set(row.after) <= {earlier.place for earlier in plan.rows[:at]}

    world.apply([r for r in plan.rows if prune or r.kind is not RowKind.EXTRA], manifests)
    for name, tags in wanted.items():
        found = world.tags.get(name, {})
        for tag, image_name in tags.items():
            was = before.get(name, {}).get(tag, "")
            stuck = immutable and was not in ("", digest(image_name))
            assert found[tag] == (was if stuck else digest(image_name))
        assert {digest(u) for u in untagged.get(name, ())} <= world.digests.get(name, set())

    again = make_plan(pairs(wanted, untagged, referrers, world, rule), manifests=manifests)
    left = {row.kind for row in again.rows}
    assert left <= {RowKind.SKIP, RowKind.CONFLICT, RowKind.EXTRA}
    if not immutable:
        assert RowKind.CONFLICT not in left


@given(st.lists(BLOBS, min_size=1, max_size=6))
def test_no_blob_is_uploaded_twice(layers: list[list[str]]) -> None:
    names = IMAGES[: len(layers)]
    manifests = {digest(n): Contents(layers=tuple(blob(b, int(b[1])) for b in blobs))
                 for n, blobs in zip(names, layers, strict=True)}  # fmt: skip
    plan = make_plan(
        [(source({"1": n}, name=n), destination(name=n)) for n in names], manifests=manifests
    )
    uploaded: dict[str, int] = {}
    ended: set[str] = set()
    for wave in range(max(row.wave for row in plan.rows) + 1):
        under_way = [row for row in plan.rows if row.wave == wave]
        at_once: Counter[str] = Counter()
        for row in under_way:
            assert set(row.after) <= ended
            fresh = [b for b in manifests[row.digest].blobs if b.digest not in uploaded]
            assert sum(b.size for b in fresh) == row.size
            at_once.update(b.digest for b in fresh)
        assert max(at_once.values(), default=1) == 1
        uploaded.update({b.digest: b.size for r in under_way for b in manifests[r.digest].blobs})
        ended.update(row.place for row in under_way)
    assert plan.upload_bytes == sum(uploaded.values())


def test_the_everyday_plan_is_quick() -> None:
    tags = {str(n): IMAGES[n % 8] for n in range(1_000)}
    sides = [(source(tags, name=f"r{n}"), destination(tags, name=f"r{n}")) for n in range(10)]
    plan = make_plan(sides)
    assert {row.kind for row in plan.rows} == {RowKind.SKIP}
    assert list(plan.transfers()) == []
