"""Ratings of participants: their files, checked line by line, and merged."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.common.files import read_limited
from a2sb_core.errors import A2SBError
from a2sb_core.listening.design import PARTICIPANT, REFERENCE, SCALES, ListeningTest

COLUMNS = ("test", "participant", "trial", "stimulus", "rating", "seconds")
"""Columns of ratings in CSV, in the exports of the page and in ``ratings.csv``."""
OF_WEBMUSHRA = ("session_uuid", "trial_id", "rating_stimulus", "rating_score")
"""Columns of the results of webMUSHRA that are read."""
LARGEST_BYTES = 64 << 20
X = "X"
"""Name of the rated stimulus of an ABX trial."""


class RatingsError(A2SBError):
    """Ratings are malformed, contradict each other, or belong to another test."""


@dataclass(frozen=True)
class Rating:
    """Rating of one stimulus in one trial by one participant.

    Attributes:
        value: the rating; of an ABX trial, 1 if X was recognized, else 0.
        answer: the rating as the participant gave it: a number, ``A`` or ``B``.
        seconds: time that the participant took for the trial; NaN if unknown.
        where: file and line, for messages.
    """

    participant: str
    trial: str
    stimulus: str
    value: float
    answer: str
    seconds: float = math.nan
    where: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Participant, trial and stimulus, which together have one rating only."""
        return self.participant, self.trial, self.stimulus

    def cells(self, test: ListeningTest) -> list[str]:
        """Return the line of the rating in CSV."""
        seconds = "" if math.isnan(self.seconds) else f"{self.seconds:g}"
        return [test.id, *self.place, self.answer, seconds]


def parse_rating(test: ListeningTest, fields: Mapping[str, Any], where: str) -> Rating:
    """Check one rating of a test, given by the names in ``COLUMNS``.

    Raises:
        RatingsError: it is not a rating of this test; the message begins with ``where``.
    """
    participant, trial, stimulus = (
        str(fields.get(name, "")) for name in ("participant", "trial", "stimulus")
    )
    if str(fields.get("test", test.id)) != test.id:
        raise RatingsError(
            f"{where}: the rating is of the test {fields['test']!r}, and this is {test.id!r}"
        )
    if not PARTICIPANT.fullmatch(participant):
        raise RatingsError(f"{where}: {participant!r} is no participant code")
    if trial not in test.trial:
        raise RatingsError(f"{where}: the test has no trial {trial!r}")
    rated = (X,) if test.kind == "abx" else test.trial[trial].stimuli
    if stimulus not in rated:
        raise RatingsError(f"{where}: the trial {trial} has no stimulus {stimulus!r}")
    value, answer = _value(test, participant, trial, str(fields.get("rating", "")), where)
    seconds = str(fields.get("seconds", ""))
    try:
        taken = float(seconds) if seconds else math.nan
    except ValueError as error:
        raise RatingsError(f"{where}: {seconds!r} is no number of seconds") from error
    return Rating(participant, trial, stimulus, value, answer, taken, where)


def _value(
    test: ListeningTest, participant: str, trial: str, text: str, where: str
) -> tuple[float, str]:
    if test.kind == "abx":
        if text not in ("A", "B"):
            raise RatingsError(f"{where}: {text!r} is no answer; answers are A and B")
        return float(text == test.x_is(participant, trial)), text
    low, high = SCALES[test.kind]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RatingsError(f"{where}: {text!r} is no rating from {low:g} to {high:g}")
    return value, f"{value:g}"


def parse_document(test: ListeningTest, document: Any, where: str) -> list[Rating]:
    """Check the ratings of one participant as the page sends and exports them, as JSON values.

    Raises:
        RatingsError: the document or one of its ratings is malformed.
    """
    names = {"test", "participant", "ratings"}
    if not isinstance(document, dict) or not names <= document.keys():
        raise RatingsError(f"{where}: it is no object with {', '.join(sorted(names))}")
    listed = document["ratings"]
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise RatingsError(f"{where}: `ratings` is no list of objects")
    common = {name: document[name] for name in ("test", "participant")}
    return [
        parse_rating(test, {**one, **common}, f"{where}, rating {number}")
        for number, one in enumerate(listed, 1)
    ]


def read_ratings(test: ListeningTest, paths: Iterable[Path]) -> list[Rating]:
    """Read files of ratings (CSV, JSON, or the results of webMUSHRA), each rating once.

    Raises:
        RatingsError: a file cannot be read, was cut short, is of another test, or two files have
            different ratings of the same participant for the same stimulus.
    """
    return merge(rating for path in paths for rating in _read(test, path))


def merge(ratings: Iterable[Rating]) -> list[Rating]:
    """Return ratings without those that are given twice.

    Raises:
        RatingsError: a participant has given two ratings to a stimulus in a trial.
    """
    found: dict[tuple[str, str, str], Rating] = {}
    for rating in ratings:
        earlier = found.setdefault(rating.place, rating)
        if earlier.answer != rating.answer:
            raise RatingsError(
                f"{rating.where}: {rating.participant} gave {rating.answer}, but {earlier.answer} "
                f"in {earlier.where}, to the stimulus {rating.stimulus} of the trial "
                f"{rating.trial}; remove one of them, or give two participants different codes"
            )
    return list(found.values())


def _read(test: ListeningTest, path: Path) -> Iterator[Rating]:
    try:
        text = read_limited(path, LARGEST_BYTES)
    except FileNotFoundError as error:
        raise RatingsError(
            f"{path} cannot be read, because it does not exist: collect ratings with `a2sb listen "
            "serve`, or specify the files that participants exported"
        ) from error
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or error
        raise RatingsError(f"{path} cannot be read: {detail}") from error
    if path.suffix.lower() == ".json":
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RatingsError(
                f"{path} is not valid JSON, perhaps because it was cut short: {error}"
            ) from error
        yield from parse_document(test, document, str(path))
        return
    if text and not text.endswith("\n"):
        raise RatingsError(
            f"{path} was cut short: its last line has no end; export it again, or remove that line"
        )
    yield from _lines(test, path, text)


def _lines(test: ListeningTest, path: Path, text: str) -> Iterator[Rating]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(reader, [])
        convert = _converter(test, head, path)
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(head):
                raise RatingsError(
                    f"{where}: it has {len(cells)} cells in place of {len(head)}; restore the file"
                )
            yield parse_rating(test, convert(dict(zip(head, cells, strict=True))), where)
    except csv.Error as error:
        raise RatingsError(f"{path}, line {reader.line_num}: {error}") from error


def _converter(
    test: ListeningTest, head: Sequence[str], path: Path
) -> Callable[[dict[str, str]], Mapping[str, str]]:
    """Return a function from a line of a CSV file to the fields of a rating."""
    if set(COLUMNS[:5]) <= set(head):
        return lambda fields: fields
    if set(OF_WEBMUSHRA) <= set(head):
        return lambda fields: _from_webmushra(test, fields)
    raise RatingsError(
        f"{path} holds no ratings: its first line names neither the columns {', '.join(COLUMNS)} "
        "nor those of webMUSHRA"
    )


def _from_webmushra(test: ListeningTest, fields: Mapping[str, str]) -> dict[str, str]:
    participant, trial, stimulus, rating = (fields[name] for name in OF_WEBMUSHRA)
    if stimulus == "reference" and trial in test.trial:
        hidden = (
            name for name in test.trial[trial].stimuli if test.stimulus[name].system == REFERENCE
        )
        stimulus = next(hidden, stimulus)
    return {"participant": participant, "trial": trial, "stimulus": stimulus, "rating": rating}
