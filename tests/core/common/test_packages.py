import importlib.metadata

import a2sb_core
from a2sb_core.common.packages import installed_version, version_or_unknown


def test_versions_are_those_of_the_installed_distributions():
    assert installed_version("numpy") == importlib.metadata.version("numpy")
    assert installed_version("no-such-package") is None
    assert version_or_unknown("no-such-package") == "unknown"
    assert a2sb_core.__version__ == version_or_unknown()
