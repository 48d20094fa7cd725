import importlib.resources

import soundfile
import torch

from a2sb_core import Restorer

RATE = 44100


def test_half_precision_moves_a_restored_clip_by_less_than_40_db():
    """One step on half a second: bfloat16 is slow on processors that have no unit for it."""
    path = importlib.resources.files("a2sb_core.demo") / "clip.ogg"
    with path.open("rb") as file:
        wave, _ = soundfile.read(file, dtype="float32", always_2d=True, stop=RATE // 2)
    clip = torch.from_numpy(wave.T[:1].copy())
    exact, coarse = (
        Restorer.from_pretrained("small", device="cpu", precision=precision).restore(
            clip, RATE, task="bandwidth", cutoff_hz=4000.0, steps=1
        )
        for precision in ("fp32", "bf16")
    )
    moved_db = 20 * torch.log10((coarse - exact).norm() / exact.norm())
    assert -120 < moved_db < -40
