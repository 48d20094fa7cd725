"""`a2sb plugins new`: what it writes works as written."""

import sys

import pytest
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.plugins import API_VERSION, KINDS, Registrar
from a2sb_core.testing import laws

pytest_plugins = ["pytester"]


def new(*arguments):
    result = CliRunner().invoke(app, ["plugins", "new", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_new_plugin_passes_its_own_tests(pytester, monkeypatch, kind):
    result = new(f"my_{kind}", "--kind", kind, "--into", pytester.path)
    assert result.exit_code == 0, result.output
    folder = pytester.path / f"a2sb-my-{kind}"
    monkeypatch.syspath_prepend(str(folder))
    count = len(laws(kind))  # before pytester forgets the modules that its run imports
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", folder)
    done.assert_outcomes(passed=count)


def test_new_plugin_registers_what_it_wrote(tmp_path, monkeypatch):
    new("echo", "--kind", "metric", "--into", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "a2sb-echo"))
    from a2sb_echo import plugin

    registrar = Registrar("echo", "a2sb-echo", "0.1.0")
    plugin.a2sb_register(registrar)
    (entry,) = registrar.entries
    assert (entry.kind, entry.name, entry.target) == ("metric", "echo", "a2sb_echo.echo:Echo")
    assert plugin.A2SB_API_VERSION == API_VERSION
    for name in [name for name in sys.modules if name.startswith("a2sb_echo")]:
        del sys.modules[name]


def test_hyphens_in_a_name_become_underscores(tmp_path):
    result = new("wow-flutter", "--into", tmp_path)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a2sb-wow-flutter" / "a2sb_wow_flutter" / "wow_flutter.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Echo"], "for example `echo`"),
        (["78rpm"], "for example `my_78rpm`"),
        (["..."], "for example `my_component`"),
        (["Wow Flutter"], "`wow_flutter`"),
        (["../echo"], "malformed name"),
        (["class"], "for example `my_class`"),
        (["echo", "--kind", "smapler"], "unknown kind `smapler`"),
        (["there"], "exists already"),
        (["core"], "`core` is taken"),
        (["plugin"], "`plugin` is taken"),
        (["inpainting"], "for example `my_inpainting`"),
    ],
)
def test_refusals_write_nothing(tmp_path, arguments, message):
    (tmp_path / "a2sb-there").mkdir()
    result = new(*arguments, "--into", tmp_path)
    assert result.exit_code == 1
    assert message in result.output
    assert [path.name for path in tmp_path.rglob("*")] == ["a2sb-there"]


def test_a_file_is_no_place_for_a_plugin(tmp_path):
    (tmp_path / "file").write_text("")
    result = new("echo", "--into", tmp_path / "file")
    assert result.exit_code == 1
    assert "cannot be written" in result.output and "choose another folder" in result.output
