"""The service as a FastAPI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from a2sb_core.common.packages import version_or_unknown
from a2sb_core.common.text import without_folders
from a2sb_core.errors import A2SBError
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.queue import FINAL, JobQueue, QueueFullError, UnknownJobError
from a2sb_core.jobs.records import Job
from a2sb_core.service.access import Access
from a2sb_core.service.messages import (
    Health,
    JobRequest,
    JobStatus,
    Problem,
    ServedLimits,
    ServedModel,
    UploadedRecording,
)
from a2sb_core.service.metrics import Metrics
from a2sb_core.service.uploads import Uploads
from a2sb_core.service.work import check_request, restored, served_models

EVENT_S, SILENCE_S = 0.2, 15.0
"""Seconds between looks at a job whose events are sent, and the longest time without a line."""
RETRY_S = 30
"""Seconds after which a client that was refused may try again."""
DESCRIPTION = (
    "Restores recordings of music: upload a recording, add a job, follow its events, and download "
    "the result."
)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        401: "The token is missing or unknown.",
        403: "The host is not served.",
        404: "There is no such job or upload.",
        408: "Nothing of the upload has arrived for a minute.",
        409: "The state of the job does not allow this.",
        413: "The upload is too large.",
        422: "The request or the recording is invalid.",
        429: "A limit of the client is exceeded.",
        503: "Too many jobs wait.",
    }.items()
}


@dataclass
class Service:
    """Settings and parts of the service.

    Attributes:
        folder: folder of the jobs and uploads.
        limits: limits of a client.
        access: who may use it.
        model: model of jobs that name none.
        device: device that restores.
        workers: number of jobs that run at a time.
        waiting: largest number of jobs that wait.
        keep_hours: hours after which uploads, and jobs that have ended, are removed.

    Raises:
        A2SBError: the model is not found, or another server uses the folder.
    """

    folder: Path
    limits: Limits
    access: Access
    model: str
    device: str = "auto"
    workers: int = 1
    waiting: int = 1000
    keep_hours: float = 24.0

    def __post_init__(self) -> None:
        """Open the queue, and go on with the jobs that have not ended."""
        self.folder = self.folder.resolve()
        self.models = served_models(self.model)
        keep_s = 3600 * self.keep_hours
        self.queue = JobQueue(
            self.folder / "jobs",
            partial(restored, limits=self.limits, device=self.device),
            self.limits,
            workers=self.workers,
            waiting=self.waiting,
            keep_s=keep_s,
        )
        self.uploads = Uploads(self.folder / "uploads", self.limits, keep_s)
        self.metrics = Metrics(self.queue, self.uploads)

    def close(self) -> None:
        """End the processes; jobs that have not ended go on at the next start."""
        self.queue.close()
        self.uploads.checking.close()

    def own_job(self, client: str, id_: str) -> JobStatus:
        """Return a job of a client.

        Raises:
            UnknownJobError: the client has no such job.
        """
        job = self.queue.get(id_)
        if not self.access.may_see(client, job.ticket.owner):
            raise UnknownJobError(id_)
        return self.status(job)

    def status(self, job: Job) -> JobStatus:
        """Return the state of a job as clients see it, without the folders of the server."""
        seen = JobStatus.of(job)
        return seen.model_copy(update={"error": without_folders(seen.error, self.folder)})

    async def submit(self, client: str, request: JobRequest, key: str | None) -> JobStatus:
        """Add a job, or return that with the same key.

        Raises:
            HTTPException: the request is invalid, or a limit is exceeded.
        """
        asked = request.model_copy(update={"model": request.model or self.model})
        data = asked.model_dump(mode="json")
        job = self.queue.find(client, key) if key else None
        if job is None:
            path = await self._checked(client, asked)
            try:
                job = await run_in_threadpool(self.queue.submit, path, data, owner=client, key=key)
            except QueueFullError as error:
                raise HTTPException(503, str(error), {"Retry-After": str(RETRY_S)}) from error
            except OSError as error:
                raise HTTPException(507, f"the job cannot be stored: {error.strerror}") from error
        if job.ticket.request != data:
            raise HTTPException(409, "another job has the same Idempotency-Key")
        return self.status(job)

    async def _checked(self, client: str, asked: JobRequest) -> Path:
        """Return the recording of a request that is valid.

        Raises:
            HTTPException: the request is invalid, or a limit is exceeded.
        """
        path = self.uploads.path(asked.upload)
        if path is None:
            raise HTTPException(
                404, f"upload {asked.upload} does not exist, or has been removed: upload it again"
            )
        if asked.model not in self.models:
            names = ", ".join(self.models)
            raise HTTPException(422, f"model `{asked.model}` is not served; the models are {names}")
        await self.uploads.check(check_request, asked, self.limits)
        own = [job for job in self.queue.jobs(client) if job.state not in FINAL]
        if len(own) >= self.limits.files:
            raise HTTPException(
                429, f"{len(own)} of your jobs have not ended, which is the limit of this server"
            )
        return path


def create(service: Service) -> FastAPI:
    """Return the application; its end closes the service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="a2sb",
        version=version_or_unknown(),
        description=DESCRIPTION,
        docs_url=None,  # these pages load scripts from other servers
        redoc_url=None,
        lifespan=lifespan,
    )
    client = Depends(service.access.client)
    _add_server_routes(app, service, client)
    _add_job_routes(app, service, client)
    _add_state_routes(app, service, client)
    _add_result_routes(app, service, client)

    @app.exception_handler(UnknownJobError)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(RequestValidationError)
    async def explain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        faults = [
            f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}".removeprefix(": ")
            for one in error.errors()
        ]
        return JSONResponse({"detail": "; ".join(faults)}, 422)

    return app


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: PROBLEMS[code] for code in (401, 403, *codes)}


def _add_server_routes(app: FastAPI, service: Service, client: Any) -> None:
    """Add what describes the server."""

    @app.get("/health", tags=["server"], dependencies=[Depends(service.access.check_host)])
    def health() -> Health:
        """Return the state of the server; no token is needed."""
        counts = service.queue.count()
        return Health(
            status="ok",
            version=version_or_unknown(),
            workers=service.workers,
            queued=counts.get("queued", 0),
            running=counts.get("running", 0),
        )

    @app.get("/models", tags=["server"], dependencies=[client], responses=_problems())
    def models() -> list[ServedModel]:
        """Return the models and their tasks."""
        return list(service.models.values())

    @app.get("/limits", tags=["server"], dependencies=[client], responses=_problems())
    def limits() -> ServedLimits:
        """Return the limits of a client."""
        own = {one.name: getattr(service.limits, one.name) for one in fields(service.limits)}
        return ServedLimits(**own, waiting=service.waiting, keep_hours=service.keep_hours)

    @app.get("/metrics", tags=["server"], dependencies=[client], responses=_problems())
    def metrics() -> Response:
        """Return metrics in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_job_routes(app: FastAPI, service: Service, client: Any) -> None:
    """Add what makes jobs."""
    body = {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}

    @app.post(
        "/uploads",
        tags=["jobs"],
        status_code=201,
        responses=_problems(408, 413, 422, 429),
        openapi_extra={"requestBody": body | {"required": True}},
    )
    async def upload(
        request: Request,
        name: Annotated[str, Query(max_length=200, description="Name of the file.")],
        owner: str = client,
    ) -> UploadedRecording:
        """Upload a recording as the body of the request."""
        return await service.uploads.receive(request, name, owner)

    @app.post("/jobs", tags=["jobs"], status_code=201, responses=_problems(404, 409, 422, 429, 503))
    async def add(
        request: JobRequest,
        owner: str = client,
        idempotency_key: Annotated[
            str | None,
            Header(max_length=200, description="A second request with this key adds no job."),
        ] = None,
    ) -> JobStatus:
        """Add a job that restores an upload."""
        return await service.submit(owner, request, idempotency_key)


def _add_state_routes(app: FastAPI, service: Service, client: Any) -> None:
    """Add what shows and ends jobs."""

    @app.get("/jobs", tags=["jobs"], responses=_problems())
    def jobs(owner: str = client) -> list[JobStatus]:
        """Return the jobs of the client, in the order of their arrival."""
        return [service.status(job) for job in service.queue.jobs(owner)]

    @app.get("/jobs/{id}", tags=["jobs"], responses=_problems(404))
    def job(id: str, owner: str = client) -> JobStatus:
        """Return the state of a job."""
        return service.own_job(owner, id)

    @app.post("/jobs/{id}/cancel", tags=["jobs"], responses=_problems(404))
    def cancel(id: str, owner: str = client) -> JobStatus:
        """Cancel a job, unless it has ended; one that runs ends soon afterwards."""
        service.own_job(owner, id)
        return service.status(service.queue.cancel(id))

    @app.delete("/jobs/{id}", tags=["jobs"], status_code=204, responses=_problems(404, 409))
    def remove(id: str, owner: str = client) -> None:
        """Remove a job that has ended, and its result."""
        service.own_job(owner, id)
        try:
            service.queue.remove(id)
        except A2SBError as error:
            raise HTTPException(409, str(error)) from error


def _add_result_routes(app: FastAPI, service: Service, client: Any) -> None:
    """Add the events and the result of a job."""

    @app.get(
        "/jobs/{id}/events",
        tags=["jobs"],
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Events until the end."},
            **_problems(404),
        },
    )
    async def events(id: str, owner: str = client) -> StreamingResponse:
        """Send the state of a job whenever it changes, as server-sent events, until it ends."""
        service.own_job(owner, id)
        return StreamingResponse(
            _events(service, owner, id),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @app.get(
        "/jobs/{id}/result",
        tags=["jobs"],
        response_class=FileResponse,
        responses={
            200: {"content": {"audio/*": {}}, "description": "The restored recording."},
            **_problems(404, 409),
        },
    )
    def result(id: str, owner: str = client) -> FileResponse:
        """Send the restored recording, as often as it is asked for."""
        job = service.own_job(owner, id)
        if job.result is None:
            more = f": {job.error}" if job.error else ""
            raise HTTPException(409, f"job {id} has no result, it is {job.state}{more}")
        path = service.queue.result(id) / job.result
        headers = {"X-Content-Type-Options": "nosniff"}
        return FileResponse(path, filename=job.result, headers=headers)


async def _events(service: Service, client: str, id_: str) -> AsyncIterator[str]:
    last, silent_s = None, 0.0
    while True:
        try:
            job = service.own_job(client, id_)
        except UnknownJobError:  # it has been removed
            return
        if job != last:
            yield f"event: {job.state}\ndata: {job.model_dump_json()}\n\n"
            last, silent_s = job, 0.0
        elif silent_s >= SILENCE_S:
            yield ": no change\n\n"
            silent_s = 0.0
        if job.is_over:
            return
        await asyncio.sleep(EVENT_S)
        silent_s += EVENT_S
