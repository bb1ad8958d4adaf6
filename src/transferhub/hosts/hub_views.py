"""What a hub shows of its tasks and runs, wherever it is."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.control.standing import Standing
from transferhub.model.run import Run, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """Attributes:
    latest: its newest run; None where there is none.
    """

    task: Task
    latest: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run, and how far it is."""

    run: Run
    standing: Standing
