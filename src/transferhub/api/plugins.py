"""Answers about kinds of tasks."""

from __future__ import annotations

from transferhub.api.reading import Arguments, Json
from transferhub.api.specs import FORMS
from transferhub.control.hub import Hub
from transferhub.model.people import Caller


async def spec_schema(_: Hub, arguments: Arguments, __: Caller) -> Json:
    return FORMS[arguments["kind"].lower()].parameters.model_json_schema()
