import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

RATE = 44100


def read(path):
    return soundfile.read(path, always_2d=True)[0]


def test_bandwidth_is_extended_from_where_energy_ends(low_file, tmp_path, restore):
    result = restore(low_file, tmp_path / "out.wav")
    assert result.exit_code == 0, result.stderr
    assert "energy ends at 4" in result.stdout
    assert f"wrote {tmp_path / 'out.wav'}" in result.stdout
    damaged, restored = read(low_file), read(tmp_path / "out.wav")
    assert restored.shape == damaged.shape
    assert not np.array_equal(restored, damaged)
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"


def test_json_tells_what_was_done(low_file, tmp_path, restore):
    target = tmp_path / "out.wav"
    result = restore(low_file, target, "--json", "--steps", 1, "--seed", 7)
    told = json.loads(result.stdout)
    assert told["input"] == str(low_file) and told["output"] == str(target)
    assert told["task"] == "bandwidth" and told["restored"] is True
    assert told["found"]["cutoff_hz"] == pytest.approx(4000, rel=0.02)
    assert (told["steps"], told["seed"]) == (1, 7)
    assert told["seconds"] > 0 and told["model"].endswith("tiny")


def test_json_tells_the_steps_of_the_model(low_file, tmp_path, restore):
    told = json.loads(restore(low_file, tmp_path / "out.wav", "--json").stdout)
    assert told["steps"] == 2


def test_a_given_cutoff_is_taken(low_file, tmp_path, restore):
    result = restore(low_file, tmp_path / "out.wav", "--cutoff", 3000)
    assert "energy ends at 3000 Hz" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--gap", "auto")])
def test_gaps_are_found(tmp_path, music, restore, arguments):
    damaged = music()
    damaged[22050:26460] = 0
    damaged[40_000:40_009, 0] = np.nan
    soundfile.write(tmp_path / "in.wav", damaged, RATE, subtype="FLOAT")
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", *arguments, task="inpaint")
    assert result.exit_code == 0, result.stderr
    assert "filling 2 gaps, 0.1003 s" in result.stdout
    after = read(tmp_path / "out.wav")
    assert np.isfinite(after).all()
    assert np.abs(after[23000:26000]).max() > 1e-3
    assert np.array_equal(read(tmp_path / "in.wav")[:20000], after[:20000])


def test_music_without_gaps_is_copied(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(), RATE)
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", task="inpaint")
    assert "nothing to restore" in result.stdout
    assert (tmp_path / "in.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()


def test_gaps_come_from_a_list(tmp_path, music, restore, fails):
    source = tmp_path / "in.wav"
    soundfile.write(source, music(), RATE)
    (tmp_path / "labels.txt").write_text("0.2\t0.25\tscratch\n1,0\t1,05\tdrop\n")
    (tmp_path / "in.csv").write_text("start,end\n0.2,0.25\n1.0,1.05\n")
    for number, name in enumerate((tmp_path / "labels.txt", "{stem}.csv")):
        target = tmp_path / f"out{number}.wav"
        result = restore(source, target, "--gap-file", name, task="inpaint")
        assert "filling 2 gaps, 0.1 s in all" in result.stdout, result.stderr
    assert (tmp_path / "out0.wav").read_bytes() == (tmp_path / "out1.wav").read_bytes()
    (tmp_path / "in.csv").write_text("0.2,0.1")
    result = restore(source, tmp_path / "no.wav", "--gap-file", "{stem}.csv", task="inpaint")
    fails(result, "in.csv, line 1")
    fails(restore(source, tmp_path / "no.wav", "--gap-file", "x.csv"), "inpaint", code=2)


def test_gaps_are_filled_and_the_rest_kept(tmp_path, music, restore):
    damaged = music()
    damaged[22050:26460] = 0
    soundfile.write(tmp_path / "in.wav", damaged, RATE, subtype="PCM_16")
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", "--gap", "0.5:0.6", task="inpaint")
    assert "filling 1 gap, 0.1 s in all" in result.stdout
    before, after = read(tmp_path / "in.wav"), read(tmp_path / "out.wav")
    assert np.array_equal(before[:20000], after[:20000])
    assert np.array_equal(before[28000:], after[28000:])
    assert np.abs(after[23000:26000]).max() > 1e-3


def test_overlapping_gaps_are_one(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(), RATE)
    gaps = ("--gap", "0.5:0.6", "--gap", "0.55:0.7")
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", *gaps, task="inpaint")
    assert "filling 1 gap, 0.2 s in all" in result.stdout


def test_a_folder_gets_a_named_file(low_file, tmp_path, restore):
    folder = tmp_path / "results"
    folder.mkdir()
    assert restore(low_file, folder).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["low.restored.wav"]


def test_quiet_prints_nothing(low_file, tmp_path, restore):
    result = restore(low_file, tmp_path / "out.wav", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_the_seed_decides(low_file, tmp_path, restore):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        restore(low_file, tmp_path / f"{name}.wav", "--seed", seed)
    a, b, c = (read(tmp_path / f"{name}.wav") for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_full_band_audio_is_copied(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(3), RATE)
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav")
    assert "nothing to restore: the audio is copied as it is" in result.stdout
    assert (tmp_path / "in.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()


def test_full_band_audio_is_converted_where_another_format_is_asked_for(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(3), RATE, subtype="PCM_16")
    result = restore(tmp_path / "in.wav", tmp_path / "out.flac", "--json")
    assert json.loads(result.stdout)["restored"] is False
    assert np.array_equal(read(tmp_path / "in.wav"), read(tmp_path / "out.flac"))


# Bad input: a clear error, or the right result.


def test_an_empty_file(tmp_path, restore, fails):
    soundfile.write(tmp_path / "in.wav", np.zeros((0, 2)), RATE)
    fails(restore(tmp_path / "in.wav", tmp_path / "out.wav"), "in.wav", "empty")


def test_one_sample(tmp_path, restore, fails):
    soundfile.write(tmp_path / "in.wav", np.full((1, 2), 0.5), RATE)
    assert restore(tmp_path / "in.wav", tmp_path / "out.wav").exit_code == 0
    assert read(tmp_path / "out.wav").shape == (1, 2)
    asked = ("--gap", "0:0.1")
    fails(restore(tmp_path / "in.wav", tmp_path / "b.wav", *asked, task="inpaint"), "0:0.1")


def test_silence(tmp_path, restore):
    soundfile.write(tmp_path / "in.wav", np.zeros((RATE, 2)), RATE)
    assert "nothing to restore" in restore(tmp_path / "in.wav", tmp_path / "out.wav").stdout
    assert not read(tmp_path / "out.wav").any()
    asked = ("--gap", "0.2:0.3")
    result = restore(tmp_path / "in.wav", tmp_path / "gap.wav", *asked, task="inpaint")
    assert result.exit_code == 0
    assert np.isfinite(read(tmp_path / "gap.wav")).all()


def test_nan_is_refused_but_in_a_gap(tmp_path, music, restore, fails):
    wave = music()
    wave[22050:26460] = np.nan
    soundfile.write(tmp_path / "in.wav", wave, RATE, subtype="FLOAT")
    fails(restore(tmp_path / "in.wav", tmp_path / "out.wav"), "NaN")
    asked = ("--gap", "0.5:0.6")
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", *asked, task="inpaint")
    assert result.exit_code == 0, result.stderr
    assert np.isfinite(read(tmp_path / "out.wav")).all()


def test_clipped_audio(tmp_path, music, restore):
    wave = np.clip(20 * music(cutoff_hz=4000), -1, 1)
    soundfile.write(tmp_path / "in.wav", wave, RATE)
    for mode in ("clamp", "rescale"):
        asked = ("--cutoff", 4000, "--clip-mode", mode)
        assert restore(tmp_path / "in.wav", tmp_path / f"{mode}.wav", *asked).exit_code == 0
        assert np.abs(read(tmp_path / f"{mode}.wav")).max() <= 1


@pytest.mark.parametrize(("rate", "written"), [(8000, 44100), (192000, 192000)])
def test_other_sample_rates(tmp_path, music, restore, rate, written):
    soundfile.write(tmp_path / "in.wav", music(rate=rate, cutoff_hz=3500), rate)
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", "--cutoff", 3500)
    assert result.exit_code == 0, result.stderr
    info = soundfile.info(tmp_path / "out.wav")
    assert info.samplerate == written
    assert info.duration == pytest.approx(1.5, abs=1e-3)


def test_the_end_of_a_low_rate_is_a_cutoff(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(3, rate=8000), 8000)
    result = restore(tmp_path / "in.wav", tmp_path / "out.wav", "--json")
    assert json.loads(result.stdout)["found"]["cutoff_hz"] == pytest.approx(4000, rel=0.02)
    assert soundfile.info(tmp_path / "out.wav").samplerate == 44100


def test_six_channels(tmp_path, music, restore):
    soundfile.write(tmp_path / "in.wav", music(1, channels=6, cutoff_hz=4000), RATE)
    assert restore(tmp_path / "in.wav", tmp_path / "out.wav", "--cutoff", 4000).exit_code == 0
    assert read(tmp_path / "out.wav").shape == (RATE, 6)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_truncated_files(tmp_path, music, restore, fails, suffix):
    soundfile.write(tmp_path / "whole.wav", music(), RATE)
    soundfile.write(tmp_path / f"in.{suffix}", music(), RATE)
    whole = (tmp_path / f"in.{suffix}").read_bytes()
    (tmp_path / f"in.{suffix}").write_bytes(whole[: len(whole) // 2])
    result = restore(tmp_path / f"in.{suffix}", tmp_path / "out.wav", "--cutoff", 4000)
    if result.exit_code:
        fails(result, f"in.{suffix}")
    (tmp_path / f"in.{suffix}").write_bytes(whole[:30])
    fails(restore(tmp_path / f"in.{suffix}", tmp_path / "none.wav"), f"in.{suffix}")


def test_a_file_that_is_no_audio(tmp_path, restore, fails):
    (tmp_path / "in.wav").write_text("no audio")
    fails(restore(tmp_path / "in.wav", tmp_path / "out.wav"), "in.wav")


def test_a_file_that_is_not_there(tmp_path, restore, fails):
    fails(restore(tmp_path / "in.wav", tmp_path / "out.wav"), "in.wav")


def test_a_cutoff_above_nyquist(low_file, tmp_path, restore, fails):
    fails(restore(low_file, tmp_path / "out.wav", "--cutoff", 30000), "30000", "22050")


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        (["1.4:9"], ("1.4:9", "1.5 s long")),
        (["0:1.5"], ("whole",)),
        (["0:0.8", "0.7:1.5"], ("whole",)),
    ],
)
def test_gaps_that_do_not_fit(low_file, tmp_path, restore, fails, gaps, words):
    asked = [part for gap in gaps for part in ("--gap", gap)]
    fails(restore(low_file, tmp_path / "out.wav", *asked, task="inpaint"), *words)


@pytest.mark.parametrize("gap", ["1", "a:b", "1:", "2:1", "-1:2", "1:inf", "nan:1", "1:2:3"])
def test_malformed_gaps(low_file, tmp_path, restore, fails, gap):
    result = restore(low_file, tmp_path / "out.wav", f"--gap={gap}", task="inpaint")
    fails(result, "--gap", gap, code=2)


@pytest.mark.parametrize("cutoff", ["high", "0", "-5", "nan", "inf"])
def test_malformed_cutoffs(low_file, tmp_path, restore, fails, cutoff):
    result = restore(low_file, tmp_path / "out.wav", f"--cutoff={cutoff}")
    fails(result, "--cutoff", cutoff, code=2)


def test_options_of_the_other_task(low_file, tmp_path, restore, fails):
    target = tmp_path / "out.wav"
    fails(restore(low_file, target, "--gap", "0:1"), "--gap", "inpaint", code=2)
    asked = ("--cutoff", 4000, "--gap", "0:1")
    fails(restore(low_file, target, *asked, task="inpaint"), "--cutoff", "bandwidth", code=2)
    both = ("--gap", "auto", "--gap", "0:1")
    fails(restore(low_file, target, *both, task="inpaint"), "--gap", code=2)


def test_an_unknown_task(low_file, tmp_path, restore, fails):
    result = restore(low_file, tmp_path / "out.wav", task="denoise")
    fails(result, "denoise", "bandwidth, inpaint")


def test_output_equal_to_input(low_file, restore, fails):
    for asked in ((), ("--overwrite",)):
        fails(restore(low_file, low_file, *asked), "low.wav")
        fails(restore(low_file, low_file.parent / "." / "low.wav", *asked), "low.wav")


def test_an_output_that_is_there(low_file, tmp_path, restore, fails):
    target = tmp_path / "out.wav"
    target.write_text("mine")
    fails(restore(low_file, target), "out.wav", "overwrit")
    assert restore(low_file, target, "--overwrite").exit_code == 0
    assert read(target).shape == read(low_file).shape


def test_an_output_folder_that_is_not_there(low_file, tmp_path, restore, fails):
    fails(restore(low_file, tmp_path / "no" / "out.wav"), "no", "mkdir")


def test_an_output_of_an_unknown_format(low_file, tmp_path, restore, fails):
    fails(restore(low_file, tmp_path / "out.xyz"), "xyz")


def test_unknown_devices_and_precisions(low_file, tmp_path, restore, fails):
    fails(restore(low_file, tmp_path / "out.wav", "--device", "abacus"), "abacus", "cpu")
    fails(restore(low_file, tmp_path / "out.wav", "--precision", "int1"), "int1", "bf16")


def test_memory_that_is_no_size_or_too_small(low_file, tmp_path, restore, fails):
    fails(restore(low_file, tmp_path / "out.wav", "--max-memory", "lots"), "lots", "2GB", code=2)
    fails(restore(low_file, tmp_path / "out.wav", "--max-memory", "1kB"), "too small", "allow more")


def test_progress_for_programs(low_file, tmp_path, restore):
    result = restore(low_file, tmp_path / "out.wav", "--progress", "json", "--quiet")
    told = [json.loads(line) for line in result.stderr.splitlines()]
    assert told[-1]["done"] == told[-1]["of"] > 0
    assert [line["done"] for line in told] == sorted(line["done"] for line in told)
    assert told[-1]["seconds"] > 0


def test_a_long_restoration_is_continued(
    low_file, tmp_path, a2sb, model_folder, fails, monkeypatch
):
    from a2sb_core.restoration import output
    from a2sb_core.restoration.preparing import Restoration

    monkeypatch.setattr(output, "RESUMABLE_FROM_S", 0.1)
    whole = Restoration.run

    def run(self, skip=0, listener=None):
        for block in whole(self, skip, listener):
            yield block[:, : block.shape[1] // 2]
            raise KeyboardInterrupt

    asked = [
        "restore",
        low_file,
        "--task",
        "bandwidth",
        "--model",
        model_folder,
        "--device",
        "cpu",
        "-o",
    ]
    target, expected = tmp_path / "out.wav", tmp_path / "expected.wav"
    with monkeypatch.context() as patch:
        patch.setattr(Restoration, "run", run)
        result = a2sb(*asked, target)
    assert result.exit_code == 130
    assert "interrupted; the finished part is kept in" in result.stderr
    assert "--resume" in result.stderr
    fails(a2sb(*asked, target), ".out.wav.part", "--resume")
    assert a2sb(*asked, target, "--resume").exit_code == 0
    assert a2sb(*asked, expected).exit_code == 0
    one, other = (soundfile.read(path)[0] for path in (target, expected))
    np.testing.assert_array_equal(one, other)


def test_a_pipe_can_not_be_continued(low_file, restore, fails):
    fails(restore(low_file, "-", "--resume"), "continued")


def test_from_pipe_to_pipe(low_file, model_folder):
    command = [
        sys.executable,
        "-c",
        "from a2sb_core.cli import main; main()",
        "restore",
        "-",
        "-o",
        "-",
        "--task",
        "bandwidth",
        "--model",
        str(model_folder),
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]
    with low_file.open("rb") as stream:
        result = subprocess.run(command, stdin=stream, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert b"energy ends at" in result.stderr
    samples = np.frombuffer(result.stdout[44:], "<f4")
    assert np.isfinite(samples).all()
    assert samples.size > 1000
