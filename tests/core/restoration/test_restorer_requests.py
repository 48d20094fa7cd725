"""What is given twice, or not at all, is an error."""

import pytest
import torch
from tiny_model import save_tiny

from a2sb_core import Restorer
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.partial_file import PartialFile, refuse_partial_file

OPTIONS = RestoreOptions("bandwidth", {"cutoff_hz": 4000.0})
WAVE = torch.zeros(1, 4410)


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    return Restorer.from_pretrained(save_tiny(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


@pytest.mark.parametrize("call", ["inspect", "prepare", "restore"])
@pytest.mark.parametrize("keyword", [{"seed": 7}, {"cutoff_hz": 2000}, {"nonsense": 3}])
def test_options_and_keywords_exclude_each_other(restorer, call, keyword):
    wave = [WAVE] if call == "prepare" else WAVE
    with pytest.raises(TaskError, match=next(iter(keyword))):
        getattr(restorer, call)(wave, 44100, OPTIONS, **keyword)


def test_the_output_is_described_once(restorer, tmp_path):
    target = tmp_path / "out.wav"
    with pytest.raises(AudioError, match="write"):
        restorer.restore_file("in.wav", target, OPTIONS, WriteOptions(), overwrite=True)


@pytest.mark.parametrize("blocks", [[], iter([])], ids=["list", "stream"])
def test_empty_audio_is_refused(restorer, blocks):
    with pytest.raises(AudioError, match="empty"):
        restorer.prepare(blocks, 44100, OPTIONS)


def test_a_run_that_finished_nothing_does_not_block_the_next(tmp_path):
    target = tmp_path / "out.wav"
    with pytest.raises(RuntimeError), PartialFile(target, 1, {"a": 1}, False):
        raise RuntimeError
    refuse_partial_file(target, False)
    assert list(tmp_path.iterdir()) == []
