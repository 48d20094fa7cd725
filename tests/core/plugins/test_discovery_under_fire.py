"""Plugins broken in every way, as installed distributions: others work, the doctor explains."""

import json
import os
import subprocess
import sys

import pytest
from site_helpers import HOOK, PART, write_distribution, write_sampler
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.plugins import default_registry, reset

ADD = 'registrar.add("sampler", "half", "bad_dist_parts:Part")'
PLAIN = 'class Part:\n    kind = "sampler"\n    class Config:\n        name = "plain"\n'


def registers(kind, name, target):
    return f'{HOOK}    registrar.add("{kind}", "{name}", "{target}")\n'


# What is installed as `bad-dist` 0.7, what the doctor says of it, and what it advises.
FIRE = {
    "fails to import": (
        {"source": "import not_there_at_all"},
        "No module named 'not_there_at_all'",
        "pip install --force-reinstall bad-dist",
    ),
    "raises in its hook": (
        {"source": f"{HOOK}    1 / 0"},
        "ZeroDivisionError: division by zero",
        "`A2SB_STRICT_PLUGINS=1 A2SB_DEBUG=1",
    ),
    "registers half and raises": (
        {"source": f"{HOOK}    {ADD}\n    raise KeyError('half')", "part": PART},
        "KeyError: 'half'",
        "its author",
    ),
    "wrong signature of the hook": (
        {"source": HOOK.replace("(registrar)", "(registry, kind)") + "    pass"},
        "a2sb_register",
        "`@hookimpl def a2sb_register(registrar)`",
    ),
    "API of the future": (
        {"source": f"A2SB_API_VERSION = '7.0'\n{HOOK}    {ADD}"},
        "made for version 7.0 of the plugin API; this is 2.0",
        "pip install --upgrade bad-dist",
    ),
    "name of a built-in": (
        {"source": registers("bridge", "i2sb", "a2sb_tasks.bridges.i2sb:I2SB")},
        "the bridge `i2sb` is taken by plugin `a2sb_tasks` of a2sb",
        "write `bad-dist:NAME`",
    ),
    "target that does not exist": (
        {"source": registers("sampler", "ghost", "bad_dist_parts:Ghost"), "part": PART},
        "the sampler `ghost` (`bad_dist_parts:Ghost`) of plugin `main` of bad-dist 0.7 is broken",
        "`bad_dist_parts:Ghost`",
    ),
    "config that is no pydantic model": (
        {"source": registers("sampler", "plain", "bad_dist_parts:Part"), "part": PLAIN},
        "no nested `Config` that derives from ComponentConfig",
        "its author must",
    ),
    "calls itself otherwise": (
        {
            "source": registers("sampler", "mine", "bad_dist_parts:Part"),
            "part": PART.replace("{name}", "other"),
        },
        "the sampler `mine` has the name `other`",
        '`name: str = "mine"`',
    ),
    "abstract component": (
        {
            "source": registers("sampler", "mine", "bad_dist_parts:Part"),
            "part": PART.replace("{name}", "mine").replace("def sample(", "def simple("),
        },
        "the sampler `mine` is abstract",
        "`sample`",
    ),
    "config without a name": (
        {
            "source": registers("sampler", "mine", "bad_dist_parts:Part"),
            "part": PART.replace('        name: str = "{name}"', "        pass"),
        },
        "the sampler `mine` has no name in its Config",
        '`name: str = "mine"`',
    ),
    "config without a JSON Schema": (
        {
            "source": registers("sampler", "mine", "bad_dist_parts:Part"),
            "part": "import typing\n"
            + PART.replace("{name}", "mine").replace(
                '"mine"', '"mine"\n        call: typing.Callable = print'
            ),
        },
        "of the sampler `mine` has no JSON Schema",
        "types that pydantic",
    ),
}
# Two distributions that both work: what the doctor notes of each.
SHARED = {
    "name of another plugin": (
        {"name": "fine", "point": "two"},
        "the sampler `fine` is also",
        "write `bad-dist:fine` in configurations",
    )
}


def run(*arguments):
    reset()
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return result


def others_work():
    """Whether all built-ins and the sane plugin are listed and resolve."""
    reset()
    registry = default_registry()
    names = {(entry.kind, entry.name) for entry in registry.entries() if entry.builtin}
    assert {("bridge", "i2sb"), ("sampler", "ode"), ("model", "small")} <= names
    assert registry.resolve("bridge", "i2sb").__name__ == "I2SB"
    assert registry.resolve("sampler", "fine-dist:fine").__module__ == "fine_dist_parts"
    assert "half" not in registry.names("sampler")
    return True


def explained(what, advice, code):
    """Whether the doctor says what, of which plugin and distribution, and what to do."""
    result = run("plugins", "doctor")
    assert result.exit_code == code, result.output
    text = " ".join(result.output.split())
    blocks = [" ".join(block.split()) for block in result.output.split("\n\n")]
    (block,) = (block for block in blocks if "of bad-dist 0.7" in block.split(" problem: ")[0])
    assert what in block.split(" advice: ")[0], block
    assert advice in block.split(" advice: ")[1], block
    assert "Traceback" not in text
    return True


@pytest.fixture(scope="module", autouse=True)
def tally(request):
    done = []
    yield done
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nplugins under fire: {len(done)} of {len(FIRE) + len(SHARED)} explained")


@pytest.mark.parametrize("case", FIRE)
def test_broken_plugin_is_explained_and_others_work(site, case, tally):
    files, what, advice = FIRE[case]
    write_sampler(site, "fine-dist", "fine", point="fine")
    write_distribution(site, "bad-dist", version="0.7", **files)
    assert others_work()
    assert explained(what, advice, code=1)
    tally.append(case)


@pytest.mark.parametrize("case", SHARED)
def test_shared_name_is_noted_and_all_works(site, case, tally):
    more, what, advice = SHARED[case]
    write_sampler(site, "fine-dist", "fine", point="main")
    write_sampler(site, "bad-dist", more["name"], version="0.7", point=more["point"])
    assert others_work()
    registry = default_registry()
    assert registry.resolve("sampler", f"bad-dist:{more['name']}").__module__ == "bad_dist_parts"
    assert explained(what, advice, code=0)
    tally.append(case)


def test_all_at_once(site):
    write_sampler(site, "fine-dist", "fine", point="fine")
    for i, (files, *_) in enumerate(FIRE.values()):
        renamed = {key: text.replace("bad_dist", f"bad{i}_dist") for key, text in files.items()}
        write_distribution(site, f"bad{i}-dist", version="0.7", **renamed)
    assert others_work()
    result = run("plugins", "doctor", "--json")
    findings = json.loads(result.output)["findings"]
    broken = {finding["distribution"] for finding in findings if finding["is_broken"]}
    assert broken == {f"bad{i}-dist" for i in range(len(FIRE))}
    assert all(finding["what"] and finding["advice"] for finding in findings)


def test_nothing_wrong(site):
    write_sampler(site, "fine-dist", "fine")
    result = run("plugins", "doctor")
    assert result.exit_code == 0
    assert "0 problems, 0 notes" in result.output


def test_schema_of_all_others_is_there_without_the_one_that_has_none(site):
    files, _, _ = FIRE["config without a JSON Schema"]
    write_sampler(site, "fine-dist", "fine")
    write_distribution(site, "bad-dist", version="0.7", **files)
    schema = json.loads(run("config", "schema").stdout)
    names = schema["$defs"]["sampler"]["anyOf"][0]["enum"]
    assert "fine" in names and "mine" not in names


def test_what_plugins_print_does_not_spoil_json(site):
    write_sampler(site, "fine-dist", "fine")
    for file in site.glob("*.py"):
        file.write_text("print('hello')\n" + file.read_text())
    found = json.loads(run("plugins", "list", "--json").stdout)
    assert "fine" in [part["name"] for part in found["components"]]
    assert json.loads(run("plugins", "doctor", "--json").stdout) == {"findings": []}


def test_no_text_of_a_plugin_controls_the_terminal(site):
    bad = "\x1b[2J\x1b]0;x\x07"
    source = f"""{HOOK}    registrar.add("sampler", "half", "bad_dist_parts:Part", {bad!r})
    registrar.add_option("t", "p", "--half", metavar={bad!r}, help={bad!r}, parse="builtins:int")
"""
    part = f"raise ValueError({bad!r})\n"
    write_distribution(site, "bad-dist", source=source, part=part, point=f"ma{bad}in")
    write_distribution(site, "worse-dist", source=f"raise ValueError({bad!r})", version=f"1{bad}")
    asked = ["plugins list", "plugins doctor", "plugins show half", "restore --help"]
    for arguments in (*asked, "config show paper --set sampler=half"):
        reset()
        result = CliRunner().invoke(app, arguments.split(), color=True)  # keeps control sequences
        shown = result.output.replace("\x1b[0m", "")
        assert "\x1b[2J" not in shown and "\x07" not in shown
        # A table of options may break the lines of an escaped text.
        assert "x1b" in repr(result.output) or arguments.startswith("restore")


def test_allow_list_of_what_is_not_installed(site, monkeypatch):
    monkeypatch.setenv("A2SB_PLUGINS", "gone")
    result = run("plugins", "doctor")
    assert result.exit_code == 1
    assert "broken: plugin `gone`" in result.output
    assert "remove it from A2SB_PLUGINS" in result.output


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"]], ids=" ".join)
def test_twenty_plugins_and_no_torch(site, arguments):
    for k in range(20):
        write_sampler(site, f"dist-{k}", f"part_{k}", point=f"point_{k}")
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('heavy:', {'torch', 'numpy', 'a2sb_tasks.samplers'}"
        " & sys.modules.keys() or 'none'))\n"
        "from a2sb_core.cli import main\nmain()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heavy: none\n")
    if arguments == ["plugins", "list"]:
        assert all(f"part_{k} " in done.stdout for k in range(20))
        assert "Not loaded" not in done.stdout
