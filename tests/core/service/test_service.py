"""The service over HTTP, as other programs use it."""

import json
import socket
import threading
import time
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
import soundfile
from doc_pages import blocks
from service_parts import RATE, ask, recording, served, until

pytest.importorskip("fastapi")

from a2sb_core.errors import A2SBError
from a2sb_core.jobs.limits import Limits
from a2sb_core.service.client import Client, NoAnswerError, ServiceError
from a2sb_core.service.messages import JobStatus

EXTEND = {"task": "bandwidth", "cutoff_hz": 3000.0}


def test_a_recording_is_restored_as_by_the_command_line(client, song, tiny, tmp_path):
    from a2sb_core import Restorer

    seen = []
    target = tmp_path / "new.wav"
    job = client.restore(song, target, **EXTEND, seed=3, on_change=seen.append)
    assert [one.state for one in seen][-1] == job.state == "done" and seen[0].attempts <= 1
    assert job.result == "old song ☂.restored.wav" and "extending above" in job.text
    assert job.damage["cutoff_hz"] == 3000.0 and job.ended > job.started >= job.created
    Restorer.from_pretrained(tiny, "cpu").restore_file(song, tmp_path / "own.wav", **EXTEND, seed=3)
    assert target.read_bytes() == (tmp_path / "own.wav").read_bytes()
    with pytest.raises(A2SBError, match="exists already"):
        client.restore(song, target, **EXTEND)


def test_a_result_can_be_asked_for_twice_until_it_is_removed(client, url, song, tmp_path):
    job = client.wait(client.submit(client.upload(song), **EXTEND, format="flac").id)
    for name in ("first.flac", "second.flac"):
        client.download(job.id, tmp_path / name)
    assert (tmp_path / "first.flac").read_bytes() == (tmp_path / "second.flac").read_bytes()
    assert soundfile.info(tmp_path / "first.flac").frames == RATE // 2
    status, headers, part = ask(
        url, "GET", f"/jobs/{job.id}/result", headers={"Range": "bytes=0-3"}
    )
    assert status == 206 and part == b"fLaC" and headers["x-content-type-options"] == "nosniff"
    assert "restored.flac" in headers["content-disposition"]
    assert job in client.jobs()
    client.remove(job.id)
    for asked in (client.job, client.remove, client.cancel, lambda id_: list(client.events(id_))):
        with pytest.raises(ServiceError, match=f"job {job.id} does not exist") as caught:
            asked(job.id)
        assert caught.value.status == 404
    with pytest.raises(ServiceError, match="does not exist"):
        client.download(job.id, tmp_path / "third.flac")
    assert not (tmp_path / "third.flac").exists()


def test_events_are_those_of_the_standard(url, client, song):
    job = client.submit(client.upload(song), **EXTEND)
    status, headers, body = ask(url, "GET", f"/jobs/{job.id}/events")
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    blocks = body.decode().strip().split("\n\n")
    kinds = [block.split("\n")[0] for block in blocks]
    assert kinds[-1] == "event: done" and set(kinds) <= {
        "event: queued",
        "event: running",
        "event: done",
    }
    last = json.loads(blocks[-1].split("\n")[1].removeprefix("data: "))
    assert last["id"] == job.id and last["finished"] == last["frames"] > 0


def test_several_clients_at_once_get_what_is_theirs(url, tmp_path):
    results = {}

    def use(number):
        client = Client(url)
        path = recording(tmp_path / f"{number}.wav", 0.2 + 0.01 * number, number)
        for k in range(2):
            job = client.restore(path, tmp_path / f"{number}-{k}.wav", **EXTEND, steps=1)
            results[number, k] = job.source

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {(n, k): f"{n}.wav" for n in range(8) for k in range(2)}
    for n in range(8):
        first, second = (soundfile.read(tmp_path / f"{n}-{k}.wav")[0] for k in range(2))
        assert len(first) == soundfile.info(tmp_path / f"{n}.wav").frames
        assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"upload": "nothing"}, 404, "upload nothing does not exist"),
        ({"upload": "../jobs"}, 404, "does not exist"),
        ({"task": "nonsense"}, 422, "does not support the task `nonsense`"),
        ({"task": None}, 422, "task: Input should be a valid string"),
        ({"damage": {"gaps_s": [[0, 1]]}}, 422, "gaps_s"),
        ({"damage": {"cutoff_hz": -3}}, 422, "cutoff_hz"),
        ({"steps": 201}, 422, "201 steps exceed the limit of this server, which is 200"),
        ({"steps": 0}, 422, "steps must be from 1"),
        ({"level_db": 99}, 422, "level_db"),
        ({"stereo": "quad"}, 422, "stereo"),
        ({"format": "exe"}, 422, "format"),
        ({"model": "somebody/else"}, 422, "model `somebody/else` is not served; the models are"),
        ({"colour": 1}, 422, "colour: Extra inputs are not permitted"),
    ],
)
def test_an_invalid_job_is_refused(url, client, song, change, status, words):
    body = {"upload": client.upload(song).id, "task": "bandwidth"} | change
    headers = {"Content-Type": "application/json"}
    found, _, answer = ask(url, "POST", "/jobs", json.dumps(body), headers)
    assert found == status and words in json.loads(answer)["detail"]


def test_what_is_no_json_is_refused(url):
    found, _, answer = ask(url, "POST", "/jobs", "{", {"Content-Type": "application/json"})
    assert found == 422 and "JSON" in json.loads(answer)["detail"]


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("text.wav", b"la la la", 422, "text.wav cannot be read as audio"),
        ("empty.wav", b"", 422, "no body"),
        ("../up.wav", b"RIFF", 422, "is a path"),
        ("a\\b.wav", b"RIFF", 422, "is a path"),
        ("", b"RIFF", 422, "name"),
        ("a\n.wav", b"RIFF", 422, "name"),
        ("x" * 300, b"RIFF", 422, "name"),
    ],
)
def test_an_upload_that_is_no_recording_is_refused(url, running, name, content, status, words):
    query = urlencode({"name": name})
    found, _, answer = ask(url, "POST", f"/uploads?{query}", content)
    detail = json.loads(answer)["detail"]
    assert found == status and words in detail and str(running[1].folder) not in detail
    assert not any(path.name.startswith(".") for path in running[1].uploads.folder.iterdir())


def test_a_long_recording_is_refused(client, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(61 * 8000), 8000)
    with pytest.raises(ServiceError, match=r"long\.flac is 1\.0 minutes long"):
        client.upload(path)
    with pytest.raises(A2SBError, match="does not exist"):
        client.upload(tmp_path / "missing.wav")


def test_a_client_that_goes_away_leaves_nothing_and_takes_nothing(url, running, client, song):
    place = urlsplit(url)
    folder = running[1].uploads.folder
    before = set(folder.iterdir())
    with socket.create_connection((place.hostname, place.port)) as gone:
        gone.sendall(
            b"POST /uploads?name=a.wav HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
            + b"RIFF" * 100
        )
        until(lambda: set(folder.iterdir()) - before)
    until(lambda: set(folder.iterdir()) == before)
    job = client.submit(client.upload(song), **EXTEND)
    for _ in client.events(job.id):
        break  # closes the connection
    assert client.wait(job.id).state == "done"


def test_an_upload_that_stalls_is_refused(url, running, monkeypatch):
    monkeypatch.setattr("a2sb_core.service.uploads.SILENCE_S", 0.2)
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as slow:
        slow.sendall(
            b"POST /uploads?name=a.wav HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99\r\n\r\nRIFF"
        )
        answer = b""
        while b"}" not in answer and (part := slow.recv(10_000)):
            answer += part
    assert b" 408 " in answer.splitlines()[0] and b"nothing of the upload has arrived" in answer
    assert not any(path.name.startswith(".") for path in running[1].uploads.folder.iterdir())


def test_a_job_is_cancelled_and_has_no_result(client, tmp_path):
    path = recording(tmp_path / "slow.wav", 20)
    upload = client.upload(path)
    first, second = (client.submit(upload, **EXTEND, steps=200) for _ in range(2))
    until(lambda: client.job(first.id).state == "running")
    assert client.cancel(second.id).state == "cancelled"
    with pytest.raises(ServiceError, match="has not ended: cancel it first") as caught:
        client.remove(first.id)
    assert caught.value.status == 409
    with pytest.raises(ServiceError, match="has no result, it is running") as caught:
        client.download(first.id, tmp_path / "new.wav")
    assert caught.value.status == 409
    client.cancel(first.id)
    assert client.wait(first.id).state == client.cancel(first.id).state == "cancelled"
    with pytest.raises(A2SBError, match="it is cancelled"):
        client.download(first.id, tmp_path / "new.wav")
    assert list(tmp_path.iterdir()) == [path]


def test_one_key_makes_one_job(url, client, song):
    upload = client.upload(song).id
    headers = {"Content-Type": "application/json", "Idempotency-Key": "my key"}
    body = {"upload": upload, "task": "bandwidth"}
    answers = [ask(url, "POST", "/jobs", json.dumps(body), headers) for _ in range(3)]
    assert {status for status, *_ in answers} == {201}
    assert len({json.loads(answer)["id"] for *_, answer in answers}) == 1
    status, _, answer = ask(url, "POST", "/jobs", json.dumps(body | {"seed": 1}), headers)
    assert status == 409 and "Idempotency-Key" in json.loads(answer)["detail"]


def test_the_document_describes_every_request(url):
    status, _, text = ask(url, "GET", "/openapi.json")
    document = json.loads(text)
    assert status == 200 and document["openapi"].startswith("3.1")
    asked = {(method, path) for path, one in document["paths"].items() for method in one}
    assert asked == {
        ("get", "/health"),
        ("get", "/models"),
        ("get", "/limits"),
        ("get", "/metrics"),
        ("post", "/uploads"),
        ("post", "/jobs"),
        ("get", "/jobs"),
        ("get", "/jobs/{id}"),
        ("delete", "/jobs/{id}"),
        ("post", "/jobs/{id}/cancel"),
        ("get", "/jobs/{id}/events"),
        ("get", "/jobs/{id}/result"),
    }
    for path, methods in document["paths"].items():
        for one in methods.values():
            assert one["description"].endswith(".")
            assert ("security" in one) == (path != "/health")
    for name, schema in document["components"]["schemas"].items():
        if name not in ("HTTPValidationError", "ValidationError"):
            bare = [key for key, one in schema["properties"].items() if not one.get("description")]
            assert bare == [], name


def test_the_server_describes_itself(client, url, tiny):
    health, limits = client.health(), client.limits()
    assert health.status == "ok" and health.workers == 1 and limits.minutes == 1.0
    models = client.models()
    assert models[0].name == str(tiny) and models[0].is_default
    assert models[0].tasks == ["bandwidth", "inpaint"]
    assert "small" in [one.name for one in models]
    assert ask(url, "GET", "/docs")[0] == 404  # it would load scripts from other servers


def test_metrics_are_those_of_prometheus(client, url, song):
    from prometheus_client.parser import text_string_to_metric_families as parse

    client.wait(client.submit(client.upload(song), **EXTEND).id)
    status, headers, text = ask(url, "GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }
    assert found["a2sb_jobs", "queued"] == found["a2sb_jobs", "running"] == 0
    assert found["a2sb_jobs_ended_total", "done"] >= 1 and found["a2sb_workers",] == 1
    assert found["a2sb_job_seconds_count",] >= 1 and found["a2sb_job_seconds_sum",] > 0
    assert found["a2sb_upload_bytes_total",] >= song.stat().st_size


@pytest.fixture(scope="module")
def strict(tiny, tmp_path_factory):
    """A service with tokens and small limits; yields its address."""
    limits = Limits(megabytes=1, files=1, daily_megabytes=2, daily_files=4)
    tokens = {"a" * 16: "anna", "b" * 16: "bert", "c" * 16: "carl", "d" * 16: "dora"}
    with served(tmp_path_factory.mktemp("strict"), tiny, tokens, limits=limits, waiting=1) as found:
        yield found[0]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "a token is needed"),
        ({"Authorization": "Basic YTpi"}, "a token is needed"),
        ({"Authorization": "Bearer " + "x" * 16}, "not known"),
        ({"Authorization": "Bearer "}, "token"),
        ({"Authorization": "Bearer ☂".encode()}, "not known"),
    ],
)
def test_without_the_right_token_nothing_is_told(strict, headers, words):
    for method, path in (
        ("GET", "/jobs"),
        ("GET", "/models"),
        ("GET", "/metrics"),
        ("POST", "/jobs"),
        ("POST", "/uploads?name=a.wav"),
        ("GET", "/jobs/1/result"),
    ):
        status, answered, answer = ask(strict, method, path, headers=headers)
        assert status == 401 and words in json.loads(answer)["detail"]
        assert answered["www-authenticate"] == "Bearer"
    assert ask(strict, "GET", "/health", headers={"Host": "any.example"})[0] == 200


def test_clients_see_their_own_jobs_only_and_have_limits(strict, song, tmp_path):
    anna, bert = Client(strict, "a" * 16), Client(strict, "b" * 16)
    slow = anna.upload(recording(tmp_path / "slow.wav", 10))
    body = json.dumps({"upload": slow.id, "task": "bandwidth", "steps": 200})
    headers = {"Authorization": "Bearer " + "a" * 16, "Content-Type": "application/json"}
    headers["Idempotency-Key"] = "mine"  # a request that is sent again does not count again
    job, again = (
        JobStatus.model_validate_json(ask(strict, "POST", "/jobs", body, headers)[2])
        for _ in range(2)
    )
    assert job.id == again.id
    assert bert.jobs() == [] and [one.id for one in anna.jobs()] == [job.id]
    for asked in (bert.job, bert.cancel, bert.remove, lambda id_: list(bert.events(id_))):
        with pytest.raises(ServiceError, match="does not exist"):
            asked(job.id)
    with pytest.raises(ServiceError, match="1 of your jobs have not ended") as caught:
        anna.submit(slow, **EXTEND)
    assert caught.value.status == 429
    until(lambda: anna.job(job.id).state == "running")
    waiting = bert.submit(bert.upload(song), **EXTEND)
    carl = Client(strict, "c" * 16)
    with pytest.raises(ServiceError, match="1 jobs wait already: try again later") as caught:
        carl.submit(carl.upload(song), **EXTEND)
    assert caught.value.status == 503
    anna.cancel(job.id)
    assert bert.wait(waiting.id).state == "done"


def test_an_upload_that_is_too_large_is_refused(strict, tmp_path):
    large = recording(tmp_path / "large.wav", 13)
    assert large.stat().st_size > 1_000_000
    with pytest.raises(
        ServiceError, match="is larger than 1 MB, the limit of the server"
    ) as caught:
        Client(strict, "d" * 16).upload(large)
    assert caught.value.status == 413
    headers = {"Authorization": "Bearer " + "d" * 16}
    with_length = headers | {"Content-Length": "1000001"}
    status, _, answer = ask(strict, "POST", "/uploads?name=a.wav", b"", with_length)
    assert status == 413 and "1 MB" in json.loads(answer)["detail"]
    blocks = (b"x" * size for size in [100_000] * 10 + [1])  # of an unknown number
    status, _, answer = ask(strict, "POST", "/uploads?name=a.wav", blocks, headers)
    assert status == 413 and "1 MB" in json.loads(answer)["detail"]
    for _ in range(3):
        status, _, answer = ask(strict, "POST", "/uploads?name=a.wav", b"x" * 10, headers)
    assert status == 429 and "in a day exceed" in json.loads(answer)["detail"]


def test_other_sites_and_hosts_are_refused(url):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for path in ("/health", "/jobs", "/metrics"):
            assert ask(url, "GET", path, headers=headers)[0] == 403
    assert ask(url, "GET", "/jobs", headers={"Origin": url})[0] == 200


def test_a_server_that_does_not_answer_is_told(monkeypatch, song):
    monkeypatch.setattr("a2sb_core.service.client.WAIT_S", 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}")
    started = time.monotonic()
    for asked in (
        client.health,
        client.jobs,
        lambda: client.wait("1"),
        lambda: client.upload(song),
    ):
        with pytest.raises(NoAnswerError, match="does not answer"):
            asked()
    assert time.monotonic() - started < 5


def test_the_example_of_the_page_runs(url, tmp_path, monkeypatch, capsys):
    (text,) = (one.text for one in blocks("python") if one.page.name == "service.md")
    monkeypatch.chdir(tmp_path)
    wave = soundfile.read(recording(tmp_path / "old.wav"))[0]
    soundfile.write("old.ogg", wave, RATE)
    exec(text.replace("http://127.0.0.1:8000", url), {})
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2].startswith("done ") and "extending above" in shown[-1]
    assert soundfile.info("new.flac").frames == len(wave)
