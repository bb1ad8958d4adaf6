"""YAML, as far as task files need it: values with their lines, and no surprises.

Plain words are read as JSON would read them (YAML 1.2): `22:30`, `no` and `007` are text. Anchors
and tags are refused, so that a small file stays small in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from transferhub.errors import InputError

_DEEPEST = 50
_TAG = "tag:yaml.org,2002:"
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Would be read as other breaks of lines."""

_BOOLS = {"true": True, "false": False}
_PLAIN: Mapping[str, tuple[str, Sequence[str]]] = {
    "null": (r"null|~|", ["n", "~", ""]),
    "bool": (r"true|false", ["t", "f"]),
    "int": (r"-?(?:0|[1-9][0-9]{0,30})", [*"-0123456789"]),
    "float": (
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)",
        [*"-0123456789"],
    ),
}
"""What a word without quotes may be beside text: its pattern and its first letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file.

    Attributes:
        lines: by path, such as `spec.include.0`, the line in the file, from 1.
    """

    value: object
    lines: Mapping[str, int]

    def line_of(self, path: str) -> int:
        """The line of the path, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines[path]


def read_documents(text: str, *, name: str) -> list[Document]:
    """The documents of a file that are not empty.

    Raises:
        InputError: named by file and line.
    """
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InputError(where, f"is no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(name, f"is no YAML: {str(error).splitlines()[0]}") from None
    return [_Reading(name).document(node) for node in nodes if not _is_empty(node)]


def write_documents(documents: Sequence[Mapping[str, Any]]) -> str:
    """For `read_documents`, and as other readers of YAML understand it."""
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        explicit_start=len(documents) > 1,
        width=1 << 20,
    )


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own shape
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's signature
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(event, "anchors (&) and aliases (*) are not read; write it out")
        if self.depth == _DEEPEST:
            raise _refused(event, "it is nested too deeply")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


for _kind, (_pattern, _first) in _PLAIN.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _text)


def _refused(at: yaml.Event | yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=cast("yaml.Mark", at.start_mark))


def _is_empty(node: yaml.Node) -> bool:
    return node.tag == f"{_TAG}null"


@dataclass(slots=True)
class _Reading:
    """Turns nodes into values and remembers their lines."""

    name: str
    lines: dict[str, int] = field(default_factory=dict)

    def document(self, node: yaml.Node) -> Document:
        return Document(value=self._value(node, ""), lines=self.lines)

    def _value(self, node: yaml.Node, path: str) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode():
                return dict(self._fields(node, path))
            case yaml.SequenceNode():
                return [
                    self._value(inner, _below(path, str(number)))
                    for number, inner in enumerate(node.value)
                ]
            case _:
                return self._scalar(node)

    def _fields(self, node: yaml.MappingNode, path: str) -> Iterator[tuple[str, object]]:
        seen = set()
        for key, inner in node.value:
            name = key.value if key.tag == f"{_TAG}str" else None
            if not isinstance(name, str):
                raise self._fault(key, "the name of a field is text; put it in quotes")
            if name in seen:
                raise self._fault(key, f"{name!r} stands here a second time")
            seen.add(name)
            self.lines[_below(path, name)] = key.start_mark.line + 1
            yield name, self._value(inner, _below(path, name))

    def _scalar(self, node: yaml.Node) -> object:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text in _BOOLS:
                return _BOOLS[text]
            case "int" if re.fullmatch(_PLAIN["int"][0], text):
                return int(text)
            case "float" if re.fullmatch(_PLAIN["float"][0], text):
                return float(text)
            case _:
                raise self._fault(node, "tags (!) are not read; leave it out")

    def _fault(self, node: yaml.Node, sentence: str) -> InputError:
        return InputError(f"{self.name}:{node.start_mark.line + 1}", sentence)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
