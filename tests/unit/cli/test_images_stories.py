"""What a person reads of images."""

import io
import json
from dataclasses import replace

import pytest

from tests.unit.cli.fake_host import A_RUN, RUN, TASK, FakeHost, dth, progress, summary
from tests.unit.cli.fake_host import with_failures as failing_summary
from transferhub.cli.images_plan import MAX_ROWS
from transferhub.cli.live import frame, terminal
from transferhub.cli.streams import tolerant
from transferhub.plugins.images.plan import DestinationSide, Plan, SourceSide, make_plan
from transferhub.plugins.images.reference import Reference
from transferhub.plugins.images.selection import ImageEntry
from transferhub.registries.manifest import Contents, Descriptor, Digest
from transferhub.registries.repositories import TagRule

ALL = ("images", "ghcr.io/team", "registry.example.com", "--all")
IMAGES_TASK = replace(
    TASK,
    kind="images",
    spec={
        "source": {"host": "ghcr.io", "prefix": "team/"},
        "destination": {"scheme": "ecr", "region": "eu-west-1"},
        "prefix": "mirror/",
        "all": True,
    },
)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def entry(tag: str, letter: str) -> ImageEntry:
    return ImageEntry(tag=tag, digest=digest(letter))


def layer(letter: str, size: int) -> Descriptor:
    return Descriptor(media_type="application/x", digest=Digest(digest(letter)), size=size)


def plan_of_each_kind() -> Plan:
    source = SourceSide(
        repository=Reference("ghcr.io", "team/app"),
        images=(entry("1", "a"), entry("2", "b"), entry("latest", "b"), entry("3", "c")),
        gone=(ImageEntry(tag="9"),),
        referrers={digest("b"): [digest("d")]},
        filtered=4,
    )
    destination = DestinationSide(
        repository="app",
        tags={"1": digest("a"), "3": digest("e"), "old": digest("f")},
        extra=("old",),
        rule=TagRule(immutable=True),
    )
    unseen = SourceSide(repository=Reference("ghcr.io", "team/web"), images=(entry("1", "7"),))
    missing = DestinationSide(repository="web", exists=False)
    contents = Contents(layers=(layer("0", 5_000_000),))
    return make_plan(
        [(source, destination), (unseen, missing)],
        manifests={digest("b"): contents, digest("d"): Contents()},
    )


def host() -> FakeHost:
    return FakeHost(plan=plan_of_each_kind(), known=((A_RUN, IMAGES_TASK),))


def test_a_dry_run() -> None:
    result = dth(*ALL, "--dry-run", host=host())
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "Dry run: nothing was changed.",
        "",
        "  source        11 images",
        "  destination   3 tags",
        "  would copy    2 images, at least 5.0 MB; the size of 1 image is not known",
        "  would attach  1 referrer",
        "  would tag     1 image, by name alone",
        "  would fail    1 image, not at the source",
        "  would leave   1 same, 4 filtered, 1 immutable, 1 extra",
        "  would create  1 repository",
        "  would read    4 manifests of the source",
        "",
        "Repositories that are missing:",
        "  web",
        "",
        "First of each kind:",
        "  copy      app:2       sha256:bbbbbbbbbbbb  5.0 MB",
        "  copy      web:1       sha256:777777777777",
        "  retag     app:latest  sha256:bbbbbbbbbbbb",
        "  referrer  app         sha256:dddddddddddd          of sha256:bbbbbbbbbbbb",
        (
            "  conflict  app:3       sha256:cccccccccccc          "
            "immutable there, as sha256:eeeeeeeeeeee"
        ),
        "  gone      app:9",
        "  extra     app:old     sha256:ffffffffffff",
    ]


def test_a_dry_run_as_json() -> None:
    document = json.loads(dth(*ALL, "--dry-run", "--json", host=host()).out)
    assert document["kinds"] == {
        **dict.fromkeys(("retag", "referrer", "conflict", "gone", "extra", "skip"), 1),
        "copy": 2,
        "unlisted": 0,
    }
    assert (document["deletes"], document["guard"]) == (0, None)
    assert (document["creates"], document["create"]) == (1, ["web"])
    assert (document["bytes"], document["unmeasured"], document["pulls"]) == (5_000_000, 1, 4)
    assert len(document["rows"]) == 7
    assert document["rows_left_out"] == 0
    assert document["rows"][0] == {
        "kind": "copy",
        "repository": "app",
        "tag": "2",
        "digest": digest("b"),
        "source": "ghcr.io/team/app",
        "replaces": "",
        "subject": "",
        "size": 5_000_000,
    }


def test_a_dry_run_tells_what_people_should_know() -> None:
    plan = replace(plan_of_each_kind(), notes=("the source has\x1b no 9",))
    out = dth(*ALL, "--dry-run", host=FakeHost(plan=plan)).out
    assert "of the source\n\nNote: the source has\\x1b no 9\n\nRepositories" in out


def test_a_dry_run_of_many_rows_is_cut_and_says_so() -> None:
    many = SourceSide(
        repository=Reference("ghcr.io", "team/app"),
        images=tuple(entry(f"{number}", "a") for number in range(MAX_ROWS + 5)),
    )
    plan = make_plan([(many, DestinationSide(repository="app"))])
    result = dth(*ALL, "--dry-run", "--json", host=FakeHost(plan=plan))
    document = json.loads(result.out)
    assert (len(document["rows"]), document["rows_left_out"]) == (MAX_ROWS, 5)
    assert document["kinds"]["retag"] == MAX_ROWS + 4
    assert len(dth(*ALL, "--dry-run", host=FakeHost(plan=plan)).out.splitlines()) < 20


def test_a_dry_run_says_that_the_guard_would_stop_it() -> None:
    result = dth(*ALL, "--prune", "--dry-run", host=host())
    assert result.code == 0
    assert "  would delete  1 tag\n" in result.out
    assert (
        "The run would delete nothing, and fail: 1 tag of 3 are more than --max-delete-percent 10"
        in result.out
    )
    document = json.loads(dth(*ALL, "--prune", "--dry-run", "--json", host=host()).out)
    assert (document["deletes"], document["guard"]["code"]) == (0, "max_delete_percent")
    args = (*ALL, "--prune", "--max-delete-percent", "50", "--dry-run", "--json")
    document = json.loads(dth(*args, host=host()).out)
    assert (document["deletes"], document["guard"]) == (1, None)


def test_the_end_speaks_of_images() -> None:
    out = dth(*ALL, host=FakeHost(ends=summary())).out
    assert out.startswith(f"Run {RUN} succeeded: 3,400 images copied, 1.9 GB")
    out = dth(*ALL, host=FakeHost(ends=failing_summary(noted=2))).out
    assert "  denied: 3 images, 3.0 KB" in out
    assert "object" not in out


@pytest.mark.parametrize(
    "words", [("resume", "r"), ("redrive", "r"), ("failures", "r"), ("show", "r")]
)
def test_a_run_of_images_is_spoken_of_as_such(words: tuple[str, ...]) -> None:
    fake = FakeHost(ends=failing_summary(), shows=[progress()], known=((A_RUN, IMAGES_TASK),))
    result = dth(*words, host=fake)
    assert "3 images" in result.out
    assert "object" not in result.out + result.err


def test_nothing_to_try_again() -> None:
    fake = FakeHost(redriven=0, known=((A_RUN, IMAGES_TASK),))
    out = dth("redrive", "last", host=fake).out
    assert out == "No failed image matches; nothing was tried again.\n"


def test_progress_speaks_of_images() -> None:
    err = dth(*ALL, host=FakeHost(shows=[progress()])).err
    assert err.startswith("copying: 12,000 images scanned, ")
    text = io.StringIO()
    terminal(tolerant(text)).print(frame(progress(), [1.0], "image"))
    assert "410 images/s" in text.getvalue()


@pytest.mark.parametrize(
    ("spec", "route"),
    [
        (IMAGES_TASK.spec, "ghcr.io/team → ecr://eu-west-1/mirror"),
        ({"source": {"scheme": "public"}, "destination": {"host": "x:5"}}, "public → x:5"),
        (
            {
                "source": {"scheme": "ecr", "host": "1.dkr.ecr.x.amazonaws.com", "region": "x"},
                "destination": {"host": "x:5", "prefix": "a\x1b/"},
            },
            "1.dkr.ecr.x.amazonaws.com → x:5/a\\x1b",
        ),
    ],
)
def test_runs_name_the_registries(spec: dict[str, object], route: str) -> None:
    fake = FakeHost(known=((A_RUN, replace(IMAGES_TASK, spec=spec)),))
    assert dth("runs", host=fake).out.splitlines()[1].endswith(f"  {route}")
