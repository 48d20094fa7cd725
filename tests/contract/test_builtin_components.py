"""The contract of each built-in component: a new one is covered as soon as it is registered."""

import sys
import tempfile
from pathlib import Path

import pytest
import torch
from audiosr_package import interpreter

from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.interfaces import Outcome
from a2sb_core.plugins import KINDS, default_registry
from a2sb_core.testing import Case, contract
from a2sb_core.testing.parts import normal

STFT = {"n_fft": 64, "hop_length": 16}
SHORT_CQT = {"rows": 32, "bins_per_octave": 8, "hop_length": 8}
NETWORK = {
    "name": "rope_unet",
    "widths": (8, 8, 16),
    "attention_levels": (1,),
    "heads": 2,
    "res_blocks": 1,
    "groups": 4,
    "time_channels": 8,
    "band_channels": 4,
}
COPY = """\
-ISc 'import shutil, sys; shutil.copytree(*sys.argv[1:], dirs_exist_ok=True)' {inputs} {outputs}"""
PACKAGES = tempfile.TemporaryDirectory()  # removed at the end
WINDOWS = {"window": 16, "hop": 8}


def tone(hz, seconds=1.0, level=0.5, rate=44100):
    return level * torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * rate)) / rate)[None]


def with_melody(truth, estimate, rate):
    """Notes in place of the truth, with what was done to it."""
    time = torch.arange(truth.shape[-1]) / rate
    notes = (
        0.2
        * torch.sin(2 * torch.pi * hz * time)
        * torch.exp(-3 * (time % 0.4))
        * (time // 0.4 == k)
        for k, hz in enumerate((440, 554.37, 659.26))
    )
    melody = sum(notes).expand_as(truth) * (truth.abs().amax() > 0)
    return Outcome(melody, melody + 10 * (estimate - truth), rate)


def part_of_mixture(mixture, number, parameters):
    return mixture.Parameters(part=number, inner=parameters)


def part_of_composite(composite, number, parameters):
    present = (composite.parts[number].config.name,)
    return composite.Parameters(**dict(parameters), present=present)


def with_residual(truth, estimate, sample_rate):
    """An outcome whose distance from the unit circle is that from the truth."""
    residual = (estimate - truth).square().flatten()
    hz = torch.full_like(residual, 1000.0)
    found = {"phase_residual": residual, "phase_residual_hz": hz}
    return Outcome(truth, estimate, sample_rate, diagnostics=found)


def above_4_khz(truth, estimate, rate):
    """An outcome of a bandwidth extension: what differs lies above 4 kHz."""
    spectrum = torch.fft.rfft(estimate - truth)
    spectrum[:, : int(4000 * truth.shape[-1] / rate)] = 0
    highs = torch.fft.irfft(spectrum, truth.shape[-1])
    return Outcome(truth, truth + 10 * highs, rate, parameters={"cutoff_hz": 4000})


def as_stereo(truth, estimate, rate):
    """Two channels with one content, to whose left something is added."""
    middle = truth.mean(dim=0, keepdim=True).expand(2, -1).clone()
    change = torch.tensor([[1.0], [0.0]]) * (estimate - truth).sum(dim=0, keepdim=True)
    return Outcome(middle, middle + change, rate)


def write_checkpoint(folder, seed):
    """Random weights under the names of the published network."""
    generator = torch.Generator().manual_seed(seed)
    config = RoPEUNet.Config(widths=(32, 32, 32), attention_levels=(1,), heads=2)
    weights = config.build(channels=3).state_dict()
    state = {key: torch.randn(value.shape, generator=generator) for key, value in weights.items()}
    torch.save({"state_dict": state}, folder / "weights.ckpt")
    return [folder / "weights.ckpt"]


A, RATE = tone(1000), 44100
ORTHOGONAL = Outcome(A, A + tone(3000, level=0.05), RATE)  # ten times weaker, at right angles

B = tone(1200)
MONO = torch.cat([A, A])
OPPOSITE = torch.cat([A, -A])
HALF = torch.tensor([[1.0], [0.5]])
SWELL = normal(1, RATE, seed=5) * torch.linspace(0.01, 1, RATE)

# Settings that make each component small and quick; what is not here is taken at its defaults.
# Each entry: fields of Config, and what a Case says besides.
SETTINGS = {
    "guess": {
        "replication": [({}, {}), ({"structure": "harmonics"}, {})],
        "similar_passage": [({"reach_s": 1.0, "longest_s": 0.5}, {})],
    },
    "loss": {
        "critic": [({"width": 8, "layers": 2}, {})],
        "stft_distance": [({"sizes": (256, 512)}, {})],
    },
    "representation": {
        "factorized": [(STFT, {}), ({**STFT, "phase_iterations": 2}, {})],
        "complex_stft": [(STFT, {})],
        "cqt": [(SHORT_CQT, {}), ({**SHORT_CQT, "power": 1}, {})],
        "mdct": [({"rows": 32}, {}), ({"rows": 32, "window": "kbd", "power": 1}, {})],
        "joint": [
            ({"inner": {"name": "factorized", **STFT, "phase_iterations": 1}}, {}),
            ({"inner": {"name": "mdct", "rows": 32}, "audio_channels": 3, "mid_side": False}, {}),
        ],
    },
    "corruption": {
        "bandwidth": [
            ({}, {"ranges": {"cutoff_hz": (2000, 16000)}}),
            ({"fill_std": 0.1, "guess": "replication"}, {"ranges": {"cutoff_hz": (2000, 16000)}}),
        ],
        "inpainting": [
            ({}, {}),
            ({"edges": "inside"}, {}),
            ({"fill_std": 0, "guess": {"name": "similar_passage", "reach_s": 0.5}}, {}),
        ],
        "mixture": [
            (
                {"parts": ({"corruption": "bandwidth"}, {"corruption": "inpainting"})},
                {"ranges": {"part": (0, 1)}, "of_part": part_of_mixture},
            )
        ],
        "declip": [({}, {"ranges": {"drive_db": (3, 18)}})],
        "denoise": [({"low_db": -5}, {"ranges": {"snr_db": (-5, 30)}})],
        "dereverb": [({}, {"ranges": {"rt60_s": (0.2, 1.5), "drr_db": (-3, 15)}})],
        "lowpass": [({}, {"ranges": {"cutoff_hz": (1000, 8000), "slope_db": (6, 48)}})],
        "continuation": [({}, {}), ({"sides": "end"}, {})],
        "composite": [
            ({"parts": parts}, {"ranges": ranges, "of_part": part_of_composite})
            for parts, ranges in (
                (("declip", "denoise", "dereverb"), {"drive_db": (3, 18)}),
                (("denoise", "bandwidth"), {"cutoff_hz": (2000, 16000)}),
                (("declip", "inpainting"), {}),
            )
        ],
        "codec": [({"low": 0.5}, {"ranges": {"compression": (0.5, 1)}})],
    },
    "bridge": {"i2sb": [({}, {}), ({"beta_max": 0.3}, {})]},
    "prediction": {
        "paper": [({}, {}), ({"tell": "missing"}, {}), ({"tell": "known"}, {})],
        "preconditioned": [
            ({}, {}),
            ({"shrink": True, "huber": (1, 0, 0.5)}, {}),
            ({"residual": (1.0,), "fill_std": 1.0}, {}),
            ({"tell": "degraded", "shrink": True}, {}),
            ({"tell": "degraded", "around": "degraded"}, {}),
            ({"tell": "degraded", "around": "frames"}, {}),
        ],
    },
    "backbone": {
        "rope_unet": [
            ({key: value for key, value in NETWORK.items() if key != "name"}, {}),
            (
                {
                    **NETWORK,
                    "patch": (4, 1),
                    "fine_blocks": 1,
                    "attention_residual": True,
                    "zero_output": True,
                    "dropout": 0.0,
                },
                {},
            ),
        ],
        "experts": [({"expert": NETWORK, "cuts": "paper-4"}, {})],
    },
    "sampler": {
        "implicit": [
            ({"steps": 4}, {}),
            ({"steps": 4, "order": 2}, {}),
            ({"steps": 4, "eta": 0.5, "spacing": "cosine"}, {}),
        ],
        "ancestral": [({"steps": 5}, {}), ({"steps": 4, "t_end": 0.1}, {})],
        "ode": [({"steps": 5}, {})],
        "dps": [({"steps": 3}, {})],
        "pigdm": [({"steps": 3}, {})],
        "multidiffusion": [
            ({**WINDOWS, "inner": {"name": "implicit", "steps": 3}}, {}),
            (
                {
                    **WINDOWS,
                    "hop": 4,
                    "inner": {"name": "implicit", "steps": 3, "order": 2},
                    "weighting": "smooth",
                    "state": "host",
                },
                {},
            ),
            ({**WINDOWS, "inner": {"name": "ancestral", "steps": 3}}, {}),
            ({**WINDOWS, "inner": {"name": "dps", "steps": 3}}, {}),
        ],
    },
    "metric": {
        # Half the amplitude: log10 of a power ratio of 4 in each bin above the floor.
        "lsd": [({"floor": 1e-30}, {"known_values": ((Outcome(A, A / 2, RATE), 0.60206),)})],
        "sispec": [({}, {"known_values": ((Outcome(A, A / 2, RATE), 100.0),)})],
        "si_sdr": [({}, {"known_values": ((ORTHOGONAL, 20.0), (Outcome(A, A / 3, RATE), 100.0))})],
        "mos_fit": [
            (
                {"intercept": 2, "sispec": 0.02},
                {"known_values": ((Outcome(A, A / 2, RATE), 4.0),)},  # 100 dB
            )
        ],
        "phase_residual": [
            (
                {},
                {
                    "outcome": with_residual,
                    "known_values": (
                        (
                            Outcome(
                                A, A, RATE, diagnostics={"phase_residual": torch.tensor([1.0, 3])}
                            ),
                            2.0,
                        ),
                    ),
                },
            )
        ],
        "join_step": [
            (
                {},
                {
                    "outcome": above_4_khz,
                    "known_values": (
                        (Outcome(A + B, A + B / 10, RATE, parameters={"cutoff_hz": 1100}), 20.0),
                    ),
                },
            )
        ],
        "level_correlation": [
            (
                {"low_hz": 400},
                {
                    "outcome": above_4_khz,
                    "known_values": (
                        (Outcome(SWELL, 3 * SWELL, RATE, parameters={"cutoff_hz": 1000}), 1.0),
                    ),
                },
            )
        ],
        "surplus": [({}, {"known_values": ((Outcome(A, A + tone(20, level=0.05), RATE), -20.0),)})],
        "stereo_image": [
            ({}, {"outcome": as_stereo, "known_values": ((Outcome(MONO, OPPOSITE, RATE), 2.0),)}),
            (
                {"of": "level"},
                {
                    "outcome": as_stereo,
                    "known_values": ((Outcome(MONO, MONO * HALF, RATE), 6.0206),),
                },
            ),
        ],
        "note_f1": [({}, {"outcome": with_melody, "known_values": ((Outcome(A, A, RATE), 1.0),)})],
        "visqol": [({}, {"known_values": ((Outcome(A, A, RATE), 4.732),)})],
    },
    "protocol": {"gap": [({}, {}), ({"gap_s": 0.1, "every_s": 1}, {})]},
    "restorer": {
        "autoregressive": [({"order": 40, "context": 400}, {})],
        "sparse": [({"window": 64}, {})],
        "external": [({"command": COPY, "python": sys.executable, "piece_s": 0.3}, {})],
        "audiosr": [({"python": interpreter(Path(PACKAGES.name))}, {})],
    },
    "converter": {"a2sb_release": [({"heads": 2}, {"checkpoint": write_checkpoint})]},
}
SLOW = ("audiosr", "note_f1", "visqol")  # seconds for each law


def cases(kind, slow=False):
    found = []
    for entry in default_registry().entries(kind):
        if entry.builtin and (entry.name in SLOW) == slow:
            config = default_registry().resolve(kind, entry.name).Config
            for fields, more in SETTINGS[kind].get(entry.name, [({}, {})]):
                made = config.model_validate({**fields, "name": entry.name})
                found.append(Case(made, **more))
    return found


test_representation = contract("representation", cases("representation"))
test_corruption = contract("corruption", cases("corruption"))
test_guess = contract("guess", cases("guess"))
test_bridge = contract("bridge", cases("bridge"))
test_prediction = contract("prediction", cases("prediction"))
test_loss = contract("loss", cases("loss"))
test_backbone = contract("backbone", cases("backbone"))
test_sampler = contract("sampler", cases("sampler"))
test_metric = contract("metric", cases("metric"))
test_slow_metric = pytest.mark.slow(contract("metric", cases("metric", slow=True)))
test_protocol = contract("protocol", cases("protocol"))
test_restorer = contract("restorer", cases("restorer"))
test_slow_restorer = pytest.mark.slow(contract("restorer", cases("restorer", slow=True)))
test_converter = contract("converter", cases("converter"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_and_each_builtin_stands_under_contract(kind):
    tests = [globals()[name] for name in (f"test_{kind}", f"test_slow_{kind}") if name in globals()]
    params = [param for test in tests for param in test.pytestmark[0].args[1]]
    checked = {param.values[1].config.name for param in params}
    assert checked == {entry.name for entry in default_registry().entries(kind) if entry.builtin}
