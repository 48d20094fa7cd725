"""``a2sb web``: a page in the browser."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.options import DeviceOption, ModelOption
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.web.parts import Served

USER = "a2sb"
PASSWORD_NAME = "A2SB_WEB_PASSWORD"
WAITING = 20
"""So many visitors may wait for their turn."""
LOCAL = ("127.0.0.1", "localhost", "::1")


def web(
    host: Annotated[
        str, typer.Option(help="Who may see it: 127.0.0.1 this machine only, 0.0.0.0 all.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, show_default="7860, or the next that is free",
                                help="Where it listens.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar=PASSWORD_NAME, show_envvar=True, show_default=False,
                     help=f"Asked of visitors, with the user name {USER}.")
    ] = None,
    model: ModelOption = "small",
    device: DeviceOption = "auto",
    max_minutes: Annotated[
        float, typer.Option(min=0.1, help="Of a recording: longer ones are refused.")
    ] = 30.0,
    max_size: Annotated[int, typer.Option(min=1, metavar="MB", help="Of an upload.")] = 500,
    max_files: Annotated[int, typer.Option(min=1, help="Of a batch.")] = 100,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = True,
) -> None:
    """Restore in the browser: see the damage, listen to before and after."""
    from a2sb_core.engine.devices import choose_device

    choose_device(device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that files are removed
    with tempfile.TemporaryDirectory(prefix="a2sb-web-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        os.environ |= {"GRADIO_TEMP_DIR": str(root / "uploads"),
                       "GRADIO_ANALYTICS_ENABLED": "False"}
        _check_installed()
        from a2sb_core.web.parts import Served
        from a2sb_core.web.session import Limits

        limits = Limits(max_minutes, max_size, max_files)
        page, options = make(Served(root, limits, model, device))
        _, url, _ = page.launch(
            server_name=host, server_port=port, inbrowser=show, prevent_thread_lock=True,
            auth=(USER, password) if password else None, **options,
        )
        typer.echo(f"the page is at {url} (Ctrl-C ends it)")
        if not password and host not in LOCAL:
            typer.echo(f"whoever reaches this machine can use it: {PASSWORD_NAME} sets a password",
                       err=True)
        page.block_thread()


def make(served: Served) -> tuple[Any, dict[str, Any]]:
    """Return the page, and the options that it is launched with."""
    from a2sb_core.web import page

    made = page.build(served)
    made.queue(max_size=WAITING, default_concurrency_limit=4)
    return made, {
        "theme": page.theme(), "css": page.style(), "allowed_paths": [str(served.root)],
        "max_file_size": f"{served.limits.megabytes}mb", "show_error": True, "share": False,
        "ssr_mode": False, "quiet": True, "enable_monitoring": False,
    }


def _check_installed() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise A2SBError(
            "the page needs the package gradio, which is not installed: "
            "`pip install 'a2sb[web]'`"
        ) from error
