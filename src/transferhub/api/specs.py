"""The parameters of tasks of each kind, as the API takes and gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from transferhub.api import image_specs, object_specs
from transferhub.api.reading import Json
from transferhub.errors import InputError
from transferhub.plugins.images.parameters import Parameters as ImagesParameters
from transferhub.plugins.objects.parameters import Parameters as ObjectsParameters

SPEC = "spec."
"""How faults of parameters begin, whatever the argument is called that has them."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecForm:
    """How one kind of task is written.

    Attributes:
        argument: that has its parameters.
        values: for the plugin's parser, of the argument; raises InputError.
        field: of the argument, by the field of a fault and the argument.
        told: a stored spec as the argument.
        url: of a stored place, for people.
    """

    argument: str
    parameters: type[BaseModel]
    values: Callable[[Fields], Json]
    field: Callable[[str, Fields], str]
    told: Callable[[Fields], Json]
    url: Callable[[Fields], str]


FORMS: Mapping[str, SpecForm] = {
    "objects": SpecForm(
        argument="spec",
        parameters=ObjectsParameters,
        values=object_specs.spec_values,
        field=object_specs.spec_field,
        told=object_specs.told_spec,
        url=object_specs.told_url,
    ),
    "images": SpecForm(
        argument="images",
        parameters=ImagesParameters,
        values=image_specs.spec_values,
        field=image_specs.spec_field,
        told=image_specs.told_spec,
        url=image_specs.told_url,
    ),
}


def kind_of(task: Fields) -> str:
    """Which kind a TaskInput is of: it says so, or its parameters do.

    Raises:
        InputError: it has no parameters, or those of another kind.
    """
    given = [kind for kind, form in FORMS.items() if task.get(form.argument) is not None]
    told = task.get("kind")
    kind = told.lower() if told is not None else next(iter(given), "objects")
    argument = FORMS[kind].argument
    for other in given:
        if other != kind:
            raise InputError(
                FORMS[other].argument,
                f"is for tasks of kind {other.upper()}, and this one is of kind {kind.upper()},"
                f" whose parameters are in {argument}",
            )
    if not given:
        raise InputError(argument, f"is missing; a task of kind {kind.upper()} needs it")
    return kind


def named_spec(field: str, asked: Fields) -> str | None:
    """The field of the parameters among `asked` that a fault is of; None where it is of none."""
    if not field.startswith(SPEC):
        return None
    for form in FORMS.values():
        spec = asked.get(form.argument)
        if spec is not None:
            return f"{form.argument}.{form.field(field.removeprefix(SPEC), spec)}"
    return None
