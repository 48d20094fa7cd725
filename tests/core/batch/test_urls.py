"""Results at URLs."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from a2sb_core.batch.local import InTurn, attempt
from a2sb_core.batch.pairing import plan
from a2sb_core.batch.urls import is_url, plan_at, upload
from a2sb_core.errors import AudioError
from a2sb_core.restoration.listener import Listener


@pytest.fixture
def store():
    """The files that fsspec keeps in memory, emptied."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


@pytest.fixture
def music(tmp_path):
    for name in ("a.wav", "side 2/b.flac"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "music"


def copies(pair, listener):
    pair.target.write_bytes(pair.source.read_bytes())


def test_a_url_is_no_path():
    assert is_url("s3://bucket/out") and is_url("file:///out")
    assert not is_url("out") and not is_url("C:\\out") and not is_url("/a/b:c")


@pytest.mark.parametrize("url", ["memory://out", "memory://out/"])
def test_the_plan_is_that_of_a_folder_here(url, music, tmp_path):
    here, there = plan([music], tmp_path / "out"), plan_at([music], url)
    assert [pair.source for pair in there] == [pair.source for pair in here]
    assert [pair.output for pair in there] == [
        "memory://out/a.restored.wav",
        "memory://out/side 2/b.restored.flac",
    ]


@pytest.mark.parametrize("scheme", ["memory:/", "file://"])
def test_results_are_put_there_whole(scheme, music, tmp_path, store):
    pairs = plan_at([music], f"{scheme}{tmp_path}/out", "{stem}{ext}")
    assert not any(pair.exists() for pair in pairs)
    outcomes = [attempt(pair, copies, Listener()) for pair in pairs]
    assert [outcome.status for outcome in outcomes] == ["nothing", "nothing"], outcomes
    assert [outcome.pair for outcome in outcomes] == pairs
    assert all(pair.exists() for pair in pairs)
    files = fsspec.filesystem(scheme.partition(":")[0])
    found = {
        name.removeprefix(f"{tmp_path}/out/"): files.cat_file(name)
        for name in files.find(f"{tmp_path}/out")
    }
    assert found == {"a.wav": b"a.wav", "side 2/b.flac": b"side 2/b.flac"}


def test_what_is_there_is_replaced(tmp_path, store):
    (tmp_path / "new").write_bytes(b"new")
    store.pipe_file("/out/a.wav", b"old")
    upload(tmp_path / "new", "memory://out/a.wav")
    assert store.cat_file("/out/a.wav") == b"new"


def test_nothing_is_there_where_the_work_or_the_upload_fails(music, store, monkeypatch):
    def half(pair, listener):
        pair.target.write_bytes(b"half")
        raise AudioError("no more")

    pair = plan_at([music], "memory://out")[0]
    assert attempt(pair, half, Listener()).error == "no more"
    assert not store.find("/")

    def refuse(self, *_, **__):
        raise PermissionError("not yours")

    monkeypatch.setattr(MemoryFileSystem, "mv", refuse)
    outcome = attempt(pair, copies, Listener())
    assert outcome.status == "failed"
    assert outcome.error == f"{pair.url} cannot be written: PermissionError: not yours"
    assert not store.find("/")


def test_a_store_that_does_not_answer_fails_the_file_and_not_the_run(music, store, monkeypatch):
    def refuse(self, path, **_):
        if path.endswith(".wav"):
            raise TimeoutError("no answer")
        return False

    monkeypatch.setattr(MemoryFileSystem, "exists", refuse)
    pairs = plan_at([music], "memory://out")
    outcomes = list(InTurn(lambda: copies, skip_existing=True)(pairs, Listener()))
    assert [outcome.status for outcome in outcomes] == ["failed", "nothing"]
    assert outcomes[0].error == f"{pairs[0].url} cannot be looked for: TimeoutError: no answer"


@pytest.mark.parametrize(
    ("url", "words"), [("nowhere://out", "nowhere"), ("memory://out/new.wav", "name a folder")]
)
def test_urls_that_can_not_be(url, words, music):
    with pytest.raises(AudioError, match=words):
        plan_at([music], url)


def test_a_url_on_this_machine_is_held_against_the_inputs(music):
    with pytest.raises(AudioError, match="lies within"):
        plan_at([music], f"file://{music}/out")
    with pytest.raises(AudioError, match="is an input itself"):
        plan_at([music / "a.wav"], f"file://{music}", "{stem}{ext}")
    assert len(plan_at([music / "a.wav"], f"file://{music}")) == 1
