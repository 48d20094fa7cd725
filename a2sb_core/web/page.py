"""How the page looks, and what its buttons do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.media import AUDIO_SUFFIXES, is_installed
from a2sb_core.cli.batch import shown
from a2sb_core.cli.sound import Format, StereoMode
from a2sb_core.engine.batch import Outcome
from a2sb_core.engine.catalogue import list_models
from a2sb_core.errors import A2SBError
from a2sb_core.web import work
from a2sb_core.web.work import Asked, CancelledError, Limits, Session

TITLE = "a2sb: restore music"
INTRO = "# a2sb\nExtend the bandwidth of a recording, or fill its gaps."
TASKS = [("Extend the bandwidth", "bandwidth"), ("Fill gaps", "inpaint")]
KEPT_S = 3600
"""What nobody has touched for so long is removed."""
CSS = "footer {display: none !important} .told p {font-size: 0.95rem}"
COLUMNS = ["file", "what became of it", "seconds", "notes"]


def build(root: Path, limits: Limits, model: str = "small", device: str = "auto") -> gr.Blocks:
    """Return the page; all files of its visitors lie below ``root``."""
    page: gr.Blocks = gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(600, KEPT_S)
    )
    with page:
        session = gr.State(None, time_to_live=KEPT_S, delete_callback=_close)
        gr.Markdown(INTRO)
        with gr.Tab("One file"):
            _one(session, root, limits, model, device)
        with gr.Tab("Many files"):
            _many(session, root, limits, model, device)
    return page


def theme() -> gr.themes.Base:
    """Return a theme whose fonts are the reader's own."""
    fonts = ["ui-sans-serif", "system-ui", "sans-serif"]
    return gr.themes.Soft(font=fonts, font_mono=["ui-monospace", "monospace"])


def _one(session: gr.State, root: Path, limits: Limits, model: str, device: str) -> None:
    """Lay out the tab of one file."""
    found = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            file = gr.File(label="Recording", file_types=_suffixes(), height=130, elem_id="file")
            with gr.Row():
                gapped = gr.Button("Example with gaps", size="sm", elem_id="example-gaps")
                dull = gr.Button("Example without highs", size="sm", elem_id="example-highs")
            task = gr.Radio(TASKS, value="bandwidth", label="Task", elem_id="task")
            cutoff = gr.Textbox("", label="Cutoff in Hz", placeholder="found by itself",
                                max_lines=1, elem_id="cutoff")
            gaps = gr.Textbox("", label="Gaps in seconds, START:END, one a line", lines=2,
                              placeholder="found by themselves", visible=False, elem_id="gaps")
            more = _more(model)
            with gr.Row():
                go = gr.Button("Restore", variant="primary", elem_id="restore")
                cancel = gr.Button("Cancel", variant="stop", elem_id="cancel")
        with gr.Column(scale=5, min_width=480):
            player = _player()
            told = gr.Markdown(elem_id="told", elem_classes="told", min_height=50)
            result = gr.DownloadButton("Download", visible=False, elem_id="download")

    def opened(state: Session | None, path: str | None) -> tuple[Any, ...]:
        state = state or Session.new(root)
        if path is None:
            return state, None, "", "", gr.skip(), gr.skip(), gr.update(visible=False)
        with _explained():
            seen, view = work.look(state, Path(path), limits)
        task = "inpaint" if seen["gaps"] else "bandwidth"
        return (state, seen, json.dumps(view), _said(seen), task, gr.update(value=""),
                gr.update(visible=False))

    def tried(state: Session | None, task: str) -> tuple[Session, str]:
        state = state or Session.new(root)
        return state, str(work.example(state, task))

    def marked(seen: Any, view: str, task: str, hertz: str, text: str) -> str:
        if not view or seen is None:
            return view
        gaps_s: list[Any] = [(gap["start_s"], gap["end_s"]) for gap in seen["gaps"]]
        with _explained():
            gaps_s = work.parse_gaps(text) or gaps_s
            cutoff_hz = work.parse_number(hertz, "the cutoff") or seen["cutoff_hz"]
        known = json.loads(view)
        asked = (cutoff_hz, ()) if task == "bandwidth" else (None, gaps_s)
        return json.dumps(known | work.marks(known["sample_rate"], *asked))

    def restored(
        state: Session | None, path: str | None, task: str, hertz: str, text: str,
        *settings: Any, progress: gr.Progress = gr.Progress(),  # noqa: B008  as gradio wants it
    ) -> tuple[Any, ...]:
        if state is None or path is None:
            raise gr.Error("Choose a file first.", print_exception=False)
        asked = Asked(task, cutoff=hertz, gaps=text, device=device, **_settings(*settings))

        def step(done: int, of: int) -> None:
            progress((done, of) if of else None, unit="frames", desc="restoring")

        progress(None, desc="loading the model")
        try:
            with _explained():
                done = work.restore(state, Path(path), asked, limits, step)
        except CancelledError as error:
            return gr.skip(), f"{error}".capitalize() + ".", gr.update(visible=False)
        label = f"Download {shown(Path(done.target.name))}"
        button = gr.update(value=str(done.target), label=label, visible=True)
        return json.dumps(done.view), done.told, button

    gapped.click(lambda state: tried(state, "inpaint"), session, [session, file])
    dull.click(lambda state: tried(state, "bandwidth"), session, [session, file])
    outputs = [session, found, player, told, task, gaps, result]
    file.change(opened, [session, file], outputs, show_progress="minimal")
    task.change(
        lambda name: (gr.update(visible=name == "bandwidth"), gr.update(visible=name == "inpaint")),
        task, [cutoff, gaps], show_progress="hidden",
    )
    for changed in (task.change, cutoff.blur, gaps.blur):
        changed(marked, [found, player, task, cutoff, gaps], player, show_progress="hidden")
    go.click(restored, [session, file, task, cutoff, gaps, *more], [player, told, result],
             concurrency_id="restore", show_progress_on=told)
    cancel.click(_stop, session, None, queue=False)


def _many(session: gr.State, root: Path, limits: Limits, model: str, device: str) -> None:
    """Lay out the tab of many files."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            files = gr.File(label=f"Recordings, up to {limits.files}", file_count="multiple",
                            file_types=_suffixes(), elem_id="files")
            task = gr.Radio(TASKS, value="bandwidth", label="Task", elem_id="task-many")
            more = _more(model)
            with gr.Row():
                go = gr.Button("Restore all", variant="primary", elem_id="restore-all")
                cancel = gr.Button("Cancel", variant="stop", elem_id="cancel-all")
        with gr.Column(scale=5, min_width=480):
            table = gr.Dataframe(headers=COLUMNS, interactive=False, wrap=True, elem_id="table")
            result = gr.DownloadButton("Download all", visible=False, elem_id="download-all")

    def restored(
        state: Session | None, paths: list[str] | None, task: str, *settings: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  as gradio wants it
    ) -> Iterator[tuple[Any, ...]]:
        if not paths:
            raise gr.Error("Choose files first.", print_exception=False)
        state = state or Session.new(root)
        asked = Asked(task, device=device, **_settings(*settings))
        outcomes: list[Outcome] = []

        def step(done: int, of: int) -> None:
            share = (len(outcomes) + (done / of if of else 0)) / len(paths)
            progress(share, desc=f"{len(outcomes) + 1} of {len(paths)}")

        yield state, [], gr.update(visible=False)
        with _explained():
            for outcome in work.restore_many(state, [*map(Path, paths)], asked, limits, step):
                outcomes.append(outcome)
                yield state, [*map(_row, outcomes)], gr.skip()
        packed = work.pack(state, outcomes)
        button = gr.update(value=str(packed) if packed else None, visible=packed is not None,
                           label="Download all as ZIP")
        yield state, [*map(_row, outcomes)], button

    go.click(restored, [session, files, task, *more], [session, table, result],
             concurrency_id="restore", show_progress_on=table)
    cancel.click(_stop, session, None, queue=False)


def _more(model: str) -> list[Any]:
    """Lay out settings that few need; their order is that of :func:`_settings`."""
    names = [one.name for one in list_models() if one.folder is not None and not one.problem]
    formats = [("as it came", ""), *((one.value.upper(), f".{one.value}") for one in Format)]
    with gr.Accordion("More", open=False):
        return [
            gr.Dropdown(list(dict.fromkeys([model, *names])), value=model, label="Model"),
            gr.Textbox("", label="Steps: more are slower and finer", placeholder="the model's",
                       max_lines=1),
            gr.Number(0, label="Seed", precision=0),
            gr.Dropdown(formats, value="", label="Format"),
            gr.Dropdown([(LABELS[one], one.value) for one in StereoMode], value="lr",
                        label="Channels"),
        ]


LABELS = {
    StereoMode.lr: "left and right", StereoMode.ms: "middle and side", StereoMode.mono: "mono",
}


def _settings(
    model: str, steps: str, seed: float | None, suffix: str, stereo: str
) -> dict[str, Any]:
    with _explained():
        number = work.parse_number(steps, "the steps")
    return {
        "model": model, "steps": None if number is None else round(number), "seed": int(seed or 0),
        "suffix": suffix or None, "stereo": stereo,
    }


def _player() -> gr.HTML:
    here = resources.files("a2sb_core.web")
    html, css, js = (
        (here / f"player.{kind}").read_text(encoding="utf8") for kind in ("html", "css", "js")
    )
    return gr.HTML("", html_template=html, css_template=css, js_on_load=js, elem_id="player",
                   min_height=440)


def _suffixes() -> list[str]:
    return sorted({*FORMATS, *(AUDIO_SUFFIXES if is_installed() else ())})


def _said(found: dict[str, Any]) -> str:
    """Tell of a recording in a paragraph."""
    gaps, rate = len(found["gaps"]), found["sample_rate"] / 1000
    cutoff = found["cutoff_hz"]
    end = "full band" if cutoff is None else f"its energy ends at {cutoff:.0f} Hz"
    broken = f"{gaps} gap{'s' * (gaps > 1)} found" if gaps else "no gaps found"
    return (
        f"{found['duration_s']:.1f} s, {found['channels']} channel"
        f"{'s' * (found['channels'] > 1)}, {rate:g} kHz: {end}; {broken}."
    )


def _row(outcome: Outcome) -> list[Any]:
    words = {"restored": "restored", "nothing": "nothing to restore, copied", "failed": "failed"}
    notes = "; ".join(filter(None, (outcome.error, *outcome.notes)))
    name = shown(Path(outcome.pair.source.name))
    return [name, words[outcome.status], round(outcome.seconds, 1), notes]


def _stop(session: Session | None) -> None:
    if session is not None:
        session.stop.set()


def _close(session: Session | None) -> None:
    if session is not None:
        session.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn our errors into messages of the page."""
    try:
        yield
    except CancelledError:
        raise
    except A2SBError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
