"""Access to the service: tokens of clients, and hosts that it answers for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from a2sb_core.common.files import read_limited
from a2sb_core.errors import ConfigError
from a2sb_core.jobs.hosts import AllowedHosts

SHORTEST_TOKEN = 16
"""Smallest number of characters of a token, so that it cannot be guessed."""
LARGEST_FILE = 1_000_000

bearer = HTTPBearer(auto_error=False, description="A token of the server, if it has any.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Access:
    """Decides who may use the service.

    Args:
        tokens: name of the client for each token; without tokens, every client of an allowed host
            may use the service.
        hosts: hosts that the service answers for; not checked if there are tokens, which no foreign
            site knows.

    Raises:
        ConfigError: a token is too short.
    """

    def __init__(self, tokens: Mapping[str, str], hosts: AllowedHosts) -> None:
        for token, name in tokens.items():
            if len(token) < SHORTEST_TOKEN:
                raise ConfigError(
                    f"the token of {name} has {len(token)} characters: use at least "
                    f"{SHORTEST_TOKEN}, such as those of `openssl rand -hex 24`"
                )
        self._names = {_digest(token): name for token, name in tokens.items()}
        self.hosts = hosts

    def check_host(self, request: Request) -> None:
        """Refuse a request that a page of another site may have sent.

        Raises:
            HTTPException: the host or the origin is not allowed.
        """
        if self._names:
            return
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self.hosts.accepts(host):
            raise HTTPException(403, "this host is not served: `--allow-host NAME` allows a name")
        if origin is not None and not self.hosts.accepts_origin(origin, host):
            raise HTTPException(
                403, "requests of other sites are refused: `--allow-host NAME` allows one"
            )

    def client(self, request: Request, credentials: Credentials) -> str:
        """Return the name of the client: that of the token, or the address without tokens.

        Raises:
            HTTPException: the token is missing or unknown.
        """
        self.check_host(request)
        if not self._names:
            return request.client.host if request.client else ""
        challenge = {"WWW-Authenticate": "Bearer"}
        if credentials is None:
            raise HTTPException(
                401, "a token is needed: send the header `Authorization: Bearer TOKEN`", challenge
            )
        name = self._names.get(_digest(credentials.credentials))
        if name is None:
            raise HTTPException(401, "this token is not known to the server", challenge)
        return name

    def may_see(self, client: str, owner: str) -> bool:
        """Return whether a client may use a job; without tokens, its name alone gives access."""
        return not self._names or client == owner


def read_tokens(path: Path) -> dict[str, str]:
    """Read a file with a line ``NAME TOKEN`` for each client; return the names by token.

    Empty lines and lines that begin with ``#`` are left out.

    Raises:
        ConfigError: the file cannot be read, or a line is malformed.
    """
    try:
        lines = read_limited(path, LARGEST_FILE).splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ConfigError(f"{path}, line {number}: write the name and the token of a client")
        name, token = words
        if token in tokens:
            raise ConfigError(f"{path}, line {number}: {name} has the token of {tokens[token]}")
        tokens[token] = name
    if not tokens:
        raise ConfigError(f"{path} contains no tokens")
    return tokens


def _digest(token: str) -> str:
    """Return a hash, by which tokens are looked up in a time that reveals nothing about them."""
    return hashlib.sha256(token.encode()).hexdigest()
