"""Export of a MUSHRA test for webMUSHRA: its configuration, and a folder of WAV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from a2sb_core.errors import ConfigError
from a2sb_core.listening.design import REFERENCE, ListeningTest, write_test
from a2sb_core.listening.making import TestPlan, make_test, write_audio
from a2sb_core.listening.source import KeptAudio

CONFIGS = "configs"
"""Folder of webMUSHRA that takes the export."""


def write_webmushra(kept: KeptAudio, plan: TestPlan, folder: Path) -> ListeningTest:
    """Make a MUSHRA test in an existing folder: ``key.json``, and what webMUSHRA reads.

    ``configs/TEST.yaml`` and the folder ``configs/TEST`` belong into the folder ``configs`` of
    webMUSHRA. Its results (``results/TEST/mushra.csv``) are ratings of this test.

    Raises:
        ConfigError: the test is of another kind.
        A2SBError: as :func:`a2sb_core.listening.making.make_test`.
    """
    if plan.kind != "mushra" or plan.repeats > 1:
        raise ConfigError(
            "the export for webMUSHRA is for the kind `mushra` without repeats; the page of "
            "--format page does the others"
        )
    audio = folder / CONFIGS / "audio"
    test = make_test(kept, plan, write_audio(audio, ".wav"))
    audio.rename(audio.with_name(test.id))
    write_test(test, folder)
    text = yaml.safe_dump(_config(test), sort_keys=False, allow_unicode=True)
    (folder / CONFIGS / f"{test.id}.yaml").write_text(text, encoding="utf8")
    return test


def _config(test: ListeningTest) -> dict[str, Any]:
    welcome = {
        "type": "generic",
        "id": "welcome",
        "name": test.title,
        "content": "Compare the samples with the reference, and rate the quality of each from 0 to "
        "100. One of the samples is the reference itself.",
    }
    finish = {
        "type": "finish",
        "name": "Thank you",
        "content": "The test is complete.",
        "showResults": False,
        "writeResults": True,
    }
    return {
        "testname": test.title,
        "testId": test.id,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [welcome, ["random", *_pages(test)], finish],
    }


def _pages(test: ListeningTest) -> list[dict[str, Any]]:
    """Return a page for each trial; webMUSHRA adds the hidden reference by itself."""
    return [
        {
            "type": "mushra",
            "id": trial.id,
            "name": "Trial",
            "content": "How good is each sample, compared with the reference?",
            "showWaveform": False,
            "enableLooping": True,
            "strict": False,  # shorter tests than BS.1534 recommends are allowed
            "reference": f"{CONFIGS}/{test.id}/{trial.reference}.wav",
            "createAnchor35": False,  # the anchor is among the stimuli
            "createAnchor70": False,
            "randomize": True,
            "showConditionNames": False,
            "stimuli": {
                name: f"{CONFIGS}/{test.id}/{name}.wav"
                for name in trial.stimuli
                if test.stimulus[name].system != REFERENCE
            },
        }
        for trial in test.trials
    ]
