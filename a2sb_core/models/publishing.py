"""Uploads of model folders to the Hugging Face hub, with a model card."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.common.files import file_hash
from a2sb_core.common.packages import UNKNOWN
from a2sb_core.common.text import format_count
from a2sb_core.errors import ModelError
from a2sb_core.models.card import (
    CARD_NAME,
    Figure,
    Licence,
    new_card,
    parse_card,
    read_text,
    update_card,
)
from a2sb_core.models.catalogue import Facts, read_facts
from a2sb_core.models.hub import MODEL_FILES, TEXTS
from a2sb_core.models.hub_errors import explained
from a2sb_core.models.run_record import read_run

_REPO = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class UploadFile:
    """A file to upload: its name in the repository, and its content."""

    path: str
    content: bytes | Path

    @property
    def bytes(self) -> int:
        """Size of the file."""
        content = self.content
        return content.stat().st_size if isinstance(content, Path) else len(content)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        if isinstance(self.content, Path):
            return file_hash(self.content)
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Upload:
    """The files of one commit, with the licence and the card among them."""

    repo: str
    licence: Licence
    card: str
    files: tuple[UploadFile, ...]


def prepare(
    folder: Path, repo: str, licence: str | None = None, evaluation: Path | None = None
) -> Upload:
    """Collect the files to upload; nothing is sent.

    The card is the folder's own or a new one; licence and figures are set in it. Configuration,
    weights, the card and texts such as the licence are uploaded, other files are not.

    Args:
        folder: a model folder.
        repo: ``owner/name``.
        licence: the hub's name of the licence, needed if the folder's card states none.
        evaluation: an output folder of ``a2sb evaluate``; the card shows its figures.

    Raises:
        ModelError: the folder is no model folder, has no licence, or states another one.
    """
    if not _REPO.fullmatch(repo):
        raise ModelError(f"`{repo}` is not an id of a repository (owner/name)")
    facts = read_facts(folder)
    own = str(folder / CARD_NAME)
    text = read_text(folder) or _new_card(folder, repo, facts)
    stated = Licence.of(parse_card(text, own).data)
    _check_licence(folder, stated, licence)
    card = update_card(
        text,
        own,
        name=repo.partition("/")[2],
        licence=licence,
        figures=read_figures(evaluation, folder) if evaluation else (),
        tags=facts.tasks,
    )
    paths = {path for text in TEXTS for path in folder.glob(text) if path.is_file()}
    files = [UploadFile(name, folder / name) for name in MODEL_FILES]
    files += [UploadFile(path.name, path) for path in sorted(paths) if path.name != CARD_NAME]
    files.append(UploadFile(CARD_NAME, card.encode()))
    return Upload(repo, Licence(licence) if licence else stated, card, tuple(files))


def push(upload: Upload, *, private: bool = False, revision: str | None = None) -> str:
    """Upload all files in one commit, so that a failure leaves the repository as it was.

    Args:
        upload: the files.
        private: make a new repository private.
        revision: branch (default: the main branch); it is made if needed.

    Returns:
        URL of the commit.

    Raises:
        UnreachableError: the hub does not answer.
        ModelError: the hub refuses, or ``private`` is set and the repository is public.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    with explained(upload.repo, "push"):
        api.create_repo(upload.repo, private=private or None, exist_ok=True)
        if private and not api.model_info(upload.repo).private:
            raise ModelError(
                f"`{upload.repo}` exists already and is public: make it private on the hub, or "
                "choose another name; nothing was uploaded"
            )
        if revision:
            api.create_branch(upload.repo, branch=revision, exist_ok=True)
        done = api.create_commit(
            upload.repo,
            [CommitOperationAdd(one.path, one.content) for one in upload.files],
            commit_message="Upload with a2sb",
            revision=revision,
        )
    return str(done.commit_url)


def read_figures(evaluation: Path, folder: Path) -> list[Figure]:
    """Read the mean metrics of a model from ``summary.json`` of an evaluation.

    The model is the system with the name of the folder, or the only one besides the degraded.

    Raises:
        ModelError: there is no such file, or several systems could be the model.
    """
    path = evaluation / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf8"))
        rows, clips = summary["rows"], len(summary["clips"])
        systems = {row["system"] for row in rows} - {summary["reference"], "degraded"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is no summary of an evaluation: {error!r}; give the folder that `a2sb "
            "evaluate -o` wrote"
        ) from error
    names = {str(folder), folder.name, str(folder.resolve())}
    own = {system for system in systems if system.partition("@")[0].rstrip("/") in names} or systems
    if len(own) != 1:
        raise ModelError(
            f"{path}: none of its systems is called {folder}: {', '.join(sorted(systems))}; "
            "evaluate the model alone, or by the name of its folder"
        )
    return [
        Figure(row["task"], name, round(value["mean"], 4), f"{clips} clips")
        for row in rows
        if row["system"] in own
        for name, value in row["metrics"].items()
        if value.get("mean") is not None
    ]


def _check_licence(folder: Path, stated: Licence, asked: str | None) -> None:
    if not stated.id and not asked:
        raise ModelError(
            f"{folder} states no licence, so nobody may use it: name one with --licence, such as "
            f"apache-2.0 or cc-by-4.0, or as `license:` in its {CARD_NAME}"
        )
    if stated.id and asked and stated.id != asked:
        raise ModelError(
            f"{folder / CARD_NAME} states the licence {stated}, not {asked}: omit --licence, or "
            "change the card if you are allowed to"
        )
    if asked == "other":
        raise ModelError(
            f"`other` names no licence: write license, license_name and license_link into the "
            f"front matter of {folder / CARD_NAME}"
        )


def _new_card(folder: Path, repo: str, facts: Facts) -> str:
    """Make a card from the configuration of a folder and the record of its training."""
    tree: dict[str, Any] = json.loads((folder / MODEL_FILES[0]).read_text(encoding="utf8"))
    parts = {kind: part for kind, part in tree["model"].items() if isinstance(part, dict)}
    rate = parts.get("representation", {}).get("sample_rate")
    names = ", ".join(f"{kind} `{part['name']}`" for kind, part in parts.items() if "name" in part)
    task = facts.tasks[0] if facts.tasks else "TASK"
    text = f"""\
Restores music: {", ".join(facts.tasks)}. {format_count(facts.parameters or 0)} parameters\
{f", at {rate / 1000:g} kHz" if rate else ""}.

    a2sb restore old.wav -o new.wav --task {task} --model {repo}

```python
from a2sb_core import Restorer

restorer = Restorer.from_pretrained("{repo}")
restored = restorer.restore(wave, sample_rate, task="{task}")
```

Parts: {names}. Written by a2sb {tree.get("a2sb_version", UNKNOWN)}. {_training(folder)}"""
    return new_card(repo.partition("/")[2], text, Licence())


def _training(folder: Path) -> str:
    """Describe the training if its record is there; paths stay private."""
    try:
        run = read_run(folder) or {}
        steps, data = run["config"]["steps"], run["sessions"][-1]["data"]
        return f"Trained for {steps} steps on {data['hours']:g} hours ({data['files']} files)."
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
