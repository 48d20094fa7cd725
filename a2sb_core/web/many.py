"""The tab for many files, which are restored in turn and packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from a2sb_core.batch.local import FileOutcome
from a2sb_core.common.text import printable, without_folders
from a2sb_core.jobs.records import Job
from a2sb_core.web import work
from a2sb_core.web.parts import (
    Served,
    as_options,
    buttons,
    hint,
    session_state,
    settings,
    stop,
    suffixes,
    task_radio,
    wire_tasks,
)
from a2sb_core.web.session import Session
from a2sb_core.web.work import PageRequest

COLUMNS = ["file", "result", "seconds", "notes"]
HINT = "Drop recordings on the left. They are restored in turn and packed into a ZIP file."
WIDTHS: list[str | int] = ["32%", "18%", "10%", "40%"]
STATUS = {
    "restored": "restored",
    "nothing": "nothing to restore, copied",
    "failed": "failed",
    "left": "cancelled",
}


def lay_out(served: Served) -> None:
    """Lay out the tab and connect its buttons."""
    session = session_state()
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            files = gr.File(
                label=f"Recordings, up to {served.limits.files}",
                file_count="multiple",
                file_types=suffixes(),
                elem_id="files",
            )
            task = task_radio(served.model, "task-many")
            more = settings(served)
            go = gr.Button("Restore all", variant="primary", size="lg", elem_id="restore-all")
            cancel = gr.Button(
                "Cancel", variant="stop", size="lg", elem_id="cancel-all", visible=False
            )
        with gr.Column(scale=5, min_width=480):
            message = gr.HTML(hint(HINT, served.root), elem_id="hint")
            table = gr.Dataframe(
                headers=COLUMNS,
                column_widths=WIDTHS,
                interactive=False,
                wrap=True,
                buttons=[],
                visible=False,
                elem_id="table",
            )
            result = gr.DownloadButton(
                "Download all as ZIP", variant="primary", visible=False, elem_id="download-all"
            )
    wire_tasks(served, more[0], task)
    _wire(served, [session, files, task, *more], [table, result], [go, cancel, message])


def _wire(served: Served, asked: list[Any], outputs: list[Any], shown: list[Any]) -> None:
    """Connect the buttons that restore all files and cancel."""
    go, cancel, _ = shown
    session, table = asked[0], outputs[0]

    def begin(state: Session | None, paths: list[str] | None) -> tuple[Any, ...]:
        if not paths:
            raise gr.Error("Choose files first.", print_exception=False)
        state = state or Session.new(served.root)
        state.stop.clear()  # before the queue, in which a visitor may already cancel
        seen = gr.update(visible=False), gr.update(value=[], visible=True)
        return state, *buttons(is_running=True), *seen

    def restored(
        visitor: gr.Request,
        state: Session,
        paths: list[str],
        task: str,
        *chosen: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  required by gradio
    ) -> Iterator[tuple[Any, ...]]:
        request = PageRequest(task, **as_options(*chosen))
        outcomes: list[FileOutcome] = []

        def changed(job: Job) -> None:
            share = (len(outcomes) + job.finished / (job.frames or 1)) / len(paths)
            waits = f", waiting, {job.ahead} before you" if job.ahead else ""
            progress(share, desc=f"{len(outcomes) + 1} of {len(paths)}{waits}")

        def rows() -> list[list[Any]]:
            return [_row(outcome, served.root) for outcome in outcomes]

        yield gr.skip(), gr.update(visible=False)
        done = work.restore_many(served.queue, state, paths, request, changed)
        with served.watch(visitor, state.stop):
            for one in done:
                outcomes.append(one)
                yield rows(), gr.skip()
        packed = work.pack(state, outcomes)
        yield rows(), gr.update(value=str(packed) if packed else None, visible=packed is not None)

    begun = go.click(
        begin, asked[:2], [session, *shown, table], queue=False, show_progress="hidden"
    )
    ran = begun.success(restored, asked, outputs, concurrency_limit=None, show_progress_on=table)
    ran.then(
        lambda: buttons(is_running=False), None, [go, cancel], queue=False, show_progress="hidden"
    )
    cancel.click(stop, session, None, queue=False)


def _row(outcome: FileOutcome, root: Path) -> list[Any]:
    notes = "; ".join(filter(None, (without_folders(outcome.error, root), *outcome.notes)))
    name = printable(Path(outcome.pair.source.name))
    return [name, STATUS[outcome.status], round(outcome.seconds, 1), notes]
