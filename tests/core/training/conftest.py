import pytest
from engine_helpers import write_audio


@pytest.fixture
def folder(tmp_path):
    """A folder with three files of noise in its folder ``audio``."""
    write_audio(tmp_path / "audio")
    return tmp_path
