"""What a person hears of a task or a run after a change."""

from __future__ import annotations

from transferhub.cli.hub_lines import next_run
from transferhub.cli.text import local_time, table, visible
from transferhub.model.run import Task
from transferhub.model.units import format_bytes, format_count


def created_lines(task: Task, *, started: bool) -> list[str]:
    head = f"Created task {task.ident}, {visible(task.name)}."
    if started:
        return [head, "Its first run is queued."]
    if task.state == "paused":
        return [f"{head} It is paused; dth task resume {task.ident} lets it run."]
    if task.next_run_at is not None:
        return [head, f"It runs next at {local_time(next_run(task))}."]
    return [head, f"dth task start {task.ident} starts it."]


def limit_lines(task: Task) -> list[str]:
    limits = task.limits
    bandwidth, requests = limits.get("bandwidth"), limits.get("requests")
    concurrency = limits.get("concurrency")
    rows = [
        ("bandwidth", f"{format_bytes(bandwidth)}/s" if bandwidth else "no limit"),
        ("requests", f"{requests:g}/s" if requests else "no limit"),
        ("concurrency", format_count(concurrency) if concurrency else "no limit"),
    ]
    return table(rows)
