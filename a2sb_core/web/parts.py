"""What both tabs of the page share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.media import AUDIO_SUFFIXES, is_installed
from a2sb_core.cli.sound import Format, StereoMode
from a2sb_core.engine.catalogue import list_models
from a2sb_core.errors import A2SBError
from a2sb_core.web.session import CancelledError, Limits, Session
from a2sb_core.web.view import BACKDROP

TASKS = [("Extend bandwidth", "bandwidth"), ("Fill gaps", "inpaint")]
CHANNELS = {
    StereoMode.lr: "left and right", StereoMode.ms: "middle and side", StereoMode.mono: "mono",
}
QUEUE = "restore"


@dataclass(frozen=True)
class Served:
    """What is served, where its files lie, and what runs at the moment."""

    root: Path
    limits: Limits
    model: str = "small"
    device: str = "auto"
    running: dict[str, Session] = field(default_factory=dict)

    @contextmanager
    def watch(self, request: gr.Request, session: Session) -> Iterator[None]:
        """Have a restoration ended where its visitor leaves; turn our errors into messages."""
        key = str(request.session_hash)
        self.running[key] = session
        try:
            with explained(self.root):
                yield
        finally:
            self.running.pop(key, None)

    def stop(self, key: str | None) -> None:
        """End what runs for a visitor who has left."""
        if session := self.running.get(str(key)):
            session.stop.set()


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn our errors into messages of the page, without the folders that only we know."""
    try:
        yield
    except CancelledError:
        raise
    except A2SBError as error:
        raise gr.Error(without_folders(str(error), root), duration=None,
                       print_exception=False) from error


def without_folders(text: str, root: Path) -> str:
    """Return a text with the names of files below ``root`` in place of their paths.

    >>> without_folders("/tmp/x/up/1/my tape.wav is empty", Path("/tmp/x"))
    'my tape.wav is empty'
    """
    return re.sub(re.escape(str(root)) + r"/(?:[^/\s]+/)*", "", text)


def hint(text: str, root: Path) -> str:
    """Return what stands where there is nothing to be seen yet."""
    url = f"gradio_api/file={quote(str(root / BACKDROP))}"
    return (
        f'<div class="empty"><div class="backdrop" style="background-image: url({url})"></div>'
        f"<p>{text}</p></div>"
    )


def session_state() -> gr.State:
    """Return the place of a session; its files go an hour after the visitor."""
    return gr.State(None, delete_callback=_close)


def stop(session: Session | None) -> None:
    """Have the work of a session stopped."""
    if session is not None:
        session.stop.set()


def buttons(is_running: bool) -> tuple[Any, Any]:
    """Return the buttons to begin and to cancel: one of them is to be seen."""
    return gr.update(visible=not is_running), gr.update(visible=is_running)


def suffixes() -> list[str]:
    """Return the suffixes of files that can be read."""
    return sorted({*FORMATS, *(AUDIO_SUFFIXES if is_installed() else ())})


def settings(model: str) -> list[Any]:
    """Lay out what few need; the order is that of :func:`as_options`."""
    names = [one.name for one in list_models() if one.folder is not None and not one.problem]
    formats = [("as it came", ""), *((one.value.upper(), f".{one.value}") for one in Format)]
    with gr.Accordion("Model, steps, seed, format", open=False):
        with gr.Row():
            chosen = gr.Dropdown(list(dict.fromkeys([model, *names])), value=model, label="Model",
                                 min_width=120)
            steps = gr.Number(None, label="Steps", precision=0, minimum=1, min_width=120,
                              placeholder="the model's", elem_classes="steps")
        with gr.Row():
            seed = gr.Number(0, label="Seed", precision=0, min_width=120)
            suffix = gr.Dropdown(formats, value="", label="Format", min_width=120)
        kinds = [(CHANNELS[one], one.value) for one in StereoMode]
        stereo = gr.Dropdown(kinds, value="lr", label="Channels")
    return [chosen, steps, seed, suffix, stereo]


def as_options(
    model: str, steps: int | None, seed: int | None, suffix: str, stereo: str
) -> dict[str, Any]:
    """Return what was set, as ``Asked`` takes it."""
    return {"model": model, "steps": steps, "seed": seed or 0, "suffix": suffix or None,
            "stereo": stereo}


def _close(session: Session | None) -> None:
    if session is not None:
        session.close()
