"""Columns of a manifest that metrics read."""

import pytest

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import AudioError
from a2sb_core.evaluation.clips import ClipFile, list_clips


@pytest.fixture
def clips(tmp_path):
    """List the clips of a manifest with these rows."""
    (tmp_path / "a.wav").write_bytes(b"sound")
    (tmp_path / "a.mid").write_bytes(b"notes")

    def listed(*rows):
        manifest = tmp_path / "clips.csv"
        manifest.write_text("\n".join(("split,file_path,midi_path,midi_start", *rows)))
        return list_clips(EvaluateConfig(source=manifest, output=tmp_path / "out"))

    return listed


def test_paths_start_from_the_manifest_and_empty_columns_are_left_out(clips, tmp_path):
    (clip,) = clips("validation,a.wav,a.mid,2.5")
    assert clip.columns == {"midi_path": str(tmp_path / "a.mid"), "midi_start": "2.5"}
    (clip,) = clips("validation,a.wav,,")
    assert clip == ClipFile("a.wav", tmp_path / "a.wav")


def test_a_file_of_a_column_that_is_missing_is_named(clips):
    with pytest.raises(AudioError, match=r"1 of 2 files are missing: midi_path of a\.wav \(b\.mid"):
        clips("validation,a.wav,b.mid,")


def test_other_notes_are_another_clip(clips, tmp_path):
    (plain,) = clips("validation,a.wav,,")
    (clip,) = clips("validation,a.wav,a.mid,")
    before = clip.digest
    assert before not in ("", plain.digest)
    (tmp_path / "a.mid").write_bytes(b"other notes")
    assert clip.digest != before
