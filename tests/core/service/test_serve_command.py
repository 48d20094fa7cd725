"""The command `a2sb serve`, also when it is killed."""

import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from service_parts import ask, command, recording, until
from typer.testing import CliRunner

pytest.importorskip("fastapi")

from a2sb_core.service.access import read_tokens
from a2sb_core.service.client import Client, ServiceError


@pytest.fixture
def run():
    from a2sb_core.cli import app

    return lambda *words: CliRunner().invoke(app, ["serve", "--device", "cpu", *map(str, words)])


def test_the_service_without_its_packages_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = run()
    assert result.exit_code == 1 and "pip install 'a2sb[serve]'" in result.output


def test_the_client_needs_neither_torch_nor_the_packages_of_the_service():
    heavy = ("torch", "fastapi", "uvicorn", "prometheus_client")
    script = f"""
import sys
import a2sb_core.service.client
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_what_cannot_be_served_is_told(run, tmp_path):
    result = run("--token", "short", "--folder", tmp_path / "jobs")
    assert result.exit_code == 1 and "at least 16" in result.output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--port", port, "--folder", tmp_path / "jobs")
    assert result.exit_code == 1 and f"127.0.0.1:{port} is not available" in result.output
    result = run("--port", 0, "--model", "nothing/like-it", "--folder", tmp_path / "jobs")
    assert result.exit_code == 1 and "nothing/like-it" in result.output
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("anna", "line 1: write the name and the token"),
        ("\n\nanna b c", "line 3: write the name"),
        ("anna secret\nbert secret", "line 2: bert has the token of anna"),
        ("# nobody", "contains no tokens"),
    ],
)
def test_a_malformed_file_of_tokens_is_refused(run, tmp_path, text, words):
    path = tmp_path / "tokens.txt"
    path.write_text(text)
    result = run("--tokens", path)
    assert result.exit_code == 1 and words in " ".join(result.output.split())


def test_a_file_of_tokens_names_clients(tmp_path):
    (tmp_path / "tokens.txt").write_text("# clients\nanna secret\n\n bert  other \n")
    assert read_tokens(tmp_path / "tokens.txt") == {"secret": "anna", "other": "bert"}


@pytest.mark.slow
def test_the_command_serves_and_ends(tiny, tmp_path):
    secret = "open sesame, please"
    with command(tmp_path / "jobs", tiny, A2SB_SERVE_TOKEN=secret) as (url, process):
        client = Client(url, secret)
        song = recording(tmp_path / "song.wav")
        client.restore(song, tmp_path / "new.wav", "bandwidth", cutoff_hz=3000)
        with pytest.raises(ServiceError, match="token is needed"):
            Client(url).jobs()
        job = client.submit(client.upload(recording(tmp_path / "slow.wav", 20)), "bandwidth")
        until(lambda: client.job(job.id).state == "running")
        children = psutil.Process(process.pid).children(recursive=True)
        events = client.events(job.id)
        next(events)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(20) == 0 and rest == ""
        assert psutil.wait_procs(children, timeout=20)[1] == []


@pytest.mark.slow
def test_a_client_that_waits_outlives_a_restart_of_the_server(tiny, tmp_path):
    song, ended = recording(tmp_path / "song.wav", 20), []
    with command(tmp_path / "jobs", tiny) as (url, process):
        client = Client(url)
        job = client.submit(client.upload(song), "bandwidth", cutoff_hz=3000, steps=20)
        until(lambda: client.job(job.id).state == "running")
        waiting = threading.Thread(target=lambda: ended.append(client.wait(job.id)))
        waiting.start()
        process.kill()
        process.wait()
    with command(tmp_path / "jobs", tiny, "--port", url.rpartition(":")[2]):
        waiting.join()
        assert ended[0].state == "done"
        client.download(job.id, tmp_path / "new.wav")


def submit_all(url, folder, clients, each):
    """Submit ``each`` jobs of many clients at once; return the numbers of client and job by id."""
    jobs, failed = {}, []

    def use(number):
        try:
            client = Client(url)
            upload = client.upload(recording(folder / f"{number}.wav", 0.3, number))
            for k in range(each):
                job = client.submit(upload, "bandwidth", cutoff_hz=3000, steps=1, seed=k)
                jobs[job.id] = number, k
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(jobs) == clients * each
    return jobs


def kill_workers(url, server, count):
    """Kill workers of a server during their work, one after the other."""
    for killed in range(count):
        busy = []
        while not busy:
            busy = [one for one in server.children() if one.cpu_percent(0.3) > 20]
        busy[0].kill()
        until(lambda killed=killed: lost(url) == killed + 1)


def lost(url):
    """Return how many workers the server has lost."""
    lines = ask(url, "GET", "/metrics")[2].decode().splitlines()
    (line,) = [one for one in lines if one.startswith("a2sb_workers_lost_total ")]
    return int(float(line.split()[1]))


def outcomes(folder):
    """Return the outcomes of all jobs, with the times at which they were written."""
    return {one: one.stat().st_mtime_ns for one in folder.glob("jobs/*/result/outcome.json")}


@pytest.mark.slow
def test_fifty_clients_two_killed_workers_and_a_killed_server(tiny, tmp_path):
    """200 jobs of 50 clients: nothing is lost, nothing is done twice, memory is bounded."""
    folder, grown = tmp_path / "jobs", []
    with command(folder, tiny, "--workers", 2, "--max-files", 1000) as (url, process):
        server, client = psutil.Process(process.pid), Client(url)
        idle = server.memory_info().rss
        jobs = submit_all(url, tmp_path, clients=50, each=4)
        kill_workers(url, server, 2)
        until(lambda: client.health().queued < 140, 300)
        grown.append(server.memory_info().rss - idle)
        process.kill()
        process.wait()
    before = outcomes(folder)
    assert 50 <= len(before) < 200
    with command(folder, tiny, "--workers", 2) as (url, process):
        server, client = psutil.Process(process.pid), Client(url)
        idle, started = server.memory_info().rss, time.monotonic()
        done = {id_: client.wait(id_) for id_ in jobs}
        seconds = time.monotonic() - started
        grown.append(server.memory_info().rss - idle)
        for id_, (number, k) in jobs.items():
            assert done[id_].state == "done" and done[id_].source == f"{number}.wav"
            client.download(id_, tmp_path / f"{number}-{k}.wav")
        assert {one.id for one in client.jobs()} == set(jobs)
    after = outcomes(folder)
    assert before.items() <= after.items() and len(after) == 200
    contents = {path.read_bytes() for path in tmp_path.glob("*-*.wav")}
    assert len(contents) == 200  # each recording with each seed
    assert max(grown) < 100e6
    shown = [round(one / 1e6) for one in grown]
    print(f"{len(after) - len(before)} jobs in {seconds:.0f} s, memory grew by {shown} MB")
