"""Restorers that run as a command."""

import json
import sys
import time

import pytest
import torch
from task_helpers import music, snr_db

from a2sb_core.config.evaluation import build_component, parse_spec, split_list
from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import A2SBError, TaskError
from a2sb_tasks.baselines.external import External

RATE = 44100
CUTOFF = {"cutoff_hz": 4000.0}
READ = "import json, sys, time, soundfile\nwave, rate = soundfile.read(sys.argv[1])\n"


@pytest.fixture
def external(tmp_path):
    """Build a restorer whose script ends with the given lines."""

    def make(lines, command="{script} {input} {output}", **config):
        script = tmp_path / "script.py"
        script.write_text(READ + lines)
        command = command.replace("{script}", str(script))
        return External.Config(command=command, python=sys.executable, **config).build()

    return make


def test_a_command_scales_each_channel_and_the_gain_is_fitted(external):
    wave = music(RATE, 2)
    script = "soundfile.write(sys.argv[2], -0.25 * wave[:, None].repeat(2, 1), rate, 'FLOAT')"
    kept = external(script, fit_gain=False).restore_audio(wave, RATE, "bandwidth", CUTOFF)
    torch.testing.assert_close(kept, -0.25 * wave)
    fitted = external(script, piece_s=0.3).restore_audio(wave, RATE, "bandwidth", CUTOFF)
    torch.testing.assert_close(fitted, -wave, rtol=1e-4, atol=1e-5)  # magnitudes have no sign
    assert kept.dtype == wave.dtype


def test_the_gain_is_that_of_the_content_below_the_cutoff(external):
    wave = music(RATE)
    script = """
t = numpy.arange(len(wave)) / rate
high = numpy.sin(2 * numpy.pi * 9000 * t)
soundfile.write(sys.argv[2], 0.1 * (wave + high), rate, "FLOAT")
"""
    restored = external("import numpy" + script).restore_audio(wave, RATE, "bandwidth", CUTOFF)
    high = torch.sin(2 * torch.pi * 9000 * torch.arange(RATE) / RATE)
    assert snr_db(wave + high, restored) > 25


def test_the_gain_is_that_of_the_content_outside_of_gaps(external):
    wave = music(RATE)
    wave[:, 10_000:14_000] = 0
    parameters = {"gaps_s": [(10_000 / RATE, 14_000 / RATE)]}
    script = (
        "wave *= 0.5\nwave[10000:14000] = 3.0\nsoundfile.write(sys.argv[2], wave, rate, 'FLOAT')"
    )
    restored = external(script, tasks=("inpaint",)).restore_audio(wave, RATE, "inpaint", parameters)
    assert snr_db(wave[:, :10_000], restored[:, :10_000]) > 60


def test_the_command_gets_its_rate_and_the_parameters(external, tmp_path):
    script = f"""
described = json.load(open(sys.argv[3]))
json.dump([rate, described], open({str(tmp_path / "seen.json")!r}, "w"))
soundfile.write(sys.argv[2], wave, rate, "FLOAT")
"""
    wave = music(RATE)
    restorer = external(script, "{script} {input} {output} {parameters}", rate=48000)
    restored = restorer.restore_audio(wave, RATE, "bandwidth", CUTOFF)
    assert json.loads((tmp_path / "seen.json").read_text()) == [
        48000,
        {"task": "bandwidth", "cutoff_hz": 4000.0},
    ]
    assert snr_db(wave, restored) > 30


def test_a_command_that_fails_is_quoted(external):
    failing = external("sys.exit('the weights are missing')")
    with pytest.raises(A2SBError, match=r"`external` .*exit code 1.*the weights are missing"):
        failing.restore_audio(music(900), RATE, "bandwidth", CUTOFF)
    silent = external("print('nothing to do')")
    with pytest.raises(A2SBError, match=r"wrote no WAV file.*nothing to do"):
        silent.restore_audio(music(900), RATE, "bandwidth", CUTOFF)
    short = external("soundfile.write(sys.argv[2], wave[:100], rate)")
    with pytest.raises(A2SBError, match=r"returned 0\.00 s of audio for 0\.02 s"):
        short.restore_audio(music(900), RATE, "bandwidth", CUTOFF)
    with pytest.raises(TaskError, match="supports only: `bandwidth`"):
        short.restore_audio(music(900), RATE, "inpaint", {})


def test_a_command_that_takes_too_long_is_ended(external):
    started = time.monotonic()
    slow = external("print('thinking', flush=True)\ntime.sleep(60)", timeout_s=2)
    with pytest.raises(A2SBError, match=r"took longer than 2 s \(timeout_s\).*thinking"):
        slow.restore_audio(music(900), RATE, "bandwidth", CUTOFF)
    assert time.monotonic() - started < 20


def test_a_program_that_is_absent_is_named():
    absent = External.Config(command="no_such_tool {input} {output}").build()
    with pytest.raises(A2SBError, match="no program `no_such_tool`"):
        absent.check()
    with pytest.raises(A2SBError, match="cannot be started"):
        absent.restore_audio(music(900), RATE, "bandwidth", CUTOFF)


def test_commands_on_the_command_line():
    text = 'external(command="tool {input} {output} --mode 2",rate=48000)'
    assert split_list([f"small,{text}"]) == ("small", text)
    restorer, _ = build_component("restorer", parse_spec(text))
    assert restorer.words == ["tool", "{input}", "{output}", "--mode", "2"]
    with pytest.raises(ConfigError, match=r"must contain \{input\} and \{output\}"):
        build_component("restorer", parse_spec("external(command=tool)"))
