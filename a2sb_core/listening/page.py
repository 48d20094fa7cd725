"""Page of a listening test, which works from a folder without a server and without a network."""

from __future__ import annotations

import base64
import json
import tempfile
from importlib.resources import files as resources
from pathlib import Path

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.listening.design import PAGE, ListeningTest, write_test
from a2sb_core.listening.making import TestPlan, make_test, write_audio
from a2sb_core.listening.source import KeptAudio

AUDIO = "audio"


def write_page(kept: KeptAudio, plan: TestPlan, folder: Path) -> ListeningTest:
    """Make a test in an existing folder: ``key.json``, and the page in ``page/``.

    Each stimulus is a script that passes a FLAC file of 24 bits to the page, because a browser
    allows a page that is opened as a file to load scripts beside it, but no other files.

    Raises:
        A2SBError: as :func:`a2sb_core.listening.making.make_test`.
    """
    audio = folder / PAGE / AUDIO
    audio.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        write_flac = write_audio(Path(scratch), ".flac")

        def write(name: str, wave: FloatArray, sample_rate: int) -> None:
            write_flac(name, wave, sample_rate)
            path = Path(scratch, f"{name}.flac")
            text = base64.b64encode(path.read_bytes()).decode()
            path.unlink()
            (audio / f"{name}.js").write_text(f'received("{name}", "{text}");\n', encoding="utf8")

        test = make_test(kept, plan, write)
    write_test(test, folder)
    (folder / PAGE / "index.html").write_text(html(test), encoding="utf8")
    return test


def html(test: ListeningTest) -> str:
    """Return the page of a test; nothing in it names a system, a task or a clip."""
    data = {
        "id": test.id,
        "kind": test.kind,
        "title": test.title,
        "seed": test.seed,
        "sample_rate": test.sample_rate,
        "trials": [trial.model_dump() for trial in test.trials],
    }
    text = _resource("page.html")
    for name, part in (
        ("style", _resource("page.css")),
        ("script", _resource("page.js")),
        ("test", json.dumps(data).replace("<", "\\u003c")),
    ):
        text = text.replace(f"<!-- {name} -->", part)
    return text


def _resource(name: str) -> str:
    return (resources("a2sb_core.listening") / name).read_text(encoding="utf8")
