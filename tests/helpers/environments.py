"""A fresh environment beside this one: its own packages first, then those installed here."""

import os
import subprocess
import sys
import venv
from pathlib import Path


class Environment:
    """A virtual environment in which the packages of this one are seen, and pip uses no network."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False)
        self.bin = folder / "bin"
        (packages,) = folder.glob("lib/python*/site-packages")
        here = [path for path in sys.path if Path(path).name == "site-packages"]
        lines = [f"import site; site.addsitedir({path!r})\n" for path in here]
        (packages / "beside.pth").write_text("".join(lines))
        for name in ("a2sb", "pip", "pytest"):
            module = "a2sb_core.cli" if name == "a2sb" else name
            call = "import sys; from a2sb_core.cli import main; sys.exit(main())"
            how = f'-c "{call}"' if name == "a2sb" else f"-m {module}"
            script = self.bin / name
            script.write_text(f'#!/bin/sh\nexec "{self.bin}/python" {how} "$@"\n')
            script.chmod(0o755)

    def run(self, *command, cwd=None):
        """Run a command; returns what it printed. Fails the test if the command fails."""
        outside = {"A2SB_PLUGINS", "A2SB_STRICT_PLUGINS", "PYTHONPATH", "PYTHONHOME"}
        environment = {key: value for key, value in os.environ.items() if key not in outside}
        environment |= {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}"
        return done.stdout
