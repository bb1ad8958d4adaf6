"""Answers about kinds of tasks."""

from __future__ import annotations

from transferhub.api.reading import Arguments, Json
from transferhub.control.hub import Hub
from transferhub.model.people import Caller
from transferhub.plugins.objects.parameters import Parameters

_SCHEMAS = {"OBJECTS": Parameters}


async def spec_schema(_: Hub, arguments: Arguments, __: Caller) -> Json:
    return _SCHEMAS[arguments["kind"]].model_json_schema()
