"""Elements that both tabs of the page use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Event
from typing import Any, get_args
from urllib.parse import quote

import gradio as gr

from a2sb_core.audio.choices import AudioFormat, Stereo
from a2sb_core.batch.pairing import readable
from a2sb_core.common.text import without_folders
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import A2SBError
from a2sb_core.jobs.job_process import CancelledError, JobProcess
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.queue import JobQueue
from a2sb_core.jobs.records import Job
from a2sb_core.models.catalogue import list_models
from a2sb_core.web import work
from a2sb_core.web.session import Session
from a2sb_core.web.view import BACKDROP

CHANNELS: dict[Stereo, str] = {"lr": "left and right", "ms": "middle and side", "mono": "mono"}
LOOK_QUEUE = "inspect"
WAITING = 20
"""Number of restorations that may wait for their turn."""


@dataclass(frozen=True)
class Served:
    """Settings of the page, its folder, its queue, and the events that end work.

    Attributes:
        root: folder of the page.
        limits: limits of a visitor.
        model: model that is chosen at first.
        device: device that restores.
        inspecting: process that inspects recordings.
        running: visitors whose recordings are inspected or restored, and the event that ends it.
    """

    root: Path
    limits: Limits
    model: str = DEFAULT_MODEL
    device: str = "auto"
    inspecting: JobProcess = field(default_factory=JobProcess)
    running: list[tuple[str, Event]] = field(default_factory=list)

    @cached_property
    def queue(self) -> JobQueue:
        """Queue of the restorations."""
        job = partial(work.restored, limits=self.limits, device=self.device)
        return JobQueue(self.root / "jobs", job, self.limits, waiting=WAITING)

    @contextmanager
    def watch(self, request: gr.Request, stop: Event) -> Iterator[None]:
        """Allow :meth:`stop` to end the work of a visitor, and show errors of a2sb as messages."""
        entry = str(request.session_hash), stop
        self.running.append(entry)
        try:
            with explained(self.root):
                yield
        finally:
            self.running.remove(entry)

    def stop(self, visitor: str | None) -> None:
        """End the work of a visitor who has left."""
        for one, event in list(self.running):
            if one == visitor:
                event.set()

    def close(self) -> None:
        """End the processes."""
        self.inspecting.close()
        self.queue.close()


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Show errors of a2sb as messages of the page, without the names of its folders."""
    try:
        yield
    except CancelledError:
        raise
    except A2SBError as error:
        raise gr.Error(
            without_folders(str(error), root), duration=None, print_exception=False
        ) from error


def hint(text: str, root: Path) -> str:
    """Return the content of the page before there is a recording."""
    url = f"gradio_api/file={quote(str(root / BACKDROP))}"
    return (
        f'<div class="empty"><div class="backdrop" style="background-image: url({url})"></div>'
        f"<p>{text}</p></div>"
    )


def show_progress(progress: gr.Progress, job: Job) -> None:
    """Show how a job stands."""
    if job.state == "queued" and job.ahead:
        progress(None, desc=f"waiting, {job.ahead} before you")
    elif job.frames:
        progress((job.finished, job.frames), unit="frames", desc="restoring")
    else:
        progress(None, desc="waiting" if job.state == "queued" else "loading the model")


def session_state() -> gr.State:
    """Return the state of a session, whose files are removed an hour after its visitor left."""
    return gr.State(None, delete_callback=_close)


def stop(session: Session | None) -> None:
    """Stop the work of a session."""
    if session is not None:
        session.stop.set()


def buttons(is_running: bool) -> tuple[Any, Any]:
    """Return the states of the buttons to begin and to cancel, of which one is visible."""
    return gr.update(visible=not is_running), gr.update(visible=is_running)


def suffixes() -> list[str]:
    """Return the suffixes of the files that can be read."""
    return sorted(readable())


def settings(served: Served) -> list[Any]:
    """Lay out the advanced settings, in the order of :func:`as_options`."""
    model = served.model
    names = [one.name for one in list_models() if one.folder is not None and not one.problem]
    formats = [
        ("same as the input", ""),
        *((one.upper(), f".{one}") for one in get_args(AudioFormat)),
    ]
    with gr.Accordion("Model, steps, seed, format", open=False):
        with gr.Row():
            chosen = gr.Dropdown(
                list(dict.fromkeys([model, *names])), value=model, label="Model", min_width=120
            )
            steps = gr.Number(
                None,
                label="Steps",
                precision=0,
                minimum=1,
                maximum=served.limits.steps,
                min_width=120,
                placeholder="default",
                elem_classes="steps",
            )
        with gr.Row():
            seed = gr.Number(0, label="Seed", precision=0, min_width=120)
            suffix = gr.Dropdown(formats, value="", label="Format", min_width=120)
        kinds = [(label, one) for one, label in CHANNELS.items()]
        with gr.Row():
            stereo = gr.Dropdown(kinds, value="lr", label="Channels", min_width=120)
            level_db = gr.Slider(
                -12, 12, 0, step=0.5, label="Level of what is added, in dB", min_width=120
            )
    return [chosen, steps, seed, suffix, stereo, level_db]


def task_radio(model: str, elem_id: str) -> gr.Radio:
    """Lay out the choice of a task of the model."""
    choices = work.tasks(model)
    return gr.Radio(choices, value=choices[0][1], label="Task", elem_id=elem_id)


def wire_tasks(served: Served, model: gr.Dropdown, task: gr.Radio) -> None:
    """Connect the choice of the model to the choice of its tasks."""

    def chosen(name: str, current: str) -> Any:
        with explained(served.root):
            choices = work.tasks(name)
        names = [one for _, one in choices]
        return gr.update(choices=choices, value=current if current in names else names[0])

    model.change(chosen, [model, task], task, show_progress="hidden")


def as_options(
    model: str, steps: int | None, seed: int | None, suffix: str, stereo: str, level_db: float
) -> dict[str, Any]:
    """Return the settings as keywords of :class:`PageRequest`."""
    return {
        "model": model,
        "steps": steps,
        "seed": seed or 0,
        "suffix": suffix or None,
        "stereo": stereo,
        "level_db": level_db,
    }


def _close(session: Session | None) -> None:
    if session is not None:
        session.close()
