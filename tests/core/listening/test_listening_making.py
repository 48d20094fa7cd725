"""Making of listening tests: from an evaluation to blind stimuli of equal loudness."""

import base64
import io
import json
import re

import evaluation_parts
import numpy as np
import pytest
import soundfile
import yaml
from listening_parts import RATE, key, music, write_results

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import A2SBError, AudioError, ConfigError
from a2sb_core.evaluation.reports import write_report
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.evaluation.statistics import summarize
from a2sb_core.listening.design import ANCHOR, REFERENCE, read_test
from a2sb_core.listening.levels import anchor, loudness_lufs
from a2sb_core.listening.making import TestPlan, make_test
from a2sb_core.listening.page import write_page
from a2sb_core.listening.source import read_kept_audio
from a2sb_core.listening.webmushra import write_webmushra
from a2sb_core.plugins import reset


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "results")


@pytest.fixture
def make(results, tmp_path):
    def function(plan=None, write=write_page, **chosen):
        folder = tmp_path / f"test{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        write(read_kept_audio(results).choose(**chosen), plan or TestPlan(), folder)
        return folder

    return function


def sounds(folder):
    """Return the stimuli as a participant's browser gets them, by id."""
    found = {}
    for path in (folder / "page" / "audio").iterdir():
        name, text = re.fullmatch(r'received\("(\w+)", "(.*)"\);\n', path.read_text()).groups()
        assert name == path.stem
        found[name] = soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="float32")[0]
    return found


def test_the_audio_of_an_evaluation_is_listed_with_its_clean_clips(tmp_path, monkeypatch):
    evaluation_parts.install(tmp_path / "site", monkeypatch)
    (tmp_path / "clips").mkdir()
    soundfile.write(
        tmp_path / "clips" / "a b.wav", np.stack([music(0), music(1)], 1), RATE, "FLOAT"
    )
    config = EvaluateConfig(
        source=tmp_path / "clips",
        output=tmp_path / "out",
        tasks=("bandwidth-4k",),
        systems=("half",),
        metrics=("gain", "gain(scale=2)"),
        keep_audio=True,
    )
    report = Evaluation(config).run()
    write_report(report, summarize(report), config.output)
    kept = read_kept_audio(config.output)
    reset()
    assert list(kept.clean) == ["a b.wav"] and len(kept.restored) == 2
    clean = soundfile.read(kept.clean["a b.wav"])[0]
    assert np.allclose(clean, (music(0) + music(1)) / 2, atol=1e-6)
    place = ("a b.wav", "bandwidth-4k", "half")
    assert kept.restored[place].is_file()
    assert kept.metrics[place]["gain(scale=2)"] == pytest.approx(2 * kept.metrics[place]["gain"])


@pytest.mark.parametrize("kind", ["rating", "mushra"])
def test_all_stimuli_have_the_same_loudness_and_no_peak(make, kind):
    folder = make(TestPlan(kind))
    found, names = sounds(folder), key(folder)
    assert set(found) == set(names)
    for wave in found.values():
        assert loudness_lufs(wave[None], RATE) == pytest.approx(-23.0, abs=0.1)
        assert np.abs(wave).max() <= 10 ** (-1 / 20) + 1e-6
    by_system = {(one["clip"], one["task"], one["system"]): found[i] for i, one in names.items()}
    opened = by_system["clip0.wav", "", REFERENCE]
    assert np.array_equal(by_system["clip0.wav", "bandwidth-4k", REFERENCE], opened)
    inner = slice(RATE // 100, -RATE // 100)  # between the fades
    gain = opened[inner] @ music(0)[inner] / (music(0)[inner] @ music(0)[inner])
    assert np.allclose(opened[inner], gain * music(0)[inner], atol=1e-5)


def test_loud_peaks_lower_the_whole_clip(results, make):
    path = results / "audio" / "system-b" / "clip0.flac"
    wave = soundfile.read(path)[0] * 0.2
    wave[RATE // 2] = 0.99
    soundfile.write(path, wave, RATE, "PCM_24")
    folder = make()
    found = {(one["clip"], one["system"]): sounds(folder)[i] for i, one in key(folder).items()}
    levels = [
        loudness_lufs(found["clip0.wav", name][None], RATE) for name in ("system-a", "system-b")
    ]
    assert levels[0] == pytest.approx(levels[1], abs=0.1) and levels[0] < -24
    assert np.abs(found["clip0.wav", "system-b"]).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)


@pytest.mark.parametrize("rate", [44100, 16000, 96000])
def test_the_anchor_has_the_response_of_bs_1534(rate):
    impulse = np.zeros((1, rate), np.float32)
    impulse[0, rate // 2] = 1
    response = anchor(impulse, rate)
    spectrum_db = 20 * np.log10(np.abs(np.fft.rfft(response[0])) + 1e-9)  # 1 Hz each
    assert np.abs(spectrum_db[:3500]).max() < 0.1
    assert spectrum_db[4000:].max() < -50
    assert np.argmax(response[0]) == rate // 2
    with pytest.raises(AudioError, match="8000 Hz"):
        anchor(impulse, 8000)


def test_the_kinds_have_their_trials(make):
    rating, mushra = read_test(make()), read_test(make(TestPlan("mushra")))
    abx = read_test(make(TestPlan("abx", repeats=3)))
    other = read_test(make(TestPlan("abx", against="system-a")))
    assert (len(rating.trials), len(mushra.trials)) == (2 * 3, 2)
    assert (len(abx.trials), len(other.trials)) == (2 * 2 * 3, 2)
    assert all(trial.reference for trial in (*rating.trials, *mushra.trials))
    systems = {mushra.stimulus[name].system for name in mushra.trials[0].stimuli}
    assert systems == {"system-a", "system-b", REFERENCE, ANCHOR}
    pairs = {frozenset(abx.stimulus[i].system for i in trial.stimuli) for trial in abx.trials}
    assert pairs == {frozenset({"system-a", REFERENCE}), frozenset({"system-b", REFERENCE})}
    assert {one.metrics["lsd"] for one in rating.stimuli if one.system == "system-b"} == {2.0, 2.1}


@pytest.mark.parametrize("kind", ["rating", "mushra", "abx"])
def test_the_page_names_nothing_and_loads_nothing(make, kind):
    folder = make(TestPlan(kind, title="<b>A & B</b>"))
    page = (folder / "page" / "index.html").read_text()
    for word in ("system-a", "system-b", "clip0", REFERENCE, ANCHOR, "bandwidth-4k", "://"):
        assert word not in page
    assert "<b>" not in page
    assert not {path.name for path in folder.iterdir()} - {"page", "key.json"}
    assert all(
        re.fullmatch(r"s[0-9a-f]{10}\.js", one.name)
        for one in (folder / "page" / "audio").iterdir()
    )


def test_the_order_depends_on_the_seed_and_the_participant_only(make):
    test = read_test(make(TestPlan("mushra")))
    again = read_test(make(TestPlan("mushra")))
    other = test.model_copy(update={"seed": 1})
    assert again == test
    orders = {name: test.order(name) for name in (f"p{k}" for k in range(200))}
    assert orders["p3"] == again.order("p3")
    assert sum(orders[name] != other.order(name) for name in orders) > 150
    firsts = [order[0][0] for order in orders.values()]
    assert 70 <= firsts.count(test.trials[0].id) <= 130  # of 200, with probability 1/2
    places = [order[0][1].index(min(order[0][1])) for order in orders.values()]
    assert all(30 <= places.count(k) <= 70 for k in range(4))
    xs = [test.x_is(name, test.trials[0].id) for name in orders]
    assert 70 <= xs.count("A") <= 130


def test_long_clips_give_their_middle(make):
    folder = make(TestPlan(seconds=0.5))
    assert {len(wave) for wave in sounds(folder).values()} == {RATE // 2}
    wave = next(iter(sounds(folder).values()))
    assert abs(wave[0]) < 1e-3 and abs(wave[-1]) < 1e-3


def test_webmushra_gets_a_page_for_each_trial(make):
    folder = make(TestPlan("mushra"), write_webmushra)
    test = read_test(folder)
    config = yaml.safe_load((folder / "configs" / f"{test.id}.yaml").read_text())
    order, *pages = config["pages"][1]
    assert order == "random" and {page["id"] for page in pages} == set(test.trial)
    for page in pages:
        files = [page["reference"], *page["stimuli"].values()]
        waves = [soundfile.read(folder / name)[0] for name in files]
        assert len({len(wave) for wave in waves}) == 1
        systems = {test.stimulus[name].system for name in page["stimuli"]}
        assert systems == {"system-a", "system-b", ANCHOR}  # webMUSHRA adds the hidden reference
    with pytest.raises(ConfigError, match="mushra"):
        make(TestPlan("rating"), write_webmushra)


def test_results_that_are_not_complete_are_refused(results, make, tmp_path):
    with pytest.raises(ConfigError, match="--keep-audio"):
        read_kept_audio(tmp_path)
    for chosen in ({"systems": ["best"]}, {"tasks": ["gap-300"]}):
        with pytest.raises(ConfigError, match="there is audio of"):
            make(**chosen)
    with pytest.raises(ConfigError, match="`best`"):
        make(TestPlan("abx", against="best"))
    with pytest.raises(ConfigError, match="nothing to compare"):
        make(TestPlan("abx", against="system-a"), systems=["system-a"])
    (results / "audio" / "system-b" / "clip1.flac").unlink()
    with pytest.raises(AudioError, match=r"clip1\.flac is missing"):
        read_kept_audio(results)
    index = results / "audio" / "index.csv"
    for text in (
        "clip,file\n",
        "clip,task,system,file\na,b\n",
        "clip,task,system,file\na,,,/etc\n",
    ):
        index.write_text(text)
        with pytest.raises(ConfigError, match="index"):
            read_kept_audio(results)


def test_clips_that_cannot_be_used_are_named(results):
    def attempt(wave, system="system-b"):
        for name in ("clean", "system-a", "system-b") if system is None else (system,):
            soundfile.write(results / "audio" / name / "clip0.flac", wave, RATE)
        return make_test(read_kept_audio(results), TestPlan(), lambda *_: None)

    with pytest.raises(A2SBError, match=r"clip0.*length"):
        attempt(music(0, 0.9))
    attempt(np.zeros(RATE))  # a system may return silence
    for wave, reason in ((music(0, 0.4), "shorter"), (np.zeros(RATE), "silent")):
        with pytest.raises(A2SBError, match=f"clip0.*{reason}"):
            attempt(wave, None)


def test_the_data_of_the_page_is_the_test(make):
    folder = make(TestPlan("abx"))
    text = (folder / "page" / "index.html").read_text()
    data = json.loads(re.search(r'type="application/json" id="test">(.*?)</script>', text)[1])
    test = read_test(folder)
    assert [trial["id"] for trial in data["trials"]] == [trial.id for trial in test.trials]
    assert data["seed"] == test.seed and "stimuli" not in data


@pytest.mark.parametrize("peak", [1.0, 0.1])
def test_loudness_of_a_sine_is_that_of_bs_1770(peak):
    sine = peak * np.sin(2 * np.pi * 997 * np.arange(2 * 48000) / 48000)
    expected = -3.01 + 20 * np.log10(peak)
    assert loudness_lufs(sine[None].astype(np.float32), 48000) == pytest.approx(expected, abs=0.05)
    assert loudness_lufs(np.zeros((1, 48000), np.float32), 48000) == -np.inf
