import importlib.resources

import pytest
import soundfile
import torch

from a2sb_core import Restorer

DAMAGE = {
    "bandwidth": {"task": "bandwidth", "cutoff_hz": 4000.0},
    "inpaint": {"task": "inpaint", "gaps_s": [(1.0, 1.3)]},
}


@pytest.fixture(scope="module")
def clip():
    path = importlib.resources.files("a2sb_core.cli") / "demo_clip.ogg"
    with path.open("rb") as file:
        wave, rate = soundfile.read(file, dtype="float32", always_2d=True, stop=2 * 44100)
    assert rate == 44100
    return torch.from_numpy(wave.T[:1].copy())


@pytest.mark.parametrize("task", DAMAGE)
def test_half_precision_moves_a_restored_clip_by_less_than_40_db(clip, task):
    exact, coarse = (
        Restorer.from_pretrained("small", device="cpu", precision=precision)
        .restore(clip, 44100, **DAMAGE[task])
        for precision in ("fp32", "bf16")
    )
    moved_db = 20 * torch.log10((coarse - exact).norm() / exact.norm())
    assert -120 < moved_db < -40
