"""The page of a2sb as a Hugging Face Space; `python app.py` shows it on this machine."""

from __future__ import annotations

import os
import sys

from a2sb_core.cli import main

LIMITS = ["--max-minutes", "5", "--max-size", "100", "--max-files", "20", "--max-work", "30"]


def words(environment: dict[str, str]) -> list[str]:
    """Return the words of the command; a Space sets its address in the environment."""
    host = environment.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = environment.get("GRADIO_SERVER_PORT", "7860")
    found = ["web", "--no-open", "--host", host, "--port", port, *LIMITS]
    if name := environment.get("SPACE_HOST"):
        found += ["--allow-host", name]
    return found


if __name__ == "__main__":  # processes of the page import this file again
    sys.argv[1:] = words(dict(os.environ))
    main()
