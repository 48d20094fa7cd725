"""Names that Windows refuses, on whatever machine the tests run."""

import ntpath
import sys
import unicodedata
import warnings
from pathlib import PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from a2sb_core.audio import file_names as names
from a2sb_core.audio.writing import check_target
from a2sb_core.errors import AudioError

PARTS = st.sampled_from(
    ["con", "NUL", "aux", "com1", "lpt²", "COM0", "lpt10", "conin$", "song", "a", ".wav", "é"]
    + list(" .?:/\\\x1f")
)


def taken_by_windows(name):
    """What Python itself knows of Windows: of devices, and from 3.13 on of all."""
    if sys.version_info >= (3, 13):
        return not ntpath.isreserved(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_device = PureWindowsPath(name.replace(":", "_")).is_reserved()
    wrong = set(name) & set('<>:"/\\|?*') or any(letter < " " for letter in name)
    return not (is_device or wrong or name[-1] in ". ")


@given(st.lists(PARTS, min_size=1, max_size=5).map("".join))
@example("nul.restored.wav")
@example("aux .wav")
@example("com1")
@example("console.wav")
@example("Aux.restored.flac")
@example("two\nlines.wav")
@example(" song.wav")
@example("song.wav ")
def test_names_are_refused_as_windows_does(name):
    # `.` and `..` are no names, and a separator makes several of one.
    if set(name) & {"/", "\\"}:
        assert names.fault(name, windows=True)
    elif set(name) != {"."}:
        assert bool(names.fault(name, windows=True)) == (not taken_by_windows(name))
    assert names.fault(name, windows=False) == ""


@pytest.mark.parametrize(
    ("letter", "windows", "most"),
    [
        ("a", False, 255),
        ("a", True, 255),
        ("音", False, 85),
        ("音", True, 255),
        ("🎵", False, 63),
        ("🎵", True, 127),
    ],
)
def test_the_longest_name(letter, windows, most):
    assert names.fault(letter * most, windows) == ""
    assert "at most 255" in names.fault(letter * (most + 1), windows)


@pytest.mark.parametrize(
    ("length", "extended", "expected"),
    [(259, False, False), (260, False, True), (260, True, False), (5000, True, False)],
)
def test_long_paths(length, extended, expected):
    path = PureWindowsPath("C:\\" + "m" * 100 + "\\" + "n" * (length - 104))
    assert len(str(path)) == length
    assert names.is_too_long(path, windows=True, extended=extended) is expected
    assert not names.is_too_long(path, windows=False)
    assert not names.is_too_long(PureWindowsPath(f"\\\\?\\{path}"), windows=True, extended=False)


@given(st.text(max_size=20))
def test_one_key_whatever_a_file_system_makes_of_a_name(text):
    key = names.one_key(text)
    assert names.one_key(key) == key
    for form in ("NFC", "NFD"):
        assert names.one_key(unicodedata.normalize(form, text)) == key


def test_keys_differ_for_names_that_every_system_tells_apart():
    assert names.one_key("straße.wav") != names.one_key("STRASSE.wav")
    assert names.one_key("Ä.WAV") == names.one_key("ä.wav") != names.one_key("a.wav")


@pytest.mark.parametrize("name", ["NUL.wav", "what?.wav", "x" * 300 + ".wav"])
def test_a_target_with_such_a_name_is_refused_before_any_work(name, tmp_path, monkeypatch):
    monkeypatch.setattr(names, "WINDOWS", True)
    with pytest.raises(AudioError, match="choose another one"):
        check_target(tmp_path / name)
    check_target(tmp_path / "fine.wav")


def test_a_target_in_a_folder_with_too_long_a_path_is_refused(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["folder of some length"] * 12)
    deep.mkdir(parents=True)
    check_target(deep / "a.wav")
    monkeypatch.setattr(names, "WINDOWS", True)
    monkeypatch.setattr(names, "takes_long_paths", lambda: False)
    with pytest.raises(AudioError, match="LongPathsEnabled"):
        check_target(deep / "a.wav")
