"""One plugin's failure is that plugin's failure."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from a2sb_core.errors import PluginError
from a2sb_core.plugins import default_registry, discover, discovery, reset

ROOT = Path(__file__).parents[3]
BUILTIN = """
from a2sb_core.plugins.component_config import ComponentConfig
from a2sb_core.plugins import hookimpl

class Known:
    kind = "bridge"
    class Config(ComponentConfig):
        name: str = "known"

Known.Config.component = Known

@hookimpl
def a2sb_register(registrar):
    registrar.add("bridge", "known", "fake_builtin:Known", summary="Built in.")
"""

PLUGIN = """
from a2sb_core.plugins.component_config import ComponentConfig
from a2sb_core.plugins import hookimpl

class Part:
    kind = "bridge"
    class Config(ComponentConfig):
        name: str = "part"

Part.Config.component = Part

@hookimpl
def a2sb_register(registrar):
    registrar.add("bridge", "{name}", __name__ + ":Part", summary="One more.")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a distribution of one module as pip would."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(discovery, "BUILTIN_PLUGINS", ("fake_builtin",))
    monkeypatch.delenv("A2SB_PLUGINS", raising=False)
    monkeypatch.delenv("A2SB_STRICT_PLUGINS", raising=False)
    (tmp_path / "fake_builtin.py").write_text(BUILTIN)

    def install(distribution, module, source, entry_point="main", version="1.2", points=None):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)
        points = points or f"{entry_point} = {module}"
        (info / "entry_points.txt").write_text(f"[a2sb]\n{points}\n")

    yield install
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def plugin():
    """Source of a plugin that works and adds a bridge of the given name."""
    return lambda name: PLUGIN.replace("{name}", name)


HOOK = "from a2sb_core.plugins import hookimpl\n@hookimpl\n"
ADD = 'registrar.add("metric", "half", "nowhere:Half")'

BROKEN = {
    "exits on import": ("raise SystemExit(3)", "SystemExit: 3"),
    "is interrupted on import": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "ends the process on import": ("import os\nos._exit(3)", "os._exit(3)"),
    "closes on import": ("raise GeneratorExit('x')", "GeneratorExit: x"),
    "raises no exception": ("class B(BaseException): pass\nraise B('gone')", "B: gone"),
    "is interrupted in its hook": (
        f"{HOOK}def a2sb_register(registrar): raise KeyboardInterrupt",
        "KeyboardInterrupt",
    ),
    "syntax error": ("def", "SyntaxError"),
    "asks for nothing": (f"{HOOK}def a2sb_register(): pass", "no `@hookimpl def a2sb_register"),
    "forgets the marker": (f"def a2sb_register(registrar): {ADD}", "no `@hookimpl"),
    "misspells the hook": (f"{HOOK}def a2sb_registers(registrar): {ADD}", "a2sb_registers"),
    "adds a wrong kind": (
        f"{HOOK}def a2sb_register(registrar):\n    {ADD}\n    registrar.add('brigde', 'x', 'a:B')",
        "unknown kind `brigde`; kinds: representation, corruption, guess, bridge",
    ),
    "adds a name twice": (
        f"{HOOK}def a2sb_register(registrar):\n    {ADD}\n    {ADD}",
        "the metric `half` is added twice",
    ),
    "adds a name that is no text": (
        f"{HOOK}def a2sb_register(registrar): registrar.add('metric', 5, 'a:B')",
        "TypeError",
    ),
}


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, even where the parent process had it ignored."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_during_the_import_of_a_plugin_ends_the_program(install):
    install("slow-dist", "slow_mod", "import signal\nsignal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt) as caught:
        discover()
    assert caught.value.__notes__ == ["plugin `main` of slow-dist 1.2 was being loaded"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plugin_is_reported_and_others_work(install, plugin, case):
    source, reason = BROKEN[case]
    install("aa-fine", "aa_fine", plugin("first"))
    install("bb-broken", "bb_broken", source, entry_point="bad", version="0.7")
    install("cc-fine", "cc_fine", plugin("last"))
    registry = discover()
    (failure,) = registry.failures
    assert (failure.plugin, failure.distribution, failure.version) == ("bad", "bb-broken", "0.7")
    assert reason in failure.reason
    assert failure.exception is not None
    assert registry.names("bridge") == ["first", "known", "last"]
    assert registry.entries("metric") == []
    assert registry.resolve("bridge", "last").__module__ == "cc_fine"


def test_api_of_same_major_version_runs(install, plugin):
    install("a-dist", "a_mod", "A2SB_API_VERSION = '2.99'\n" + plugin("new"))
    assert discover().names("bridge") == ["known", "new"]


@pytest.mark.parametrize("version", ["1.0", "0.9", "10.0", 3])
def test_api_of_other_major_version_is_not_run(install, plugin, version):
    install("a-dist", "a_mod", f"A2SB_API_VERSION = {version!r}\n" + plugin("new"))
    registry = discover()
    assert registry.names("bridge") == ["known"]
    assert str(version) in registry.failures[0].reason


def test_plugin_object_takes_the_version_of_its_module(install):
    source = (
        "from a2sb_core.plugins import hookimpl\nA2SB_API_VERSION = '3.0'\n"
        "class Plugin:\n    @hookimpl\n    def a2sb_register(self, registrar):\n"
        "        registrar.add('metric', 'm', 'a:B')\nplugin = Plugin()\n"
    )
    install("a-dist", "a_mod", source, points="main = a_mod:plugin")
    assert "version 3.0" in discover().failures[0].reason
    install("b-dist", "b_mod", source.replace("3.0", "2.0"), points="main = b_mod:plugin")
    assert discover().names("metric") == ["m"]


def test_name_of_a_builtin_is_reserved(install, plugin):
    source = plugin("known") + '    registrar.add("bridge", "mine", __name__ + ":Part")\n'
    install("my-dist", "my_mod", source, entry_point="mine")
    registry = discover()
    (failure,) = registry.failures
    assert failure.distribution == "my-dist"
    assert "the bridge `known` is taken by plugin `fake_builtin` of a2sb" in failure.reason
    assert registry.resolve("bridge", "known").__module__ == "fake_builtin"
    assert registry.resolve("bridge", "my-dist:known").__module__ == "my_mod"
    assert registry.resolve("bridge", "mine").__module__ == "my_mod"
    assert registry.names("bridge") == ["known", "mine", "my-dist:known"]


def test_shared_name_is_ambiguous_where_it_is_used(install, plugin):
    install("one-dist", "one_mod", plugin("shared"))
    install("two-dist", "two_mod", plugin("shared"))
    registry = discover()
    assert registry.failures == ()
    with pytest.raises(PluginError, match=r"`(one|two)-dist:shared` or `(one|two)-dist:shared`"):
        registry.resolve("bridge", "shared")
    assert registry.resolve("bridge", "one-dist:shared").__module__ == "one_mod"
    assert registry.resolve("bridge", "two-dist:shared").__module__ == "two_mod"
    assert registry.names("bridge") == ["known", "one-dist:shared", "two-dist:shared"]


def test_same_entry_point_name_in_two_distributions(install, plugin):
    install("one-dist", "one_mod", plugin("one"), entry_point="same")
    install("two-dist", "two_mod", plugin("two"), entry_point="same")
    assert discover().names("bridge") == ["known", "one", "two"]


def test_same_name_twice_in_one_distribution(install, plugin):
    install("one-dist", "one_mod", plugin("x"), points="a = one_mod\nb = two_mod")
    install("two-dist", "two_mod", plugin("x"), points="c = two_mod")
    registry = discover()
    (failure,) = registry.failures
    assert failure.distribution == "one-dist"
    assert "the bridge `x` is taken" in failure.reason


def test_entry_says_where_it_comes_from(install, plugin):
    install("My_Dist", "my_mod", plugin("mine"), entry_point="p", version="3.1")
    entry = discover().entry("bridge", "mine")
    assert (entry.plugin, entry.distribution, entry.version) == ("p", "my-dist", "3.1")
    assert (entry.qualified, entry.builtin, entry.summary) == ("my-dist:mine", False, "One more.")
    assert discover().entry("bridge", "known").builtin


def test_malformed_entry_points_are_reported(install, plugin):
    install("bad-dist", "bad_mod", "", points="no equals sign here")
    install("good-dist", "good_mod", plugin("good"))
    registry = discover()
    assert registry.names("bridge") == ["good", "known"]
    assert [failure.distribution for failure in registry.failures] == ["bad-dist"]


def test_shadowed_copy_of_a_distribution_is_not_loaded_twice(install, plugin):
    install("my-dist", "my_mod", plugin("mine"), version="1.0")
    install("my-dist", "my_mod", plugin("mine"), version="2.0")
    registry = discover()
    assert registry.failures == ()
    assert registry.names("bridge") == ["known", "mine"]


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        ("", []),
        (" , ", []),
        ("one-dist:ep_one", ["one"]),
        ("one-dist:ep_two", []),
        ("two-dist", ["two"]),
        ("TWO_dist", ["two"]),
        ("one-dist:EP.one, two-dist", ["one", "two"]),
        (None, ["one", "two"]),
    ],
)
def test_allow_list(install, plugin, monkeypatch, allowed, names):
    install("one-dist", "one_mod", plugin("one"), entry_point="ep_one")
    install("two-dist", "two_mod", plugin("two"), entry_point="ep_two")
    if allowed is not None:
        monkeypatch.setenv("A2SB_PLUGINS", allowed)
    registry = discover()
    assert registry.names("bridge") == ["known", *names]
    assert [failure.plugin for failure in registry.failures] == (
        ["one-dist:ep-two"] if allowed == "one-dist:ep_two" else []
    )
    assert ("one_mod" in sys.modules) == ("one" in names)


def test_an_entry_point_cannot_take_an_allowed_name(install, plugin, monkeypatch):
    install("good-dist", "good_mod", plugin("good"), entry_point="main")
    install("evil-dist", "evil_mod", plugin("evil"), entry_point="good-dist")
    monkeypatch.setenv("A2SB_PLUGINS", "good-dist")
    registry = discover()
    assert registry.names("bridge") == ["good", "known"] and registry.failures == ()
    assert "evil_mod" not in sys.modules


def test_the_bare_name_of_an_entry_point_is_explained(install, plugin, monkeypatch):
    install("one-dist", "one_mod", plugin("one"), entry_point="ep_one")
    monkeypatch.setenv("A2SB_PLUGINS", "ep_one")
    (failure,) = discover().failures
    assert "`one-dist:ep-one`" in failure.reason and "one_mod" not in sys.modules


def test_allow_list_names_what_is_not_installed(install, plugin, monkeypatch):
    install("one-dist", "one_mod", plugin("one"))
    monkeypatch.setenv("A2SB_PLUGINS", "one-dist,tow")
    (failure,) = discover().failures
    assert failure.plugin == "tow"
    assert "not installed" in failure.reason


def test_strict_raises_the_first_failure(install, plugin, monkeypatch):
    install("bad-dist", "bad_mod", "import not_there_at_all", entry_point="bad")
    monkeypatch.setenv("A2SB_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"plugin `bad` of bad-dist 1\.2: .*not_there") as caught:
        discover()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_strict_is_silent_when_all_is_well(install, plugin, monkeypatch):
    install("one-dist", "one_mod", plugin("one"))
    monkeypatch.setenv("A2SB_STRICT_PLUGINS", "1")
    assert discover().names("bridge") == ["known", "one"]


def test_broken_builtin_is_raised(install, tmp_path):
    (tmp_path / "fake_builtin.py").write_text("import not_there_at_all")
    with pytest.raises(PluginError, match=r"plugin `fake_builtin` of a2sb .*not_there_at_all"):
        discover()


def test_default_registry_is_kept_until_reset(install, plugin):
    reset()
    first = default_registry()
    install("one-dist", "one_mod", plugin("one"))
    assert default_registry() is first
    reset()
    assert default_registry().names("bridge") == ["known", "one"]
    reset()


def test_finding_and_listing_plugins_imports_no_torch():
    code = (
        "import sys; from a2sb_core.plugins import default_registry as r\n"
        "import a2sb_core.config.loading, a2sb_core.config.training\n"
        "assert len(r().entries()) > 5; r().entry('bridge', 'i2sb')\n"
        "sys.exit('torch' in sys.modules)"
    )
    env = {**os.environ, "A2SB_PLUGINS": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)
