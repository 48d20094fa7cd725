"""Which files are restored, and where each result goes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.batch.pairing import Pair, is_many, plan
from a2sb_core.errors import AudioError


@pytest.fixture
def tree(tmp_path):
    """A folder of empty files; only their names count."""

    def make(*names, folder="music"):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / folder

    return make


def test_folders_keep_their_sub_folders_and_other_files_are_left_out(tree, tmp_path):
    music = tree("b.wav", "a.FLAC", "cover.jpg", "side 2/c.ogg", ".hidden.wav", ".trash/d.wav")
    pairs = plan([music], tmp_path / "out")
    assert pairs == [
        Pair(music / "a.FLAC", tmp_path / "out/a.restored.FLAC"),
        Pair(music / "b.wav", tmp_path / "out/b.restored.wav"),
        Pair(music / "side 2/c.ogg", tmp_path / "out/side 2/c.restored.ogg"),
    ]


def test_patterns_and_names_with_their_signs(tree, tmp_path):
    music = tree("1.wav", "2.wav", "[x].wav", "deep/3.wav")
    found = {pair.source.name for pair in plan([music / "*.wav"], tmp_path / "out")}
    assert found == {"1.wav", "2.wav", "[x].wav"}
    assert len(plan([music / "**" / "*.wav"], tmp_path / "out")) == 4
    assert not is_many([music / "[x].wav"]) and is_many([music / "?.wav"])


def test_a_file_named_twice_is_restored_once(tree, tmp_path):
    music = tree("1.wav")
    assert len(plan([music, music / "1.wav", music / "*.wav"], tmp_path / "out")) == 1


@pytest.mark.parametrize(
    "name", ["it's.wav", 'say "hi".wav', "two\nlines.wav", "né 🎵.wav", "{0}.wav"]
)
def test_any_name_is_taken(name, tree, tmp_path):
    (pair,) = plan([tree(name)], tmp_path / "out")
    assert pair.target.name == name.removesuffix(".wav") + ".restored.wav"


@given(stem=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20))
def test_a_template_of_the_stem_and_suffix_gives_the_name_back(stem):
    if stem.startswith(".") or Path(stem).name != stem:
        return
    source = Path("in") / f"{stem}.wav"
    (pair,) = plan([source], Path("out"), "{stem}{ext}")
    assert pair.target == Path("out") / source.name


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{name}.wav", "does not know {name}"),
        ("{stem", "is no template"),
        ("x/{stem}{ext}", "must be a name"),
        ("", "must be a name"),
        ("{}.wav", "does not know {}"),
    ],
)
def test_wrong_templates_are_refused(template, words, tree, tmp_path):
    with pytest.raises(AudioError, match=words):
        plan([tree("a.wav")], tmp_path / "out", template)


def test_two_inputs_for_one_output_are_refused(tree, tmp_path):
    music, more = tree("a.wav", "b.wav"), tree("A.wav", folder="more")
    with pytest.raises(AudioError, match=r"a\.wav and .*b\.wav would both be written to"):
        plan([music], tmp_path / "out", "same{ext}")
    with pytest.raises(AudioError, match=r"a\.wav and .*A\.wav would both"):
        plan([music, more], tmp_path / "out")


def test_an_output_that_is_an_input_is_refused(tree):
    music = tree("a.wav", "b.wav")
    with pytest.raises(AudioError, match="is an input itself"):
        plan([music / "*.wav"], music, "{stem}{ext}")


@pytest.mark.parametrize("inner", [".", "new", "deep/new"])
def test_an_output_folder_within_an_input_is_refused(inner, tree):
    music = tree("a.wav", "deep/b.wav")
    with pytest.raises(AudioError, match="lies within"):
        plan([music], music / inner)


def test_a_folder_without_audio_is_refused(tree, tmp_path):
    with pytest.raises(AudioError, match="found no audio in"):
        plan([tree("notes.txt")], tmp_path / "out")


def test_links_in_a_circle_end(tree, tmp_path):
    music = tree("deep/a.wav")
    os.symlink(music, music / "deep" / "again", target_is_directory=True)
    assert len(plan([music], tmp_path / "out")) == 1


def test_folders_are_searched_for_every_suffix_that_is_read(tmp_path):
    names = ["a.wave", "b.bwf", "c.aifc", "d.au", "e.caf", "f.WAV", "g.txt"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).touch()
    pairs = plan([tmp_path / "in"], tmp_path / "out")
    expected = ["a.restored.wave", "b.restored.bwf", "c.restored.aifc", "d.restored.flac"]
    expected += ["e.restored.flac", "f.restored.WAV"]
    assert [pair.target.name for pair in pairs] == expected
