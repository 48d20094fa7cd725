import json

import numpy as np
import pytest
import soundfile

RATE = 44100


# analyze


def analyzed(a2sb, path, *more):
    """Return the report on a file, and its damage by task."""
    report = json.loads(a2sb("analyze", path, "--json", *more).stdout)
    return report, report["damage"]


def test_analyze_finds_the_cutoff(low_file, a2sb):
    report, damage = analyzed(a2sb, low_file)
    assert damage["bandwidth"]["found"]["cutoff_hz"] == pytest.approx(4000, rel=0.02)
    assert (report["sample_rate"], report["channels"]) == (RATE, 2)
    assert report["duration_s"] == pytest.approx(1.5)
    assert -40 < report["rms_dbfs"] < report["peak_dbfs"] < 0
    assert "energy ends at" in damage["bandwidth"]["description"]
    assert damage["inpaint"]["found"] is None


def test_analyze_prints_a_table(low_file, a2sb):
    printed = a2sb("analyze", low_file).stdout
    for word in ("low.wav", "44100 Hz", "1.50 s", "dBFS", "energy ends at"):
        assert word in printed


def test_analyze_of_full_band_and_silent_files(tmp_path, music, a2sb):
    soundfile.write(tmp_path / "full.wav", music(3), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    for name in ("full", "silent"):
        report, damage = analyzed(a2sb, tmp_path / f"{name}.wav", "--task", "bandwidth")
        assert damage["bandwidth"]["found"] is None and damage["bandwidth"]["notes"]
        assert list(damage) == ["bandwidth"]
    assert report["peak_dbfs"] is None


def test_analyze_and_restore_agree_on_a_low_rate(tmp_path, music, a2sb):
    soundfile.write(tmp_path / "low.wav", music(3, rate=8000), 8000)
    report, damage = analyzed(a2sb, tmp_path / "low.wav")
    assert report["sample_rate"] == 8000
    assert damage["bandwidth"]["found"]["cutoff_hz"] == pytest.approx(4000, rel=0.02)


def test_analyze_of_bad_files(tmp_path, a2sb, fails):
    fails(a2sb("analyze", tmp_path / "none.wav"), "none.wav")
    (tmp_path / "text.wav").write_text("no audio")
    fails(a2sb("analyze", tmp_path / "text.wav"), "text.wav")


def test_analyze_lists_and_draws_the_gaps(tmp_path, music, a2sb, fails):
    wave = music(2.0, cutoff_hz=8000)
    wave[30_000:31_000] = 0
    wave[50_000:50_100, 1] = np.nan
    source, figure = tmp_path / "in.wav", tmp_path / "in.png"
    soundfile.write(source, wave, RATE, subtype="FLOAT")
    printed = a2sb("analyze", source, "--figure", figure).stdout
    assert "filling 2 gaps" in printed and "silence from 0.6803 s, 22.7 ms" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    _, damage = analyzed(a2sb, source)
    assert [note.split()[0] for note in damage["inpaint"]["notes"]] == ["silence", "nan"]
    (_, second) = damage["inpaint"]["found"]["gaps_s"]
    assert second[0] == pytest.approx(50_000 / RATE, abs=1e-4)
    # `restore --task bandwidth` refuses NaN, and `analyze` says so.
    assert "NaN" in damage["bandwidth"]["error"]
    fails(a2sb("restore", source, "-o", tmp_path / "out.wav", "--task", "bandwidth"), "NaN")
    fails(a2sb("analyze", source, "--figure", figure), "in.png exists already")


# plugins


def test_plugins_list(a2sb):
    listed = json.loads(a2sb("plugins", "list", "--json").stdout)
    names = {(entry["kind"], entry["name"]) for entry in listed["components"]}
    assert ("bridge", "i2sb") in names and ("backbone", "rope_unet") in names
    assert listed["failures"] == []
    printed = a2sb("plugins", "list", "--kind", "bridge").stdout
    assert "i2sb" in printed and "rope_unet" not in printed


def test_plugins_list_tells_failures(a2sb, monkeypatch):
    from a2sb_core import plugins

    registry = plugins.Registry(
        [plugins.Entry("bridge", "other", "x:Y", "another one", "good", "a-package", "1.0")],
        [plugins.Failure("bad", "b-package", "2.0", "ImportError: no [module]")],
    )
    monkeypatch.setattr(plugins, "default_registry", lambda: registry)
    printed = a2sb("plugins", "list").stdout
    assert "a-package 1.0" in printed
    for word in ("bad", "b-package", "2.0", "ImportError: no [module]"):
        assert word in printed
    told = json.loads(a2sb("plugins", "list", "--json").stdout)["failures"]
    assert told[0]["distribution"] == "b-package"


def test_plugins_list_of_an_unknown_kind(a2sb, fails):
    fails(a2sb("plugins", "list", "--kind", "toaster"), "toaster", "sampler")


# config


@pytest.fixture
def model_yaml(tmp_path, composition):
    path = tmp_path / "model.yaml"
    path.write_text(json.dumps(composition))
    return path


def test_config_show_fills_in_defaults(model_yaml, a2sb):
    import yaml

    shown = yaml.safe_load(a2sb("config", "show", model_yaml, "--set", "sampler.hop=16").stdout)
    assert shown["sampler"]["hop"] == 16
    assert shown["backbone"]["time_channels"] == 128
    assert shown["corruption"]["parts"][0]["corruption"]["name"] == "bandwidth"


def test_config_validate(model_yaml, a2sb, fails):
    assert a2sb("config", "validate", model_yaml).stdout == f"{model_yaml}: valid\n"
    wrong = ("--set", "sampler.hop=x", "--set", "bridge=i3sb", "--set", "colour=red")
    result = a2sb("config", "validate", model_yaml, *wrong)
    fails(result, "sampler.hop", "i3sb", "i2sb", "colour", "unknown field")
    fails(a2sb("config", "validate", model_yaml, "--type", "train"), "data")
    fails(a2sb("config", "validate", model_yaml, "--set", "hop"), "hop", "path.to.field=value")
    fails(a2sb("config", "validate", "nothing.yaml"), "nothing.yaml")


def test_config_schema(a2sb):
    for kind in ("train", "model"):
        schema = json.loads(a2sb("config", "schema", "--type", kind).stdout)
        assert "rope_unet" in json.dumps(schema)


# train


@pytest.fixture
def train_yaml(tmp_path, composition, music):
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(3):
        soundfile.write(folder / f"{i}.wav", music(2, seed=i), RATE)
    path = tmp_path / "train.yaml"
    path.write_text(
        json.dumps(
            {
                "model": composition,
                "output": str(tmp_path / "run"),
                "steps": 3,
                "batch_size": 2,
                "statistics_segments": 2,
                "device": "cpu",
                "checkpoint_every": 2,
                "validate_every": 3,
                "data": {"source": str(folder), "frames": 32, "workers": 0, "validation_files": 1},
            }
        )
    )
    return path


def test_train_writes_a_model_and_resumes(train_yaml, low_file, tmp_path, a2sb):
    result = a2sb("train", train_yaml, "--set", "steps=2")
    assert result.exit_code == 0, result.stderr
    assert str(tmp_path / "run" / "model") in result.stdout
    assert (tmp_path / "run" / "checkpoint-00000002.pt").is_file()
    assert a2sb("train", train_yaml, "--quiet").stdout == ""
    assert (tmp_path / "run" / "checkpoint-00000003.pt").is_file()
    target = tmp_path / "out.wav"
    asked = ("--task", "bandwidth", "--model", tmp_path / "run" / "model")
    assert a2sb("restore", low_file, "-o", target, *asked).exit_code == 0


def test_train_tells_what_is_wrong(train_yaml, tmp_path, a2sb, fails):
    fails(a2sb("train", train_yaml, "--set", "step=2"), "step", "steps", "unknown field")
    missing = ("--set", f"data.source={tmp_path / 'none'}")
    fails(a2sb("train", train_yaml, *missing), "none", "does not exist")
    (tmp_path / "empty").mkdir()
    fails(a2sb("train", train_yaml, "--set", f"data.source={tmp_path / 'empty'}"), "empty")
    (tmp_path / "torn.yaml").write_text("model: [")
    fails(a2sb("train", tmp_path / "torn.yaml"), "torn.yaml", "line")


# convert


@pytest.fixture
def checkpoints(tmp_path):
    """Make two files like the published ones, of a far smaller network with random weights."""
    import torch

    from a2sb_core.plugins import default_registry

    network = default_registry().resolve("backbone", "rope_unet")
    config = network.Config(widths=(32, 32), attention_levels=(), res_blocks=1)
    paths = [tmp_path / "part_0.0_0.5_x.ckpt", tmp_path / "part_0.5_1.0_x.ckpt"]
    for path in paths:
        state = config.build(channels=3).state_dict()
        torch.save({"state_dict": {f"vf_model.{k}": v for k, v in state.items()}}, path)
    return paths


def test_convert_tells_the_licence_and_writes_a_model(checkpoints, tmp_path, a2sb, fails):
    from a2sb_core.models.loading import load_model

    target = tmp_path / "converted"
    result = a2sb("convert", *checkpoints, "-o", target)
    assert result.exit_code == 0, result.stderr
    assert "non-commercial" in result.stderr
    assert f"wrote {target}" in result.stdout
    assert load_model(target).config.backbone.name == "experts"
    fails(a2sb("convert", *checkpoints, "-o", target), "exists already")
    other = a2sb("convert", *checkpoints[::-1], "-o", tmp_path / "other")
    assert other.exit_code == 0, other.stderr
    weights = [(path / "model.safetensors").read_bytes() for path in (target, tmp_path / "other")]
    assert weights[0] == weights[1]  # the names state the order
    fails(a2sb("convert", tmp_path / "none.ckpt", "-o", tmp_path / "b"), "none.ckpt")
    assert not (tmp_path / "b").exists()


# demo


def test_demo_writes_audio_pictures_and_a_table(tmp_path, monkeypatch, a2sb, model_folder, music):
    from a2sb_core.cli import demo as command
    from a2sb_core.demo import cases as demo

    clip = tmp_path / "clip.wav"
    soundfile.write(clip, music(), RATE)
    monkeypatch.setattr(demo, "CLIP", str(clip))
    monkeypatch.setattr(demo, "GAPS_S", ((0.2, 0.3), (0.9, 1.0)))
    monkeypatch.setattr(demo, "SHOWN_S", (0.0, 1.5))
    monkeypatch.setattr(command, "METRICS", {"lsd": "LSD", "nothing": "Nothing"})
    target = tmp_path / "demo"
    asked = ("-o", target, "--model", model_folder, "--device", "cpu")
    result = a2sb("demo", *asked)
    assert result.exit_code == 0, result.stderr
    wanted = {
        f"{task}{end}"
        for task in ("bandwidth", "inpaint")
        for end in ("_damaged.wav", "_restored.wav", ".png")
    } | {"truth.wav"}
    assert {path.name for path in target.iterdir()} == wanted
    assert all(str(target / name) in result.stdout for name in wanted)
    assert "LSD" in result.stdout and "degraded" in result.stdout
    assert (target / "inpaint.png").read_bytes().startswith(b"\x89PNG")
    assert a2sb("demo", *asked, "--quiet", "--format", "ogg").stdout == ""
    assert soundfile.info(target / "bandwidth_restored.ogg").format == "OGG"


def test_the_demo_clip_is_shipped_with_its_origin():
    from importlib import resources

    folder = resources.files("a2sb_core.demo")
    with resources.as_file(folder / "clip.ogg") as clip:
        info = soundfile.info(clip)
    assert (info.samplerate, info.channels) == (RATE, 2)
    assert "MIT" in (folder / "clip.txt").read_text()
