"""Models from the Hugging Face hub: looked up, downloaded, verified, and found in the cache.

Cache folder, offline mode, endpoint and token are those of huggingface_hub (``HF_HOME``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``). In addition, a branch or tag is recorded in the
cache only after all files of its commit were verified, so that a download that breaks off leaves
an earlier one usable.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a2sb_core.common.files import atomic_write_text, file_hash
from a2sb_core.config.defaults import MODEL_CONFIG
from a2sb_core.errors import ModelError
from a2sb_core.models.card import Licence
from a2sb_core.models.hub_errors import UnreachableError, explained
from a2sb_core.models.hub_limits import (
    COMMIT,
    DEFAULT_PACE,
    Pace,
    limited_transfers,
    most_bytes,
    progress,
    require_room,
)

MODEL_FILES = (MODEL_CONFIG, "model.safetensors")
TEXTS = ("*.md", "LICENSE*", "LICENCE*", "NOTICE*")
"""Files of a repository that are taken in addition, if they are there."""

LISTING_BYTES = 32 << 20
"""Largest description of a repository in bytes."""


@dataclass(frozen=True)
class HubOptions:
    """Where a model is looked for, by the conventions of huggingface_hub.

    Attributes:
        revision: branch, tag or commit (default: the main branch).
        cache_dir: cache folder (default: that of huggingface_hub).
        local_files_only: look into the cache only.
        accept_licence: agree to a licence that does not allow every use.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    accept_licence: bool = False


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub; its SHA-256 is known of large files only."""

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """The content of a repository at one revision."""

    repo: str
    revision: str
    commit: str
    licence: Licence
    files: tuple[RemoteFile, ...]

    def choose(self, needed: Sequence[str]) -> list[RemoteFile]:
        """Return the needed files, and texts such as the licence in the top folder.

        Raises:
            ModelError: a needed file is missing.
        """
        missing = sorted(set(needed) - {file.path for file in self.files})
        if missing:
            raise ModelError(
                f"`{self.repo}` at `{self.revision}` is no model for a2sb: it has no "
                f"{' and no '.join(missing)}"
            )
        return [file for file in self.files if file.path in needed or _is_text(file.path)]


def look_up(repo: str, revision: str | None = None) -> Listing:
    """Ask the hub for the content of a repository.

    Raises:
        UnreachableError: the hub does not answer, or the environment forbids to ask.
        ModelError: there is no such repository or revision, or access is denied.
    """
    from huggingface_hub import HfApi, constants

    with explained(repo, "ask for"), limited_transfers(LISTING_BYTES, DEFAULT_PACE):
        info = HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
    commit = str(info.sha)
    if not COMMIT.fullmatch(commit):
        raise ModelError(f"the hub names no valid commit of `{repo}`: {commit!r}")
    files = tuple(
        RemoteFile(one.rfilename, max(0, one.size or 0), one.lfs.sha256 if one.lfs else None)
        for one in info.siblings or ()
    )
    return Listing(repo, revision or "main", commit, Licence.of(info.card_data), files)


def find_cached(repo: str, needed: Sequence[str], options: HubOptions) -> Path | None:
    """Return the folder of a revision in the cache that has all needed files, or None."""
    from huggingface_hub import try_to_load_from_cache

    with explained(repo, "find"):
        found = [
            try_to_load_from_cache(repo, path, cache_folder(options), options.revision)
            for path in needed
        ]
    if not all(isinstance(path, str) for path in found):
        return None
    return Path(str(found[0])).parents[needed[0].count("/")]


def download(
    listing: Listing,
    needed: Sequence[str],
    cache_dir: str | Path | None = None,
    again: bool = False,
    pace: Pace = DEFAULT_PACE,
) -> tuple[Path, dict[str, str]]:
    """Download a revision into the cache and verify it.

    Args:
        listing: the content of the repository.
        needed: paths of the needed files.
        cache_dir: cache folder (default: that of huggingface_hub).
        again: verify also a revision that was verified earlier.
        pace: the slowest transfer that is waited for.

    Returns:
        Its folder, and the SHA-256 of the files verified, by path.

    Raises:
        UnreachableError: the download broke off; complete files are kept.
        ModelError: a needed file is missing, denied or damaged, or the disk has no room for it.
    """
    from huggingface_hub import snapshot_download

    chosen = listing.choose(needed)
    cache = cache_folder(HubOptions(cache_dir=cache_dir))
    total = sum(file.bytes for file in chosen)
    require_room(cache, sum(file.bytes for file in chosen if not _is_cached(listing, file, cache)))
    with explained(listing.repo, "download"), limited_transfers(most_bytes(total), pace):
        folder = Path(
            snapshot_download(
                listing.repo,
                revision=listing.commit,
                cache_dir=cache,
                allow_patterns=[glob.escape(file.path) for file in chosen],
                tqdm_class=progress(total),
            )
        )
    refs = folder.parents[1] / "refs"
    ref = refs / listing.revision
    if not ref.resolve().is_relative_to(refs.resolve()):
        raise ModelError(f"`{listing.revision}` is not a revision of `{listing.repo}`")
    if not again and ref.is_file() and ref.read_text(encoding="utf8") == listing.commit:
        return folder, {}
    _verify(listing, folder, cache)
    if listing.revision != listing.commit:
        ref.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(ref, listing.commit)
    return folder, {file.path: file.sha256 or file_hash(folder / file.path) for file in chosen}


def obtain(repo: str, needed: Sequence[str], options: HubOptions) -> Path:
    """Return a folder with the needed files, of the newest revision if the hub answers.

    Raises:
        UnreachableError: the hub does not answer, and the cache has no revision.
        ModelError: as :func:`look_up` and :func:`download`, or the licence is not agreed to.
    """
    cached = find_cached(repo, needed, options)
    if cached and (options.local_files_only or COMMIT.fullmatch(options.revision or "")):
        return cached
    if options.local_files_only:
        at = f" at `{options.revision}`" if options.revision else ""
        raise ModelError(
            f"`{repo}`{at} is not in the cache ({cache_folder(options)}), and only local files "
            f"are allowed; fetch it with `a2sb download {repo}`"
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
    """Refuse to continue if a licence does not allow every use and the user did not agree to it.

    Raises:
        ModelError: the user must agree first.
    """
    if licence.is_free or options.accept_licence:
        return
    link = f", {licence.link}" if licence.link else ""
    reason = (
        f"the licence of `{name}` does not allow every use: {licence}{link}. Read it"
        if licence.id
        else f"`{name}` states no licence. Ask its owner"
    )
    raise ModelError(
        f"{reason}; agree with `a2sb download {name}`, or in Python with accept_licence=True"
    )


def cache_folder(options: HubOptions) -> Path:
    """Return the cache folder."""
    from huggingface_hub import constants

    return Path(options.cache_dir or constants.HF_HUB_CACHE).expanduser().resolve()


def _is_cached(listing: Listing, file: RemoteFile, cache: Path) -> bool:
    options = HubOptions(listing.commit, cache)
    return find_cached(listing.repo, [file.path], options) is not None


def _is_text(path: str) -> bool:
    is_plain = path.isprintable() and not set(path) & {"/", "\\"}
    return is_plain and any(fnmatch.fnmatchcase(path, pattern) for pattern in TEXTS)


def _verify(listing: Listing, folder: Path, cache: Path) -> None:
    """Compare the checksums of a downloaded revision with the hub's, and remove damaged files.

    Raises:
        ModelError: a file is damaged; the message lists all of them.
    """
    from huggingface_hub import HfApi

    with explained(listing.repo, "verify"), limited_transfers(LISTING_BYTES, DEFAULT_PACE):
        result = HfApi().verify_repo_checksums(
            listing.repo, revision=listing.commit, cache_dir=cache
        )
    for damaged in result.mismatches:
        _remove(folder / damaged["path"], cache)
    if result.mismatches:
        raise ModelError(
            "; ".join(
                f"{one['path']} is damaged: its checksum is {one['actual']}, and on the hub "
                f"{one['expected']}"
                for one in result.mismatches
            )
            + ". Damaged files were removed from the cache; download the model again"
        )


def _remove(path: Path, cache: Path) -> None:
    """Remove a file of the cache and the blob that it links to, unless that lies elsewhere."""
    while path.parent.resolve().is_relative_to(cache):
        target = path.parent / os.readlink(path) if path.is_symlink() else None
        path.unlink(missing_ok=True)
        if target is None:
            break
        path = target
