"""``a2sb web``: a page in the browser."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.limit_options import LimitOptions
from a2sb_core.cli.options import DeviceOption, HostOption, ModelOption
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.jobs.hosts import AllowedHosts
    from a2sb_core.web.parts import Served

USER = "a2sb"
PASSWORD_NAME = "A2SB_WEB_PASSWORD"


@dataclass(frozen=True)
class ServerOptions:
    """The address of the page, and who may use it."""

    host: HostOption = "127.0.0.1"
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, show_default="7860, or the next free one", help="Port to listen at."
        ),
    ] = None
    password: Annotated[
        str | None,
        typer.Option(
            envvar=PASSWORD_NAME,
            show_envvar=True,
            show_default=False,
            help=f"Password of visitors, beside the user name {USER}.",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default="localhost and the address of --host",
            help="Name of this machine in the browser's address bar; repeat it for more names.",
        ),
    ] = None
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True


@grouped
def web(
    server: ServerOptions,
    limits: LimitOptions,
    model: ModelOption = DEFAULT_MODEL,
    device: DeviceOption = "auto",
) -> None:
    """Serve a page in the browser: see the damage, restore, listen to before and after."""
    from a2sb_core.devices.choice import choose_device
    from a2sb_core.web.folder import page_folder

    choose_device(device)
    with page_folder() as root:
        os.environ |= {
            "GRADIO_TEMP_DIR": str(root / "uploads"),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_RUN_HISTORY": "False",
            "GRADIO_NUM_WORKERS": "0",  # its processes would serve files past the guard
        }
        _check_installed()
        from a2sb_core.web.parts import Served

        served = Served(root, limits.limits(), model, device)
        try:
            _serve(served, server)
        finally:
            served.close()


def _serve(served: Served, server: ServerOptions) -> None:
    """Launch the page, and wait until it is ended."""
    from a2sb_core.jobs.hosts import LOCAL_NAMES, AllowedHosts

    page, options = make(served, AllowedHosts.listening_at(server.host, server.allow_host))
    _, url, _ = page.launch(
        server_name=server.host,
        server_port=server.port,
        inbrowser=server.show,
        prevent_thread_lock=True,
        auth=(USER, server.password) if server.password else None,
        **options,
    )
    typer.echo(f"the page is at {url} (Ctrl-C ends it)")
    if not server.password and server.host not in LOCAL_NAMES:
        typer.echo(
            f"everyone who reaches this machine can use it: {PASSWORD_NAME} sets a password",
            err=True,
        )
    page.block_thread()


def make(served: Served, hosts: AllowedHosts | None = None) -> tuple[Any, dict[str, Any]]:
    """Return the page, and the options that it is launched with.

    Args:
        served: settings of the page.
        hosts: hosts that the page answers for; by default only this machine.
    """
    from a2sb_core.jobs.hosts import AllowedHosts
    from a2sb_core.web import page
    from a2sb_core.web.guard import guarded
    from a2sb_core.web.parts import WAITING

    made = page.build(served)
    made.queue(max_size=WAITING, default_concurrency_limit=4)
    return made, {
        "app_kwargs": {"lifespan": guarded(served.limits, hosts or AllowedHosts())},
        "theme": page.theme(),
        "css": page.style(),
        "allowed_paths": [str(served.root)],
        "max_file_size": f"{served.limits.megabytes}mb",
        "show_error": True,
        "share": False,
        "ssr_mode": False,
        "quiet": True,
        "enable_monitoring": False,
    }


def _check_installed() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise A2SBError(
            "the page needs the package gradio, which is not installed: `pip install 'a2sb[web]'`"
        ) from error
