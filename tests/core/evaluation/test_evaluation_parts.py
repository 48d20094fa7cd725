"""Protocols, intervals and the data of figures."""

import json

import numpy as np
import pytest
import torch
from engine_helpers import RATE, noise

from a2sb_core.config.evaluation import parse_spec, split_list
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.evaluation.profiles import EXPONENTS, histograms, profile
from a2sb_core.evaluation.protocols import load_protocols
from a2sb_core.evaluation.results import Result, ResultStore
from a2sb_core.evaluation.statistics import bootstrap_interval, t_interval
from a2sb_core.plotting.evaluation import quantile_box


def damage(name, wave, file=None, **options):
    return load_protocols([name], file)[0].damage(wave, RATE, **options)


def share_above(wave, hz):
    power = torch.fft.rfft(wave.double()).abs().square()
    return float(power[:, round(hz * wave.shape[-1] / RATE) :].sum() / power.sum())


@pytest.mark.parametrize("cutoff_khz", ["4", "12", "3.5"])
def test_bandwidth_ends_at_the_cutoff(cutoff_khz):
    wave = noise(RATE)
    damaged = damage(f"bandwidth-{cutoff_khz}k", wave)
    cutoff_hz = 1000 * float(cutoff_khz)
    assert damaged.parameters == {"cutoff_hz": cutoff_hz}
    assert damaged.marks.frequencies_hz == (cutoff_hz,)
    assert damaged.wave.shape == wave.shape
    assert share_above(damaged.wave, 1.01 * cutoff_hz) < 1e-4  # the ends of the clip leak
    assert share_above(damaged.wave, 0.8 * cutoff_hz) > 0.05


def test_gaps_are_in_the_middle_of_every_five_seconds():
    wave = torch.ones(2, 13 * RATE)
    damaged = damage("gap-300", wave)
    assert np.allclose(damaged.parameters["gaps_s"], [(2.35, 2.65), (7.35, 7.65), (12.35, 12.65)])
    silent = (damaged.wave == 0).all(dim=0)
    assert int(silent.sum()) == pytest.approx(3 * 0.3 * RATE, abs=6)
    assert bool(silent[int(2.36 * RATE) : int(2.64 * RATE)].all())
    assert not damaged.wave[:, : int(2.34 * RATE)].eq(0).any()


def test_clips_that_a_protocol_does_not_fit():
    with pytest.raises(TaskError, match=r"2\.65 s"):
        damage("gap-300", noise(RATE))
    with pytest.raises(TaskError, match="22050 Hz"):
        damage("bandwidth-22.05k", noise(RATE))


def test_own_protocols(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "low: {corruption: bandwidth, parameters: {cutoff_hz: 3000}}\n"
        "drawn: {corruption: {name: inpainting, low_s: 0.1, high_s: 0.2}}\n"
    )
    wave = noise(2 * RATE)
    low = damage("low", wave, file)
    assert share_above(low.wave, 3200) < 1e-3 < 0.1 < share_above(low.wave, 1500)
    first, again, other = (damage("drawn", wave, file, clip=clip) for clip in ("a", "a", "b"))
    assert first.parameters == again.parameters != other.parameters
    ((start, end),) = first.parameters["gaps_s"]
    assert 0.1 <= end - start <= 0.2
    assert not first.wave[:, int(start * RATE) + 1 : int(end * RATE) - 1].any()
    with pytest.raises(ConfigError, match=r"low, drawn"):
        load_protocols(["hi"], file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {corruption: bandwith}", "bandwidth"),
        ("a: {corruption: bandwidth, parameters: {cutoff: 1}}", "cutoff_hz"),
        ("a: {parameters: {cutoff_hz: 1}}", "a.corruption"),
    ],
)
def test_wrong_protocol_files(tmp_path, text, words):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"own\.yaml, line 1") as caught:
        load_protocols(["a"], file)
    assert words in str(caught.value)


def test_lists_and_specs():
    assert split_list(["a(x=1,y=[2,3]),b", "c,"]) == ("a(x=1,y=[2,3])", "b", "c")
    spec = parse_spec("a(x=1,y=[2,3],z=no)")
    assert (spec.name, spec.options) == ("a", {"x": 1, "y": [2, 3], "z": False})


def test_bootstrap_interval_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.02)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.02)
    assert bootstrap_interval(values) == (low, high) != bootstrap_interval(values, seed=1)
    assert bootstrap_interval(np.ones(5)) == (1, 1)
    assert bootstrap_interval(np.ones(1)) is None


def test_intervals_over_few_values_are_t_intervals():
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert t_interval([2.0, 2.0]) == (2.0, 2.0)
    assert t_interval([2.0]) is None


def test_profiles_look_into_the_gaps():
    wave = noise(RATE)
    quiet = wave.clone()
    quiet[:, RATE // 4 : RATE * 3 // 4] *= 0.1
    everywhere = np.divide(profile(quiet, RATE), profile(wave, RATE))
    gaps_s = ((0.3, 0.7),)
    inside = np.divide(profile(quiet, RATE, gaps_s), profile(wave, RATE, gaps_s))
    assert everywhere == pytest.approx(0.55, abs=0.06)
    assert inside == pytest.approx(0.1, rel=1e-3)


def test_histograms_count_by_band_and_size():
    values = torch.tensor([1e-3, 1e-3, 0.5, 1e-20])
    hz = torch.tensor([4100.0, 4200.0, 22000.0, 22000.0])
    found = histograms({"error": values, "error_hz": hz, "alone": values}, 4050.0, RATE)
    assert list(found) == ["error"]
    counts = np.array(found["error"]["counts"])
    assert counts.sum(axis=1).tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert EXPONENTS[counts[0].argmax()] == pytest.approx(-3, abs=0.11)


def test_boxes_are_quantiles():
    values = np.random.default_rng(0).lognormal(-6, 2, 20_000)
    counts = np.histogram(np.log10(values), EXPONENTS)[0]
    box = quantile_box(counts)
    wanted = np.quantile(values, [0.001, 0.25, 0.5, 0.75, 0.999])
    found = [box[name] for name in ("whislo", "q1", "med", "q3", "whishi")]
    np.testing.assert_allclose(found, wanted, rtol=0.25)
    assert quantile_box(np.zeros(130)) is None


def test_results_are_kept_and_the_last_line_counts(tmp_path):
    path = tmp_path / "results.jsonl"
    store = ResultStore(path)
    store.add(Result("k", "clip", "task", "system", {"a": 1.0, "b": float("nan")}))
    store.add(Result("k", "clip", "task", "system", {"a": 2.0}))
    with path.open("a") as file:
        file.write('{"key": "torn')
    again = ResultStore(path)
    assert again.get("k").values == {"a": 2.0}
    assert path.read_text().count("\n") == 1  # tidied
    assert ResultStore(path, fresh=True).get("k") is None


def test_results_of_version_0_1_are_read(tmp_path):
    path = tmp_path / "results.jsonl"
    fields = {"clip": "c", "task": "t", "system": "s", "values": {"a": 1.0}}
    lines = [{"key": "k", "phase": None, **fields}, {"key": "l", "phase": {"counts": []}, **fields}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = ResultStore(path)
    assert store.get("k").values == {"a": 1.0} and store.get("k").histograms == {}
    assert store.get("l").histograms == {"phase": {"counts": []}}
