"""Names in configurations are a promise: who changes one sees it here."""

from public_names import SNAPSHOT, public_names


def test_public_names_are_those_of_the_snapshot():
    known, found = set(SNAPSHOT.read_text().splitlines()), set(public_names())
    assert found == known, (
        f"gone: {sorted(known - found)}; new: {sorted(found - known)}. Configurations that people "
        "have written use what is gone. If the change is meant, add it to CHANGELOG.md and run "
        "python tests/core/config/public_names.py"
    )


def test_the_snapshot_holds_what_configurations_are_made_of():
    names = public_names()
    assert "sampler implicit" in names
    assert "model.representation (required)" in names
    assert "train.optimizer.betas = [0.9, 0.999]" in names
    assert "bridge i2sb.beta_max = 1.0" in names
    assert "preset paper" in names
