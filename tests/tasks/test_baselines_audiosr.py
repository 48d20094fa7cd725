import sys

import pytest
from audiosr_package import stand_in
from task_helpers import music, snr_db

from a2sb_core.interfaces import A2SBError, TaskError
from a2sb_tasks.baselines.audiosr import AudioSR

RATE = 44100


@pytest.fixture
def package(monkeypatch):
    module = stand_in()
    monkeypatch.setitem(sys.modules, "audiosr", module)
    return module


def test_each_channel_goes_through_in_pieces(package):
    wave = music(RATE, 2)
    restorer = AudioSR.Config(piece_s=0.4, steps=7, seed=3, device="cpu").build()
    restorer.check()
    restored = restorer.restore_audio(wave, RATE, "bandwidth", {"cutoff_hz": 4000.0})
    assert restored.shape == wave.shape
    assert snr_db(0.5 * wave, restored) > 20
    assert package.calls == [("basic on cpu", 17640, RATE, 3, 3.5, 7)] * 6


def test_another_task_is_refused():
    with pytest.raises(TaskError, match="bandwidth"):
        AudioSR.Config().build().restore_audio(music(900), RATE, "inpaint", {"gaps_s": []})


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "audiosr", None)
    restorer = AudioSR.Config().build()
    for call in (restorer.check, lambda: restorer.restore_audio(music(900), RATE, "bandwidth", {})):
        with pytest.raises(A2SBError, match="pip install audiosr"):
            call()
