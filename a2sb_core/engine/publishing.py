"""Model folders onto the Hugging Face hub, with a card made of what the folder tells."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.engine.cards import CARD_NAME, Figure, Licence, parse_card, write_card
from a2sb_core.engine.catalogue import Facts, read_facts
from a2sb_core.engine.hub import MODEL_FILES, TEXTS, explained
from a2sb_core.errors import ModelError

RUN_NAME = "run.json"

_REPO = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class UploadFile:
    """A file to upload: its name there, and what is in it."""

    path: str
    content: bytes | Path

    @property
    def bytes(self) -> int:
        """Its size."""
        held = self.content
        return held.stat().st_size if isinstance(held, Path) else len(held)

    @property
    def sha256(self) -> str:
        """Its SHA-256."""
        if not isinstance(self.content, Path):
            return hashlib.sha256(self.content).hexdigest()
        with self.content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Upload:
    """All that goes into a repository."""

    repo: str
    licence: Licence
    card: str
    files: tuple[UploadFile, ...]


def prepare(
    folder: Path, repo: str, licence: str | None = None, evaluation: Path | None = None
) -> Upload:
    """Say what would be uploaded; nothing is sent.

    The card is the folder's own, or one made of its configuration; licence and figures are set
    in it. Configuration, weights, texts and the licence go; what else lies there stays.

    Args:
        folder: a model folder.
        repo: ``owner/name``.
        licence: the hub's name of a licence, where the folder's card states none.
        evaluation: a folder that ``a2sb evaluate`` wrote, with figures of this model.

    Raises:
        ModelError: it is no model folder, or there is no licence, or two that differ.
    """
    if not _REPO.fullmatch(repo):
        raise ModelError(f"`{repo}` is no id of a repository: write it as owner/name")
    facts = read_facts(folder)
    own = folder / CARD_NAME
    text = own.read_text(encoding="utf8") if own.is_file() else _text(folder, repo, facts)
    stated = Licence.of(parse_card(text, str(own)).data)
    _check_licence(folder, stated, licence)
    card = write_card(
        text, str(own), name=repo.partition("/")[2], licence=licence,
        figures=read_figures(evaluation, folder) if evaluation else (), tags=facts.tasks,
    )
    paths = {path for text in TEXTS for path in folder.glob(text) if path.is_file()}
    files = [UploadFile(name, folder / name) for name in MODEL_FILES]
    files += [UploadFile(path.name, path) for path in sorted(paths) if path.name != CARD_NAME]
    files.append(UploadFile(CARD_NAME, card.encode()))
    return Upload(repo, Licence(licence) if licence else stated, card, tuple(files))


def push(upload: Upload, *, private: bool = False, revision: str | None = None) -> str:
    """Upload in one commit, so that a failure leaves the repository as it was; return its URL.

    Raises:
        UnreachableError: the hub does not answer.
        ModelError: it refuses, or a repository that is to be private is public already.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    with explained(upload.repo, "push"):
        api.create_repo(upload.repo, private=private or None, exist_ok=True)
        if private and not api.model_info(upload.repo).private:
            raise ModelError(
                f"`{upload.repo}` is there already and is public: make it private on the hub, or "
                "choose another name; nothing was uploaded"
            )
        if revision:
            api.create_branch(upload.repo, branch=revision, exist_ok=True)
        done = api.create_commit(
            upload.repo, [CommitOperationAdd(one.path, one.content) for one in upload.files],
            commit_message="Upload with a2sb", revision=revision,
        )
    return str(done.commit_url)


def read_figures(evaluation: Path, folder: Path) -> list[Figure]:
    """Read the means of a model from ``summary.json`` of an evaluation.

    The model is the system that is named as the folder, or the only one besides the degraded.

    Raises:
        ModelError: there is no such file, or the model is not to be told among its systems.
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
            f"{path}: which of its systems is {folder}? It has {', '.join(sorted(systems))}; "
            "evaluate the model alone, or by the name of its folder"
        )
    return [
        Figure(row["task"], name, round(value["mean"], 4), f"{clips} clips")
        for row in rows if row["system"] in own
        for name, value in row["metrics"].items() if value.get("mean") is not None
    ]


def _check_licence(folder: Path, stated: Licence, asked: str | None) -> None:
    if not stated.id and not asked:
        raise ModelError(
            f"{folder} states no licence, so nobody may use it: give one with --licence, such as "
            f"apache-2.0 or cc-by-4.0, or as `license:` in its {CARD_NAME}"
        )
    if stated.id and asked and stated.id != asked:
        raise ModelError(
            f"{folder / CARD_NAME} states the licence {stated}, not {asked}: leave --licence out, "
            "or change the card if you may"
        )
    if asked == "other":
        raise ModelError(
            f"`other` names no licence: write license, license_name and license_link into the "
            f"front matter of {folder / CARD_NAME}"
        )


def _text(folder: Path, repo: str, facts: Facts) -> str:
    """Make the text of a card of what a folder tells."""
    tree: dict[str, Any] = json.loads((folder / MODEL_FILES[0]).read_text(encoding="utf8"))
    parts = [
        f"| {kind} | `{part['name']}` |" for kind, part in tree["model"].items()
        if isinstance(part, dict) and "name" in part
    ]
    rate = tree["model"].get("representation", {}).get("sample_rate")
    size = f"{(facts.parameters or 0) / 1e6:.1f} M parameters"
    task = facts.tasks[0] if facts.tasks else "TASK"
    return "\n".join([
        f"# {repo.partition('/')[2]}", "",
        f"Restores music: {', '.join(facts.tasks)}. {size}"
        + (f", at {rate / 1000:g} kHz." if rate else "."), "",
        f"    a2sb restore old.wav -o new.wav --task {task} --model {repo}", "",
        "```python", "from a2sb_core import Restorer", "",
        f'restorer = Restorer.from_pretrained("{repo}")',
        f'restored = restorer.restore(wave, sample_rate, task="{task}")', "```", "",
        "| part | |", "|---|---|", *parts, "",
        f"Written by a2sb {tree.get('a2sb_version', 'unknown')}; `config.json` has all settings.",
        *_training(folder), "",
    ])


def _training(folder: Path) -> list[str]:
    """Tell of the training, where its account is there; its paths are nobody else's business."""
    try:
        run = json.loads((folder / RUN_NAME).read_text(encoding="utf8"))
        steps, data = run["config"]["steps"], run["sessions"][-1]["data"]
        told = f"{steps} steps on {data['hours']:g} hours of audio in {data['files']} files."
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return []
    return ["", "## Training", "", told]
