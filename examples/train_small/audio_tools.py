"""Audio helpers of the training-set builder: read, measure, cut and write music.

Every waveform here is a ``float32`` array of shape ``(frames, 2)`` at :data:`SAMPLE_RATE`, with
full scale at 1.0, unless a docstring says otherwise.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

SAMPLE_RATE = 44_100
"""Sample rate, in Hz, of every file of the corpus."""

MODULE = ".xm"
"""Suffix of modules: scores with their samples, which a program plays."""

_FFT_SIZE = 4096
_BAND_HZ = 250
FULL_BAND_HZ = 19_000.0
_EDGE_BELOW_PEAK_DB = 80.0
_EDGE_FLOOR_DBFS = -105.0
_HIGH_BAND_HZ = 12_000
_PCM16_MAX = 32_767.0

Wave = npt.NDArray[np.float32]


class AudioToolError(RuntimeError):
    """Raised when a file cannot be read or rendered."""


@dataclass(frozen=True)
class Spectrum:
    """Measurements of one piece of audio that the builder uses.

    Attributes:
        bandwidth_hz: highest frequency, in Hz, that carries content (a multiple of 250 Hz).
        high_band_db: energy above 12 kHz relative to the total energy, in dB.
        side_db: energy of the side relative to that of the middle, in dB; -100 for mono.
    """

    bandwidth_hz: float
    high_band_db: float
    side_db: float


def read_stereo(path: Path) -> Wave:
    """Read any file that libsndfile knows, or a module (.xm), as stereo at 44.1 kHz.

    Mono becomes two equal channels; of more than two channels the first two are kept.

    Raises:
        AudioToolError: the file is missing, empty or cannot be decoded.
    """
    if path.suffix == MODULE:
        return _play_module(path)
    try:
        wave, rate = sf.read(str(path), dtype="float32", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise AudioToolError(f"cannot decode {path}: {error}") from error
    if wave.shape[0] == 0:
        raise AudioToolError(f"{path} has no audio")
    if rate != SAMPLE_RATE:
        wave = soxr.resample(wave, rate, SAMPLE_RATE, quality="VHQ")
    if wave.shape[1] == 1:
        wave = np.repeat(wave, 2, axis=1)
    return np.ascontiguousarray(wave[:, :2], dtype=np.float32)


def _play_module(path: Path) -> Wave:
    """Play a module with openmpt123, with interpolation by eight points."""
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "module.xm")
        module.write_bytes(path.read_bytes())
        command = ["openmpt123", "--render", "--quiet", "--samplerate", str(SAMPLE_RATE)]
        command += ["--filter", "8", "--output-type", "wav", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        audio = Path(f"{module}.wav")
        if done.returncode != 0 or not audio.is_file():
            raise AudioToolError(f"openmpt123 failed on {path.name}: {done.stderr.strip()}")
        return read_stereo(audio)


def source_rate(path: Path) -> int:
    """Return the sample rate, in Hz, at which a file is stored; a module is played at 44.1 kHz."""
    if path.suffix == MODULE:
        return SAMPLE_RATE
    return int(sf.info(str(path)).samplerate)


def measure(wave: Wave, source_rate: int = SAMPLE_RATE) -> Spectrum:
    """Measure the true bandwidth and the share of high frequencies.

    The power of each 250 Hz band is taken at its 95th percentile over time. The bandwidth is the
    upper edge of the highest band within 80 dB of the strongest one (and above -105 dB relative to
    full scale). ``source_rate`` (Hz) limits it to the Nyquist frequency of the stored file.
    """
    power = _frame_power(wave.mean(axis=1))
    freqs = np.fft.rfftfreq(_FFT_SIZE, 1.0 / SAMPLE_RATE)
    band = (freqs // _BAND_HZ).astype(int)
    bands = np.stack([power[:, band == i].mean(axis=1) for i in range(band.max() + 1)], axis=1)
    loud = 10.0 * np.log10(np.percentile(bands, 95, axis=0) + 1e-20)
    floor = max(float(loud.max()) - _EDGE_BELOW_PEAK_DB, _EDGE_FLOOR_DBFS)
    above = np.flatnonzero(loud > floor)
    edge = float(above[-1] + 1) * _BAND_HZ if above.size else 0.0
    mean = power.mean(axis=0)
    share = float(mean[freqs >= _HIGH_BAND_HZ].sum() / max(float(mean.sum()), 1e-20))
    high_band_db = 10.0 * math.log10(share + 1e-20)
    return Spectrum(min(edge, source_rate / 2.0), high_band_db, side_db(wave))


def side_db(wave: Wave) -> float:
    """Return the energy of the side relative to that of the middle in dB; -100 for mono."""
    middle, side = wave.mean(axis=1), (wave[:, 0] - wave[:, 1]) / 2
    energy, own = float((middle**2).sum()), float((side**2).sum())
    return 10.0 * math.log10(max(own, 1e-10 * energy, 1e-20) / max(energy, 1e-20))


def _frame_power(mono: Wave) -> npt.NDArray[np.float64]:
    """Return the Hann-windowed power of half-overlapping frames, shape ``(frames, bins)``."""
    if len(mono) < _FFT_SIZE:
        mono = np.pad(mono, (0, _FFT_SIZE - len(mono)))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _FFT_SIZE)[:: _FFT_SIZE // 2]
    window = np.hanning(_FFT_SIZE)
    scale = (window.sum() / 2.0) ** 2
    rows = [np.abs(np.fft.rfft(frame * window)) ** 2 / scale for frame in frames]
    return np.stack(rows)


def true_rate(spectrum: Spectrum) -> int:
    """Return twice the true bandwidth in Hz: 44100 for full-band audio, else an even lower rate.

    An edge at 19 kHz or above counts as full band, because much music is mastered or coded with
    such an edge. From a lower edge, one band of 250 Hz is subtracted to exclude the transition band
    of a codec.
    """
    if spectrum.bandwidth_hz - _BAND_HZ >= FULL_BAND_HZ:
        return SAMPLE_RATE
    return int(2 * (spectrum.bandwidth_hz - _BAND_HZ))


def trim_silence(wave: Wave, threshold: float = 1e-3) -> Wave:
    """Cut the leading and trailing frames below ``threshold`` (of full scale)."""
    loud = np.flatnonzero(np.abs(wave).max(axis=1) > threshold)
    return wave[loud[0] : loud[-1] + 1] if loud.size else wave[:0]


def set_peak(wave: Wave, peak_db: float) -> Wave:
    """Scale a waveform to a peak of ``peak_db`` dB of full scale; silence is left as it is."""
    peak = float(np.abs(wave).max(initial=0.0))
    return wave if peak == 0.0 else wave * np.float32(10.0 ** (peak_db / 20.0) / peak)


def repeat_to(wave: Wave, seconds: float) -> Wave:
    """Repeat a loop, whole, until it lasts ``seconds`` or more."""
    times = math.ceil(seconds * SAMPLE_RATE / len(wave))
    return np.tile(wave, (max(times, 1), 1))


def loudest_piece(wave: Wave, seconds: float) -> Wave:
    """Return the excerpt of ``seconds`` with the most energy; shorter audio is unchanged."""
    length = int(seconds * SAMPLE_RATE)
    if len(wave) <= length:
        return wave
    energy = np.concatenate([[0.0], np.cumsum((wave.astype(np.float64) ** 2).sum(axis=1))])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return wave[start : start + length]


def write_pcm16(path: Path, wave: Wave) -> None:
    """Write 16-bit PCM WAV; the file appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = np.clip(np.rint(wave * _PCM16_MAX), -_PCM16_MAX - 1, _PCM16_MAX).astype(np.int16)
    partial = path.with_suffix(".part")
    sf.write(str(partial), pcm, SAMPLE_RATE, subtype="PCM_16", format="WAV")
    partial.replace(path)


def render_midi(midi: bytes, soundfont: Path) -> Wave:
    """Play a MIDI file through fluidsynth, with its reverb but without its chorus.

    The chorus would spread the sound far more than real music is: the energy of the side would be 2
    dB below that of the middle, in place of 13 dB.

    Raises:
        AudioToolError: fluidsynth failed or wrote nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        score, audio = Path(folder, "score.mid"), Path(folder, "audio.wav")
        score.write_bytes(midi)
        command = ["fluidsynth", "-ni", "-q", "-g", "0.4", "-C", "0", "-r", str(SAMPLE_RATE)]
        command += ["-o", "synth.dynamic-sample-loading=1"]
        command += ["-O", "float", "-T", "wav", "-F", str(audio), str(soundfont), str(score)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not audio.is_file():
            raise AudioToolError(f"fluidsynth failed on {soundfont.name}: {done.stderr.strip()}")
        return read_stereo(audio)
