"""The configurations that are shipped: valid, also for an editor, and the same as in Python."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.config.loading import dump, load_config, load_tree, load_yaml, to_yaml, validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.schema import json_schema
from a2sb_core.config.training import (
    DataConfig,
    OptimizerConfig,
    SourceConfig,
    TrainConfig,
    ValidationConfig,
)
from a2sb_core.config.tree import merge
from a2sb_core.plugins import default_registry
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.corruptions.mixture import Mixture
from a2sb_tasks.predictions.paper import Paper
from a2sb_tasks.representations.factorized import Factorized
from a2sb_tasks.samplers.ancestral import Ancestral
from a2sb_tasks.samplers.implicit import Implicit
from a2sb_tasks.samplers.multidiffusion import MultiDiffusion

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALL = EXAMPLES / "train_small" / "train_small.yaml"


def runs():
    """All examples that describe training; those of plugins need the plugin."""
    plugins = [file.parent for file in EXAMPLES.glob("*/pyproject.toml")]
    paths = sorted(EXAMPLES.rglob("*.yaml"))
    return [
        path
        for path in paths
        if not any(plugin in path.parents for plugin in plugins)
        and path not in overlays()
        and {"model", "extends"} & (yaml.safe_load(path.read_text()) or {}).keys()
    ]


def overlays():
    """Changes for `a2sb ablate`: a folder named as the configuration that they are laid over."""
    return [
        path
        for base in sorted(EXAMPLES.rglob("*.yaml"))
        for path in sorted(base.with_suffix("").glob("*.yaml"))
    ]


def presets():
    return [entry for entry in default_registry().entries("preset") if entry.builtin]


@pytest.fixture(scope="module")
def schemas():
    made = {kind: json_schema(kind) for kind in (TrainConfig, ModelConfig)}
    for schema in made.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    return {kind: jsonschema.Draft202012Validator(schema) for kind, schema in made.items()}


def test_there_are_examples_and_presets():
    assert SMALL in runs() and len(runs()) >= 3
    assert len(overlays()) >= 10
    assert "paper" in [entry.name for entry in presets()]


@pytest.mark.parametrize("path", runs(), ids=lambda path: path.stem)
def test_examples_fit_the_schema_and_are_valid(path, schemas):
    schemas[TrainConfig].validate(yaml.safe_load(path.read_text()))
    config = load_config(TrainConfig, path)
    schemas[TrainConfig].validate(dump(config))


@pytest.mark.parametrize("path", overlays(), ids=lambda path: path.stem)
def test_overlays_fit_the_schema_and_change_their_base(path, schemas):
    base = path.parent.with_suffix(".yaml")
    tree = yaml.safe_load(path.read_text())
    schemas[TrainConfig].validate({"extends": f"../{base.name}"} | tree)
    changed = validate(TrainConfig, merge(load_tree(base), load_tree(path)), path.name)
    assert (changed == load_config(TrainConfig, base)) == (not tree)


@pytest.mark.parametrize("entry", presets(), ids=lambda entry: entry.name)
def test_presets_fit_the_schema_and_are_valid(entry, schemas):
    text = default_registry().resolve("preset", entry.name).read_text()
    kind = TrainConfig if "model" in load_yaml(entry.name) else ModelConfig
    schemas[kind].validate(yaml.safe_load(text))
    load_config(kind, entry.name)


def test_the_schema_lets_anchors_be_kept_aside_at_the_top_only(schemas):
    tree = yaml.safe_load(SMALL.read_text())
    for whole in (tree, {"extends": "paper"}):
        schemas[TrainConfig].validate({**whole, "x-fast": {"name": "ode"}})
        assert not schemas[TrainConfig].is_valid({**whole, "data": {"x-fast": 1}})


@pytest.mark.parametrize(
    "change",
    [
        "model.bridge=i3sb",
        "model.representation.n_ftt=2048",
        "steps=many",
        "optimiser={}",
        "model.sampler.inner.name=implicitt",
        "model.corruption.parts=[{corruption: bandwith}]",
    ],
)
def test_the_schema_finds_what_is_wrong_in_an_example(change, schemas):
    from a2sb_core.config.loading import apply_overrides

    tree = apply_overrides(load_yaml(SMALL), [change])
    assert not schemas[TrainConfig].is_valid(tree)


def test_the_schema_completes_names_and_fields(schemas):
    """What an editor offers is there: names of a kind, and the fields of each."""
    definitions = schemas[TrainConfig].schema["$defs"]
    assert {"implicit", "multidiffusion"} <= set(definitions["sampler"]["anyOf"][0]["enum"])
    offered = [
        definitions[choice["$ref"].rpartition("/")[2]]["else"]["properties"]
        for choice in definitions["sampler"]["anyOf"][1:]
    ]
    (multidiffusion,) = [p for p in offered if "multidiffusion" in p["name"]["enum"]]
    assert {"window", "hop", "inner"} <= multidiffusion.keys()
    assert multidiffusion["inner"]["$ref"] == "#/$defs/sampler"
    assert all(field["description"] for field in multidiffusion.values())


def paper_in_python():
    """Return the first stage of the paper's training without a file."""
    paths = {
        "fma.csv": 4,
        "mtg_jamendo.csv": 4,
        "slakh.csv": 2,
        "musicnet.csv": 1,
        "medley_solos": 1,
    }
    return TrainConfig(
        model=ModelConfig(
            representation=Factorized.Config(n_fft=2048, hop_length=512),
            corruption=Mixture.Config(
                parts=[
                    {"corruption": Bandwidth.Config(low_hz=4000, high_hz=16000)},
                    {"corruption": Inpainting.Config(low_s=0.1, high_s=1.6)},
                ]
            ),
            bridge=I2SB.Config(),
            prediction=Paper.Config(),
            backbone=RoPEUNet.Config(
                widths=(128, 256, 512, 768, 1024, 2048),
                attention_levels=(3, 4),
                heads=8,
                res_blocks=2,
            ),
            sampler=MultiDiffusion.Config(weighting="uniform", inner=Ancestral.Config(steps=100)),
            steps={"inpaint": 200},
        ),
        data=DataConfig(
            sources=[SourceConfig(path=Path("data") / p, weight=w) for p, w in paths.items()],
            frames=256,
            workers=8,
        ),
        output=Path("runs/pretrain"),
        optimizer=OptimizerConfig(kind="radam", learning_rate=8e-5, max_grad_norm=0.5),
        steps=209_000,
        batch_size=320,
        precision="bf16",
        ema_decay=0.9999,
        log_every=50,
        validate_every=5000,
        checkpoint_every=2000,
        keep_checkpoints=3,
        validation=ValidationConfig(tasks=("bandwidth-4k", "gap-300"), clips=4, steps=25),
    )


def test_python_composes_what_the_file_describes(tmp_path):
    config = paper_in_python()
    assert config == load_config(TrainConfig, EXAMPLES / "train_paper" / "pretrain.yaml")
    assert config.model == load_config(ModelConfig, "paper")
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_config(TrainConfig, tmp_path / "again.yaml") == config


def test_a_part_composed_in_python_is_built_without_files():
    sampler = MultiDiffusion.Config(inner=Implicit.Config(steps=3)).build()
    assert sampler.config.inner.steps == 3
    assert ModelConfig.model_validate(load_yaml("paper")) == load_config(ModelConfig, "paper")


def test_the_guide_says_what_works(tmp_path, capsys):
    text = (EXAMPLES.parent / "docs" / "configuration.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(block, {})
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    assert load_config(ModelConfig, tmp_path / "printed.yaml").bridge.beta_max == 2.0
    laid_over = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    (tmp_path / "train_small.yaml").write_text(SMALL.read_text())
    (tmp_path / "run.yaml").write_text(laid_over)
    model = load_config(TrainConfig, tmp_path / "run.yaml").model
    assert (model.bridge.beta_max, model.sampler.inner.steps) == (2.0, 5)
    assert model.prediction.model_dump() == {"name": "paper", "tell": "nothing"}
