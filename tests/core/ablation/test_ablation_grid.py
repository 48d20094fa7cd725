"""Grid of an ablation: the fields that paths denote, the cells, and what needs a new training."""

import pytest

from a2sb_core.ablation.grid import find_field, make_cells, parse_axes, replicate, trained_fields
from a2sb_core.config.loading import load_tree, validate
from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import ConfigError

BASE = """
model:
  representation: {name: factorized, n_fft: 512, hop_length: 128}
  corruption: bandwidth
  bridge: i2sb
  prediction: paper
  backbone: {name: rope_unet, widths: [32, 32], attention_levels: [], groups: 8}
  sampler: {name: multidiffusion, inner: {name: implicit, steps: 2}}
data: {source: music}
output: runs/base
steps: 100
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    return load_tree(tmp_path / "base.yaml")


@pytest.fixture
def base(tree):
    return validate(TrainConfig, tree, "base.yaml")


@pytest.fixture
def cells(tree, base):
    return lambda *vary: make_cells(tree, parse_axes(vary, base))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("steps", "steps"),
        ("model.steps", "model.steps"),
        ("sampler.steps", "model.sampler.inner.steps"),
        ("model.sampler.inner.steps", "model.sampler.inner.steps"),
        ("data.gain_db", "data.gain_db"),
        ("representation", "model.representation"),
        ("n_fft", "model.representation.n_fft"),
        ("learning_rate", "optimizer.learning_rate"),
        ("inner", "model.sampler.inner"),
        ("bridge.own_field", "model.bridge.own_field"),
    ],
)
def test_a_path_may_leave_out_links(base, name, path):
    assert ".".join(find_field(name, base)) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("representaton", "did you mean `representation`?"),
        ("model.name", r"model\.representation\.name, "),
        ("nothing", "no such field"),
    ],
)
def test_paths_that_mean_no_field_or_several(base, name, message):
    with pytest.raises(ConfigError, match=message):
        find_field(name, base)


def test_cells_are_all_combinations(cells):
    found = cells("representation=factorized,complex_stft", "sampler.steps=10,25,50")
    assert [cell.label for cell in found] == [
        f"representation={name}, sampler.steps={steps}"
        for name in ("factorized", "complex_stft")
        for steps in (10, 25, 50)
    ]
    models = [cell.config.model for cell in found]
    assert [model.sampler.inner.steps for model in models] == [10, 25, 50] * 2
    assert [model.representation.name for model in models[2:4]] == ["factorized", "complex_stft"]
    # The component that stays keeps its fields; those of the other are not the new one's.
    assert (models[0].representation.n_fft, models[3].representation.n_fft) == (512, 2048)


def test_values_are_yaml_and_commas_in_brackets_do_not_divide(cells):
    found = cells("betas=[0.9, 0.99],[0.8, 0.9]", "bridge={beta_max: 2},i2sb")
    assert [cell.config.optimizer.betas for cell in found[::2]] == [(0.9, 0.99), (0.8, 0.9)]
    assert [cell.config.model.bridge.beta_max for cell in found[:2]] == [2.0, 1.0]


def test_cells_know_every_field_in_which_they_differ(cells):
    first, second = cells("sampler.inner=implicit,ode")
    steps = "model.sampler.inner.steps"
    assert (first.differing[steps], second.differing[steps]) == (
        "2",
        "50 (default; the base has 2)",
    )
    assert second.differing["model.sampler.inner.name"] == "ode"
    order = "model.sampler.inner.order"
    assert first.differing[order] != second.differing[order] == "-"
    assert all(path.startswith("model.sampler.inner.") for path in first.differing)
    # A field that is an axis is not repeated.
    assert [cell.differing for cell in cells("sampler.steps=1,2")] == [{}, {}]


def test_each_seed_is_a_replicate_of_the_same_configuration(cells):
    found = replicate(cells("sampler.steps=1,2"), [0, 5])
    assert [cell.label for cell in found] == [
        f"sampler.steps={steps}, seed {seed}" for steps in (1, 2) for seed in (0, 5)
    ]
    assert [cell.name for cell in found[1:3]] == ["sampler.steps=1", "sampler.steps=2"]
    assert [cell.config.seed for cell in found] == [0, 5, 0, 5]
    with pytest.raises(ConfigError, match="twice"):
        replicate(found, [1, 0, 1])
    with pytest.raises(ConfigError, match=r"remove it from --vary"):
        replicate(cells("seed=1,2"), [0, 1])


def test_files_change_the_whole_configuration(cells, tmp_path):
    (tmp_path / "a.yaml").write_text("model: {prediction: preconditioned, loudness_dbfs: -20}")
    (tmp_path / "b.yaml").write_text("extends: base.yaml\nmodel: {loudness_dbfs: -25}")
    found = cells(f"variant={tmp_path / 'a.yaml'},{tmp_path / 'b.yaml'}")
    assert [cell.label for cell in found] == ["variant=a", "variant=b"]
    models = [cell.config.model for cell in found]
    assert [model.loudness_dbfs for model in models] == [-20, -25]
    assert [model.prediction.name for model in models] == ["preconditioned", "paper"]


def test_a_folder_stands_for_the_files_in_it(cells, tmp_path):
    folder = tmp_path / "changes"
    folder.mkdir()
    for name in "ba":
        (folder / f"{name}.yaml").write_text("{}")
    assert [cell.label for cell in cells(f"change={folder}")] == ["change=a", "change=b"]


def test_many_files_may_be_named(cells, tmp_path):
    files = [tmp_path / f"{'long' * 10}{k}.yaml" for k in range(9)]
    for file in files:
        file.write_text("{}")
    assert len(cells("variant=" + ",".join(map(str, files)))) == 9


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (("representation",), "expected PATH=VALUE"),
        (("representation=",), "expected PATH=VALUE"),
        (("seed=1,1",), "twice"),
        (("seed=1", "seed=2"), "twice"),
        (("output=a,b",), "own folder"),
        (("variant=none.yaml",), "none.yaml"),
        (("sampler.steps=2,x",), r"sampler\.steps=x.*\n.*integer"),
        (("representation=factorised,complex_stft",), "did you mean `factorized`"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(cells, vary, message):
    with pytest.raises(ConfigError, match=message):
        cells(*vary)


@pytest.mark.parametrize(
    ("vary", "same"),
    [
        ("sampler.steps=2,5", True),
        ("model.steps={},{inpaint: 9}", True),
        ("window=256,128", True),
        ("workers=0,1", True),
        ("device=cpu,auto", True),
        ("log_every=1,2", True),
        ("validation.clips=1,2", True),
        ("steps=1,2", False),
        ("seed=0,1", False),
        ("n_fft=512,1024", False),
        ("gain_db=0,1", False),
        ("learning_rate=1e-3,1e-4", False),
        ("precision=fp32,bf16", False),
        ("times.bias=0,1", False),
    ],
)
def test_only_what_changes_weights_is_trained_again(cells, vary, same):
    one, other = (trained_fields(cell.config) for cell in cells(vary))
    assert (one == other) == same
