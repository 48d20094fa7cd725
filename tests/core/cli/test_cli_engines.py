"""`a2sb restore` into a URL, and on a Ray cluster."""

import json
import os
import signal
import subprocess
import time

import fsspec
import numpy as np
import psutil
import pytest
import soundfile
from process import A2SB

RATE = 44100
COMMON = ("--task", "bandwidth", "--cutoff", "4000", "--device", "cpu")


@pytest.fixture
def run(a2sb, model_folder):
    return lambda *arguments: a2sb(
        "restore", *arguments, *COMMON, "--model", model_folder, "--steps", 1
    )


@pytest.fixture
def store():
    files = fsspec.filesystem("memory")
    files.store.clear()
    return files


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.wav"))
        if not path.name.startswith(".")
    }


def test_a_url_gets_what_a_folder_gets(collection, run, store, tmp_path, fails):
    folder = collection(3)
    (folder / "text.wav").write_text("this is no audio")
    assert run(folder, "-o", tmp_path / "out").exit_code == 3
    done = run(folder, "-o", "memory://out", "--report", tmp_path / "run.json")
    assert done.exit_code == 3 and "3 restored, 1 failed" in done.stdout
    assert "wrote memory://out/000.restored.wav" in done.stderr
    assert {name.removeprefix("/out/"): store.cat_file(name) for name in store.find("/out")} == (
        contents(tmp_path / "out")
    )
    told = json.loads((tmp_path / "run.json").read_text())["files"]
    assert {entry["output"]: entry["status"] for entry in told} == {
        "memory://out/000.restored.wav": "restored",
        "memory://out/001.restored.wav": "restored",
        "memory://out/deep/002.restored.wav": "restored",
        "memory://out/text.restored.wav": "failed",
    }

    fails(run(folder, "-o", "memory://out"), "3 of 4 outputs exist already")
    again = run(folder, "-o", "memory://out", "--skip-existing")
    assert again.exit_code == 3 and "3 skipped, 1 failed" in again.stdout
    looked = run(folder / "000.wav", "-o", "memory://out", "--skip-existing", "--dry-run")
    assert looked.exit_code == 0 and "memory://out/000.restored.wav exists" in looked.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out", "--workers", 2], "only with --engine ray"),
        (["-o", "out", "--retries", 0], "only with --engine ray"),
        (["-o", "out", "--engine", "ray", "--gpus-per-worker", 1.5], "neither a share"),
        (["-o", "-", "--engine", "ray"], "a pipe is restored on this machine"),
    ],
)
def test_wrong_wishes(arguments, words, low_file, run, fails):
    fails(run(low_file, *arguments), words, code=2)


def test_urls_without_a_store(low_file, run, fails):
    fails(run(low_file, "-o", "nowhere://out"), "nowhere://out cannot be used")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine, each with a core and a GPU that only counts."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {
        "num_cpus": 1,
        "num_gpus": 1,
        "object_store_memory": 100 << 20,
        "include_dashboard": False,
    }
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(**node)
    yield made
    made.shutdown()


@pytest.fixture
def on_ray(cluster, model_folder):
    """Start `a2sb restore` on the cluster as a process of its own."""

    def start(*arguments, model=model_folder):
        command = [
            *A2SB,
            "restore",
            *arguments,
            *COMMON,
            "--engine",
            "ray",
            "--address",
            cluster.address,
            "--model",
            model,
        ]
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    return start


def workers():
    """Return the processes of this test that hold the model."""
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if "MapWorker" in " ".join(one.cmdline())
    ]


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("[0-9]*.wav")}


def wait_for(count, folder, process):
    while len(written(folder)) < count and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.slow
def test_a_worker_is_killed_and_nothing_is_lost_or_done_twice(collection, run, on_ray, tmp_path):
    folder, out = collection(12, duration_s=2), tmp_path / "out"
    (folder / "text.wav").write_text("this is no audio")
    process = on_ray(
        folder,
        "-o",
        f"file://{out}",
        "--report",
        tmp_path / "run.json",
        "--gpus-per-worker",
        0.5,
        "--workers",
        2,
        "--steps",
        1,
    )
    wait_for(3, out, process)
    both = workers()
    max(both, key=lambda one: one.cpu_times().user).kill()  # another may still be starting
    early = written(out)
    said, told = process.communicate(timeout=500)
    assert process.returncode == 3, told
    assert len(both) == 2 and len(early) < 12
    assert "1 failed" in said and "text.wav" in said
    report = json.loads((tmp_path / "run.json").read_text())
    assert len({entry["input"] for entry in report["files"]}) == len(report["files"]) == 13
    counts = report["counts"]  # one may have been finished by the worker, and not told
    assert counts["failed"] == 1 and counts["restored"] + counts.get("skipped", 0) == 12
    assert counts.get("skipped", 0) <= 1
    late = written(out)
    assert len(late) == 12 and early.items() <= late.items()
    assert run(folder / "000.wav", "-o", tmp_path / "here.wav").exit_code == 0
    here, there = (
        soundfile.read(path)[0] for path in (tmp_path / "here.wav", out / "000.restored.wav")
    )
    np.testing.assert_allclose(there, here, atol=1e-3)


@pytest.mark.slow
def test_an_interrupted_run_tells_what_is_left_and_the_next_one_does_it(
    collection, on_ray, tmp_path
):
    folder, out = collection(12, duration_s=2), tmp_path / "out"
    first = on_ray(folder, "-o", out, "--report", tmp_path / "run.json")
    wait_for(3, out, first)
    first.send_signal(signal.SIGINT)
    said, told = first.communicate(timeout=500)
    assert first.returncode == 130, told
    assert "left undone" in said
    early = written(out)
    assert 3 <= len(early) < 12
    second = on_ray(folder, "-o", out, "--skip-existing", "--workers", 2)
    said, told = second.communicate(timeout=500)
    assert second.returncode == 0, told
    assert f"{12 - len(early)} restored, {len(early)} skipped" in said
    assert early.items() <= written(out).items() and len(written(out)) == 12


@pytest.mark.slow
def test_what_no_worker_can_load_ends_the_run(collection, on_ray, tmp_path):
    process = on_ray(collection(3), "-o", tmp_path / "out", model="no such model")
    said, told = process.communicate(timeout=500)
    assert process.returncode == 1 and said == ""
    last = told.splitlines()[-1]  # Ray has written before
    assert last.startswith("error:") and "no such model" in last


@pytest.mark.slow
def test_a_machine_is_lost_and_the_others_do_its_work(collection, cluster, on_ray, tmp_path):
    folder, out = collection(12, duration_s=2), tmp_path / "out"
    process = on_ray(folder, "-o", out, "--steps", 1)
    wait_for(3, out, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    early = written(out)
    _, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    assert len(early) < 12
    late = written(out)
    assert len(late) == 12 and early.items() <= late.items()
