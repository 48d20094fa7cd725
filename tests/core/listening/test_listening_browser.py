"""The page of a listening test in headless Chromium, from a file and from the server."""

import json
import threading

import pytest
from listening_parts import TASK, key, write_results

from a2sb_core.listening.design import RATINGS, REFERENCE, read_test
from a2sb_core.listening.making import TestPlan
from a2sb_core.listening.page import write_page
from a2sb_core.listening.ratings import read_ratings
from a2sb_core.listening.reports import evaluate_ratings
from a2sb_core.listening.screening import ScreeningRules
from a2sb_core.listening.server import serve
from a2sb_core.listening.source import read_kept_audio

READY = "playing.length > 0 && playing[0].heard"


@pytest.fixture
def page(browser):
    """A page that may load nothing from a network, nor fail in its scripts."""
    opened = browser.new_context(viewport={"width": 900, "height": 760}).new_page()
    foreign, broken = [], []
    allowed = ("file:", "data:", "blob:", "http://127.0.0.1:")
    opened.on("request", lambda one: one.url.startswith(allowed) or foreign.append(one.url))
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.set_default_timeout(20_000)
    yield opened
    opened.context.close()
    assert not foreign and not broken


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    results = write_results(tmp_path_factory.mktemp("results"))

    def function(kind, **settings):
        folder = tmp_path_factory.mktemp(kind)
        write_page(read_kept_audio(results), TestPlan(kind, seconds=0.5, **settings), folder)
        return folder

    return function


def begin(page, address, participant):
    page.goto(address)
    page.fill("#participant", participant)
    page.click("#begin button")
    page.wait_for_function(READY)


def shown(page):
    """Return the trial and the stimuli that are shown, in order."""
    return page.evaluate("[trials[0].id, trials[0].order]")


def next_trial(page):
    page.keyboard.press("Enter")
    page.wait_for_function(f"!document.getElementById('end').hidden || {READY}")


def test_ratings_of_the_page_come_out_of_the_report(page, make, tmp_path):
    folder = make("rating")
    test, names = read_test(folder), key(folder)
    grades = {"p1": (4, 2, 5), "p2": (3, 2, 5), "p3": (5, 2, 5)}
    exports = []
    for participant, (a, b, hidden) in grades.items():
        grade = {"system-a": a, "system-b": b, REFERENCE: hidden}
        begin(page, (folder / "page" / "index.html").as_uri(), participant)
        seen = []
        for _ in test.trials:
            seen.append(shown(page))
            page.keyboard.press(str(grade[names[seen[-1][1][0]]["system"]]))
            assert page.locator("#next").is_disabled()  # the sample was not heard
            page.keyboard.press("s")
            next_trial(page)
        assert [(trial, order) for trial, order in seen] == test.order(participant)
        kind = "json" if participant == "p2" else "csv"
        with page.expect_download() as download:
            page.click(f"#{kind}")
        exports.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(exports[-1])
    report = evaluate_ratings(test, read_ratings(test, exports), ScreeningRules())
    found = {one.system: one for one in report.opinions}
    assert {name: one.mean for name, one in found.items()} == {
        "system-a": 4.0,
        "system-b": 2.0,
        REFERENCE: 5.0,
    }
    assert found["system-a"].task == TASK and report.participants == 3
    half = 4.302653 / 3**0.5  # t of 2 degrees of freedom, standard deviation 1
    assert found["system-a"].interval == pytest.approx(
        (4 - half, 5.0), abs=1e-5
    )  # within the scale


def test_a_switch_keeps_the_place(page, make):
    page.add_init_script("""window.starts = [];
        const start = AudioBufferSourceNode.prototype.start;
        AudioBufferSourceNode.prototype.start = function (when) {
            window.starts.push([when, this.loop]); return start.call(this, when); };""")
    begin(page, (make("mushra") / "page" / "index.html").as_uri(), "p1")
    starts = page.evaluate("window.starts")
    assert len(starts) == 1 + 4 and len({when for when, _ in starts}) == 1
    assert all(loops for _, loops in starts)
    lengths = page.evaluate("playing.map((one) => one.source.buffer.length)")
    assert len(set(lengths)) == 1
    for k in (2, 0, 4):
        page.click(f"[data-play='{k}']")
        page.wait_for_function(
            "(k) => playing.every((one, i) => one.gain.gain.value === (i === k ? 1 : 0))", arg=k
        )
    assert page.evaluate("window.starts.length") == 5  # nothing was started anew
    page.keyboard.press(" ")
    page.wait_for_function("context.state === 'suspended'")
    page.keyboard.press("r")
    page.wait_for_function("context.state === 'running'")


def test_the_server_collects_and_a_participant_goes_on(page, make):
    folder = make("mushra")
    test, names = read_test(folder), key(folder)
    points = {"system-a": 70, "system-b": 30, REFERENCE: 100, "anchor 3.5 kHz": 10}
    with serve(folder, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        for k, _ in enumerate(test.trials):
            begin(page, address, "p1")  # as after a reload
            assert page.inner_text("#place") == f"Trial {k + 1} of 2"
            for place, stimulus in enumerate(shown(page)[1], 1):
                page.keyboard.press(str(place))
                page.locator(f"input[data-stimulus={stimulus}]").fill(
                    str(points[names[stimulus]["system"]])
                )
            page.locator("#next").click()
            page.wait_for_function(f"!document.getElementById('end').hidden || {READY}")
        page.locator("#sent", has_text="were sent").wait_for()
        server.shutdown()
        thread.join()
    report = evaluate_ratings(test, read_ratings(test, [folder / RATINGS]), ScreeningRules())
    assert {one.system: one.mean for one in report.opinions} == points
    assert not report.incomplete


def test_abx_answers_of_the_page_are_judged(page, make, tmp_path):
    folder = make("abx")
    test = read_test(folder)
    begin(page, (folder / "page" / "index.html").as_uri(), "p1")
    for k, _ in enumerate(test.trials):
        trial, _ = shown(page)
        for version in "abx":
            page.keyboard.press(version)
        is_a = (test.x_is("p1", trial) == "A") == (k > 0)  # the first answer is wrong
        page.keyboard.press("ArrowLeft" if is_a else "ArrowRight")
        next_trial(page)
    with page.expect_download() as download:
        page.click("#json")
    download.value.save_as(tmp_path / "p1.json")
    assert len(json.loads((tmp_path / "p1.json").read_text())["ratings"]) == 4
    found = evaluate_ratings(test, read_ratings(test, [tmp_path / "p1.json"])).recognitions
    assert (sum(one.correct for one in found), sum(one.answers for one in found)) == (3, 4)
