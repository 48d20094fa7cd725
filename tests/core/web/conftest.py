import numpy as np
import pytest
import soundfile
from tiny_model import save_tiny

from a2sb_core.jobs.job_process import JobProcess
from a2sb_core.jobs.limits import Limits

RATE = 44100


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def process():
    """Return a process that inspects recordings."""
    process = JobProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def queue(tmp_path_factory):
    """Return the queue of a page whose recordings last a minute at most."""
    from a2sb_core.web.parts import Served

    served = Served(tmp_path_factory.mktemp("page"), Limits(minutes=1.0, files=4), device="cpu")
    yield served.queue
    served.close()


@pytest.fixture
def torn(tmp_path):
    """Noise with half a second of digital silence in the middle."""
    wave = 0.1 * np.random.default_rng(0).standard_normal((3 * RATE, 2))
    wave[RATE : RATE + RATE // 2] = 0
    path = tmp_path / "torn tape ☂.wav"
    soundfile.write(path, wave, RATE, subtype="PCM_24")
    return path


@pytest.fixture
def long(tmp_path):
    """Two minutes of low noise."""
    path = tmp_path / "long.flac"
    rng = np.random.default_rng(1)
    soundfile.write(path, 0.1 * rng.standard_normal(120 * 8000), 8000)
    return path
