"""The page in headless Chromium: what a visitor does, and sees."""

import os
import time
import zipfile

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")

RATE = 44100
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    kept = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    yield folder
    if kept is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = kept


@pytest.fixture(scope="module")
def address(root, tiny):
    """The page, served; recordings of a minute at most."""
    from a2sb_core.cli.web import make
    from a2sb_core.jobs.limits import Limits
    from a2sb_core.web.parts import Served

    page, options = make(Served(root, Limits(minutes=1.0, files=4), str(tiny), "cpu"))
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **options)
    yield url
    page.close()


@pytest.fixture
def page(browser, address):
    """The page as opened; nothing may be loaded from elsewhere, nor fail in its scripts."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    foreign, broken = [], []
    opened.on(
        "request",
        lambda one: (
            address in one.url or one.url.startswith(("data:", "blob:")) or foreign.append(one.url)
        ),
    )
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.set_default_timeout(WAIT_MS)
    opened.goto(address)
    opened.wait_for_selector("#restore")
    yield opened
    opened.close()
    assert not foreign and not broken


def upload(page, path, where="#file", words="kHz:"):
    page.set_input_files(f"{where} input[type=file]", path)
    if words:
        page.locator("#message", has_text=words).wait_for()


def test_upload_restore_listen_and_download(page, torn, tiny, tmp_path):
    from a2sb_core.restoration.restorer import Restorer

    upload(page, torn, words="filling 1 gap")
    assert page.locator("#task input[value=inpaint]").is_checked()
    assert page.locator(".stage").count() == 1
    left, width = page.eval_on_selector(
        ".stretch", "gap => [parseFloat(gap.style.left), parseFloat(gap.style.width)]"
    )
    assert left == pytest.approx(100 / 3, abs=0.1) and width == pytest.approx(50 / 3, abs=0.1)
    page.fill("#gap textarea", "1:1.5\n2.5:2.6")
    page.press("#gap textarea", "Tab")
    page.wait_for_function("document.querySelectorAll('.stretch').length === 2")
    page.click("#restore")
    page.wait_for_selector("#download:visible")
    assert "Filling 2 gaps, 0.6 s in all" in page.inner_text("#message")
    listen(page)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename.endswith("restored.wav")
    download.value.save_as(tmp_path / "new.wav")
    Restorer.from_pretrained(tiny, "cpu").restore_file(
        torn, tmp_path / "expected.wav", task="inpaint", gaps_s=[(1, 1.5), (2.5, 2.6)]
    )
    new, expected = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("new", "expected"))
    assert np.array_equal(new, expected)


def listen(page):
    """Both versions run on one clock, one is heard, and the switch keeps the place."""
    page.evaluate("""() => { window.heard = [];
        const play = Audio.prototype.play;
        Audio.prototype.play = function () {
            window.heard.push(this); return play.call(this); }; }""")
    assert page.locator(".stage").count() == 2 and page.locator(".head").count() == 2
    page.click("[data-part=play]")
    page.wait_for_function("window.heard.length === 2 && window.heard[1].currentTime > 0.3")
    muted = "window.heard.map(one => one.muted)"
    assert page.evaluate(muted) == [True, False]
    page.click("[data-part=switch] >> text=before")
    assert page.evaluate(muted) == [False, True]
    first, second = page.evaluate("window.heard.map(one => one.currentTime)")
    assert first > 0.3 and abs(first - second) < 0.15
    page.click("[data-part=play]")
    assert page.evaluate("window.heard.every(one => one.paused)")
    page.keyboard.press("x")  # also while a button has the focus
    assert page.evaluate(muted) == [True, False]
    page.keyboard.press("x")
    page.locator(".stage").nth(1).click(position={"x": 10, "y": 50})
    page.wait_for_function("window.heard.every(one => one.currentTime < 0.2)")
    assert page.locator(".stage").nth(1).get_attribute("class") == "stage active"
    page.keyboard.press("x")
    assert page.evaluate(muted) == [False, True]


def slowly(page, folder):
    """Begin to restore what will take long."""
    path = folder / "minute.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(50 * 16000), 16000)
    upload(page, path)
    page.click("text=Model, steps, seed, format")
    page.locator(".steps input").first.fill("200")
    page.click("#restore")
    page.wait_for_function("document.body.innerText.includes('restoring')")


@pytest.mark.slow
def test_cancel_stops_the_work(page, tmp_path):
    slowly(page, tmp_path)
    page.click("#cancel")
    page.locator("#message", has_text="Cancelled").wait_for()
    page.wait_for_selector("#restore:visible")
    assert not page.is_visible("#download")


@pytest.mark.slow
def test_who_waits_may_cancel_and_who_leaves_makes_room(browser, address, page, torn, tmp_path):
    first = browser.new_page()
    first.set_default_timeout(WAIT_MS)
    first.goto(address)
    slowly(first, tmp_path)
    upload(page, torn, words="filling 1 gap")
    page.click("#restore")
    page.wait_for_selector("#cancel:visible")
    page.click("#cancel")  # while it waits
    first.close()
    page.locator("#message", has_text="Cancelled").wait_for()
    page.wait_for_selector("#restore:visible")
    page.click("#restore")
    page.wait_for_selector("#download:visible")


@pytest.mark.slow
def test_files_of_who_has_left_are_removed(browser, address, root, monkeypatch):
    monkeypatch.setenv("GRADIO_IS_E2E_TEST", "1")  # an hour takes a second
    before = set(root.glob("session-*"))
    visitor = browser.new_page()
    visitor.set_default_timeout(WAIT_MS)
    visitor.goto(address)
    visitor.click("#example-inpaint")
    visitor.wait_for_selector(".stage img")
    (own,) = set(root.glob("session-*")) - before
    assert any(own.rglob("before.flac"))
    visitor.close()
    deadline = time.monotonic() + 20
    while own.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not own.exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("la la la"), "text.wav"),
        (lambda path: soundfile.write(path, np.zeros(90 * 8000), 8000), "is 1.5 minutes long"),
    ],
)
def test_what_is_no_audio_or_too_long_is_told(page, tmp_path, make, words):
    path = tmp_path / "text.wav"
    make(path)
    upload(page, path, words="")
    page.wait_for_selector(".toast-body, [data-testid=toast-body]")
    assert words in page.inner_text("#message") and "uploads" not in page.inner_text("body")
    assert page.locator(".stage").count() == 0


@pytest.mark.slow
def test_many_files(page, torn, tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    page.get_by_role("tab", name="Many files").last.click()
    page.set_input_files("#files input[type=file]", [torn, tmp_path / "text.wav"])
    page.locator("#files", has_text="text").wait_for()
    page.click("#task-many >> text=Fill gaps")
    page.click("#restore-all")
    page.wait_for_selector("#download-all:visible")
    table = page.inner_text("#table")
    assert "restored" in table and "failed" in table
    with page.expect_download() as download:
        page.click("#download-all")
    with zipfile.ZipFile(download.value.path()) as archive:
        (name,) = archive.namelist()
    assert name.startswith("torn tape") and name.endswith(".restored.wav")


@pytest.mark.slow
def test_a_password_is_asked_for(browser, root, tiny):
    from a2sb_core.cli.web import USER, make
    from a2sb_core.jobs.limits import Limits
    from a2sb_core.web.parts import Served

    made, options = make(Served(root, Limits(), str(tiny), "cpu"))
    _, url, _ = made.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, auth=(USER, "open sesame"), **options
    )
    opened = browser.new_page()
    opened.set_default_timeout(WAIT_MS)
    try:
        opened.goto(url)
        opened.wait_for_selector("input[type=password]")
        assert not opened.is_visible("#restore")
        opened.fill("input >> nth=0", USER)
        opened.fill("input[type=password]", "open sesame")
        opened.click("button >> text=Login")
        opened.wait_for_selector("#restore")
        opened.click("#example-inpaint")
        opened.wait_for_selector(".stage img")
        assert (
            opened.eval_on_selector(
                ".stage img", "async one => { await one.decode(); return one.naturalWidth; }"
            )
            > 100
        )
    finally:
        opened.close()
        made.close()
