import pytest
from service_parts import recording, served
from tiny_model import save_tiny

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from a2sb_core.service.client import Client


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def running(tiny, tmp_path_factory):
    """Return the address of a service, and the service."""
    with served(tmp_path_factory.mktemp("service") / "jobs", tiny) as found:
        yield found


@pytest.fixture
def url(running):
    """Return the address of a service."""
    return running[0]


@pytest.fixture
def client(url):
    """Return a client of the service."""
    return Client(url)


@pytest.fixture
def song(tmp_path):
    """Return half a second of noise."""
    return recording(tmp_path / "old song ☂.wav")
