"""Jobs that restore recordings."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from a2sb_core.audio import files
from a2sb_core.batch.pairing import Pair, plan
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import AudioError
from a2sb_core.jobs.job_process import OnStep
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.records import JobOutcome
from a2sb_core.jobs.request import RestoreRequest
from a2sb_core.restoration.damage import Damage, describe
from a2sb_core.restoration.listener import NoteCollector, ProgressListener
from a2sb_core.restoration.options import WriteOptions
from a2sb_core.restoration.restorer import Restorer


def check_recording(path: Path, limits: Limits) -> files.AudioInfo:
    """Check the length, the channels and the sample rate of a recording by its header.

    Raises:
        AudioError: the recording is too long, or the file is not audio.
    """
    info = files.info(path)
    counted = limits.counted_minutes(info)
    if counted > limits.minutes:
        minutes = info.duration_s / 60
        size = f"{minutes:.1f} minutes long"
        if counted > minutes:
            size += (
                f" and counts as {counted:.1f} minutes of stereo ({info.channels} channels, "
                f"{info.sample_rate / 1000:g} kHz)"
            )
        raise AudioError(
            f"{path.name} is {size}, and the limit of this server is {limits.minutes:g}: restore "
            "it on the command line, which has no limit"
        )
    return info


def restore(
    report: OnStep, source: Path, room: Path, request: RestoreRequest, limits: Limits, device: str
) -> tuple[Pair, Damage | None, JobOutcome]:
    """Restore a recording in a worker, as ``a2sb restore`` does.

    Args:
        report: receives the progress.
        source: the recording.
        room: folder of the result; an attempt that was killed in it is continued.
        request: the settings.
        limits: limits of the recording.
        device: device that restores.

    Returns:
        The files, the damage (None if there was nothing to restore), and the outcome.

    Raises:
        A2SBError: the recording cannot be restored.
    """
    started = time.monotonic()
    check_recording(source, limits)
    suffix = f".{request.format}" if request.format else None
    pair = plan([source], room, suffix=suffix)[0]
    listener = NoteCollector(ProgressListener(report))
    damage = _restorer(request.model or DEFAULT_MODEL, device).restore_file(
        pair.source, pair.target, request.options(), WriteOptions(resume=True), listener=listener
    )
    sentence, seconds = describe(damage), time.monotonic() - started
    outcome = JobOutcome(
        target=pair.target.name,
        text=f"{sentence[0].upper()}{sentence[1:]}. Done in {seconds:.1f} s.",
        notes=listener.notes,
        data={"damage": damage.as_dict() if damage else None},
    )
    return pair, damage, outcome


@lru_cache(maxsize=1)
def _restorer(model: str, device: str) -> Restorer:
    return Restorer.from_pretrained(model, device)
