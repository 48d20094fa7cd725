"""The tab of one file: see it, restore it, listen to before and after."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from a2sb_core.web import work
from a2sb_core.web.parts import (
    QUEUE,
    TASKS,
    Served,
    as_options,
    buttons,
    explained,
    hint,
    session_state,
    settings,
    stop,
    suffixes,
)
from a2sb_core.web.session import CancelledError, Session
from a2sb_core.web.view import marks
from a2sb_core.web.work import Asked


def lay_out(served: Served) -> None:
    """Lay out the tab, and say what its buttons do."""
    session, found = session_state(), gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            file = gr.File(label="Recording", file_types=suffixes(), height=150, elem_id="file")
            with gr.Row():
                dull = gr.Button("Example without highs", size="sm", elem_id="example-highs")
                torn = gr.Button("Example with gaps", size="sm", elem_id="example-gaps")
            task = gr.Radio(TASKS, value="bandwidth", label="Task", elem_id="task")
            cutoff = gr.Textbox("", label="Cutoff in Hz", max_lines=1, elem_id="cutoff",
                                placeholder="found by itself")
            gaps = gr.Textbox("", label="Gaps in seconds", lines=3, visible=False, elem_id="gaps",
                              placeholder="found by themselves; or START:END, one a line")
            edit = gr.Button("Edit what was found", size="sm", visible=False, elem_id="edit")
            more = settings(served.model)
            go = gr.Button("Restore", variant="primary", size="lg", elem_id="restore")
            cancel = gr.Button("Cancel", variant="stop", size="lg", elem_id="cancel", visible=False)
        with gr.Column(scale=5, min_width=480):
            player = _player(served)
            with gr.Row(elem_id="outcome"):
                told = gr.Markdown(elem_id="told", min_height=64)
                result = gr.DownloadButton("Download", variant="primary", visible=False,
                                           elem_id="download", scale=0, min_width=180)

    _wire_source(served, [session, found, player, told, task, cutoff, gaps, edit, result],
                 file, {"bandwidth": dull, "inpaint": torn})
    _wire_marks(served, found, player, task, cutoff, gaps, edit)
    asked = [session, file, task, cutoff, gaps, *more]
    _wire_work(served, asked, [player, told, result], [go, cancel])


def _wire_source(
    served: Served, outputs: list[Any], file: gr.File, examples: dict[str, gr.Button]
) -> None:
    """A recording arrives: look at it."""
    session = outputs[0]

    def opened(state: Session | None, path: str | None) -> tuple[Any, ...]:
        state, hidden = state or Session.new(served.root), gr.update(visible=False)
        if path is None:
            return state, None, "", "", gr.skip(), "", "", hidden, hidden
        try:
            with explained(served.root):
                seen, view = work.look(state, Path(path), served.limits)
        except gr.Error as error:
            gr.Warning(error.message, duration=15)
            return state, None, "", error.message, gr.skip(), "", "", hidden, hidden
        is_found = bool(seen["gaps"] or seen["cutoff_hz"])
        task = "inpaint" if seen["gaps"] else "bandwidth"
        return (state, seen, json.dumps(view), _said(seen), task, "", "",
                gr.update(visible=is_found), hidden)

    def tried(state: Session | None, task: str) -> tuple[Session, str]:
        state = state or Session.new(served.root)
        return state, str(work.example(state, task))

    for task, button in examples.items():
        button.click(lambda state, task=task: tried(state, task), session, [session, file])
    file.change(opened, [session, file], outputs, show_progress="minimal")


def _wire_marks(
    served: Served, found: gr.State, player: gr.HTML, task: gr.Radio, cutoff: gr.Textbox,
    gaps: gr.Textbox, edit: gr.Button,
) -> None:
    """Task, cutoff or gaps are set: draw them."""

    def marked(seen: Any, view: str, task: str, hertz: str, text: str) -> str:
        if not view or seen is None:
            return view
        with explained(served.root):
            given = Asked(task, cutoff=hertz, gaps=text).options()
        known = json.loads(view)
        cutoff_hz = given.get("cutoff_hz") or seen["cutoff_hz"] if task == "bandwidth" else None
        gaps_s = given.get("gaps_s") or _gaps(seen) if task == "inpaint" else ()
        return json.dumps(known | marks(known["sample_rate"], cutoff_hz, gaps_s))

    def edited(seen: Any) -> tuple[str, str]:
        if seen is None:
            return "", ""
        hertz = seen["cutoff_hz"]
        lines = "\n".join(f"{start:g}:{end:g}" for start, end in _gaps(seen))
        return "" if hertz is None else f"{hertz:g}", lines

    task.change(
        lambda name: (gr.update(visible=name == "bandwidth"), gr.update(visible=name == "inpaint")),
        task, [cutoff, gaps], show_progress="hidden",
    )
    for changed in (task.change, cutoff.blur, gaps.blur):
        changed(marked, [found, player, task, cutoff, gaps], player, show_progress="hidden")
    edit.click(edited, found, [cutoff, gaps], show_progress="hidden")


def _wire_work(
    served: Served, asked: list[Any], outputs: list[Any], shown_buttons: list[Any]
) -> None:
    """Restore, and cancel."""
    go, cancel = shown_buttons
    session, told = asked[0], outputs[1]

    def begin(state: Session | None, path: str | None) -> tuple[Any, ...]:
        if state is None or path is None:
            raise gr.Error("Choose a file first.", print_exception=False)
        state.stop.clear()  # here, before the queue: who waits may cancel, too
        return *buttons(is_running=True), ""

    def restored(
        request: gr.Request, state: Session, path: str, task: str, hertz: str, text: str,
        *chosen: Any, progress: gr.Progress = gr.Progress(),  # noqa: B008  as gradio wants it
    ) -> tuple[Any, ...]:
        options = Asked(task, cutoff=hertz, gaps=text, device=served.device, **as_options(*chosen))

        def step(done: int, of: int) -> None:
            progress((done, of) if of else None, unit="frames", desc="restoring")

        progress(None, desc="loading the model")
        try:
            with served.watch(request, state):
                done = work.restore(state, Path(path), options, served.limits, step)
        except CancelledError as error:
            return gr.skip(), f"{error}".capitalize() + ".", gr.update(visible=False)
        return json.dumps(done.view), done.told, gr.update(value=str(done.target), visible=True)

    begun = go.click(begin, asked[:2], [*shown_buttons, told], queue=False, show_progress="hidden")
    ran = begun.success(restored, asked, outputs, concurrency_id=QUEUE, concurrency_limit=1,
                        show_progress_on=told)
    ran.then(lambda: buttons(is_running=False), None, shown_buttons, queue=False,
             show_progress="hidden")
    cancel.click(stop, session, None, queue=False)


def _player(served: Served) -> gr.HTML:
    here = resources.files("a2sb_core.web")
    html, css, js = (
        (here / f"player.{kind}").read_text(encoding="utf8") for kind in ("html", "css", "js")
    )
    return gr.HTML("", html_template=html, css_template=css, js_on_load=js, elem_id="player",
                   empty=hint("Drop a recording on the left, or take an example.", served.root))


def _gaps(found: dict[str, Any]) -> list[tuple[float, float]]:
    return [(gap["start_s"], gap["end_s"]) for gap in found["gaps"]]


def _said(found: dict[str, Any]) -> str:
    """Tell of a recording in a paragraph."""
    gaps, rate, channels = len(found["gaps"]), found["sample_rate"] / 1000, found["channels"]
    cutoff = found["cutoff_hz"]
    end = "full band" if cutoff is None else f"its energy ends at {cutoff:.0f} Hz"
    broken = f"{gaps} gap{'s' * (gaps > 1)} found" if gaps else "no gaps found"
    return (
        f"{found['duration_s']:.1f} s, {channels} channel{'s' * (channels > 1)}, {rate:g} kHz: "
        f"{end}; {broken}."
    )
