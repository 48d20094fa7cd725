"""The example of a Hugging Face Space: what its builder reads, and the page that it starts."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SPACE = ROOT / "examples" / "space"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def test_the_requirements_are_those_of_the_project():
    extras = PROJECT["optional-dependencies"]
    needed = {*PROJECT["dependencies"], *extras["media"], *extras["web"]}
    assert set((SPACE / "requirements.txt").read_text().splitlines()) == needed


def test_the_card_names_the_application_and_the_pinned_gradio():
    _, front, text = (SPACE / "README.md").read_text(encoding="utf8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["sdk"] == "gradio" and (SPACE / card["app_file"]).is_file() and text.strip()
    assert f"gradio=={card['sdk_version']}\n" in (ROOT / "constraints.txt").read_text()
    assert len(card["short_description"]) <= 60
    assert card["license"] == PROJECT["license"].lower()
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {card["colorFrom"], card["colorTo"]} <= colours


@pytest.mark.slow
def test_the_space_serves_the_page_under_its_name(tmp_path):
    pytest.importorskip("gradio")
    folder = tmp_path / "space"
    shutil.copytree(SPACE, folder)
    for name in ("a2sb_core", "a2sb_tasks", "a2sb_backbones"):
        (folder / name).symlink_to(ROOT / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"GRADIO_SERVER_PORT": str(port), "SPACE_HOST": "someone-a2sb.hf.space"}
    environment = os.environ | own | {"TMPDIR": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as served:
        assert f"the page is at http://127.0.0.1:{port}" in served.stdout.readline()
        address = f"http://127.0.0.1:{port}/config"
        asked = urllib.request.Request(address, headers={"Host": own["SPACE_HOST"]})
        assert urllib.request.urlopen(asked).status == 200
        asked = urllib.request.Request(address, headers={"Host": "other.hf.space"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(asked)
        served.send_signal(signal.SIGTERM)
        rest = served.stdout.read()
    assert "Traceback" not in rest and served.returncode == 0
