"""The tab for one file: show it, restore it, and play both versions."""

from __future__ import annotations

import json
from functools import partial
from importlib import resources
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from a2sb_core.demo.cases import DemoCase
from a2sb_core.interfaces import Marks
from a2sb_core.jobs.job_process import CancelledError
from a2sb_core.plugins import DamageOption
from a2sb_core.restoration.analysis import Analysis
from a2sb_core.web import work
from a2sb_core.web.parts import (
    LOOK_QUEUE,
    Served,
    as_options,
    buttons,
    explained,
    hint,
    session_state,
    settings,
    show_progress,
    stop,
    suffixes,
    task_radio,
    wire_tasks,
)
from a2sb_core.web.session import Session
from a2sb_core.web.view import placed_marks
from a2sb_core.web.work import PageRequest

FOUND_BY_DEFAULT = "detected by default"


def lay_out(served: Served) -> None:
    """Lay out the tab and connect its buttons."""
    session, found = session_state(), gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            file = gr.File(label="Recording", file_types=suffixes(), height=150, elem_id="file")
            with gr.Row():
                examples = [(case, _example_button(case)) for case in work.examples()]
            task = task_radio(served.model, "task")
            damage = [_field(option, str(task.value)) for option in work.fields()]
            edit = gr.Button("Edit the detected damage", size="sm", visible=False, elem_id="edit")
            more = settings(served)
            go = gr.Button("Restore", variant="primary", size="lg", elem_id="restore")
            cancel = gr.Button("Cancel", variant="stop", size="lg", elem_id="cancel", visible=False)
        with gr.Column(scale=5, min_width=480):
            player = _player(served)
            with gr.Row(elem_id="outcome"):
                message = gr.Markdown(elem_id="message", min_height=64)
                result = gr.DownloadButton(
                    "Download",
                    variant="primary",
                    visible=False,
                    elem_id="download",
                    scale=0,
                    min_width=180,
                )
    model = more[0]
    outputs = [session, found, player, message, task, edit, result, *damage]
    _wire_source(served, outputs, file, model, examples)
    wire_tasks(served, model, task)
    _wire_marks(served, [found, player, model, task, *damage], edit)
    asked = [session, file, task, *more, *damage]
    _wire_work(served, asked, [player, message, result], [go, cancel])


def _example_button(case: DemoCase) -> gr.Button:
    return gr.Button(case.label, size="sm", elem_id=f"example-{case.task}")


def _field(option: DamageOption, task: str) -> gr.Textbox:
    """Lay out the field of an option of damage."""
    placeholder = FOUND_BY_DEFAULT
    if option.is_list:
        placeholder += f", or {option.metavar}, one per line"
    return gr.Textbox(
        "",
        label=option.label,
        lines=3 if option.is_list else 1,
        visible=option.task == task,
        elem_id=option.name,
        placeholder=placeholder,
    )


def _texts(values: tuple[str, ...]) -> dict[str, str]:
    """Return the texts of the fields by the flags of their options."""
    return {option.flag: text or "" for option, text in zip(work.fields(), values, strict=True)}


def _wire_source(
    served: Served,
    outputs: list[Any],
    file: gr.File,
    model: gr.Dropdown,
    examples: list[tuple[DemoCase, gr.Button]],
) -> None:
    """Connect the upload and the examples to the inspection of a recording."""
    session, cleared = outputs[0], [""] * len(work.fields())

    def opened(
        visitor: gr.Request, state: Session | None, path: str | None, name: str
    ) -> tuple[Any, ...]:
        state, hidden = state or Session.new(served.root), gr.update(visible=False)
        nothing = (gr.skip(), hidden, hidden, *cleared)
        if path is None:
            return state, None, "", "", *nothing
        left = Event()
        try:
            with served.watch(visitor, left):
                seen, view = work.look(
                    served.inspecting, state, Path(path), served.limits, name, left
                )
        except CancelledError:
            return state, None, "", "", *nothing
        except gr.Error as error:
            gr.Warning(error.message, duration=15)
            return state, None, "", error.message, *nothing
        damaged = [one for one in seen.findings if one.damage]
        task = damaged[-1].task if damaged else gr.skip()
        marks = damaged[-1].damage.marks if damaged and damaged[-1].damage else Marks()
        shown = json.dumps(view | placed_marks(view["sample_rate"], marks))
        edit = gr.update(visible=bool(damaged))
        return state, seen, shown, _summary(seen), task, edit, hidden, *cleared

    def tried(case: DemoCase, state: Session | None) -> tuple[Session, str]:
        state = state or Session.new(served.root)
        return state, str(work.example(state, case))

    for case, button in examples:
        button.click(partial(tried, case), session, [session, file])
    file.change(
        opened,
        [session, file, model],
        outputs,
        show_progress="minimal",
        concurrency_id=LOOK_QUEUE,
        concurrency_limit=1,
    )


def _wire_marks(served: Served, shown: list[Any], edit: gr.Button) -> None:
    """Connect the marks in the picture and the button that edits the detected damage."""
    found, player, _, task, *damage = shown

    def marked(seen: Analysis | None, view: str, model: str, task: str, *values: str) -> str:
        if not view or seen is None:
            return view
        known = json.loads(view)
        with explained(served.root):
            marks = PageRequest(task, model, texts=_texts(values)).marks()
        if marks is None:
            damage = next((one.damage for one in seen.findings if one.task == task), None)
            marks = damage.marks if damage else Marks()
        return json.dumps(known | placed_marks(known["sample_rate"], marks))

    def edited(seen: Analysis | None) -> list[str]:
        parameters = {}
        for one in seen.findings if seen else ():
            parameters[one.task] = dict(one.damage.parameters) if one.damage else {}
        values = [
            (option, parameters.get(option.task, {}).get(option.parameter))
            for option in work.fields()
        ]
        return ["" if value is None else option.text(value) for option, value in values]

    def shown_fields(task: str) -> list[Any]:
        return [gr.update(visible=option.task == task) for option in work.fields()]

    task.change(shown_fields, task, damage, show_progress="hidden")
    for changed in (task.change, *(box.blur for box in damage)):
        changed(marked, shown, player, show_progress="hidden")
    edit.click(edited, found, damage, show_progress="hidden")


def _wire_work(
    served: Served, asked: list[Any], outputs: list[Any], shown_buttons: list[Any]
) -> None:
    """Connect the buttons that restore and cancel."""
    go, cancel = shown_buttons
    session, message = asked[0], outputs[1]
    fields = len(work.fields())

    def begin(state: Session | None, path: str | None) -> tuple[Any, ...]:
        if state is None or path is None:
            raise gr.Error("Choose a file first.", print_exception=False)
        state.stop.clear()  # before the queue, in which a visitor may already cancel
        return *buttons(is_running=True), ""

    def restored(
        visitor: gr.Request,
        state: Session,
        path: str,
        task: str,
        *values: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  required by gradio
    ) -> tuple[Any, ...]:
        chosen, texts = as_options(*values[: len(values) - fields]), values[len(values) - fields :]
        request = PageRequest(task, texts=_texts(texts), **chosen)
        try:
            with served.watch(visitor, state.stop):
                done = work.restore(
                    served.queue, state, Path(path), request, partial(show_progress, progress)
                )
        except CancelledError as error:
            return gr.skip(), f"{error}".capitalize() + ".", gr.update(visible=False)
        return json.dumps(done.view), done.text, gr.update(value=str(done.target), visible=True)

    begun = go.click(
        begin, asked[:2], [*shown_buttons, message], queue=False, show_progress="hidden"
    )
    ran = begun.success(restored, asked, outputs, concurrency_limit=None, show_progress_on=message)
    ran.then(
        lambda: buttons(is_running=False), None, shown_buttons, queue=False, show_progress="hidden"
    )
    cancel.click(stop, session, None, queue=False)


def _player(served: Served) -> gr.HTML:
    here = resources.files("a2sb_core.web")
    html, css, js = (
        (here / f"player.{kind}").read_text(encoding="utf8") for kind in ("html", "css", "js")
    )
    return gr.HTML(
        "",
        html_template=html,
        css_template=css,
        js_on_load=js,
        elem_id="player",
        empty=hint("Drop a recording on the left, or choose an example.", served.root),
    )


def _summary(found: Analysis) -> str:
    """Describe a recording in a paragraph."""
    info = found.info
    damage = "; ".join(
        f"{one.task}: {one.describe()}" for one in found.findings if one.damage or one.error
    )
    return (
        f"{info.duration_s:.1f} s, {info.channels} channel{'s' * (info.channels > 1)}, "
        f"{info.sample_rate / 1000:g} kHz: {damage or 'nothing to restore'}."
    )
