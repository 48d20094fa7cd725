"""The kit itself: it catches what it is meant to catch, and nothing is left out silently."""

import builtins
from pathlib import Path

import pytest
from broken import BROKEN
from mutation import fail, mutant, own
from sane import SANE, Affine, MeanSquare, Octave

from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.plugins import KINDS
from a2sb_core.testing import BrokenLawError, Case, contract, laws

pytest_plugins = ["pytester"]

NAMES = {kind: {law.name for law in laws(kind)} for kind in KINDS}
EVERY = set.intersection(*NAMES.values())
"""Laws of every kind."""


@pytest.mark.parametrize("kind", KINDS)
def test_laws_are_stated_in_a_sentence(kind):
    assert all(law.statement.endswith(".") for law in laws(kind))


@pytest.mark.parametrize("case", SANE, ids=lambda case: case.label)
def test_sane_components_obey_every_law(case):
    for law in laws(case.kind):
        law.check(case)


def caught(law, component, more):
    """Whether the law meant for a broken component catches it, and says so at some length."""
    case = Case(component.Config(), **more)
    (meant,) = (one for one in laws(case.kind) if one.name == law)
    try:
        meant.check(case)
    except BrokenLawError as error:
        return len(str(error)) > 20
    return False


def test_broken_components_are_caught(capsys):
    missed = [
        f"{component.__name__} ({law})"
        for law, component, more in BROKEN
        if not caught(law, component, more)
    ]
    with capsys.disabled():
        print(f"\nbroken components: {len(BROKEN) - len(missed)} of {len(BROKEN)} caught")
    assert missed == []


def test_each_law_has_teeth():
    # The one law left out needs an installed plugin: tests/core/plugins/test_plugin_check.py.
    caught_laws = {(component.kind, law) for law, component, _ in BROKEN}
    assert {(kind, law) for kind in KINDS for law in NAMES[kind] - EVERY} <= caught_laws
    assert EVERY - {"registered_without_torch"} <= {law for _, law in caught_laws}


def test_one_item_for_each_case_and_law():
    cases = [Octave.Config(), Octave.Config(fill_std=1.0)]
    (mark,) = contract("corruption", cases).pytestmark
    ids = [param.id for param in mark.args[1]]
    assert len(ids) == len(set(ids)) == 2 * len(laws("corruption"))
    assert ids[0] == "octave0-registered_without_torch"
    assert ids[-1] == "octave1-parts_act_as_alone"


@pytest.mark.parametrize(
    ("kind", "cases", "message"),
    [
        ("bridge", [], "no case of a bridge"),
        ("bridge", [Octave.Config()], "`octave` is a corruption, not a bridge"),
        ("brigde", [], "unknown kind `brigde`"),
        ("backbone", [Case(Affine.Config(), {"shape": "x"})], "no law `shape`; laws of a backbone"),
        ("backbone", [Case(Affine.Config(), {"shape_is_kept": " "})], "say why"),
    ],
)
def test_contract_refuses_what_would_check_nothing(kind, cases, message):
    with pytest.raises(ConfigError, match=message):
        contract(kind, cases)


def test_without_pytest_the_error_says_what_to_do(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name == "pytest":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install pytest.*a2sb plugins check"):
        contract("metric", [MeanSquare.Config()])


KNOWN = """
import sys
sys.path.insert(0, {folder!r})
from broken import WRONG_DIRECTION
from mutation import mutant
from sane import TENTH, Case, MeanSquare
from a2sb_core.testing import contract

reason = {{"more_noise_is_worse": "counts the wrong way", "equal_recordings_are_best": "likewise",
          "known_values_are_met": "none is known"}}
test_known = contract("metric", [Case(mutant(MeanSquare, **WRONG_DIRECTION).Config(), reason)])
test_mended = contract("metric", [
    Case(MeanSquare.Config(), {{"channels_count_alike": "was so"}}, known_values=((TENTH, 0.01),)),
])
crash = mutant(MeanSquare, measure=lambda *_: 1 / 0)
test_crash = contract("metric", [Case(crash.Config(), {{"channels_count_alike": "they do not"}})])
"""


def test_component_that_cannot_run_is_skipped():
    needing = mutant(
        MeanSquare,
        check=lambda old: fail(A2SBError("needs a package")),
        measure=lambda old, *_: own(old).check(),
    )
    test = contract("metric", [needing.Config()])
    (law, case), *_ = [
        param.values for param in test.pytestmark[0].args[1] if "channels" in param.id
    ]
    with pytest.raises(pytest.skip.Exception, match="needs a package"):
        test(law, case)


def test_known_failures_are_strict_and_have_a_reason(pytester):
    pytester.makepyfile(test_known=KNOWN.format(folder=str(Path(__file__).parent)))
    done = pytester.runpytest_inprocess("-rxX", "-p", "no:cacheprovider", "-k", "not crash")
    count = len(laws("metric"))
    done.assert_outcomes(passed=2 * count - 4, failed=1, xfailed=3)
    done.stdout.fnmatch_lines(
        ["*XPASS(strict)*was so*", "XFAIL*more_noise_is_worse*counts the wrong way*"]
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "crash and channels")
    done.assert_outcomes(failed=1)
