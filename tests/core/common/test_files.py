import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.common.files import (
    PARTIAL_PATTERN,
    atomic_folder,
    atomic_write,
    atomic_write_text,
    file_hash,
    find_files,
    partial_path,
)
from a2sb_core.errors import A2SBError


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old" and partial.match(PARTIAL_PATTERN)
    assert target.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    atomic_write_text(target, "old é")
    with pytest.raises(RuntimeError), atomic_write(target) as partial:
        partial.write_text("ne")
        raise RuntimeError
    assert target.read_bytes() == "old é".encode() and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_appears_when_it_is_complete_and_keeps_other_files(tmp_path):
    target = tmp_path / "report"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("old")
        assert not target.exists()
    (target / "notes.txt").write_text("of the user")
    with pytest.raises(A2SBError, match="exists already"), atomic_folder(target):
        pass
    with pytest.raises(RuntimeError), atomic_folder(target, overwrite=True) as folder:
        (folder / "a.txt").write_text("ne")
        raise RuntimeError
    assert (target / "a.txt").read_text() == "old"
    with atomic_folder(target, overwrite=True) as folder:
        (folder / "a.txt").write_text("new")
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "a.txt": "new",
        "notes.txt": "of the user",
    }
    assert os.listdir(tmp_path) == ["report"]


def test_a_file_that_cannot_be_replaced_is_reported(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "Access is denied", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(A2SBError, match=r"a\.txt cannot be replaced: Access is denied"):
        atomic_write_text(tmp_path / "a.txt", "new")
    assert not os.listdir(tmp_path)


def test_partial_names_are_short_and_never_the_same():
    target = Path("folder", "x" * 255)
    first, second = partial_path(target), partial_path(target)
    assert first != second and first.parent == target.parent and len(first.name) < 40


@given(st.binary(max_size=2000))
def test_a_hash_is_that_of_the_content(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(content)
    assert file_hash(path) == hashlib.sha256(content).hexdigest()


def test_a_file_that_cannot_be_hashed_is_named(tmp_path):
    with pytest.raises(A2SBError, match=r"absent cannot be read: No such file"):
        file_hash(tmp_path / "absent")


def test_files_are_found_by_suffix_in_all_folders_but_hidden_ones(tmp_path):
    for name in ("b.WAV", "a/c.wav", "a/b.d/e.flac", "no.txt", ".x.wav", ".git/y.wav", "a/._c.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path) for path in find_files(tmp_path, {".wav", ".flac"})]
    assert found == [Path("a/b.d/e.flac"), Path("a/c.wav"), Path("b.WAV")]
    assert find_files(tmp_path, ()) == []
