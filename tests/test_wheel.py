"""The wheel: it holds every file of the packages, and works without the checkout."""

import os
import subprocess
import sysconfig
import venv
import zipfile

import pytest
from wheel_parts import ROOT, build_wheel

PACKAGES = ("a2sb_core", "a2sb_tasks", "a2sb_backbones")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    return build_wheel(folder)


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Return a function that runs a command of a new environment with the wheel in it.

    The environment takes the packages that a2sb needs from the one that runs the tests.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", system_site_packages=True, with_pip=True, symlinks=os.name != "nt")
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(program, *words):
        command = [programs / program, *map(str, words)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    with open(f"{run('python', '-c', site).strip()}/needed.pth", "w") as file:
        file.write(sysconfig.get_path("purelib"))
    return run


def test_it_holds_every_file_of_the_packages(wheel):
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    held = set(zipfile.ZipFile(wheel).namelist())
    assert set(listed.stdout.splitlines()) - held == set()
    assert {name.split("/")[0] for name in held if "dist-info" not in name} == set(PACKAGES)


def test_its_program_finds_its_components_and_its_model(run, tmp_path):
    where = "import a2sb_core, a2sb_tasks; print(a2sb_core.__file__, a2sb_tasks.__file__)"
    assert str(ROOT) not in run("python", "-c", where)
    assert run("a2sb", "--version").startswith("a2sb 0.")
    components = run("a2sb", "plugins", "list")
    assert "multidiffusion" in components and "rope_unet" in components
    assert "small" in run("a2sb", "models")
    song = ROOT / "a2sb_core" / "demo" / "clip.ogg"
    words = ["--task", "bandwidth", "--cutoff", "4000", "--steps", "1", "--device", "cpu"]
    run("a2sb", "restore", song, "-o", tmp_path / "new.flac", *words)
    assert (tmp_path / "new.flac").is_file()
