"""Restorers that run as a command of their own, such as a package in another environment."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
from pydantic import Field, FiniteFloat, model_validator
from torch import Tensor

from a2sb_core.interfaces import A2SBError, AudioRestorer, ComponentConfig, TaskError, resample
from a2sb_tasks.losses.spectral import power

N_FFT, HOP = 2048, 512
KNOWN_SHARE = 0.9
"""Share of the band below the cutoff on which the gain is fitted: filters attenuate the rest."""
SHORTEST_SHARE = 0.9
"""Smallest share of the length of a piece that the command may return."""
SHOWN_LINES = 8
"""Number of lines of the output of a command that failed which the error shows."""
HIDDEN = ("PYTHONPATH", "PYTHONHOME")
"""Variables that would lead the interpreter of another environment to the packages of this one."""


class External(AudioRestorer):
    """Runs a command that reads WAV files and writes the restored ones.

    Each piece of each channel is a WAV file of one channel. The result is resampled, and a gain
    that is fitted by least squares on the known content undoes a change of its level.

    Raises:
        A2SBError: the command is not found, fails, takes too long, or writes no usable audio; the
            message contains the end of its output.
    """

    class Config(ComponentConfig):
        """The command, and the audio that it receives."""

        name: str = "external"
        command: str = Field(min_length=1)
        """Command line without a shell. ``{input}`` and ``{output}`` stand for the WAV files to
        read and to write, and the command runs for each piece. With ``{inputs}`` and
        ``{outputs}``, two folders with files of the same names, it runs once for all pieces of a
        clip.
        ``{parameters}`` stands for a JSON file with the task and the parameters of the damage."""
        python: str = ""
        """Python interpreter of another environment, which runs ``command`` as its script; empty to
        run the command itself."""
        tasks: tuple[str, ...] = ("bandwidth",)
        """Tasks that the command does."""
        rate: int | None = Field(None, ge=1000, le=1_000_000)
        """Sample rate of the files in Hz (default: that of the clip). The command may write another
        one."""
        piece_s: FiniteFloat | None = Field(None, gt=0)
        """Length of a piece in seconds; the last one is padded with zeros (default: the whole clip
        is one piece)."""
        fit_gain: bool = True
        """Whether a gain is fitted to each piece, on the content below the cutoff or outside of the
        gaps."""
        timeout_s: FiniteFloat = Field(3600.0, gt=0)
        """Longest time that the command may take for a run, in seconds."""

        @model_validator(mode="after")
        def _places(self) -> External.Config:
            pairs = (("{input}", "{output}"), ("{inputs}", "{outputs}"))
            if not any(all(place in self.command for place in pair) for pair in pairs):
                raise ValueError(
                    "command must contain {input} and {output}, or {inputs} and {outputs}"
                )
            return self

    config: Config

    @property
    def words(self) -> list[str]:
        """The program and its arguments, with places for files."""
        python = [self.config.python] if self.config.python else []
        return [*python, *shlex.split(self.config.command)]

    def check(self) -> None:
        """Check that the program exists.

        Raises:
            A2SBError: it does not.
        """
        program = self.words[0]
        if shutil.which(program) is None:
            raise A2SBError(
                f"the restorer `{self.config.name}` cannot run: there is no program `{program}`; "
                "give its path"
            )

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Restore (C, T) audio with the command.

        Raises:
            TaskError: the task is none of ``tasks``.
        """
        config = self.config
        if task not in config.tasks:
            raise TaskError(
                f"{config.name} supports only: {', '.join(f'`{name}`' for name in config.tasks)}"
            )
        length = max(1, wave.shape[-1])
        piece = max(1, round(config.piece_s * sample_rate)) if config.piece_s else length
        padding = -wave.shape[-1] % piece if wave.shape[-1] else piece
        given = torch.nn.functional.pad(wave.detach().float().cpu(), (0, padding))
        pieces = given.reshape(len(given), -1, piece)
        with tempfile.TemporaryDirectory() as folder:
            made = self._run(Path(folder), pieces.flatten(0, 1), sample_rate, task, parameters)
        made = made.reshape(pieces.shape)
        if config.fit_gain:
            known = _known(pieces, sample_rate, parameters)
            made = made * _gain(pieces, made, known)
        return made.flatten(1)[:, : wave.shape[-1]].to(wave)

    def _run(
        self,
        folder: Path,
        pieces: Tensor,
        sample_rate: int,
        task: str,
        parameters: Mapping[str, Any],
    ) -> Tensor:
        """Restore pieces (N, T) through files, and return them in the same shape."""
        inputs, outputs = folder / "inputs", folder / "outputs"
        inputs.mkdir()
        outputs.mkdir()
        described = folder / "parameters.json"
        described.write_text(json.dumps({"task": task, **parameters}), encoding="utf8")
        rate, names = self.config.rate or sample_rate, [f"{k:05}.wav" for k in range(len(pieces))]
        for name, piece in zip(names, pieces, strict=True):
            audio = resample(piece[None], sample_rate, rate)[0]
            soundfile.write(inputs / name, audio.numpy(), rate, subtype="FLOAT")
        places = {"{inputs}": inputs, "{outputs}": outputs, "{parameters}": described}
        if any("{inputs}" in word for word in self.words):
            self._call(places, folder)
        else:
            for name in names:
                self._call({"{input}": inputs / name, "{output}": outputs / name} | places, folder)
        length = pieces.shape[-1]
        return torch.stack([self._read(outputs / name, sample_rate, length) for name in names])

    def _call(self, places: Mapping[str, Path], folder: Path) -> None:
        """Run the command once."""
        words = [_filled(word, places) for word in self.words]
        environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        log = folder / "output.txt"
        with log.open("wb") as file:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment if self.config.python else None,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._failure(f"cannot be started: {error.strerror or error}") from error
            try:
                code = process.wait(self.config.timeout_s)
            except subprocess.TimeoutExpired as error:
                limit = f"{self.config.timeout_s:g} s (timeout_s)"
                raise self._failure(f"took longer than {limit}", log) from error
            finally:
                _end(process)
        if code != 0:
            raise self._failure(f"ended with the exit code {code}", log)

    def _read(self, path: Path, sample_rate: int, length: int) -> Tensor:
        """Return a file that the command wrote as (length,) samples at the rate of the clip."""
        log = path.parents[1] / "output.txt"
        try:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise self._failure("wrote no WAV file to {output}", log) from error
        made = resample(torch.from_numpy(audio.mean(axis=1))[None], rate, sample_rate)[0]
        if len(made) < SHORTEST_SHARE * length:
            found, wanted = len(made) / sample_rate, length / sample_rate
            raise self._failure(f"returned {found:.2f} s of audio for {wanted:.2f} s", log)
        fitted: Tensor = torch.nn.functional.pad(made, (0, max(0, length - len(made))))[:length]
        return fitted

    def _failure(self, reason: str, log: Path | None = None) -> A2SBError:
        lines = log.read_text("utf8", "replace").splitlines()[-SHOWN_LINES:] if log else []
        shown = "; the end of its output: " + " | ".join(lines) if lines else ""
        return A2SBError(f"the command of the restorer `{self.config.name}` {reason}{shown}")


def _filled(word: str, places: Mapping[str, Path]) -> str:
    for place, path in places.items():
        word = word.replace(place, str(path))
    return word


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, with the processes that it started."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _known(pieces: Tensor, sample_rate: int, parameters: Mapping[str, Any]) -> Tensor:
    """Return a mask (N, F, W) of known bins of pieces (C, N, T), which broadcasts over channels."""
    count, length = pieces.shape[1:]
    rows, frames = N_FFT // 2 + 1, 1 + (length + N_FFT) // HOP
    freqs_hz = torch.arange(rows) * sample_rate / N_FFT
    below_hz = KNOWN_SHARE * parameters.get("cutoff_hz", float("inf"))
    known: Tensor = (freqs_hz < below_hz)[None, :, None].expand(count, rows, frames).clone()
    starts_s = torch.arange(count)[:, None] * (length / sample_rate)
    times_s = starts_s + torch.arange(frames) * (HOP / sample_rate)
    reach_s = N_FFT / 2 / sample_rate
    for start, end in parameters.get("gaps_s", ()):
        inside = (times_s > start - reach_s) & (times_s < end + reach_s)
        known &= ~inside[:, None]
    return known


def _gain(given: Tensor, made: Tensor, known: Tensor) -> Tensor:
    """Return the gains (C, N, 1) of pieces (C, N, T) with the least squares of magnitudes."""
    wanted, found = (_magnitudes(wave) * known for wave in (given, made))
    energy = found.square().sum(dim=(-2, -1))
    product = (wanted * found).sum(dim=(-2, -1))
    gains: Tensor = torch.where(energy > 0, product / energy.clamp(min=1e-30), 1.0)
    return gains[..., None]


def _magnitudes(wave: Tensor) -> Tensor:
    """Return magnitudes (..., F, W) of audio (..., T)."""
    padded = torch.nn.functional.pad(wave, (0, N_FFT)).flatten(0, -2)
    magnitudes = power(padded, N_FFT, HOP).sqrt()
    return magnitudes.reshape(*wave.shape[:-1], *magnitudes.shape[-2:])


def interpreter_has(python: Sequence[str], package: str) -> bool:
    """Return whether another Python interpreter finds a package, without importing it."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    try:
        done = subprocess.run(
            [*python, "-c", code], env=environment, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
