import os
import signal
import subprocess
import sys
import time
import unicodedata

import numpy as np
import pytest
import soundfile

COMMANDS = [
    [],
    ["restore"],
    ["analyze"],
    ["demo"],
    ["train"],
    ["convert"],
    ["plugins"],
    ["plugins", "list"],
    ["config"],
    ["config", "show"],
    ["config", "validate"],
    ["config", "schema"],
]
HEAVY = {"torch", "torchaudio", "numpy", "scipy", "matplotlib", "soundfile"}


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from typer.testing import CliRunner
from a2sb_core.cli import app
for command in {COMMANDS}:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output, command
print(sorted({HEAVY} & set(sys.modules)))
"""
    result = python(code)
    assert result.stdout == "[]\n", result.stderr


def test_listing_plugins_imports_no_torch():
    code = """
import sys
from typer.testing import CliRunner
from a2sb_core.cli import app
assert CliRunner().invoke(app, ["plugins", "list"]).exit_code == 0
print("torch" in sys.modules)
"""
    assert python(code).stdout == "False\n"


def test_bandwidth_extension_imports_nothing_slow_that_it_does_not_need(tmp_path):
    wave = 0.1 * np.random.default_rng(0).standard_normal(22050)
    soundfile.write(tmp_path / "in.wav", wave, 44100)
    code = """
import sys
from a2sb_core.cli import app
arguments = ["restore", "in.wav", "-o", "out.wav", "--task", "bandwidth", "--cutoff", "8000"]
app([*arguments, "--steps", "1", "--device", "cpu"], standalone_mode=False)
print(sorted({"scipy.signal", "sympy", "torch._dynamo"} & set(sys.modules)))
"""
    result = python(code, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["restore"],
        ["restore", "in.wav", "--task", "inpaint"],
        ["restore", "--colour"],
        ["config", "show", "x", "--type", "y"],
    ],
)
def test_usage_errors(a2sb, arguments):
    result = a2sb(*arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr


@pytest.mark.parametrize("strange", ["\x1b[31mx", "\x9b31mx", "\x1b]0;x\x07", "a\rb", "\x7f"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["{}"],
        ["restore", "--{}"],
        ["restore", "{}"],
        ["restore", "in.wav", "{}", "--stereo", "{}"],
        ["restore", "in.wav", "--steps", "{}"],
        ["config", "{}"],
        ["config", "show", "{}"],
        ["config", "show", "paper", "--set", "{}=1"],
        ["web", "--port", "{}"],
        ["models", "{}"],
        ["plugins", "new", "{}"],
    ],
)
def test_no_word_of_the_user_controls_the_terminal(a2sb, arguments, strange):
    result = a2sb(*(one.format(strange) for one in arguments))
    assert result.exit_code in (1, 2) and result.stderr
    shown = (result.stdout + result.stderr).replace("\n", "")
    assert not [c for c in shown if unicodedata.category(c) == "Cc"]


def test_version(a2sb):
    assert a2sb("--version").stdout.startswith("a2sb")


def test_no_command_shows_the_help(a2sb):
    result = a2sb()
    assert "restore" in result.stdout + result.stderr


def test_unexpected_errors_are_told_in_one_paragraph(a2sb, fails, monkeypatch, low_file):
    from a2sb_core.audio import files

    def fail(*args, **kwargs):
        raise RuntimeError("the sky\nis falling")

    monkeypatch.setattr(files, "info", fail)
    result = a2sb("analyze", low_file)
    assert result.exit_code == 1
    assert result.stderr.startswith("unexpected error: RuntimeError: the sky is falling\n")
    assert "A2SB_DEBUG=1" in result.stderr


def test_debugging_shows_where(tmp_path):
    code = "import sys; from a2sb_core.cli import main; main()"
    environment = {**os.environ, "A2SB_DEBUG": "1"}
    result = python(code, "analyze", tmp_path / "none.wav", env=environment)
    assert "Traceback" in result.stderr
    assert result.returncode == 1


def test_main_tells_errors_without_a_traceback(tmp_path):
    code = "from a2sb_core.cli import main; main()"
    result = python(code, "analyze", tmp_path / "none.wav")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("error: ") and "Traceback" not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_half_done(sign, tmp_path, music, model_folder):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, music(6, cutoff_hz=4000), 44100)
    before = source.read_bytes()
    code = """
import signal, sys
from a2sb_core.restoration.preparing import Restoration

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored

def run(self, skip=0, listener=None):
    print("started", flush=True)
    while True:
        listener.on_progress(1, 10)
        yield from ()

Restoration.run = run
from a2sb_core.cli import main
main()
"""
    asked = ["restore", source, "-o", target, "--task", "bandwidth", "--model", model_folder]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, asked), "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if line == "started\n":
                break
        time.sleep(0.1)
        process.send_signal(sign)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.strip() == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
    assert source.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_do_not_control_the_terminal(a2sb, restore, music, tmp_path):
    source = tmp_path / "song [remastered] \x1b[31m.wav"
    soundfile.write(source, music(0.2, 1, cutoff_hz=4000), 44100)
    target = source.with_name("out\x1b]0;x\x07.wav")
    results = [
        a2sb("analyze", source),
        a2sb("analyze", source, "--json"),
        a2sb("analyze", tmp_path / "no\x1b[31m.wav"),
        restore(source, target, "--steps", 1, "--cutoff", 4000),
        restore(source, target, "--steps", 1, "--cutoff", 4000),
    ]
    assert [result.exit_code for result in results] == [0, 0, 1, 0, 1]
    assert "song [remastered] \\x1b[31m.wav" in results[0].stdout
    for result in results:
        assert not {"\x1b", "\x07"} & {*result.stdout, *result.stderr}
