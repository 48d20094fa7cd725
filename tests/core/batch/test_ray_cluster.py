"""What the workers of a cluster do, and what is told of them; without a cluster."""

import pickle
import re
import socket
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.batch.local import FileOutcome, InTurn
from a2sb_core.batch.pairing import Pair
from a2sb_core.batch.ray_cluster import (
    LOST,
    OnRay,
    Worker,
    check_reachable,
    complete,
    retried,
    room,
)
from a2sb_core.errors import A2SBError, ModelError


def pair(number):
    return Pair(Path(f"{number}.wav"), Path(f"out/{number}.wav"))


@given(failures=st.lists(st.integers(0, 4), max_size=6), retries=st.integers(0, 3))
def test_what_failed_is_run_again_after_the_others_and_each_file_is_told_once(failures, retries):
    left, tried = dict(enumerate(failures)), []

    def run(pairs, listener):
        for one in pairs:
            number = int(one.source.stem)
            tried.append(number)
            left[number] -= 1
            yield FileOutcome(one, "failed" if left[number] >= 0 else "restored")

    pairs = [pair(number) for number in range(len(failures))]
    told = {outcome.pair: outcome.status for outcome in retried(run, pairs, None, retries)}
    assert told == {
        pair(number): "failed" if count > retries else "restored"
        for number, count in enumerate(failures)
    }
    assert tried[: len(failures)] == list(range(len(failures)))
    for number, count in enumerate(failures):
        assert tried.count(number) == min(count, retries) + 1


@given(lost=st.sets(st.integers(0, 5)))
def test_a_file_that_no_worker_survived_is_told_as_failed(lost):
    pairs = [pair(number) for number in range(6)]
    told = [FileOutcome(one, "restored") for k, one in enumerate(pairs) if k not in lost]
    outcomes = list(complete(told, pairs))
    assert {one.pair for one in outcomes} == set(pairs) and len(outcomes) == 6
    assert {one.pair for one in outcomes if one.error == LOST} == {pair(k) for k in lost}


def test_room_is_counted_in_shares_of_gpus_or_in_cores():
    assert room({"CPU": 3}, 0) == 3
    assert room({"CPU": 3, "GPU": 2}, 0.5) == 4
    assert room({"CPU": 3, "GPU": 8}, 2) == 4
    assert room({}, 1) == 1  # one that waits for a machine with a GPU


@pytest.mark.parametrize("form", ["{}:{}", "ray://{}:{}"])
def test_a_wrong_address_is_answered_within_seconds(form):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = form.format(*listening.getsockname())
        check_reachable(address)
    begun = time.monotonic()
    for wrong in (address, form.format("no-such-machine.invalid", 6379), "127.0.0.1:99999"):
        with pytest.raises(A2SBError, match=re.escape(wrong)):
            check_reachable(wrong)
    assert time.monotonic() - begun < 20
    for other in (None, "auto", "local"):
        check_reachable(other)  # left to Ray


def test_a_worker_loads_its_model_once_and_finds_what_another_one_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = []

    def copy(one, listener):
        one.target.write_bytes(one.source.read_bytes())

    def load():
        loaded.append(True)
        return copy

    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "in").write_text("music")
    worker = Worker(InTurn(load, skip_existing=True), str(tmp_path / "here"))
    jobs = [Pair(Path("in"), Path("out") / name) for name in "aab"]
    told = [pickle.loads(worker({"pair": pickle.dumps(job)})["outcome"]) for job in jobs]
    assert [outcome.pair for outcome in told] == jobs
    assert [outcome.status for outcome in told] == ["nothing", "skipped", "nothing"], told
    assert len(loaded) == 1 and (tmp_path / "here/out/b").read_text() == "music"


def test_what_keeps_every_worker_from_working_is_told_as_it_is():
    def load():
        raise ModelError("there is no model of that name")

    told = Worker(InTurn(load, True), "no such folder")({"pair": pickle.dumps(pair(0))})
    assert pickle.loads(told["error"]) == "there is no model of that name"


def test_without_ray_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(A2SBError, match=r"pip install 'a2sb\[ray\]'"):
        list(OnRay(InTurn(lambda: None, True))([pair(0)], None))
