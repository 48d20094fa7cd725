"""Settings of all tests: fixed inputs, no deadlines, one thread per process, marks by folder."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:  # before the first test module imports torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Doctests are collected from modules by their name, and several folders have a conftest.
collect_ignore_glob = ["*conftest.py"]

settings.register_profile(
    "a2sb",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("a2sb")

ROOT = Path(__file__).parent
MARKS_OF_PATHS = {
    "docs": "docs",
    "backbones/test_shipped_model.py": "integration",
    "contract": "integration",
    "core/ablation": "integration",
    "core/batch": "integration",
    "core/cli": "integration",
    "core/devices/test_devices.py": "integration",
    "core/jobs": "integration",
    "core/listening/test_listening_browser.py": "browser",
    "core/restoration": "integration",
    "core/service": "integration",
    "core/training": "integration",
    "core/web": "integration",
    "core/web/test_web_browser.py": "browser",
    "golden": "integration",
    "tasks/test_gap_stability.py": "integration",
}
MARKS_OF_FIXTURES = {"hub": "hub", "cluster": "ray"}


def pytest_collection_modifyitems(items):
    """Mark tests by the folder in which they are, and by the servers that they ask for."""
    for item in items:
        if item.path.is_relative_to(ROOT):
            place = item.path.relative_to(ROOT)
            for path, mark in MARKS_OF_PATHS.items():
                if place.is_relative_to(path):
                    item.add_marker(getattr(pytest.mark, mark))
        for fixture, mark in MARKS_OF_FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(getattr(pytest.mark, mark))


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; tests that need it are skipped where it is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        opened = playwright.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()
