"""What names stand for, and what is said when they stand for nothing."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from a2sb_core.errors import PluginError
from a2sb_core.plugins import (
    KINDS,
    RESOURCE_KINDS,
    AmbiguousNameError,
    BrokenTargetError,
    Entry,
    Failure,
    Registrar,
    Registry,
    UnknownNameError,
)
from a2sb_core.plugins.component_config import ComponentConfig, FrozenConfig


class Fine:
    kind = "bridge"

    class Config(ComponentConfig):
        name: str = "fine"


Fine.Config.component = Fine


class NoConfig:
    kind = "bridge"


class StrangeConfig:
    kind = "bridge"

    class Config(FrozenConfig):
        name: str = "strange"


class ObjectConfig:
    kind = "bridge"
    Config = Fine.Config()


class NoKind:
    class Config(ComponentConfig):
        name: str = "no_kind"


class OtherKind(Fine):
    kind = "sampler"


class Inherited(Fine):
    pass


def function():
    pass


def entry(name="x", target=f"{__name__}:Fine", kind="bridge", dist="dist", builtin=False):
    return Entry(kind, name, target, "", "plug", dist, "1.5", builtin)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("not_there_at_all:X", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        (f"{__name__}:Missing", "AttributeError"),
        (f"{__name__}:function", "it is not a class"),
        (f"{__name__}:NoConfig", "no nested `Config`"),
        (f"{__name__}:StrangeConfig", "no nested `Config` that derives from ComponentConfig"),
        (f"{__name__}:ObjectConfig", "no nested `Config`"),
        (f"{__name__}:NoKind", "its kind is `None`"),
        (f"{__name__}:OtherKind", "its kind is `sampler`"),
        (f"{__name__}:Inherited", "would build another class"),
    ],
)
def test_broken_target_names_plugin_distribution_version_and_cause(target, reason):
    with pytest.raises(BrokenTargetError) as caught:
        Registry([entry(target=target)]).resolve("bridge", "x")
    message = str(caught.value)
    assert "the bridge `x`" in message
    assert "plugin `plug` of dist 1.5" in message
    assert reason in message
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_target_that_exits_on_import_is_broken(tmp_path, monkeypatch, error):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "exits_on_import.py").write_text(f"raise {error}(1)")
    with pytest.raises(BrokenTargetError, match=error):
        Registry([entry(target="exits_on_import:X")]).resolve("bridge", "x")


def test_nested_class_resolves():
    class_ = Registry([entry(target=f"{__name__}:Fine")]).resolve("bridge", "dist:x")
    assert class_ is Fine


def test_unknown_name_tells_nearest_known_and_failed():
    entries = [entry("brownian"), entry("linear"), entry("brown", kind="sampler")]
    failure = Failure("sick", "sick-dist", "9", "no module", ImportError())
    with pytest.raises(UnknownNameError) as caught:
        Registry(entries, [failure]).resolve("bridge", "brownain")
    assert str(caught.value).splitlines() == [
        "unknown bridge `brownain`; did you mean `brownian`?",
        "known names: brownian, linear",
        "not loaded: plugin `sick` of sick-dist 9: no module",
    ]


def test_unknown_name_without_anything_near():
    with pytest.raises(UnknownNameError, match=r"^unknown bridge `zzz`\nknown names: none$"):
        Registry([]).entry("bridge", "zzz")


@pytest.mark.parametrize("call", ["entry", "resolve"])
def test_unknown_kind_lists_kinds(call):
    with pytest.raises(PluginError, match=r"unknown kind `brigde`; kinds: repr.*preset"):
        getattr(Registry([]), call)("brigde", "x")


def test_builtins_that_share_a_name_are_an_error():
    with pytest.raises(PluginError, match="taken by"):
        Registry([entry(builtin=True), entry(builtin=True)])


@pytest.mark.parametrize("order", [1, -1])
def test_builtin_wins_in_any_order(order):
    builtin, stranger = entry(dist="a2sb", builtin=True), entry()
    registry = Registry([builtin, stranger][::order])
    assert registry.entry("bridge", "x") == builtin
    assert registry.entry("bridge", "dist:x") == stranger
    assert len(registry.failures) == 1


def test_same_name_in_two_kinds_is_no_conflict():
    registry = Registry([entry(), entry(kind="sampler", dist="other")])
    assert registry.failures == ()
    assert registry.entry("sampler", "x").distribution == "other"
    assert [e.kind for e in registry.entries()] == ["bridge", "sampler"]
    assert [e.kind for e in registry.entries("sampler")] == ["sampler"]


def test_every_listed_name_resolves_to_its_own_entry():
    entries = [
        entry("a", dist="p"),
        entry("a", dist="q"),
        entry("b", dist="p"),
        entry("b", dist="a2sb", builtin=True),
        entry("c", dist="q"),
    ]
    registry = Registry(entries)
    assert {registry.entry("bridge", name) for name in registry.names("bridge")} == set(entries)
    assert [registry.entry("bridge", registry.shortest(e)) for e in entries] == entries
    with pytest.raises(AmbiguousNameError, match=r"write `p:a` or `q:a`"):
        registry.entry("bridge", "a")


def test_resources_resolve_to_paths(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "res_package"
    (package / "models" / "small").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "fast.yaml").write_text("seed: 1\n")
    registrar = Registrar("plug", "dist", "1.5")
    registrar.add("model", "small", "res_package:models/small")
    registrar.add("preset", "fast", "res_package:fast.yaml")
    registrar.add("preset", "folder", "res_package:models")
    registrar.add("model", "file", "res_package:fast.yaml")
    registry = Registry(registrar.entries)
    assert registry.resolve("model", "small") == package / "models" / "small"
    assert registry.resolve("preset", "fast").read_text() == "seed: 1\n"
    with pytest.raises(BrokenTargetError, match=r"of plugin `plug` of dist 1\.5 .*no such file"):
        registry.resolve("preset", "folder")
    with pytest.raises(BrokenTargetError, match="no such folder"):
        registry.resolve("model", "file")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "target",
    ["", "x", "a.b", "a:", ":B", "a:B:C", "a b:C", "a/b:C", "a.:B", "a..b:C", "a:B.", "a:b/c"],
)
def test_malformed_class_targets(kind, target):
    with pytest.raises(PluginError, match=r"malformed target .*package\.module:Class"):
        Registrar("p", "d", "1").add(kind, "x", target)


@pytest.mark.parametrize("kind", RESOURCE_KINDS)
@pytest.mark.parametrize(
    "target", ["x", "a:", "a:/etc/passwd", "a:../x", "a:b/../../x", "a:c:/x", "a:b\\c", ":x"]
)
def test_malformed_resource_targets(kind, target):
    with pytest.raises(PluginError, match=r"malformed target .*package:relative/path"):
        Registrar("p", "d", "1").add(kind, "x", target)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=8))
def test_malformed_names_are_refused(name):
    assume(not re.fullmatch("[a-z0-9_.-]+", name))
    with pytest.raises(PluginError, match="malformed name"):
        Registrar("p", "d", "1").add("bridge", name, "a:B")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.sets(st.from_regex("[a-z0-9_.-]{1,8}", fullmatch=True), min_size=1))
def test_well_formed_names_are_found_bare_and_qualified(names):
    registrar = Registrar("p", "some-dist", "1")
    for name in names:
        registrar.add("bridge", name, "a:B", summary=name)
    registry = Registry(registrar.entries)
    assert registry.names("bridge") == sorted(names)
    for name in names:
        assert registry.entry("bridge", name).summary == name
        assert registry.entry("bridge", f"some-dist:{name}").summary == name
