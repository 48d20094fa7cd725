"""`a2sb listen`: from results to a report, and what it refuses."""

import csv
import json

import pytest
from listening_parts import write_results

from a2sb_core.listening.design import read_test


@pytest.fixture
def made(a2sb, tmp_path):
    write_results(tmp_path / "results", clips=3)
    result = a2sb("listen", "make", tmp_path / "results", "-o", tmp_path / "test")
    assert result.exit_code == 0 and "9 trials with 12 sounds" in result.stdout
    return tmp_path / "test"


def export(folder, participant, grades):
    """Write the ratings of a participant as the page exports them."""
    test = read_test(folder)
    path = folder.parent / f"{participant}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["test", "participant", "trial", "stimulus", "rating", "seconds"])
        for trial in test.trials:
            (name,) = trial.stimuli
            grade = grades.get(test.stimulus[name].system, 5)
            writer.writerow([test.id, participant, trial.id, name, grade, 3.5])
    return path


def test_a_report_has_the_means_and_a_picture(a2sb, made, tmp_path):
    files = [
        export(made, f"p{k}", {"system-a": grade, "system-b": 2})
        for k, grade in enumerate((3, 4, 4))
    ]
    result = a2sb("listen", "report", made, *files, "-o", tmp_path / "report", "--fit", "lsd")
    assert result.exit_code == 0, result.stderr
    assert "| bandwidth-4k | system-a | 3.67 | 2.23 to 5.00 | 3 | 9 |" in result.stdout
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"report.md", "summary.json", "opinions.csv", "stimuli.csv", "picture.png"}
    rows = list(csv.DictReader((tmp_path / "report" / "opinions.csv").open()))
    assert [float(row["mean"]) for row in rows] == pytest.approx([11 / 3, 2, 5])
    rated = list(csv.DictReader((tmp_path / "report" / "stimuli.csv").open()))
    assert {row["lsd"] for row in rated if row["system"] == "system-b"} == {"2.0", "2.1", "2.2"}
    again = a2sb("listen", "report", made, *files, "-o", tmp_path / "report")
    assert again.exit_code == 1 and "exists already" in again.stderr
    values = a2sb(
        "listen", "report", made, *files, "-o", tmp_path / "report", "--overwrite", "--json"
    )
    summary = json.loads(values.stdout)
    assert (
        summary["opinions"]
        == json.loads((tmp_path / "report" / "summary.json").read_text())["opinions"]
    )
    assert summary["correlations"][0]["pearson"] < -0.9


def test_metrics_are_read_anew_on_request(a2sb, made, tmp_path):
    path = export(made, "p0", {"system-a": 3, "system-b": 2})
    table = tmp_path / "results" / "values.csv"
    table.write_text(table.read_text().replace("lsd", "other"))
    report = ("listen", "report", made, path, "--json", "-o")
    summary = json.loads(a2sb(*report, tmp_path / "a", "--results", tmp_path / "results").stdout)
    assert {one["metric"] for one in summary["correlations"]} == {"other"}


def test_what_exists_or_is_damaged_is_refused(a2sb, made, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    kept = (made / "key.json").read_bytes()
    again = a2sb("listen", "make", tmp_path / "results", "-o", made)
    assert again.exit_code == 1 and "exists already" in again.stderr
    assert (made / "key.json").read_bytes() == kept
    none = a2sb("listen", "make", tmp_path, "-o", tmp_path / "new")
    assert none.exit_code == 1 and "--keep-audio" in none.stderr
    wrong = a2sb("listen", "make", tmp_path / "results", "-o", tmp_path / "new", "--systems", "x")
    assert wrong.exit_code == 1 and "system-a" in wrong.stderr
    (tmp_path / "results" / "audio" / "system-a" / "clip2.flac").write_bytes(b"cut short")
    damaged = a2sb("listen", "make", tmp_path / "results", "-o", tmp_path / "new")
    assert damaged.exit_code == 1 and "clip2" in damaged.stderr
    empty = a2sb("listen", "report", made, "-o", tmp_path / "report")
    assert empty.exit_code == 1 and "ratings.csv" in empty.stderr
    path = export(made, "p0", {})
    path.write_text(path.read_text()[:-20])
    cut = a2sb("listen", "report", made, path, "-o", tmp_path / "report")
    assert cut.exit_code == 1 and "cut short" in cut.stderr
    path.unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_webmushra_and_abx_are_made(a2sb, made, tmp_path):
    make = ("listen", "make", tmp_path / "results", "--limit", 1, "-o")
    result = a2sb(*make, tmp_path / "w", "--kind", "mushra", "--format", "webmushra")
    assert result.exit_code == 0 and (tmp_path / "w" / "configs").is_dir()
    served = a2sb("listen", "serve", tmp_path / "w")
    assert served.exit_code == 1 and "--format page" in served.stderr
    result = a2sb(*make, tmp_path / "x", "--kind", "abx", "--repeats", 3, "--json")
    assert json.loads(result.stdout)["trials"] == 2 * 3
