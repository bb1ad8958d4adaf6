"""What is sent to a hub and comes back is the same task."""

import json
from typing import Any

from hypothesis import given

from tests.unit.cli.task_drafts import tasks
from transferhub.api.specs import spec_values, told_spec
from transferhub.cli.tasks.definition import definition
from transferhub.control.tasks import TaskDraft
from transferhub.hosts.remote.answers import known_spec
from transferhub.hosts.remote.inputs import task_input
from transferhub.plugins.objects.spec import parse_spec


def without_ages(spec: dict[str, Any]) -> dict[str, Any]:
    """An age counts from when it is read."""
    ages = [name.removesuffix("_given") for name in spec if name.endswith("_given")]
    return {name: value for name, value in spec.items() if name not in ages}


@given(tasks())
def test_a_spec_goes_to_a_hub_and_comes_back(fields: dict[str, Any]) -> None:
    sent = task_input(definition(TaskDraft(**fields)))
    kept = parse_spec(spec_values(json.loads(json.dumps(sent))["spec"])).to_json()
    assert without_ages(kept) == without_ages(fields["spec"])

    back = parse_spec(known_spec(json.loads(json.dumps(told_spec(kept))))).to_json()
    assert without_ages(back) == without_ages(fields["spec"])
