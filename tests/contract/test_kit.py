"""The kit itself: it catches what it is meant to catch, and nothing is left out silently."""

import builtins
from pathlib import Path

import pytest
from broken import BROKEN, SANE, Affine, MeanSquare, Octave

from a2sb_core.errors import ConfigError
from a2sb_core.plugins import KINDS
from a2sb_core.testing import BrokenLawError, Case, contract, laws

pytest_plugins = ["pytester"]

EVERY = [
    "registered_without_torch", "config_round_trips", "config_refuses_unknown_fields",
    "same_seed_same_result", "inputs_are_not_changed", "global_randomness_is_untouched",
    "float32_stays_float32", "batch_equals_singles",
]
OWN = {
    "representation": [
        "inverse", "exact_length", "silence_is_finite", "grid_fits", "projection_is_idempotent",
        "refining_keeps_the_known", "encoding_in_pieces", "decoding_in_pieces",
    ],
    "corruption": [
        "items_are_not_changed", "missing_is_boolean", "damage_is_done", "masks_know_no_rows",
        "untouched_outside_missing",
        "observe_looks_at_the_known_only", "observing_in_pieces",
        "the_truth_is_kept", "polishing_in_pieces", "parameters_lie_in_their_ranges",
        "draws_vary", "tasks_are_served", "looking_for_damage",
    ],
    "bridge": [
        "ends_are_fixed", "finite_near_the_ends", "steps_compose",
        "steps_of_no_length_and_to_the_end", "times_are_per_item", "sigma_grows",
    ],
    "prediction": [
        "errors_are_not_negative", "zero_loss_denoises", "gradients_vanish_at_the_truth",
        "finite_at_the_ends", "condition_has_its_channels", "truth_is_not_told",
    ],
    "backbone": [
        "shape_is_kept", "time_is_per_item", "time_is_heard", "items_are_independent",
        "gradients_reach_all_parameters", "weights_save_and_load",
    ],
    "sampler": [
        "perfect_denoiser_gives_x0", "observed_content_is_kept", "times_are_told",
        "steps_are_reported", "step_is_elementwise_in_frames", "stream_equals_whole",
        "stream_needs_what_it_says", "warm_up_suffices",
    ],
    "metric": [
        "answers_with_a_number", "equal_recordings_are_best", "more_noise_is_worse",
        "channels_count_alike", "known_values_are_met",
    ],
    "restorer": [
        "does_a_task", "length_and_channels_are_kept", "silence_stays_finite",
        "unknown_tasks_are_refused",
    ],
    "converter": ["licence_is_told", "foreign_files_are_refused", "sources_are_left_alone"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_the_laws(kind):
    assert [law.name for law in laws(kind)] == EVERY + OWN[kind]
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
        f"{component.__name__} ({law})" for law, component, more in BROKEN
        if not caught(law, component, more)
    ]
    with capsys.disabled():
        print(f"\nbroken components: {len(BROKEN) - len(missed)} of {len(BROKEN)} caught")
    assert missed == []


def test_each_law_has_teeth():
    # The one law left out needs an installed plugin: tests/core/plugins/test_plugin_check.py.
    broken = {(component.kind, law) for law, component, _ in BROKEN}
    own = {(kind, law) for kind in KINDS for law in OWN[kind]}
    assert own <= broken
    assert set(EVERY) - {"registered_without_torch"} <= {law for _, law in broken}


def test_one_item_for_each_case_and_law():
    cases = [Octave.Config(), Octave.Config(fill_std=1.0)]
    (mark,) = contract("corruption", cases).pytestmark
    ids = [param.id for param in mark.args[1]]
    assert len(ids) == len(set(ids)) == 2 * len(laws("corruption"))
    assert ids[0] == "octave0-registered_without_torch"
    assert ids[-1] == "octave1-looking_for_damage"


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
from broken import Case, MeanSquare, TENTH, WrongDirection
from a2sb_core.testing import contract

reason = {{"more_noise_is_worse": "counts the wrong way", "equal_recordings_are_best": "likewise",
          "known_values_are_met": "none is known"}}
test_known = contract("metric", [Case(WrongDirection.Config(), reason)])
test_mended = contract("metric", [
    Case(MeanSquare.Config(), {{"channels_count_alike": "was so"}}, known_values=((TENTH, 0.01),)),
])
"""


def test_known_failures_are_strict_and_have_a_reason(pytester):
    pytester.makepyfile(test_known=KNOWN.format(folder=str(Path(__file__).parent)))
    done = pytester.runpytest_inprocess("-rxX", "-p", "no:cacheprovider")
    count = len(laws("metric"))
    done.assert_outcomes(passed=2 * count - 4, failed=1, xfailed=3)
    done.stdout.fnmatch_lines(
        ["*XPASS(strict)*was so*", "XFAIL*more_noise_is_worse*counts the wrong way*"]
    )
