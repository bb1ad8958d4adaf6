"""Where what belongs to logs is, in the hub's table."""

from __future__ import annotations

from transferhub.aws.attributes import Item
from transferhub.aws.table import When
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.shelf import name_key

HOURS = "log-hours#"
"""The partition of runs by the hours in which they said something."""


def log_partition(task: TaskId) -> str:
    return f"log{name_key(task)}"


def tail_key(task: TaskId) -> Item:
    return {"pk": log_partition(task), "sk": "tail"}


def run_key(run: RunId) -> Item:
    """Of what is counted of a run."""
    return {"pk": f"log-run{name_key(run)}", "sk": "#"}


def drop_key(task: TaskId, run: RunId) -> Item:
    """Of how many lines of a run had to go, if any had to."""
    return {"pk": log_partition(task), "sk": f"drop{name_key(run)}"}


def drops_of(task: TaskId) -> When:
    return When(
        "pk = :pk AND begins_with(sk, :drop)", {":pk": log_partition(task), ":drop": "drop#"}
    )


def line_key(task: TaskId, first: int) -> Item:
    """Of lines, by the number of the first one."""
    return {"pk": log_partition(task), "sk": f"line#{first:020}"}


def lines_between(task: TaskId, first: int, last: int) -> When:
    """Lines that stand together with one of these numbers as their first."""
    first, last = line_key(task, first)["sk"], line_key(task, last)["sk"]
    return When(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": log_partition(task), ":first": first, ":last": last},
    )


def hour_key(hour: int, run: RunId) -> Item:
    return {"pk": HOURS, "sk": f"{hour:012}{name_key(run)}"}


def hours_until(hour: int) -> When:
    return When("pk = :pk AND sk < :end", {":pk": HOURS, ":end": f"{hour + 1:012}"})
