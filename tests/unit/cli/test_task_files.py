"""What a task file may say, and what is said of one that is wrong."""

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from tests.unit.cli.task_drafts import tasks
from transferhub.cli.tasks.definition import changes, checked, definition
from transferhub.cli.tasks.files import FIELDS, TaskFile, read_task_files
from transferhub.cli.tasks.schema import task_schema
from transferhub.cli.tasks.yaml import read_documents, write_documents
from transferhub.control.tasks import TaskDraft
from transferhub.control.usual import usual_schedule
from transferhub.errors import InputError
from transferhub.model.faults import flatten

GOOD = """\
kind: objects
name: Photos
spec:
  source: s3://photos/2024
  destination:
    url: s3://backup
    endpoint: https://s3.example.com
"""


def read(text: str | bytes) -> list[TaskFile]:
    content = text.encode() if isinstance(text, str) else text
    return read_task_files(["-"], lambda: content)


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(text)
    return [fault.message for fault in flatten([caught.value])]


def without_moments(draft: dict[str, Any]) -> dict[str, Any]:
    """An age counts from when it is read."""
    ages = [name.removesuffix("_given") for name in draft["spec"] if name.endswith("_given")]
    return {**draft, "spec": {k: v for k, v in draft["spec"].items() if k not in ages}}


# Reading what was written


@given(tasks())
def test_what_is_written_of_a_task_is_read_as_the_same_task(fields: dict[str, Any]) -> None:
    draft = TaskDraft(**{**fields, "tags": tuple(fields["tags"])})
    text = write_documents([definition(draft)])
    (found,) = read(text)
    assert without_moments(asdict(found.kept)) == without_moments(asdict(draft)), text


@given(tasks())
def test_the_schema_takes_every_file_that_is_written(fields: dict[str, Any]) -> None:
    text = write_documents([definition(TaskDraft(**fields))])
    (document,) = read_documents(text, name="file")
    jsonschema.Draft202012Validator(task_schema()).validate(document.value)


def test_a_file_holds_many_tasks_and_passes_over_empty_documents() -> None:
    text = f"---\n{GOOD}---\n---\n{GOOD.replace('Photos', 'Logs')}"
    assert [task.kept.name for task in read(text)] == ["Photos", "Logs"]


def test_a_file_may_be_json() -> None:
    text = '{"kind": "objects", "name": "a", "spec": {"source": "s3://a", "destination": "s3://b"}}'
    assert [task.kept.name for task in read(text)] == ["a"]


def test_a_folder_stands_for_its_files_by_name(tmp_path: Path) -> None:
    (tmp_path / "2.yaml").write_text(GOOD)
    (tmp_path / "1.json").write_text(GOOD.replace("Photos", "First"))
    (tmp_path / "notes.txt").write_text("none")
    found = read_task_files([str(tmp_path)], bytes)
    assert [task.kept.name for task in found] == ["First", "Photos"]


def test_defaults_are_left_out_and_numbers_are_written_as_people_do() -> None:
    schedule = {
        "every": "5400s",
        "windows": [{"kind": "bandwidth", "from": "22:30", "to": "06:00", "bandwidth": 5_000_000}],
    }
    draft = TaskDraft(
        name="a",
        kind="objects",
        spec={"source": "s3://a", "destination": "s3://b"},
        schedule=schedule,
        limits={"bandwidth": "1GB/s", "requests": 500.0},
    )
    assert definition(checked(draft)) == {
        "kind": "objects",
        "name": "a",
        "schedule": {
            "every": "1h30m",
            "windows": [
                {"kind": "bandwidth", "from": "22:30", "to": "06:00", "bandwidth": "5MB/s"}
            ],
        },
        "limits": {"bandwidth": "1GB/s", "requests": 500},
        "spec": {"source": "s3://a/", "destination": "s3://b/"},
    }


def test_sizes_may_be_written_as_people_do() -> None:
    (task,) = read(GOOD + "  min_size: 1MiB\n  part_size: 16777216\n")
    assert (task.kept.spec["min_size"], task.kept.spec["part_size"]) == (1 << 20, 16 << 20)
    assert faults(GOOD + "  min_size: 8Mb\n") == [
        "stdin:8: spec.min_size: '8Mb' counts bits; write bytes, such as 50MB or 50MiB"
    ]


def test_differences_are_told_by_path() -> None:
    (before,), (after,) = read(GOOD), read(GOOD.replace("example.com", "example.org"))
    assert [asdict(change) for change in changes(before.definition, after.definition)] == [
        {
            "field": "spec.destination.endpoint",
            "before": "https://s3.example.com",
            "after": "https://s3.example.org",
        }
    ]
    assert changes(before.definition, before.definition) == []


# What is wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["stdin: there is no task in it"]),
        ("just words", ["stdin:1: is no task; write kind, name, spec, each on a line"]),
        (b"\xff", ["stdin: is not UTF-8"]),
        (GOOD + "nmae: x\n", ["stdin:8: nmae: there is no such field; did you mean name?"]),
        (GOOD + "name: x\n", ["stdin:8: 'name' stands here a second time"]),
        (GOOD.replace("Photos", "2024"), ["stdin:2: name: 2024 is no text; put it in quotes"]),
        (GOOD + "tags: x\n", ["stdin:8: tags: is no list of words; write [one, two]"]),
        (
            GOOD.replace("endpoint", "endpiont"),
            [("stdin:7: spec.destination.endpiont: there is no such parameter; did you mean"
             " endpoint?")],
        ),
        (
            GOOD + "  inclde: [a]\n  min_size: -1\n",
            ["stdin:8: spec.inclde: there is no such parameter; did you mean include?",
             "stdin:9: spec.min_size: must be at least 0"],
        ),
        (
            GOOD + "schedule:\n  cron: 0 3 * *\nlimits:\n  bandwith: 1MB/s\n",
            [("stdin:9: schedule.cron: '0 3 * *' has not the five fields minute, hour, day of"
             ' month, month, day of week; write them such as "30 2 * * mon-fri"'),
             "stdin:11: limits.bandwith: there is no such limit; did you mean bandwidth?"],
        ),
        (
            GOOD.replace("kind: objects", "kind: object"),
            ["stdin:1: kind: 'object' is no kind of task; did you mean objects?"],
        ),
        ("kind: objects\n", ["stdin:1: name: is missing", "stdin:1: spec: is missing"]),
        (
            "kind: objects\nname: a\nspec: {source: 's3://a'}\n",
            ["stdin:3: spec.destination: is missing"],
        ),
        ("a: [1, 2\n", ["stdin:2: is no YAML: expected ',' or ']', but got '<stream end>'"]),
        ("a: &x [1]\n", [("stdin:1: is no YAML: anchors (&) and aliases (*) are not read; write it"
                         " out")]),
        ("a: !!python/object:os.system x\n", ["stdin:1: tags (!) are not read; leave it out"]),
        ("1: a\n", ["stdin:1: the name of a field is text; put it in quotes"]),
        (f"a: {'[' * 60}{']' * 60}\n", ["stdin:1: is no YAML: it is nested too deeply"]),
        ("a: \x07\n", [("stdin: is no YAML: unacceptable character #x0007: special characters are"
                       " not allowed")]),
        ("x" * (1 << 20) + "y", ["stdin: is longer than 1 MiB, as no task file is"]),
        (
            f"{GOOD}---\n{GOOD}",
            ["stdin:10: name: 'Photos' has that name already, in stdin:2"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str | bytes, expected: list[str]) -> None:
    assert faults(text) == expected


def test_all_faults_of_all_documents_are_told_at_once() -> None:
    text = f"{GOOD}color: red\n---\n{GOOD.replace('Photos', 'b')}wheels: 4\n"
    assert faults(text) == [
        "stdin:8: color: there is no such field",
        "stdin:17: wheels: there is no such field",
    ]


@pytest.mark.parametrize("field", ["secret_access_key", "access_key_id", "session_token"])
def test_a_secret_is_refused_and_not_repeated(field: str) -> None:
    (said,) = faults(GOOD + f"    {field}: hunter2hunter2\n")
    assert said.startswith(f"stdin:8: spec.destination.{field}: a task file holds no secrets")
    assert "hunter2" not in said


def test_a_secret_in_a_url_is_not_repeated() -> None:
    for place in ("s3://AKIA:hunter2@photos/x", "https://me:hunter2@s3.example.com"):
        said = faults(GOOD.replace("s3://photos/2024", place).replace("https://s3", place))
        assert "hunter2" not in "".join(said)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_task_files([f"{tmp_path}/a.yaml", str(tmp_path)], bytes)
    assert [fault.message for fault in flatten([caught.value])] == [
        f"{tmp_path}/a.yaml: cannot be read: No such file or directory",
        f"{tmp_path}: no file in it ends with .yaml, .yml, .json",
    ]


# Images

IMAGES = """\
kind: images
name: Team
spec:
  source: registry.example.com:5000/team
  destination: ecr://eu-west-1
  all: true
"""


@pytest.mark.parametrize("schedule", ["none", "{}", "", "null"])
def test_a_schedule_of_images_is_left_out_or_none(schedule: str) -> None:
    (daily,), (none,) = read(IMAGES), read(f"{IMAGES}schedule: {schedule}\n")
    assert (daily.kept.schedule, none.kept.schedule) == (None, {})
    assert "schedule" not in daily.definition
    assert none.definition["schedule"] == {}
    for task in (daily, none):
        validator = jsonschema.Draft202012Validator(task_schema())
        validator.validate(task.document.value)
        (again,) = read(write_documents([task.definition]))
        assert again.definition == task.definition


def test_what_is_usual_is_not_written() -> None:
    (task,) = read(IMAGES)
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    kept = replace(task.kept, schedule=usual_schedule("images", started))
    assert definition(kept) == task.definition
    later = replace(kept, schedule={**usual_schedule("images", started), "jitter": "60s"})
    assert definition(later)["schedule"]["every"] == "1d"


def test_the_words_for_images_are_read_as_people_write_them() -> None:
    (listed,), (text,) = (
        read(IMAGES.replace("all: true", f"images: {images}"))
        for images in ("[app:1, web]", "'app:1, web'")
    )
    assert (listed.kept.spec["images"], text.kept.spec["images"]) == ("app:1\nweb", "app:1, web")
    (renamed,) = read(IMAGES + "  rename: {vault/secret-password: a, tools/: ''}\n")
    assert renamed.definition["spec"]["rename"] == {"vault/secret-password": "a", "tools/": ""}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("all: true", "all: true\n  semvr: x"), ["stdin:7: spec.semvr: there is no such"]),
        (("all: true", "newest: 5"), ["stdin:3: spec.images: is missing; name images"]),
        (
            ("source: registry.example.com:5000/team", "source: {url: ghost:5000, account: '1'}"),
            ["stdin:4: spec.source.account"],
        ),
        (("all: true", "all: true\n  password: x"), ["stdin:7: spec.password: a task file holds"]),
        (("kind: images", "kind: image"), ["stdin:1: kind: 'image' is no kind of task"]),
    ],
)
def test_what_is_wrong_with_images_is_named_with_its_line(
    change: tuple[str, str], expected: list[str]
) -> None:
    assert IMAGES.replace(*change) != IMAGES
    said = faults(IMAGES.replace(*change))
    assert len(said) == len(expected), said
    for sentence, start in zip(said, expected, strict=True):
        assert sentence.startswith(start), said


@pytest.mark.parametrize(
    "change",
    [
        ("all: true", "newest: x"),
        ("all: true", "min_size: 5"),
        ("ecr://eu-west-1", "{region: eu-west-1}"),
        ("ecr://eu-west-1", "{url: ecr://eu-west-1, bucket: x}"),
        ("kind: images", "kind: objects"),
        ("all: true", "images_file_sha256: ''"),
    ],
)
def test_the_schema_refuses_what_is_not_of_images(change: tuple[str, str]) -> None:
    validator = jsonschema.Draft202012Validator(task_schema())
    good, bad = (
        read_documents(text, name="file")[0].value for text in (IMAGES, IMAGES.replace(*change))
    )
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


# The schema


def test_the_schema_names_the_fields_of_a_file() -> None:
    schema = task_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert tuple(schema["properties"]) == FIELDS


@pytest.mark.parametrize(
    "change",
    [
        ("source:", "min_size: [1]\n  source:"),
        ("source:", "part_size: 1024\n  source:"),
        ("name: Photos", "nmae: Photos"),
        ("name: Photos", "name: Photos\nschedule: {cron: 0 3 * * *, every: 1h}"),
        ("name: Photos", "name: Photos\nschedule: {every: 1h, overlap: never}"),
        ("endpoint:", "endpiont:"),
        ("source: s3://photos/2024", "source: {region: x}"),
        ("source: s3://photos/2024", "newer_than_given: 7d"),
    ],
)
def test_the_schema_refuses_what_apply_would(change: tuple[str, str]) -> None:
    validator = jsonschema.Draft202012Validator(task_schema())
    good, bad = (
        read_documents(text, name="file")[0].value for text in (GOOD, GOOD.replace(*change))
    )
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


# The page


def test_the_files_on_the_page_are_right() -> None:
    page = Path(__file__).parents[3] / "docs" / "operations" / "task-files.md"
    files = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert len(files) == 3
    validator = jsonschema.Draft202012Validator(task_schema())
    for text in files:
        (task,) = read(text)
        validator.validate(task.document.value)
        assert read(write_documents([task.definition]))[0].definition == task.definition


def test_the_page_names_every_field() -> None:
    page = Path(__file__).parents[3] / "docs" / "operations" / "task-files.md"
    rows = [line.split("|")[1] for line in page.read_text().splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(FIELDS)
