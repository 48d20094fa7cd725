"""Exit codes of the command line; 2, for wrong usage, is Typer's own."""

ERROR = 1
SOME_FAILED = 3
"""Some of several files failed; the others are done."""
INTERRUPTED = 130
