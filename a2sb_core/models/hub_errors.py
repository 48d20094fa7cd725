"""Errors of the Hugging Face hub as messages that say what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from a2sb_core.errors import ModelError


class UnreachableError(ModelError):
    """The hub does not answer, or a download broke off: it may succeed at another time."""


@contextmanager
def explained(repo: str, action: str) -> Iterator[None]:
    """Turn whatever huggingface_hub raises into a ModelError.

    Args:
        repo: id of the repository.
        action: the action that failed, as a verb (``download``, ``find``).

    Raises:
        ModelError: the message says what is wrong, where, and what to do.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # of many kinds: network, authentication, not found, disk
        raise _explain(error, repo, action) from error


def _explain(error: BaseException, repo: str, action: str) -> ModelError:
    from huggingface_hub import constants, errors

    hub, detail = f"the hub ({constants.ENDPOINT})", " ".join(str(error).split())
    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"`{repo}` is gated: ask for access at {constants.ENDPOINT}/{repo} with an account, "
            "then log in with `hf auth login`, or set HF_TOKEN"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"{hub} has no `{repo}`, or it is private: check the name; for a private one log in "
            "with `hf auth login`, or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"{hub} has no such revision of `{repo}`: {detail}")
    if isinstance(error, errors.HFValidationError):
        return ModelError(f"`{repo}` is not an id of a model on the hub (owner/name): {detail}")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachableError(
            f"cannot {action} `{repo}`, since HF_HUB_OFFLINE is set: unset it to download what is "
            f"not in the cache ({constants.HF_HUB_CACHE})"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, f"{hub} answered to `{repo}`", detail)
    if isinstance(error, OSError) and error.errno is not None:
        return ModelError(f"cannot {action} `{repo}`: {error}")
    if action == "download":
        return UnreachableError(
            f"the download of `{repo}` from {hub} broke off ({_first_line(error)}); try again: "
            "complete files are kept"
        )
    return UnreachableError(
        f"cannot {action} `{repo}`: {hub} cannot be reached ({_first_line(error)}); check the "
        "connection, or work offline (HF_HUB_OFFLINE=1)"
    )


def _refused(error: Any, start: str, detail: str) -> ModelError:
    """Explain an HTTP status that is an error."""
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return ModelError(
            f"{start}: {detail}; log in with `hf auth login`, or set HF_TOKEN to a token that "
            "allows it"
        )
    if status == 429 or status >= 500:
        return UnreachableError(f"{start} with {status}: {detail}; try again later")
    return ModelError(f"{start}: {detail}")


def _first_line(error: BaseException) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
