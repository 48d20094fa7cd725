"""Manifests of public data sets: licences, metadata, bandwidths and attribution."""

import csv
import json

import numpy as np
import pytest
import soundfile
import soxr
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.config.training import DataConfig
from a2sb_core.errors import ConfigError, TrainingError
from a2sb_core.training.curation.licences import PERMISSIVE, recognize
from a2sb_core.training.curation.making import Rules, curate
from a2sb_core.training.curation.public_sets import PublicSet, PublicSets, describe_files, load_sets
from a2sb_core.training.data.sources import list_files

RATE = 44100


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY"),
        ("Attribution 3.0 International", "CC-BY"),
        ("CC BY 4.0", "CC-BY"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("Public Domain Mark 1.0", "PD"),
        ("MIT", "MIT"),
        ("http://creativecommons.org/licenses/by-nc/3.0/us/", "CC-BY-NC"),
        ("Attribution-NonCommercial-NoDerivatives", "CC-BY-NC-ND"),
        ("Attribution-Noncommercial-Share Alike 3.0 United States", "CC-BY-NC-SA"),
        ("CC BY-SA 4.0", "CC-BY-SA"),
        ("http://creativecommons.org/licenses/sampling+/1.0/", "unknown"),
        ("FMA-Limited: Download Only", "unknown"),
        ("licensed by the author", "unknown"),
        ("", "unknown"),
    ],
)
def test_licences_are_recognized(text, family):
    assert recognize(text) == family
    allowed = family in PERMISSIVE
    assert allowed == (family in ("CC0", "CC-BY", "PD", "MIT"))


def test_the_sets_of_the_paper():
    known = load_sets()
    assert len(known.sets) == 12
    fine = {name for name, one in known.sets.items() if "finetune" in one.stages}
    assert fine == {
        "fma", "medley_solos_db", "mtg_jamendo", "musan", "music_instrument", "musicnet", "slakh"
    }  # fmt: skip
    assert all("pretrain" in one.stages for one in known.sets.values())


def write(path, seconds=4.0, limit_hz=None, seed=0):
    """Write noise with gaps between notes, limited to a bandwidth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    if limit_hz:
        low = soxr.resample(wave, RATE, 2 * limit_hz)
        wave = np.resize(soxr.resample(low, 2 * limit_hz, RATE), len(wave))
    soundfile.write(path, wave, RATE)
    return path


@pytest.fixture
def fma(tmp_path):
    """Three tracks with a table: one under CC-BY, one limited, one under NC; and one without."""
    folder = tmp_path / "fma"
    for number, limit_hz in ((2, None), (5, 8000), (10, None), (11, None)):
        write(folder / "000" / f"{number:06}.mp3", limit_hz=limit_hz, seed=number).touch()
    (folder / "meta").mkdir()
    by, nc = (f"http://creativecommons.org/licenses/{kind}/3.0/" for kind in ("by", "by-nc"))
    rows = [
        ("track_id", "license_url", "artist_name", "track_title", "track_url"),
        (2, by, "Ann | Bob", "One", "http://example.org/2"),
        (5, by, "Ann | Bob", "Two", "http://example.org/5"),
        (10, nc, "Cid", "Three", ""),
    ]
    with (folder / "meta" / "raw_tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def test_a_manifest_has_the_permissive_files_with_their_bandwidths(fma, tmp_path):
    output = tmp_path / "data"
    (made,) = curate(load_sets(), {"fma": fma}, output, Rules(validation=0))
    assert [one.file.path.name for one in made.used] == ["000002.mp3", "000005.mp3"]
    files = list_files(DataConfig(source=output / "fma.csv"), "train")
    assert [file.duration_s for file in files] == pytest.approx([4, 4], abs=0.1)
    assert files[0].max_hz > 15_000
    assert files[1].max_hz == pytest.approx(8000, rel=0.05)
    assert all(-25 < file.level_dbfs < -15 for file in files)
    attribution = (output / "ATTRIBUTION.md").read_text()
    assert "| 000002.mp3 | Ann / Bob | One | http://example.org/2 | CC-BY |" in attribution
    assert "Cid" not in attribution
    with (output / "left_out.csv").open(newline="") as file:
        reasons = {row["file_path"][-10:]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == {"000010.mp3": "licence: CC-BY-NC", "000011.mp3": "licence: unknown"}
    assert "| fma | pretrain, finetune | 2 | 0.00 |" in (output / "TABLE.md").read_text()


def test_files_of_low_bandwidth_short_and_broken_ones_are_left_out(tmp_path):
    folder = tmp_path / "solos"
    write(folder / "a.wav")
    write(folder / "b.wav", limit_hz=6000)
    write(folder / "c.wav", seconds=1)
    (folder / "d.wav").write_bytes(b"no sound")
    soundfile.write(folder / "e.wav", np.zeros(5 * RATE), RATE)
    rules = Rules(min_hz=15_000)
    (made,) = curate(load_sets(), {"medley_solos_db": folder}, tmp_path / "out", rules)
    assert [one.file.path.name for one in made.used] == ["a.wav"]
    reasons = {path.name: reason for path, reason in made.left_out}
    assert "ends at" in reasons["b.wav"]
    assert "1.0 s" in reasons["c.wav"]
    assert "d.wav" in reasons["d.wav"]
    assert reasons["e.wav"] == "it is silent"


def test_all_files_of_an_author_are_in_one_split(fma, tmp_path):
    splits = set()
    for k, share in enumerate((0.0, 0.3, 0.6, 1.0)):
        output = tmp_path / f"data{k}"
        curate(load_sets(), {"fma": fma}, output, Rules(validation=share))
        with (output / "fma.csv").open(newline="") as file:
            found = {row["split"] for row in csv.DictReader(file)}
        assert len(found) == 1
        splits |= found
    assert splits == {"train", "validation"}


def describe(folder, **fields):
    return list(describe_files(PublicSet(title="Own", licence="each", **fields), folder))


def test_metadata_as_json_and_as_text(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / f"{name}.wav", seconds=0.1)
    rows = {"one": {"rights": "CC0", "by": "Ann"}, "two": {"rights": "CC BY-ND 2.0", "by": "Bob"}}
    (tmp_path / "meta.json").write_text(json.dumps(rows))
    metadata = {"kind": "json", "file": "meta.json", "licence": "rights", "author": "by"}
    found = describe(tmp_path, metadata=metadata)
    assert [(one.licence, one.author) for one in found] == [("CC0", "Ann"), ("CC-BY-ND", "Bob")]
    (tmp_path / "LICENSE").write_text(
        "Music of this folder\n\none: by Ann\n  CC BY 4.0\nsub/two.wav\n  Attribution-ShareAlike\n"
    )
    found = describe(tmp_path, metadata={"kind": "text", "file": "**/LICENSE"})
    assert [one.licence for one in found] == ["CC-BY", "CC-BY-SA"]
    assert found[0].source == "one: by Ann CC BY 4.0"


def test_what_is_missing_or_malformed_is_named(tmp_path):
    metadata = {"kind": "csv", "file": "**/table.csv", "stem": "{id}", "licence": "licence"}
    with pytest.raises(TrainingError, match="holds no audio of Own"):
        describe(tmp_path)
    write(tmp_path / "one.wav", seconds=0.1)
    with pytest.raises(TrainingError, match=r"has no \*\*/table\.csv"):
        describe(tmp_path, metadata=metadata)
    (tmp_path / "table.csv").write_text("name,licence\none,CC0\n")
    with pytest.raises(TrainingError, match=r"table\.csv cannot be read as csv: 'id'"):
        describe(tmp_path, metadata=metadata)
    with pytest.raises(TrainingError, match="is no folder"):
        describe(tmp_path / "absent")
    sets = PublicSets(sets={"own": PublicSet(title="Own")})
    with pytest.raises(ConfigError, match="unknown data set `fma`; known: own"):
        curate(sets, {"fma": tmp_path}, tmp_path / "out", Rules())


def test_the_command(tmp_path):
    write(tmp_path / "own" / "a.wav")
    sets = tmp_path / "sets.yaml"
    sets.write_text("sets: {own: {title: My recordings, stages: [finetune], licence: unknown}}")
    words = ["data", "make", f"own={tmp_path / 'own'}", "-o", str(tmp_path / "out")]
    words += ["--sets", str(sets)]
    done = CliRunner().invoke(app, [*words, "--licence", "own=CC0"])
    assert done.exit_code == 0, done.stderr
    assert "| own | finetune | 1 |" in done.stdout
    assert "own: 1 of 1 files" in done.stderr
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    listed = CliRunner().invoke(app, ["data", "list", "--sets", str(sets)])
    assert "My recordings" in listed.stdout and "musicnet" in listed.stdout
    wrong = CliRunner().invoke(app, ["data", "make", "fma", "-o", str(tmp_path / "x")])
    assert wrong.exit_code == 1
    assert "`fma` is not NAME=VALUE" in wrong.stderr
