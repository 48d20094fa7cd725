"""Build the small music training set from public Debian packages, with one command.

    python examples/train_small/prepare_data.py OUT --hours 5

writes 44.1 kHz 16-bit stereo WAV files, ``OUT/manifest.csv`` (split, file_path, duration in
seconds, sample_rate in Hz, group) and ``OUT/ATTRIBUTION.md``. The column ``sample_rate`` is twice
the true bandwidth of a file, which is lower than the rate at which it is stored where a codec cut
the treble. The real music comes from the packages that ``tracks.yaml`` names; the rendered music is
composed by ``compose_midi.py``, played part by part by fluidsynth with free soundfonts, and mixed
by ``remix.py``. The same seed and the same package versions give the same files.

It also writes ``OUT/TABLE.md``: what the set contains, by group.

It needs a Debian system with ``apt-get`` (with package lists), ``dpkg``, ``fluidsynth`` and
``openmpt123``, and the Python packages numpy, soundfile, soxr and PyYAML. No administrator rights
are needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import audio_tools
import compose_midi
import numpy as np
import yaml
from remix import remix

TOOLS = {
    "apt-get": "it fetches the packages, so this script needs Debian or a derivative",
    "dpkg": "it unpacks the packages",
    "openmpt123": "it plays the modules; install the package openmpt123",
    "fluidsynth": "it renders the composed pieces; install the package fluidsynth",
}
MIN_BANDWIDTH_HZ = 15_000.0
MIN_HIGH_BAND_DB = -45.0
PIECE_SECONDS = 45.0
VALIDATION_SECONDS = 20.0
VALIDATION_PIECES = 4
LOOP_SECONDS = 16.0
HEADER = ("split", "file_path", "duration", "sample_rate", "group")


class DataError(RuntimeError):
    """Raised when the training set cannot be built; the message states a remedy."""


@dataclass(frozen=True)
class Track:
    """A real track: the files that are mixed, and its attribution."""

    package: str
    files: tuple[Path, ...]
    name: str
    title: str
    author: str
    licence: str
    split: str
    loop: bool


@dataclass(frozen=True)
class Soundfont:
    """A soundfont on disk, its attribution and how often it is used (a relative weight)."""

    package: str
    file: Path
    title: str
    author: str
    licence: str
    weight: float


@dataclass(frozen=True)
class Row:
    """One line of the manifest (duration in seconds, sample_rate in Hz) with its attribution."""

    split: str
    file_path: str
    duration: float
    sample_rate: int
    group: str
    credit: str
    author: str
    spectrum: audio_tools.Spectrum | None = None


@dataclass(frozen=True)
class RenderJob:
    """One piece to compose and render; the seed fixes the notes."""

    seed: int
    soundfont: Soundfont
    peak_db: float
    out: Path


def check_tools() -> None:
    """Raise a :class:`DataError` that names every missing program."""
    missing = [f"{tool} is missing: {why}" for tool, why in TOOLS.items() if not shutil.which(tool)]
    if missing:
        raise DataError("\n".join(missing))


def run(command: Sequence[str], folder: Path) -> None:
    """Run a program in ``folder`` and raise a :class:`DataError` with its output if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DataError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


def fetch_package(package: str, downloads: Path) -> Path:
    """Download and unpack a Debian package (once) and return the folder of its files."""
    unpacked = downloads / "unpacked" / package
    if unpacked.is_dir():
        return unpacked
    if not list(downloads.glob(f"{package}_*.deb")):
        print(f"fetching {package}", flush=True)
        try:
            run(["apt-get", "download", "-q", package], downloads)
        except DataError as error:
            hint = "are the package lists up to date (apt-get update)?"
            raise DataError(f"{error}\ncannot fetch {package}: {hint}") from error
    archives = sorted(downloads.glob(f"{package}_*.deb"))
    partial = unpacked.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run(["dpkg", "-x", str(archives[-1].resolve()), str(partial.resolve())], downloads)
    partial.rename(unpacked)
    return unpacked


def load_tracks(catalogue: dict[str, Any], downloads: Path) -> list[Track]:
    """Fetch the packages of the catalogue and list their tracks."""
    tracks = []
    for package, entry in catalogue["packages"].items():
        root = fetch_package(package, downloads)
        if "archive" in entry:
            root = unzip(root / entry["archive"], root / "archive")
        for item in entry["tracks"]:
            names = [item["file"], *([item["also"]] if "also" in item else [])]
            stem = item["title"] if "also" in item else Path(item["file"]).stem
            tracks.append(
                Track(
                    package=package,
                    files=tuple(root / entry["folder"] / name for name in names),
                    name=f"{package}__{stem.replace(' ', '_')}",
                    title=item["title"],
                    author=item.get("author") or entry["author"],
                    licence=item.get("licence") or entry["licence"],
                    split=item.get("split", "train"),
                    loop=bool(item.get("loop", False)),
                )
            )
    return tracks


def unzip(archive: Path, folder: Path) -> Path:
    """Extract a zip file into ``folder`` (once) and return the folder."""
    if not folder.is_dir():
        try:
            with zipfile.ZipFile(archive) as handle:
                handle.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot open {archive}: {error}") from error
    return folder


def load_soundfonts(catalogue: dict[str, Any], downloads: Path) -> list[Soundfont]:
    """Fetch the soundfonts of the catalogue."""
    fonts = []
    for package, entry in catalogue["soundfonts"].items():
        file = fetch_package(package, downloads) / entry["file"]
        if not file.is_file():
            raise DataError(f"{package} has no file {entry['file']}")
        fonts.append(
            Soundfont(
                package, file, entry["title"], entry["author"], entry["licence"], entry["weight"]
            )
        )
    return fonts


def store(wave: audio_tools.Wave, path: Path, row: Row, rate_limit: int) -> Row | None:
    """Write a waveform unless its high frequencies are too weak, and complete its manifest row.

    ``rate_limit`` (Hz) is the rate at which the audio was stored at its source. Returns ``None``
    when the bandwidth is under 15 kHz or the energy above 12 kHz under -45 dB of the total.
    """
    if len(wave) == 0:
        return None
    spectrum = audio_tools.measure(wave, rate_limit)
    if spectrum.bandwidth_hz < MIN_BANDWIDTH_HZ or spectrum.high_band_db < MIN_HIGH_BAND_DB:
        return None
    audio_tools.write_pcm16(path, wave)
    duration = round(len(wave) / audio_tools.SAMPLE_RATE, 3)
    rate = audio_tools.true_rate(spectrum)
    return replace(row, duration=duration, sample_rate=rate, spectrum=spectrum)


def prepare_track(track: Track, out: Path) -> Row | None:
    """Decode, mix and write one real track; ``None`` if it is rejected (see :func:`store`)."""
    waves = [audio_tools.read_stereo(file) for file in track.files]
    frames = min(len(wave) for wave in waves)
    wave = waves[0][:frames]
    for stem in waves[1:]:
        wave = wave + stem[:frames]
    if track.loop:
        wave = audio_tools.repeat_to(wave, LOOP_SECONDS)
    else:
        wave = audio_tools.trim_silence(wave)
    if track.split == "validation":
        wave = audio_tools.loudest_piece(wave, VALIDATION_SECONDS)
    if abs(wave).max(initial=0.0) > 1.0:
        wave = audio_tools.set_peak(wave, -0.1)
    relative = f"real/{track.name}.wav"
    credit = f"{track.title}, by {track.author}, {track.licence} (package {track.package})"
    rate_limit = audio_tools.source_rate(track.files[0])
    row = Row(track.split, relative, 0.0, 0, "real", credit, track.author)
    return store(wave, out / relative, row, rate_limit)


def render_piece(job: RenderJob) -> Row | None:
    """Compose, render, mix and write one piece; ``None`` if it is rejected (:func:`store`)."""
    piece = compose_midi.excerpt(compose_midi.compose(job.seed), PIECE_SECONDS)
    parts = (
        audio_tools.render_midi(compose_midi.to_midi(part), job.soundfont.file)
        for part in compose_midi.stems(piece)
    )
    stems = [part[: int(PIECE_SECONDS * audio_tools.SAMPLE_RATE)] for part in parts]
    wave = audio_tools.trim_silence(remix(stems, np.random.default_rng(job.seed)))
    wave = audio_tools.set_peak(wave, job.peak_db)
    relative = f"rendered/piece_{job.seed:06d}_{piece.style}.wav"
    credit = (
        f"piece {job.seed} ({piece.style}) of compose_midi.py, Apache-2.0, played with "
        f"{job.soundfont.title} ({job.soundfont.licence}, package {job.soundfont.package})"
    )
    row = Row("train", relative, 0.0, 0, "rendered", credit, job.soundfont.title)
    return store(wave, job.out / relative, row, audio_tools.SAMPLE_RATE)


def render_jobs(fonts: Sequence[Soundfont], seed: int, out: Path) -> Iterator[RenderJob]:
    """Yield jobs without end, each with its own piece and a random soundfont and level."""
    rng = random.Random(seed)
    weights = [font.weight for font in fonts]
    for index in count():
        font = rng.choices(fonts, weights)[0]
        yield RenderJob(seed * 100_000 + index, font, rng.uniform(-6.0, -0.3), out)


def prepare_rendered(
    jobs: Iterator[RenderJob], hours: float, pool: ProcessPoolExecutor
) -> list[Row]:
    """Render pieces, a batch at a time, until the accepted ones last ``hours``.

    The first four are for validation.
    """
    rows: list[Row] = []
    while (missing := hours * 3600.0 - sum(row.duration for row in rows)) > 0.0:
        batch = islice(jobs, min(int(missing / PIECE_SECONDS) + 1, 40))
        rows += [row for row in pool.map(render_piece, batch) if row is not None]
        done = sum(row.duration for row in rows) / 3600.0
        print(f"rendered {len(rows)} pieces, {done:.2f} of {hours:g} hours", flush=True)
    held_out = [replace(row, split="validation") for row in rows[:VALIDATION_PIECES]]
    return held_out + rows[VALIDATION_PIECES:]


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV with the header split,file_path,duration,sample_rate,group."""
    partial = path.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(HEADER)
        for row in rows:
            writer.writerow((row.split, row.file_path, row.duration, row.sample_rate, row.group))
    partial.replace(path)


def write_attribution(path: Path, rows: Sequence[Row], fonts: Sequence[Soundfont]) -> None:
    """Write the title, author and licence of every file and of every soundfont as Markdown."""
    lines = ["# Attribution of the training set", "", "## Soundfonts", ""]
    lines += [f"- {f.title}, by {f.author}, {f.licence} (package {f.package})" for f in fonts]
    for group, heading in (("real", "Real music"), ("rendered", "Rendered music")):
        lines += ["", f"## {heading}", ""]
        chosen = [row for row in rows if row.group == group]
        lines += [f"- `{row.file_path}` ({row.split}): {row.credit}" for row in chosen]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write what the set contains as a Markdown table; levels and bandwidths are medians."""
    lines = ["| group | files | hours | by | bandwidth | side / middle | above 12 kHz |"]
    lines += ["|" + "---|" * 7]
    for group, by in (("real", "composers"), ("rendered", "soundfonts")):
        chosen = [row for row in rows if row.group == group and row.spectrum]
        if not chosen:
            continue
        spectra = [row.spectrum for row in chosen if row.spectrum]
        hours = sum(row.duration for row in chosen) / 3600
        bandwidth, side, high = (
            statistics.median(getattr(one, name) for one in spectra)
            for name in ("bandwidth_hz", "side_db", "high_band_db")
        )
        lines.append(
            f"| {group} | {len(chosen)} | {hours:.2f} | {len({row.author for row in chosen})} {by} "
            f"| {bandwidth / 1000:.1f} kHz | {side:.1f} dB | {high:.1f} dB |"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def build(out: Path, downloads: Path, hours: float, seed: int, workers: int) -> list[Row]:
    """Build the whole training set in ``out`` and return its manifest rows.

    Raises:
        DataError: a program or package is missing.
        audio_tools.AudioToolError: a file could not be decoded or rendered.
    """
    check_tools()
    out.mkdir(parents=True, exist_ok=True)
    downloads.mkdir(parents=True, exist_ok=True)
    text = Path(__file__).with_name("tracks.yaml").read_text(encoding="utf-8")
    catalogue = yaml.safe_load(text)
    tracks = load_tracks(catalogue, downloads)
    fonts = load_soundfonts(catalogue, downloads)
    with ProcessPoolExecutor(workers) as pool:
        prepared = list(pool.map(prepare_track, tracks, [out] * len(tracks)))
        for track, row in zip(tracks, prepared, strict=True):
            if row is None:
                print(f"left out {track.name}: too little treble", flush=True)
        real = [row for row in prepared if row is not None]
        write_manifest(out / "manifest_real.csv", real)
        print(f"real music: {len(real)} files", flush=True)
        rendered = prepare_rendered(render_jobs(fonts, seed, out), hours, pool)
    rows = real + rendered
    write_attribution(out / "ATTRIBUTION.md", rows, fonts)
    write_table(out / "TABLE.md", rows)
    write_manifest(out / "manifest.csv", rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the training set")
    parser.add_argument("--hours", type=float, default=5.0, help="hours of rendered music")
    parser.add_argument("--seed", type=int, default=1, help="seed of the rendered pieces")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--downloads", type=Path, help="package folder (default: OUT/downloads)")
    args = parser.parse_args(arguments)
    downloads = args.downloads or args.out / "downloads"
    try:
        build(args.out, downloads, args.hours, args.seed, args.workers)
    except (DataError, audio_tools.AudioToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print((args.out / "TABLE.md").read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
