"""Names under which a server answers, so that a foreign site cannot use it from a browser."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d+)?", re.ASCII)


@dataclass(frozen=True)
class AllowedHosts:
    """Hosts that a server answers for.

    Attributes:
        names: names and addresses, in lower case and without port.
        trusted: those of ``names`` that the operator added; pages of these hosts may send requests
            even if a server between has replaced the ``Host``.
        is_any_address: accept every numeric address. A foreign site can point its own name, but no
            address, at this machine.
    """

    names: frozenset[str] = LOCAL_NAMES
    trusted: frozenset[str] = frozenset()
    is_any_address: bool = False

    @classmethod
    def listening_at(cls, host: str, added: list[str] | None = None) -> AllowedHosts:
        """Return the hosts of a server that listens at ``host``, and those that are added."""
        trusted = frozenset(name.lower() for name in added or ())
        names = LOCAL_NAMES | trusted | {host.lower()}
        if host not in EVERYWHERE:
            return cls(names, trusted)
        machine = socket.gethostname().lower()
        own = {machine, f"{machine}.local"}
        return cls((names | own) - EVERYWHERE, trusted, is_any_address=True)

    def accepts(self, host: str) -> bool:
        """Return whether the server answers requests with this ``Host``."""
        name = host_name(host)
        return name in self.names or (self.is_any_address and _is_address(name))

    def accepts_origin(self, origin: str, host: str) -> bool:
        """Return whether pages of this ``Origin`` may send requests to this ``Host``."""
        try:
            netloc = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(netloc) and (netloc == host.lower() or host_name(netloc) in self.trusted)


def host_name(host: str) -> str:
    """Return the name in a ``Host``, without the port; an empty text if it is malformed.

    >>> host_name("LocalHost:7860"), host_name("[::1]:7860"), host_name("me@localhost")
    ('localhost', '::1', '')
    """
    match = HOST.fullmatch(host.lower())
    return (match[1] or match[2]).rstrip(".") if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
