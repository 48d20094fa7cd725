"""Work of the service: its models, and what its processes do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2sb_core.jobs.job_process import OnStep
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.records import JobOutcome
from a2sb_core.jobs.request import RestoreRequest
from a2sb_core.models.catalogue import list_models, read_facts
from a2sb_core.models.locating import find_model
from a2sb_core.service.messages import ServedModel

if TYPE_CHECKING:
    from a2sb_core.audio.formats import AudioInfo


def served_models(default: str) -> dict[str, ServedModel]:
    """Return the models on this machine by name, that of jobs that name none first.

    Raises:
        ModelError: the default model is not found.
    """
    tasks = list(read_facts(find_model(default)).tasks)
    listed = [one for one in list_models() if one.folder is not None and not one.problem]
    summary = next((one.summary for one in listed if one.name == default), "")
    models = [ServedModel(name=default, tasks=tasks, summary=summary, is_default=True)]
    models += [
        ServedModel(
            name=one.name, tasks=list(one.facts.tasks), summary=one.summary, is_default=False
        )
        for one in listed
        if one.name != default
    ]
    return {one.name: one for one in models}


def check_upload(report: OnStep, path: Path, limits: Limits) -> AudioInfo:
    """Check a recording in a process, by its header.

    Raises:
        AudioError: the recording is too long, or the file is not audio.
    """
    from a2sb_core.jobs.restoring import check_recording

    return check_recording(path, limits)


def check_request(report: OnStep, request: RestoreRequest, limits: Limits) -> None:
    """Check a request in a process, before it becomes a job.

    Raises:
        A2SBError: the task, the damage or a setting is invalid.
    """
    from a2sb_core.restoration.analysis import Analyzer
    from a2sb_core.restoration.damage import validated

    request.check(limits)
    corruption = Analyzer(str(request.model)).corruption.for_task(request.task)
    if request.damage:
        validated(corruption, request.damage)


def restored(
    report: OnStep, source: Path, room: Path, asked: dict[str, Any], *, limits: Limits, device: str
) -> JobOutcome:
    """Do a job of the service in a worker."""
    from a2sb_core.jobs.restoring import restore

    request = RestoreRequest.model_validate({k: v for k, v in asked.items() if k != "upload"})
    return restore(report, source, room, request, limits, device)[2]
