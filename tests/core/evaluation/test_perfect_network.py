"""Edges of a gap, restored by a network that knows the truth."""

import pytest
import torch
from engine_helpers import RATE, model_config, noise

from a2sb_core.evaluation.protocols import audio_for_model, load_protocols
from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer

GAP_S, EDGE_S = (0.05, 0.07), 0.002
SAMPLER = {"name": "multidiffusion", "window": 128, "hop": 64, "inner": "ode"}  # one window
PROTOCOLS = """
damaged: {corruption: inpainting, parameters: {gaps_s: [[0.05, 0.07]]}}
clean: {corruption: inpainting, parameters: {gaps_s: [[0.05, 0.07]], intact: true}, clean: true}
"""


@pytest.fixture
def error_db(tmp_path, monkeypatch):
    """Measure the error beside the edges of a gap, relative to the truth."""
    file, truth = tmp_path / "own.yaml", noise(6000)
    file.write_text(PROTOCOLS)

    def measured(protocol, edges):
        corruption = {"name": "inpainting", "edges": edges}
        model = Model(model_config(corruption=corruption, sampler=SAMPLER, prediction="paper"))
        z = model.representation.encode(truth)

        def true_x0(state):
            return z[..., torch.arange(state.xt.shape[-1]) % z.shape[-1]]

        monkeypatch.setattr(model, "denoiser", lambda scaled=None: true_x0)
        damaged = load_protocols([protocol], file)[0].damage(truth, RATE)
        wave = audio_for_model(damaged, model.corruption)
        asked = {"task": "inpaint", "steps": 3, **damaged.parameters}
        restored = Restorer(model, "cpu").restore(wave, RATE, **asked)
        first, last, edge = (round(second * RATE) for second in (*GAP_S, EDGE_S))
        places = [*range(first, first + edge), *range(last - edge, last)]
        error = (restored - truth)[:, places].norm() / truth[:, places].norm()
        return 20 * float(error.log10())

    return measured


def test_frames_that_a_damaged_clip_lost_must_be_missing(error_db):
    """What remains is the row at 0 Hz, which the representation does not hold."""
    assert error_db("damaged", "touched") < -24
    assert error_db("damaged", "inside") > -16


@pytest.mark.parametrize("edges", ["touched", "inside"])
def test_in_a_clean_clip_frames_beside_the_gap_are_right(error_db, edges):
    assert error_db("clean", edges) < -100
