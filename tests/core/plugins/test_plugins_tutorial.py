"""docs/plugins.md: each of its code blocks, in order, as a reader would run them."""

import re
from pathlib import Path

import pytest
import soundfile
from environments import Environment

EXAMPLE = Path(__file__).parents[3] / "examples" / "hum"
PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_each_block_is_a_file_or_a_script():
    languages = [language for language, _ in blocks()]
    assert set(languages) == {"sh", "python", "yaml"}
    assert len(languages) * 2 == PAGE.read_text(encoding="utf-8").count("```")
    for language, text in blocks():
        assert language == "sh" or re.match(r"# [\w./-]+\.(py|yaml)\n", text), text


def test_the_example_is_the_plugin_of_the_tutorial():
    files = dict(text.split("\n", 1) for language, text in blocks() if language != "sh")
    del files["# make_audio.py"]
    assert len(files) == 4
    for name, text in files.items():
        path = EXAMPLE / name.removeprefix("# ").removeprefix("a2sb-hum/")
        assert path.read_text(encoding="utf-8") == text


@pytest.mark.slow
def test_tutorial_from_skeleton_to_restored_file(tmp_path):
    environment, place = Environment(tmp_path / "environment"), tmp_path / "work"
    place.mkdir()
    said = ""
    for language, text in blocks():
        if language == "sh":
            said += environment.run("sh", "-e", "-c", text, cwd=place)
        else:
            path = place / text.split("\n")[0].removeprefix("# ")
            assert language == "yaml" or path.name == "make_audio.py" or path.exists(), path
            path.write_text(text)
    assert "mains hum covers the lows" in said
    assert re.search(r"(\d+) of \1 checks passed", said)
    assert "0 problems" in said
    assert "removing hum at 50 Hz and its harmonics" in said
    before, after = (soundfile.read(place / name)[0] for name in ("humming.wav", "clean.wav"))
    assert before.shape == after.shape
    assert (before != after).any()
