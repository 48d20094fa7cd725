"""The command line as a process of its own."""

import sys

A2SB = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from a2sb_core.cli import main; main()",
)
"""Start of a command that Ctrl-C interrupts, even where the parent process had it ignored."""
