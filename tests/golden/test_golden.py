"""All cases give the golden results, but for the last bits, in which processors differ."""

from pathlib import Path

import pytest

from .cases import CASES
from .results import differences, read_golden

GOLDEN = read_golden()


def test_every_case_has_golden_results() -> None:
    assert CASES.keys() == GOLDEN.keys()


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, tmp_path: Path) -> None:
    results = CASES[name](tmp_path)
    assert results.keys() == GOLDEN[name].keys()
    told = [
        f"{key}: {line}"
        for key, result in results.items()
        for line in differences(result, GOLDEN[name][key])
    ]
    assert not told, "\n".join(told)
