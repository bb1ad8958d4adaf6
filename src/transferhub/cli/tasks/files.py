"""Task files: what people write of tasks, one or many in a YAML or JSON file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from transferhub.cli.tasks.definition import Definition, checked, definition
from transferhub.cli.tasks.kinds import KINDS
from transferhub.cli.tasks.yaml import Document, read_documents, write_documents
from transferhub.control.tasks import TaskDraft
from transferhub.errors import InputError
from transferhub.model.faults import flatten, raise_faults, suggest
from transferhub.model.run import Task

Value = TypeVar("Value")

NEEDED = ("kind", "name", "spec")
FIELDS = ("kind", "name", "description", "tags", "schedule", "limits", "spec")

_STDIN = "stdin"
_LARGEST = 1 << 20
_SUFFIXES = (".yaml", ".yml", ".json")
_NONE: Sequence[object] = (None, "none", {})
"""What a schedule may be of a task that has none, where tasks of its kind usually have one."""

_SECRET = re.compile(r"access_key|secret|session_token|password|passphrase", re.IGNORECASE)
_REFUSED = (
    "a task file holds no secrets; store them with dth credential put, and name the credential here"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """One task of a file.

    Attributes:
        draft: as it was written.
        kept: the same with its values as a task keeps them.
        file: its name, for people.
    """

    draft: TaskDraft
    kept: TaskDraft
    file: str
    document: Document

    @property
    def definition(self) -> Definition:
        return definition(self.kept)

    def located(self, error: InputError) -> InputError:
        """The error, which names a field, with the file and the line of that field."""
        return _located(error, self.file, self.document)


def read_task_files(names: Sequence[str], read_input: Callable[[], bytes]) -> list[TaskFile]:
    """The tasks of files, of the files in folders, and of standard input where it is named "-".

    Raises:
        InputError: naming file, line and field; InputErrors for all that is wrong.
    """
    faults: list[InputError] = []
    found: list[TaskFile] = []
    for name in names:
        for file, read in _files(name, read_input, faults):
            found += _try(partial(_read, file, read, faults), faults) or []
    raise_faults([*faults, *_twice(found)])
    if not found:
        raise InputError(_STDIN if names[0] == "-" else names[0], "there is no task in it")
    return found


def write_task_files(tasks: Sequence[Task]) -> str:
    """One file that `read_task_files` reads."""
    return write_documents([definition(task) for task in tasks])


def _files(
    name: str, read_input: Callable[[], bytes], faults: list[InputError]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each file with what reads it."""
    if name == "-":
        yield _STDIN, read_input
        return
    path = Path(name).expanduser()
    if not path.is_dir():
        yield name, path.read_bytes
        return
    inside = sorted(inner for inner in path.iterdir() if inner.suffix in _SUFFIXES)
    if not inside:
        faults.append(InputError(name, f"no file in it ends with {', '.join(_SUFFIXES)}"))
    for inner in inside:
        yield str(inner), inner.read_bytes


def _read(file: str, read: Callable[[], bytes], faults: list[InputError]) -> list[TaskFile]:
    documents = read_documents(_text(file, read), name=file)
    tasks = (_try(partial(_task, document, file), faults) for document in documents)
    return [task for task in tasks if task is not None]


def _text(file: str, read: Callable[[], bytes]) -> str:
    try:
        content = read()
    except OSError as error:
        raise InputError(file, f"cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise InputError(file, f"is longer than {_LARGEST >> 20} MiB, as no task file is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(file, "is not UTF-8") from None


def _task(document: Document, file: str) -> TaskFile:
    try:
        draft = _draft(document.value)
        return TaskFile(draft=draft, kept=checked(draft), file=file, document=document)
    except InputError as error:
        raise _located(error, file, document) from None


def _draft(value: object) -> TaskDraft:
    """What a document says.

    Raises:
        InputError: naming each field.
    """
    if not isinstance(value, Mapping):
        raise InputError("", f"is no task; write {', '.join(NEEDED)}, each on a line")
    faults = [
        InputError(name, f"there is no such field{suggest(name, FIELDS)}")
        for name in value
        if name not in FIELDS
    ]
    faults += [InputError(name, "is missing") for name in NEEDED if value.get(name) is None]
    free = {f"spec.{name}" for name in KINDS[kind].free} if (kind := _kind(value)) else set()
    faults += _secrets(value, free)
    given = {name: inner for name, inner in value.items() if name in FIELDS and inner is not None}
    if "schedule" in value and value["schedule"] in _NONE:
        given["schedule"] = {}
    faults += _shapes(given)
    raise_faults(faults)
    draft = TaskDraft(**given)
    return replace(draft, tags=tuple(draft.tags))


def _shapes(given: Mapping[str, Any]) -> Iterator[InputError]:
    for name, value in given.items():
        if name in ("kind", "name", "description"):
            if not isinstance(value, str):
                yield InputError(name, f"{value!r} is no text; put it in quotes")
        elif name == "tags":
            if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
                yield InputError(name, "is no list of words; write [one, two]")
        elif not isinstance(value, Mapping):
            yield InputError(name, "has no fields; write them below it, indented")


def _kind(document: object) -> str:
    """The kind of a task that may be anything; "" where there is none such."""
    told = document.get("kind") if isinstance(document, Mapping) else None
    return told if isinstance(told, str) and told in KINDS else ""


def _secrets(value: object, free: Collection[str], path: str = "") -> Iterator[InputError]:
    """Fields whose names tell of a secret. What they hold is repeated nowhere.

    Args:
        free: paths of fields whose own fields are no one's names.
    """
    if path in free:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{path}.{name}" if path else str(name)
            if _SECRET.search(str(name)):
                yield InputError(below, _REFUSED)
            else:
                yield from _secrets(inner, free, below)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, free, f"{path}.{number}")


def _twice(tasks: Sequence[TaskFile]) -> Iterator[InputError]:
    """Tasks are found by name."""
    known: dict[str, TaskFile] = {}
    for task in tasks:
        first = known.setdefault(task.kept.name, task)
        if first is not task:
            line = first.document.line_of("name")
            sentence = f"{task.kept.name!r} has that name already, in {first.file}:{line}"
            yield task.located(InputError("name", sentence))


def _located(error: InputError, file: str, document: Document) -> InputError:
    kind = _kind(document.value)
    faults = sorted(flatten([error]), key=lambda fault: document.line_of(_path(fault.field, kind)))
    found = [_at_line(fault, file, document) for fault in faults]
    try:
        raise_faults(found)
    except InputError as located:
        return located
    raise AssertionError("an error has a fault")


def _at_line(fault: InputError, file: str, document: Document) -> InputError:
    path = _path(fault.field, _kind(document.value))
    sentence = fault.message.removeprefix(f"{fault.field}: ")
    where = f"{file}:{document.line_of(path)}"
    return InputError(f"{where}: {path}" if path else where, sentence, code=fault.code)


def _path(field: str, kind: str) -> str:
    """`spec.source_endpoint`, a fault of a location, as the file writes it.

    >>> _path("spec.source_endpoint", "objects"), _path("spec.destination_prefix", "objects")
    ('spec.source.endpoint', 'spec.destination_prefix')
    """
    name = field.removeprefix("spec.")
    if name == field or not kind or name in KINDS[kind].model.model_fields:
        return field
    side = next((side for side in KINDS[kind].places if name.startswith(f"{side}_")), "")
    return f"spec.{side}.{name.removeprefix(f'{side}_')}" if side else field


def _try(read: Callable[[], Value], faults: list[InputError]) -> Value | None:
    try:
        return read()
    except InputError as fault:
        faults.append(fault)
        return None
