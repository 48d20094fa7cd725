"""AudioSR (Liu et al. 2023), which extends bandwidth, in an environment of its own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from pydantic import Field

from a2sb_core.interfaces import A2SBError
from a2sb_tasks.baselines.external import External, interpreter_has

SCRIPT = Path(__file__).with_name("run_audiosr.py")


class AudioSR(External):
    """Runs AudioSR on each channel, in pieces of the length that it is designed for.

    AudioSR normalizes each piece; the fitted gain undoes this.

    Raises:
        A2SBError: no interpreter is given, its environment has no AudioSR, or AudioSR fails.
    """

    class Config(External.Config):
        """Settings of AudioSR, and the interpreter that runs it."""

        name: str = "audiosr"
        command: str = "{script} {inputs} {outputs}"
        """Script and its files; ``{script}`` is the one of this project."""
        python: str = ""
        """Python interpreter of an environment in which AudioSR is installed."""
        model: Literal["basic", "speech"] = "basic"
        """Name of the model of AudioSR."""
        steps: int = Field(50, ge=1)
        """Number of sampling steps."""
        guidance: float = 3.5
        """Guidance scale."""
        seed: int = 0
        """Random seed."""
        piece_s: float | None = Field(5.12, gt=0)
        """Length of a piece in seconds; the last piece is padded, and its result is cut."""
        device: str = "auto"
        """Device, by the name that AudioSR uses."""

    config: Config

    @property
    def words(self) -> list[str]:
        """The interpreter, the script and its arguments."""
        config = self.config
        names = ("model", "device", "steps", "guidance", "seed")
        options = [word for name in names for word in (f"--{name}", str(getattr(config, name)))]
        script = [word.replace("{script}", str(SCRIPT)) for word in shlex.split(config.command)]
        return [config.python, *script, *options]

    def check(self) -> None:
        """Check that the interpreter finds AudioSR.

        Raises:
            A2SBError: it does not, or none is given.
        """
        python = self.config.python
        if not python or not interpreter_has([python], "audiosr"):
            state = f"`{python}` has no package audiosr" if python else "no interpreter is given"
            raise A2SBError(
                f"the restorer `audiosr` cannot run: {state}. AudioSR needs an environment of its "
                "own, since it pins old versions of other packages: make one with `python3.10 -m "
                "venv FOLDER` and `FOLDER/bin/pip install audiosr`, and write "
                "`audiosr(python=FOLDER/bin/python)`"
            )
