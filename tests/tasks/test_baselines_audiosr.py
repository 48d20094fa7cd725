import json

import pytest
from audiosr_package import interpreter
from task_helpers import music, snr_db

from a2sb_core.interfaces import A2SBError, TaskError
from a2sb_tasks.baselines.audiosr import AudioSR

RATE = 44100
CUTOFF = {"cutoff_hz": 4000.0}


def test_each_channel_is_restored_in_pieces_at_its_level(tmp_path):
    """The package gives each piece a peak of 0.5; the fitted gain takes this back."""
    wave = music(RATE, 2)
    wave[:, RATE // 2 :] *= 0.1
    python = interpreter(tmp_path)
    restorer = AudioSR.Config(
        python=python, piece_s=0.4, steps=7, seed=3, model="speech", device="cpu"
    ).build()
    restorer.check()
    restored = restorer.restore_audio(wave, RATE, "bandwidth", CUTOFF)
    assert restored.shape == wave.shape
    assert snr_db(wave, restored) > 30
    calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert calls == [["speech on cpu", 17640, RATE, 3, 3.5, 7]] * 6


def test_another_task_is_refused():
    with pytest.raises(TaskError, match="bandwidth"):
        AudioSR.Config().build().restore_audio(music(900), RATE, "inpaint", {"gaps_s": []})


@pytest.mark.parametrize(
    ("python", "words"), [("", "no interpreter is given"), ("absent", "`absent` has no package")]
)
def test_without_the_package(python, words):
    with pytest.raises(A2SBError, match=words) as caught:
        AudioSR.Config(python=python).build().check()
    assert "pip install audiosr" in str(caught.value)
