"""``a2sb serve``: a service for other programs."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.limit_options import LimitOptions
from a2sb_core.cli.options import DeviceOption, HostOption, ModelOption
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.service.access import Access
    from a2sb_core.service.app import Service

TOKEN_NAME = "A2SB_SERVE_TOKEN"
GRACE_S = 2
"""Time in seconds in which answers may be completed when the service ends."""


@dataclass(frozen=True)
class AccessOptions:
    """The address of the service, and who may use it."""

    host: HostOption = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8000
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_NAME,
            show_envvar=True,
            show_default=False,
            help="Token of clients, of 16 characters or more.",
        ),
    ] = None
    tokens: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="File with a line NAME TOKEN for each client, who sees only own jobs.",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default="localhost and the address of --host",
            help="Name of this machine in the addresses of clients without tokens; repeatable.",
        ),
    ] = None

    def access(self) -> Access:
        """Return who may use the service.

        Raises:
            ConfigError: a token is malformed.
        """
        from a2sb_core.jobs.hosts import AllowedHosts
        from a2sb_core.service.access import Access, read_tokens

        tokens = read_tokens(self.tokens) if self.tokens else {}
        if self.token:
            tokens[self.token] = "client"
        return Access(tokens, AllowedHosts.listening_at(self.host, self.allow_host))


@dataclass(frozen=True)
class QueueOptions:
    """The queue of jobs."""

    folder: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Folder of uploads and jobs, which go on after a restart."
        ),
    ] = Path("a2sb_jobs")
    workers: Annotated[int, typer.Option(min=1, help="Number of jobs that run at a time.")] = 1
    max_waiting: Annotated[int, typer.Option(min=1, help="Most jobs that wait.")] = 1000
    keep: Annotated[
        float,
        typer.Option(
            min=0.01,
            metavar="HOURS",
            help="Time after which uploads, and jobs that have ended, are removed, in hours.",
        ),
    ] = 24.0


@grouped
def serve(
    access: AccessOptions,
    queue: QueueOptions,
    limits: LimitOptions,
    model: ModelOption = DEFAULT_MODEL,
    device: DeviceOption = "auto",
) -> None:
    """Serve other programs over HTTP: upload, restore, follow the progress, download."""
    _check_installed()
    from a2sb_core.devices.choice import choose_device
    from a2sb_core.service.app import Service

    choose_device(device)
    allowed = access.access()
    with listening(access.host, access.port) as bound:
        service = Service(
            queue.folder,
            limits.limits(),
            allowed,
            model,
            device,
            queue.workers,
            queue.max_waiting,
            queue.keep,
        )
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"the service is at http://{shown}:{port} (Ctrl-C ends it)")
        if not (access.token or access.tokens) and not host.startswith(("127.", "::1")):
            typer.echo(
                f"everyone who reaches this machine can use it: {TOKEN_NAME} sets a token", err=True
            )
        _run(service, bound)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        A2SBError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        reason = error.strerror or error
        raise A2SBError(
            f"{host}:{port} is not available: {reason}; choose another --port"
        ) from error


def _run(service: Service, listening: socket.socket) -> None:
    """Answer requests until the service is ended."""
    import uvicorn

    from a2sb_core.service.app import create

    config = uvicorn.Config(
        create(service), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn has ended the service, and passes the signal on
        pass
    finally:
        service.close()


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise A2SBError(
            f"the service needs the package {error.name}, which is not installed: "
            "`pip install 'a2sb[serve]'`"
        ) from error
