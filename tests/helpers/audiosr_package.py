"""A module in place of the package audiosr, which cannot be installed beside this project."""

from types import ModuleType

import numpy as np
import soundfile
import torch
import torchaudio


def stand_in():
    """Return a module that gives back its input at 48 kHz, (1, 1, T), half as loud.

    Its list ``calls`` holds what it was called with.
    """
    module = ModuleType("audiosr")
    module.calls = []

    def super_resolution(model, path, seed, guidance_scale, ddim_steps):
        wave, rate = soundfile.read(path, dtype="float32")
        module.calls.append((model, len(wave), rate, seed, guidance_scale, ddim_steps))
        made = torchaudio.functional.resample(torch.from_numpy(wave), rate, 48000).numpy()
        return 0.5 * made[None, None].astype(np.float64)

    module.super_resolution = super_resolution
    module.build_model = lambda model_name, device: f"{model_name} on {device}"
    return module
