"""`dth show`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.desk import server_of
from transferhub.cli.documents import print_json, show_document
from transferhub.cli.exits import ExitCode
from transferhub.cli.far_runs import show_run
from transferhub.cli.grouped import Command
from transferhub.cli.places import route
from transferhub.cli.run_lines import duration
from transferhub.cli.standing import hub_steps
from transferhub.cli.summary import balance_lines, group_lines, next_lines, noted_lines
from transferhub.cli.text import (
    NOTHING,
    counted,
    local_time,
    noun_of,
    status_words,
    table,
    visible,
)
from transferhub.engine.progress import Summary
from transferhub.model.run import Run, RunState, Task, Trigger
from transferhub.model.transfer import Action, RunId, Totals, TransferState
from transferhub.model.units import format_bytes, format_count

EXAMPLES = """
    dth show last
    dth show 3f2a --json
"""


@click.pass_context
def show(context: click.Context, /, **params: Any) -> ExitCode:
    if server_of(context):
        return show_run(context, params)
    app: App = context.obj
    with app.session(params) as session:
        run, task, totals = session.host.show(RunId(params["run"]))
        if session.json:
            print_json(show_document(run, task, totals), app.out)
        else:
            summary = Summary.of(run.ident, run.state, totals, seconds=0.0)
            noun = noun_of(task.kind)
            failed, noted = summary.failed + summary.delete_failed, _noted(run)
            groups = session.host.failure_groups(run.ident) if failed else []
            at_work = session.host.is_worked_on(run.ident)
            lines = [
                *head_lines(run, task, at_work=at_work),
                *phase_lines(totals, noun),
                *balance_lines(summary),
                *noted_lines(noted, noun),
                *group_lines(groups, noun),
            ]
            if run.trigger is not Trigger.COMMAND:
                lines += hub_steps(run, failed=failed)
            elif not (run.state is RunState.RUNNING and at_work):
                lines += next_lines(
                    run.ident, run.state, failed=failed, noted=noted, code=run.error_code
                )
            app.out.lines(lines)
    return ExitCode.OK


def _noted(run: Run) -> int | None:
    """As its end told; None of a run that goes on."""
    return run.summary.get("noted") if run.ended_at else None


def head_lines(run: Run, task: Task, *, at_work: bool) -> list[str]:
    rows = [
        ("run", run.ident),
        ("status", status_words(run.state, at_work=at_work)),
        ("task", route(task)),
        ("started", local_time(run.started_at)),
        ("ended", f"{local_time(run.ended_at)} ({duration(run)})" if run.ended_at else NOTHING),
    ]
    if run.resumed:
        rows.append(("resumed", counted(run.resumed, "time")))
    if report := run.summary.get("report"):
        rows.append(("report", visible(str(report))))
    if run.error:
        rows.append(("error", visible(run.error)))
    return table(rows)


def phase_lines(totals: Totals, noun: str = "object") -> list[str]:
    """How far each phase of the run is."""
    done = totals.tally(Action.COPY, TransferState.DONE)
    copies = totals.scan.new + totals.scan.changed
    deletes = totals.tally(Action.DELETE, *TransferState)
    listed = f"{totals.shards_done:,} of {counted(totals.shards, 'key range')} compared"
    if noun != "object":
        listed = f"{totals.shards_done:,} of {counted(totals.shards, 'plan')} made"
    rows = [
        ("listing", listed),
        ("copying", f"{format_count(done.count)} of {counted(copies, noun)}"),
        ("moved", format_bytes(totals.moved_bytes)),
    ]
    if deletes.count:
        deleted = totals.tally(Action.DELETE, TransferState.DONE).count
        rows.append(("deleting", f"{deleted:,} of {counted(deletes.count, noun)}"))
    if totals.uploads:
        rows.append(("uploads", f"{counted(totals.uploads, 'unfinished multipart upload')}"))
    return ["", *table(rows), ""]


command = Command(
    "show",
    callback=show,
    short_help="Show one run: its state, its counts, what to do next.",
    help="Show one run: its state, its phases, counts that balance, and what to do next.",
    examples=EXAMPLES,
    on_hub=True,
    params=options.chain(
        [options.run_argument()], options.output_options(progress=False, json="the run")
    ),
)
