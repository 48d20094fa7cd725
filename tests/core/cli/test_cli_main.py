import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile

COMMANDS = [
    [], ["restore"], ["analyze"], ["demo"], ["train"], ["convert"], ["plugins"],
    ["plugins", "list"], ["config"], ["config", "show"], ["config", "validate"],
    ["config", "schema"],
]
HEAVY = {"torch", "torchaudio", "numpy", "scipy", "matplotlib", "soundfile", "a2sb_tasks"}


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
        check=False, **options,
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


def test_every_option_has_a_help_text():
    from typer.main import get_command

    from a2sb_core.cli import app

    def walk(command):
        yield command
        for inner in getattr(command, "commands", {}).values():
            yield from walk(inner)

    for command in walk(get_command(app)):
        assert command.help or command.callback.__doc__
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.human_readable_name == "CONFIG"


@pytest.mark.parametrize("arguments", [
    ["nothing"], ["restore"], ["restore", "in.wav", "--task", "inpaint"], ["restore", "--colour"],
    ["config", "show", "x", "--type", "y"],
])
def test_usage_errors(a2sb, arguments):
    result = a2sb(*arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr


def test_version(a2sb):
    assert a2sb("--version").stdout.startswith("a2sb")


def test_no_command_shows_the_help(a2sb):
    result = a2sb()
    assert "restore" in result.stdout + result.stderr


def test_unexpected_errors_are_told_in_one_paragraph(a2sb, fails, monkeypatch, low_file):
    from a2sb_core.audio import files

    def fail(*args, **kwargs):
        raise RuntimeError("the sky\nis falling")

    monkeypatch.setattr(files, "read", fail)
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
def test_an_interruption_leaves_nothing_half_done(tmp_path, music, model_folder):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, music(6, cutoff_hz=4000), 44100)
    before = source.read_bytes()
    code = """
import signal, sys
from a2sb_core.engine.job import Job

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored

def run(self, skip=0):
    print("started", flush=True)
    while True:
        self.progress(1, 10)
        yield from ()

Job.run = run
from a2sb_core.cli import main
main()
"""
    asked = ["restore", source, "-o", target, "--task", "bandwidth", "--model", model_folder]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, asked), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        for line in process.stdout:
            if line == "started\n":
                break
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.strip() == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
    assert source.read_bytes() == before
