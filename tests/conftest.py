"""Settings of all tests: inputs that vary are the same in every run, and no test has a deadline."""

from hypothesis import HealthCheck, settings

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
