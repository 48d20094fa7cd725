"""F1 of the notes that are transcribed from restored audio."""

from __future__ import annotations

import io
import logging
import tempfile
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import A2SBError, ComponentConfig, Metric, Outcome
from a2sb_tasks.metrics.midi import Notes, notes_of, part_of, read_midi


class NoteF1(Metric):
    """F1 of the notes of the restored audio relative to those of the truth; 1 for equal notes.

    Basic Pitch (Bittner et al. 2022), whose package contains its weights, transcribes the audio. A
    note is correct if its pitch (within half a semitone) and its onset agree, as in mir_eval.

    Raises:
        A2SBError: a package is not installed, or the MIDI file of a clip is not known.
    """

    higher_is_better = True

    class Config(ComponentConfig):
        """Notes of the truth, and the tolerance of the comparison."""

        name: str = "note_f1"
        onset_s: float = Field(0.05, gt=0)
        """Tolerance of the onset in seconds."""
        truth: Literal["audio", "midi"] = "audio"
        """Source of the notes of the truth: a transcription of the clean audio, or the MIDI file in
        the column ``midi_path`` of the manifest (the paper's tables of Maestro)."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self._known: tuple[bytes, Notes] | None = None

    def check(self) -> None:
        """Load the packages."""
        _ = self._model, self._compare

    @cached_property
    def _model(self) -> Any:
        logging.disable(logging.WARNING)  # warnings about optional runtimes
        try:
            from basic_pitch import ICASSP_2022_MODEL_PATH
            from basic_pitch.inference import Model
        except ImportError as error:
            raise _missing(error) from error
        finally:
            logging.disable(logging.NOTSET)
        return Model(ICASSP_2022_MODEL_PATH)

    @cached_property
    def _compare(self) -> Any:
        try:
            from mir_eval.transcription import precision_recall_f1_overlap
        except ImportError as error:
            raise _missing(error) from error
        return precision_recall_f1_overlap

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare the mean of the channels of (C, T) recordings."""
        return self._f1(self._notes_of_truth(truth, sample_rate), self.notes(estimate, sample_rate))

    def judge(self, outcome: Outcome) -> float | None:
        """Compare with a transcription of the truth, or with the MIDI file of the clip."""
        if self.config.truth == "audio":
            return super().judge(outcome)
        if "midi_path" not in outcome.columns:
            raise A2SBError("the clip has no MIDI file: add a column midi_path to the manifest")
        duration_s = outcome.truth.shape[-1] / outcome.sample_rate
        wanted = read_midi(Path(outcome.columns["midi_path"]))
        wanted = part_of(wanted, _seconds(outcome.columns.get("midi_start", "0")), duration_s)
        return self._f1(wanted, self.notes(outcome.estimate, outcome.sample_rate))

    def _f1(self, wanted: Notes, found: Notes) -> float:
        if not len(wanted[1]) or not len(found[1]):
            return float(len(wanted[1]) == len(found[1]))
        _, _, f1, _ = self._compare(
            *wanted, *found, onset_tolerance=self.config.onset_s, offset_ratio=None
        )
        return float(f1)

    def _notes_of_truth(self, truth: Tensor, sample_rate: int) -> Notes:
        """Transcribe the truth once, because several systems are compared with it."""
        key = truth.cpu().numpy().tobytes()
        if self._known is None or self._known[0] != key:
            self._known = (key, self.notes(truth, sample_rate))
        return self._known[1]

    def notes(self, wave: Tensor, sample_rate: int) -> Notes:
        """Transcribe (C, T) audio."""
        return transcribe(wave, sample_rate, self._model)


def transcribe(wave: Tensor, sample_rate: int, model: Any) -> Notes:
    """Return the notes of the mean of the channels of (C, T) audio."""
    from basic_pitch.inference import predict

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.wav"  # Basic Pitch reads only files
        soundfile.write(path, wave.mean(dim=0).cpu().numpy(), sample_rate, "FLOAT")
        with redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):  # drop its output
            _, _, events = predict(path, model)
    return notes_of([event[2] for event in events], [event[:2] for event in events])


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise A2SBError(f"midi_start must be a number of seconds, got `{text}`") from error


def _missing(error: ImportError) -> A2SBError:
    return A2SBError(
        f"the metric `note_f1` needs packages that are not installed ({error}): install them with "
        "`pip install a2sb[notes]` and `pip install --no-deps basic-pitch`"
    )
