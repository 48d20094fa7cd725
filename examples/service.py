"""Restore uploads over HTTP.

pip install fastapi uvicorn
python examples/service.py
curl --data-binary @old.wav 'http://127.0.0.1:8000/restore/bandwidth?steps=4' -o new.wav
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import BoundedSemaphore

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from a2sb_core import RestoreOptions, Restorer
from a2sb_core.errors import A2SBError

MAX_BYTES = 50_000_000
AT_ONCE = 2  # restorations at a time; they share one restorer


def create(restorer: Restorer) -> FastAPI:
    """Return an application that restores audio files with a model."""
    app, free = FastAPI(), BoundedSemaphore(AT_ONCE)

    def restore(data: bytes, options: RestoreOptions) -> bytes:
        with free, tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
            source.write_bytes(data)
            restorer.restore_file(source, target, options)
            return target.read_bytes()

    @app.post("/restore/{task}")
    async def upload(
        request: Request, task: str, steps: int | None = None, amount: float = 1.0
    ) -> Response:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MAX_BYTES:
                raise HTTPException(413, f"the file has more than {MAX_BYTES} bytes")
        try:
            options = RestoreOptions(task, steps=steps, amount=amount)
            restored = await run_in_threadpool(restore, bytes(data), options)
        except A2SBError as error:
            raise HTTPException(422, str(error)) from error
        return Response(restored, media_type="audio/wav")

    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create(Restorer.from_pretrained("small")))
