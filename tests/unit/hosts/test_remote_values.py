"""What is sent to a hub and comes back is the same task."""

import json
from typing import Any

from hypothesis import given

from tests.unit.cli.task_drafts import tasks
from transferhub.api.specs import FORMS
from transferhub.cli.tasks.definition import definition
from transferhub.cli.tasks.kinds import KINDS
from transferhub.control.tasks import TaskDraft
from transferhub.hosts.remote.answers import known_spec
from transferhub.hosts.remote.inputs import task_input


def without_ages(spec: dict[str, Any]) -> dict[str, Any]:
    """An age counts from when it is read."""
    ages = [name.removesuffix("_given") for name in spec if name.endswith("_given")]
    return {name: value for name, value in spec.items() if name not in ages}


@given(tasks())
def test_a_spec_goes_to_a_hub_and_comes_back(fields: dict[str, Any]) -> None:
    kind = fields["kind"]
    form, parse = FORMS[kind], KINDS[kind].parse
    sent = json.loads(json.dumps(task_input(definition(TaskDraft(**fields)))))
    kept = json.loads(json.dumps(parse(form.values(sent[form.argument])).to_json()))
    assert without_ages(kept) == without_ages(fields["spec"])

    back = parse(known_spec(kind, json.loads(json.dumps(form.told(kept))))).to_json()
    assert without_ages(back) == without_ages(fields["spec"])
