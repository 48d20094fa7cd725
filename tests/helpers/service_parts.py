"""The service, run in this process or as a command, and raw requests to it."""

import http.client
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import soundfile

RATE = 44100


@contextmanager
def served(folder, model, tokens=(), **more):
    """Run the service in a thread; yield its address and the service."""
    import uvicorn

    from a2sb_core.cli.serve import listening
    from a2sb_core.jobs.hosts import AllowedHosts
    from a2sb_core.jobs.limits import Limits
    from a2sb_core.service.access import Access
    from a2sb_core.service.app import Service, create

    limits = more.pop("limits", Limits(minutes=1.0, megabytes=20))
    access = Access(dict(tokens), AllowedHosts())
    service = Service(folder, limits, access, str(model), "cpu", **more)
    config = uvicorn.Config(create(service), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with listening("127.0.0.1", 0) as socket:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}", service
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def command(folder, model, *arguments, **environment):
    """Run `a2sb serve`; yield its address and the process, which is killed at the end."""
    script = "from a2sb_core.cli import main; main()"
    words = ["serve", "--port", "0", "--device", "cpu", "--model", model, "--folder", folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, (*words, *arguments))],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert "the service is at http://" in line, line + process.stdout.read()
            yield line.split()[4], process
        finally:
            process.kill()


def ask(url, method, path, body=None, headers=None):
    """Send one request; return the status, the headers and the body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def recording(path, seconds=0.5, seed=0, channels=1):
    """Write noise below 3 kHz or so, which the task `bandwidth` extends."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal((int(seconds * 6000), channels))
    times = np.arange(int(seconds * RATE)) / RATE * 6000
    wave = [np.interp(times, np.arange(len(rough)), rough[:, c]) for c in range(channels)]
    soundfile.write(path, 0.1 * np.stack(wave, axis=1), RATE, subtype="PCM_16")
    return path


def until(condition, seconds=60):
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
