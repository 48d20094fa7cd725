"""Ratings: files that were changed or cut short, ratings given twice, and the server."""

import json
import threading
import urllib.error
import urllib.request

import pytest
from listening_parts import design

from a2sb_core.errors import A2SBError
from a2sb_core.listening.design import PAGE, RATINGS, read_test, write_test
from a2sb_core.listening.ratings import RatingsError, read_ratings
from a2sb_core.listening.server import Collection, serve

HEAD = "test,participant,trial,stimulus,rating,seconds\n"
GOOD = "testrating,anna,t0r0,s0x0,4,2.5\n"


@pytest.fixture
def read(tmp_path):
    def function(*texts, name="ratings.csv", test=None):
        paths = []
        for k, text in enumerate(texts):
            paths.append(tmp_path / f"{k}{name}")
            paths[-1].write_text(text, encoding="utf8", newline="")
        return read_ratings(test or design(), paths)

    return function


def document(**changes):
    rating = {"trial": "t0r0", "stimulus": "s0x0", "rating": 4, "seconds": 2.5}
    return {"test": "testrating", "participant": "anna", "ratings": [rating | changes]}


def test_csv_and_json_say_the_same(read):
    (from_csv,) = read(HEAD + GOOD)
    (from_json,) = read(json.dumps(document()), name="ratings.json")
    (with_cr,) = read((HEAD + GOOD).replace("\n", "\r\n"))
    assert from_csv.value == from_json.value == with_cr.value == 4.0
    assert from_csv.place == from_json.place == ("anna", "t0r0", "s0x0")


def test_a_rating_given_twice_counts_once_and_a_contradiction_is_an_error(read):
    assert len(read(HEAD + GOOD, HEAD + GOOD + GOOD.replace("4", "4.0", 1))) == 1
    other = GOOD.replace(",4,", ",5,")
    with pytest.raises(RatingsError, match=r"anna gave 5, but 4 in .*0ratings.csv, line 2"):
        read(HEAD + GOOD, HEAD + other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + GOOD[:-1], "cut short"),
        (HEAD + GOOD[:-9] + "\n", "line 2: it has 4 cells"),
        (HEAD + GOOD.replace(",4,", ",6,"), "line 2: '6' is no rating from 1 to 5"),
        (HEAD + GOOD.replace(",4,", ",nan,"), "is no rating"),
        (HEAD + GOOD.replace(",4,", ",,"), "is no rating"),
        (HEAD + GOOD.replace("t0r0", "t99"), "no trial 't99'"),
        (HEAD + GOOD.replace("s0x0", "s1x0"), "has no stimulus 's1x0'"),
        (HEAD + GOOD.replace("testrating", "other"), "test 'other'"),
        (HEAD + GOOD.replace("anna", "=cmd"), "no participant code"),
        (HEAD + GOOD.replace("2.5", "soon"), "no number of seconds"),
        (HEAD + GOOD.replace("anna", '"anna'), "line"),
        ("a,b\n1,2\n", "holds no ratings"),
        ("", "holds no ratings"),
    ],
)
def test_a_changed_line_is_named(read, text, message):
    with pytest.raises(RatingsError, match=message):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(document())[:-4],
        "[]",
        "{}",
        json.dumps(document() | {"ratings": [1]}),
        "[" * 9999,
    ],
)
def test_damaged_json_is_an_error(read, text):
    with pytest.raises(RatingsError):
        read(text, name="ratings.json")


def test_a_file_that_is_missing_or_no_text_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(RatingsError, match="cannot be read"):
            read_ratings(design(), [tmp_path / name])


def test_results_of_webmushra_are_ratings(read):
    test = design("mushra")
    text = (
        '"session_test_id","session_uuid","trial_id","rating_stimulus","rating_score",'
        '"rating_time","rating_comment"\n'
        '"testmushra","6f-1","t0r0","s0x0",62,8123,""\n"testmushra","6f-1","t0r0","reference",98,8,""\n'
    )
    found = read(text, test=test)
    assert [(one.participant, one.stimulus, one.value) for one in found] == [
        ("6f-1", "s0x0", 62.0),
        ("6f-1", "s0x2", 98.0),
    ]


@pytest.fixture
def folder(tmp_path):
    write_test(design(), tmp_path)
    (tmp_path / PAGE).mkdir()
    (tmp_path / PAGE / "index.html").write_text("the page")
    return tmp_path


@pytest.fixture
def ask(folder):
    """Send requests to a server; the answer is (status, text)."""
    with serve(folder, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def function(path, body=None, **headers):
            headers = {"Content-Type": "application/json"} | headers
            url = f"http://127.0.0.1:{server.server_port}{path}"
            request = urllib.request.Request(url, body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        yield function
        server.shutdown()
        thread.join()


def test_ratings_sent_twice_are_kept_once(ask, folder):
    body = json.dumps(document()).encode()
    assert ask("/ratings", body) == (200, "1 new ratings\n")
    assert ask("/ratings", body) == (200, "0 new ratings\n")
    assert ask("/ratings", json.dumps(document(rating=1)).encode()) == (200, "0 new ratings\n")
    (kept,) = read_ratings(design(), [folder / RATINGS])
    assert (kept.value, kept.seconds) == (4.0, 2.5)
    assert len(Collection(folder)) == 1


def test_many_participants_at_once_lose_nothing(ask, folder):
    def send(name):
        listed = [
            {"trial": trial.id, "stimulus": trial.stimuli[0], "rating": 3, "seconds": 1}
            for trial in design().trials
        ]
        body = {"test": "testrating", "participant": name, "ratings": listed}
        ask("/ratings", json.dumps(body).encode())

    threads = [threading.Thread(target=send, args=(f"p{k % 10}",)) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_ratings(design(), [folder / RATINGS])) == 10 * 12
    assert (folder / RATINGS).read_text().count("\n") == 1 + 10 * 12


def test_the_server_refuses_what_is_no_rating(ask, folder):
    body = json.dumps(document()).encode()
    assert ask("/ratings", b"{")[0] == 400
    assert ask("/ratings", json.dumps(document(rating=9)).encode())[0] == 400
    assert ask("/ratings", body, **{"Content-Type": "text/plain"})[0] == 415
    assert ask("/elsewhere", body)[0] == 404
    assert ask("/ratings", b" ", **{"Content-Length": str((1 << 20) + 1)})[0] == 413
    assert not (folder / RATINGS).exists()


def test_the_server_shows_the_page_only(ask, folder):
    assert ask("/") == (200, "the page")
    (folder / PAGE / "audio").mkdir()
    for path in ("/key.json", "/../key.json", "/%2e%2e/key.json", "/audio/", "/ratings.csv"):
        assert ask(path)[0] == 404


def test_a_second_server_and_a_damaged_collection_are_refused(folder):
    with serve(folder, "127.0.0.1", 0) as server:
        with pytest.raises(A2SBError, match="another server"), serve(folder, "127.0.0.1", 0):
            pass
        port = server.server_port
        other = folder / "other"
        other.mkdir()
        write_test(design(), other)
        (other / PAGE).mkdir()
        with pytest.raises(A2SBError, match="not available"), serve(other, "127.0.0.1", port):
            pass
    (folder / RATINGS).write_text(HEAD + GOOD[:-5])
    with pytest.raises(RatingsError, match="cut short"):
        Collection(folder)


def test_a_folder_that_is_no_test_is_an_error(tmp_path):
    with pytest.raises(A2SBError, match=r"a2sb listen make"):
        read_test(tmp_path)
    write_test(design(), tmp_path)
    text = (tmp_path / "key.json").read_text()
    for changed in (text[:-40], text.replace('"s0x0"', '"gone"', 1), text.replace("rating", "x")):
        (tmp_path / "key.json").write_text(changed)
        with pytest.raises(A2SBError, match=r"key\.json"):
            read_test(tmp_path)
