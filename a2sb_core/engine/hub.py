"""Models from the Hugging Face hub: looked up, downloaded, verified, and found in the cache.

Cache folder, offline mode, endpoint and token are those of huggingface_hub (``HF_HOME``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``). Beyond what that library does, checksums are
verified, and a revision is remembered only when all of it is there: a download that breaks off
leaves an earlier one usable.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.engine.cards import Licence
from a2sb_core.errors import ModelError

MODEL_FILES = ("config.json", "model.safetensors")
TEXTS = ("*.md", "LICENSE*", "LICENCE*", "NOTICE*")
"""What else of a repository is taken, where it is there."""

RESTARTS = 5
"""A download may start anew so often."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


class UnreachableError(ModelError):
    """The hub does not answer, or a download broke off: another time it may."""


@dataclass(frozen=True)
class HubOptions:
    """Where a model is looked for, by the conventions of huggingface_hub.

    Attributes:
        revision: branch, tag or commit; by default the main branch.
        cache_dir: in place of the cache folder that the environment tells.
        local_files_only: only look into the cache.
        accept_licence: agree to a licence that does not allow any use.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    accept_licence: bool = False


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub; ``checksum`` is its SHA-256, or of a small one git's SHA-1."""

    path: str
    bytes: int
    checksum: str

    def verify(self, local: Path) -> str:
        """Return the SHA-256 of the downloaded file.

        Raises:
            ModelError: it is not what the hub has; it has been removed then.
        """
        size = local.stat().st_size if local.is_file() else 0
        found = _digest(local, "sha256") if size else hashlib.sha256().hexdigest()
        own = found if len(self.checksum) == 64 else _digest(local, "sha1", f"blob {size}\0")
        if size == self.bytes and own == self.checksum:
            return found
        _remove(local)
        raise ModelError(
            f"{self.path} is damaged: it has {size} bytes and the checksum {own}, and on the hub "
            f"{self.bytes} bytes and {self.checksum}. It has been removed from the cache; "
            "download it again"
        )


@dataclass(frozen=True)
class Listing:
    """What the hub holds under one revision of a repository."""

    repo: str
    revision: str
    commit: str
    licence: Licence
    files: tuple[RemoteFile, ...]

    def choose(self, needed: Sequence[str]) -> list[RemoteFile]:
        """Return the files that are needed, and the texts beside them.

        Raises:
            ModelError: one that is needed is absent.
        """
        absent = sorted(set(needed) - {file.path for file in self.files})
        if absent:
            raise ModelError(
                f"`{self.repo}` at `{self.revision}` is no model for a2sb: it has no "
                f"{' and no '.join(absent)}"
            )
        return [
            file for file in self.files
            if file.path in needed or any(fnmatch.fnmatchcase(file.path, text) for text in TEXTS)
        ]


def look_up(repo: str, revision: str | None = None) -> Listing:
    """Ask the hub what it holds.

    Raises:
        UnreachableError: it does not answer, or may not be asked.
        ModelError: there is no such repository or revision, or it may not be seen.
    """
    from huggingface_hub import HfApi, constants

    with explained(repo, "ask for"):
        info = HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
    files = [
        RemoteFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else one.blob_id or "")
        for one in info.siblings or ()
    ]
    commit = str(info.sha)
    return Listing(repo, revision or "main", commit, Licence.of(info.card_data), tuple(files))


def find_cached(repo: str, needed: Sequence[str], options: HubOptions) -> Path | None:
    """Return the folder of a revision in the cache that has all files needed; None: none has."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with explained(repo, "find"):
            folder = Path(snapshot_download(
                repo, revision=options.revision, cache_dir=options.cache_dir,
                local_files_only=True, allow_patterns=[glob.escape(path) for path in needed],
            ))
    except ModelError as error:
        if isinstance(error.__cause__, LocalEntryNotFoundError):
            return None
        raise
    return folder if all((folder / path).is_file() for path in needed) else None


def download(
    listing: Listing, needed: Sequence[str], cache_dir: str | Path | None = None,
    again: bool = False,
) -> tuple[Path, dict[str, str]]:
    """Bring a revision into the cache, and verify it; with ``again`` also one that was verified.

    Returns:
        Its folder, and the SHA-256 of the files verified, by path.

    Raises:
        UnreachableError: the download broke off; nothing half is kept.
        ModelError: a file needed is absent, may not be had, or is damaged.
    """
    from huggingface_hub import snapshot_download

    chosen = listing.choose(needed)
    with explained(listing.repo, "download"):
        folder = Path(snapshot_download(
            listing.repo, revision=listing.commit, cache_dir=cache_dir,
            allow_patterns=[glob.escape(file.path) for file in chosen], tqdm_class=_progress(),
        ))
    # What an earlier download left that broke off has not been verified.
    ref = folder.parents[1] / "refs" / listing.revision
    if not again and ref.is_file() and ref.read_text(encoding="utf8") == listing.commit:
        return folder, {}
    checksums = _verify(chosen, folder)
    if listing.revision != listing.commit:
        _remember(ref, listing.commit)
    return folder, checksums


def obtain(repo: str, needed: Sequence[str], options: HubOptions) -> Path:
    """Return a folder with the files needed, as new as the hub has them where it answers.

    Raises:
        UnreachableError: the hub does not answer, and the cache has none.
        ModelError: as :func:`look_up` and :func:`download`, or the licence is not agreed to.
    """
    cached = find_cached(repo, needed, options)
    if cached and (options.local_files_only or _COMMIT.fullmatch(options.revision or "")):
        return cached
    if options.local_files_only:
        raise ModelError(
            f"`{repo}`{_at(options.revision)} is not in the cache ({cache_folder(options)}), and "
            f"only local files are allowed; fetch it with `a2sb download {repo}`"
        )
    try:
        listing = look_up(repo, options.revision)
        if cached is None:
            require_agreement(repo, listing.licence, options)
        return download(listing, needed, options.cache_dir, again=cached is None)[0]
    except UnreachableError:
        if cached is None:
            raise
        return cached


def require_agreement(name: str, licence: Licence, options: HubOptions) -> None:
    """Refuse to go on where a licence is not free and not agreed to.

    Raises:
        ModelError: so it is.
    """
    if not (licence.is_free or options.accept_licence):
        where = f", {licence.link}" if licence.link else ""
        told = (
            f"the licence of `{name}` does not allow every use: {licence}{where}. Read it"
            if licence.id else f"`{name}` states no licence. Ask its owner"
        )
        raise ModelError(
            f"{told}; agree with `a2sb download {name}`, or in Python with accept_licence=True"
        )


def cache_folder(options: HubOptions) -> Path:
    """Return the cache folder."""
    from huggingface_hub import constants

    return Path(options.cache_dir or constants.HF_HUB_CACHE)


@contextmanager
def explained(repo: str, doing: str) -> Iterator[None]:
    """Turn what huggingface_hub raises while ``doing`` something into a ModelError.

    Raises:
        ModelError: what is wrong, where, and what to do.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # of many kinds: network, authentication, not found, disk
        raise _explain(error, repo, doing) from error


def _explain(error: BaseException, repo: str, doing: str) -> ModelError:
    from huggingface_hub import constants, errors

    hub, said = f"the hub ({constants.ENDPOINT})", " ".join(str(error).split())
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
        return ModelError(f"{hub} has no such revision of `{repo}`: {said}")
    if isinstance(error, errors.HFValidationError):
        return ModelError(f"`{repo}` is no id of a model on the hub, such as owner/name: {said}")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachableError(
            f"HF_HUB_OFFLINE forbids to {doing} `{repo}`: unset it to download what is not in the "
            f"cache ({constants.HF_HUB_CACHE})"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, f"{hub} answered to `{repo}`", said)
    if isinstance(error, OSError) and error.errno is not None:
        return ModelError(f"can not {doing} `{repo}`: {error}")
    if doing == "download":
        return UnreachableError(
            f"the download of `{repo}` from {hub} broke off ({_first(error)}); nothing half is "
            "kept, and what is whole is not fetched again: try it once more"
        )
    return UnreachableError(
        f"can not {doing} `{repo}`: {hub} can not be reached ({_first(error)}); check the "
        "connection, or work with what is there (HF_HUB_OFFLINE=1)"
    )


def _refused(error: Any, what: str, said: str) -> ModelError:
    """Explain an answer that is an HTTP status of failure."""
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return ModelError(f"{what}: {said}; log in with `hf auth login`, or set HF_TOKEN to one "
                          "that may do this")
    if status == 429 or status >= 500:
        return UnreachableError(f"{what} with {status}: {said}; try again later")
    return ModelError(f"{what}: {said}")


def _first(error: BaseException) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _digest(path: Path, algorithm: str, before: str = "") -> str:
    digest = hashlib.new(algorithm, before.encode(), usedforsecurity=False)
    if path.is_file():
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _verify(files: Sequence[RemoteFile], folder: Path) -> dict[str, str]:
    """Verify all files, so that all that are damaged go; return the SHA-256 by path."""
    checksums, damaged = {}, []
    for file in files:
        try:
            checksums[file.path] = file.verify(folder / file.path)
        except ModelError as error:
            damaged.append(error)
    if damaged:
        raise ModelError("; ".join(map(str, damaged)))
    return checksums


def _progress() -> Any:
    """Return a class of progress bars that ends a download which starts anew again and again.

    huggingface_hub resumes as long as something comes. Of a server that breaks off and knows no
    ranges all comes from the start each time, which is told to the bar as a step back.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Progress(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        restarts = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.restarts += (n or 0) < 0
            if self.restarts > RESTARTS:
                raise ConnectionError("all attempts were cut short")
            return bool(super().update(n))

    return Progress


def _remove(path: Path) -> None:
    """Remove a file of the cache, and the blob that it is a link to."""
    while path.is_symlink():
        target = path.parent / os.readlink(path)
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def _remember(ref: Path, commit: str) -> None:
    """Note in the cache which commit a branch or tag stands for."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=ref.parent, delete=False, encoding="utf8"
    ) as file:
        file.write(commit)
    os.replace(file.name, ref)


def _at(revision: str | None) -> str:
    return f" at `{revision}`" if revision else ""
