"""Options that limit what visitors of a server may ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from a2sb_core.cli.options import read_size
from a2sb_core.jobs.limits import Limits


@dataclass(frozen=True)
class LimitOptions:
    """Limits of a visitor."""

    max_minutes: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Longest recording, in minutes of stereo at 48 kHz; more channels or a higher "
            "rate count as more.",
        ),
    ] = Limits.minutes
    max_size: Annotated[
        int, typer.Option(min=1, metavar="MB", help="Largest file, in megabytes.")
    ] = Limits.megabytes
    max_files: Annotated[
        int,
        typer.Option(
            min=1, help="Most files of a batch, and most jobs of a client that have not ended."
        ),
    ] = Limits.files
    max_steps: Annotated[int, typer.Option(min=1, help="Largest number of steps.")] = Limits.steps
    max_work: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="MINUTES", help="Longest restoration of a recording, in minutes."
        ),
    ] = Limits.work_minutes
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            show_default="half of the memory of the machine",
            help="Main memory that the inspection or restoration of a recording may take, such as "
            "4GB.",
        ),
    ] = None
    max_daily_size: Annotated[
        int,
        typer.Option(
            min=1, metavar="MB", help="Size of all uploads of a visitor in a day, in megabytes."
        ),
    ] = Limits.daily_megabytes
    max_daily_files: Annotated[
        int, typer.Option(min=1, help="Most files that a visitor uploads in a day.")
    ] = Limits.daily_files

    def limits(self) -> Limits:
        """Return the limits."""
        memory = read_size(self.max_memory)
        limits = Limits(
            self.max_minutes,
            self.max_size,
            self.max_files,
            self.max_steps,
            self.max_work,
            self.max_daily_size,
            self.max_daily_files,
        )
        return replace(limits, memory_bytes=memory) if memory else limits
