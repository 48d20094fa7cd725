"""The configurations that are shipped: valid, also for an editor, and the same as in Python."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.config.load import dump, json_schema, load_config, load_yaml, to_yaml
from a2sb_core.config.run import DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from a2sb_core.plugins import default_registry
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.corruptions.mixture import Mixture
from a2sb_tasks.predictions.preconditioned import Preconditioned
from a2sb_tasks.representations.factorized import Factorized
from a2sb_tasks.samplers.implicit import Implicit
from a2sb_tasks.samplers.multidiffusion import MultiDiffusion

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALL = EXAMPLES / "train_small" / "train_small.yaml"


def runs():
    """All examples that describe training; that of the plugin needs the plugin."""
    paths = sorted(EXAMPLES.rglob("*.yaml"))
    return [
        path for path in paths if path.relative_to(EXAMPLES).parts[0] != "plugin"
        and {"model", "extends"} & (yaml.safe_load(path.read_text()) or {}).keys()
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
    assert "paper" in [entry.name for entry in presets()]


@pytest.mark.parametrize("path", runs(), ids=lambda path: path.stem)
def test_examples_fit_the_schema_and_are_valid(path, schemas):
    schemas[TrainConfig].validate(yaml.safe_load(path.read_text()))
    config = load_config(TrainConfig, path)
    schemas[TrainConfig].validate(dump(config))


@pytest.mark.parametrize("entry", presets(), ids=lambda entry: entry.name)
def test_presets_fit_the_schema_and_are_valid(entry, schemas):
    text = default_registry().resolve("preset", entry.name).read_text()
    kind = TrainConfig if "model" in load_yaml(entry.name) else ModelConfig
    schemas[kind].validate(yaml.safe_load(text))
    load_config(kind, entry.name)


@pytest.mark.parametrize("change", [
    "model.bridge=i3sb", "model.representation.n_ftt=2048", "steps=many", "optimiser={}",
    "model.sampler.inner.name=implicitt", "model.corruption.parts=[{corruption: bandwith}]",
])
def test_the_schema_finds_what_is_wrong_in_an_example(change, schemas):
    from a2sb_core.config.load import apply_overrides

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
    assert multidiffusion["inner"] == {"$ref": "#/$defs/sampler"}


def small_in_python():
    """Return the configuration of ``small`` without a file."""
    return TrainConfig(
        model=ModelConfig(
            representation=Factorized.Config(phase_iterations=4),
            corruption=Mixture.Config(parts=[
                {"weight": 3, "corruption": Bandwidth.Config(low_hz=3000, high_hz=14000)},
                {"weight": 2, "corruption": Inpainting.Config(low_s=0.05, high_s=0.5)},
            ]),
            bridge=I2SB.Config(),
            prediction=Preconditioned.Config(
                residual=(0.2, 1, 1), weights=(4, 1, 1), shrink=True, huber=(1, 0, 0)
            ),
            backbone=RoPEUNet.Config(
                widths=(128, 192, 256, 256), attention_levels=(1, 2), attention_residual=True,
                heads=4, groups=4, res_blocks=1, fine_blocks=1, dropout=0, patch=(32, 1),
                zero_output=True,
            ),
            sampler=MultiDiffusion.Config(weighting="smooth", inner=Implicit.Config(steps=2)),
            loudness_dbfs=-20,
        ),
        data=DataConfig(
            source=Path("data/small/manifest.csv"), frames=64,
            group_weights={"real": 0.9, "rendered": 0.1}, gain_db=4,
        ),
        output=Path("runs/small"),
        optimizer=OptimizerConfig(
            kind="adamw", learning_rate=1e-3, weight_decay=0.01, betas=(0.9, 0.95),
            warmup_steps=60, decay=0.5, max_grad_norm=1,
        ),
        steps=4500, batch_size=12, precision="bf16", t_bias=1, statistics_segments=256,
        validate_every=250, checkpoint_every=250,
    )


def test_python_composes_what_the_file_describes(tmp_path):
    config = small_in_python()
    assert config == load_config(TrainConfig, SMALL)
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
