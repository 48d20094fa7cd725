"""What the server of the page refuses, and how it answers: over HTTP, as a stranger would ask."""

import os
import re
from urllib.parse import quote

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")

from a2sb_core.jobs.hosts import AllowedHosts  # noqa: E402

PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def served(tiny, tmp_path_factory):
    """The page with small limits; yields its address and its folder."""
    yield from serve(tiny, tmp_path_factory.mktemp("open"))


@pytest.fixture(scope="module")
def locked(tiny, tmp_path_factory):
    """The page behind a password."""
    yield from serve(tiny, tmp_path_factory.mktemp("locked"), auth=("a2sb", PASSWORD))


def serve(model, root, **more):
    from a2sb_core.cli.web import make
    from a2sb_core.jobs.limits import Limits
    from a2sb_core.web.parts import Served

    kept = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(root / "uploads")
    limits = Limits(megabytes=1, files=4, daily_megabytes=3, daily_files=40)
    hosts = AllowedHosts.listening_at("127.0.0.1", ["music.example"])
    page, options = make(Served(root, limits, str(model), "cpu"), hosts)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **options, **more)
    yield url.rstrip("/"), root
    page.close()
    if kept is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = kept


def upload(url, *named, **more):
    files = [("files", (name, content)) for name, content in named]
    return httpx.post(f"{url}/gradio_api/upload", files=files, **more)


def file_url(url, path):
    return f"{url}/gradio_api/file={quote(str(path))}"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:7860", 200),
        ("Music.Example", 200),
        ("evil.example", 403),
        ("evil.example:7860", 403),
        ("localhost.evil.example", 403),
        ("evil@localhost", 403),
        ("192.168.1.7:7860", 403),
        ("", 403),
    ],
)
def test_only_known_hosts_are_served(served, host, status):
    for path in ("/", "/config"):
        assert httpx.get(served[0] + path, headers={"Host": host}).status_code == status


def test_a_page_that_listens_everywhere_serves_addresses_and_its_own_name():
    import socket

    hosts = AllowedHosts.listening_at("0.0.0.0")
    assert hosts.accepts("192.168.1.7:7860") and hosts.accepts("[fe80::1]:80")
    assert hosts.accepts(f"{socket.gethostname()}:7860") and hosts.accepts("localhost")
    assert not hosts.accepts("evil.example")
    assert not AllowedHosts.listening_at("10.0.0.1").accepts("10.0.0.2")


@pytest.mark.parametrize(
    ("origin", "is_served"),
    [
        ("https://evil.example", False),
        ("null", False),
        ("http://localhost:1", False),
        ("https://music.example", True),
        (None, True),
    ],
)
def test_other_sites_cannot_use_the_page(served, origin, is_served):
    url, root = served
    origin = origin or url
    before = {*root.rglob("note.wav")}
    answer = upload(url, ("note.wav", f"from {origin}"), headers={"Origin": origin})
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(f"{url}/gradio_api/upload", headers=asked)
    if is_served:
        assert answer.status_code == 200 and preflight.status_code == 200
    else:
        assert answer.status_code == preflight.status_code == 403
        assert "access-control-allow-origin" not in {*answer.headers, *preflight.headers}
        assert {*root.rglob("note.wav")} == before


def test_uploads_never_come_back_as_a_page(served):
    url, _ = served
    script = "<script>alert(1)</script>"
    names = ("page.html", "drawing.svg", "text.wav", "archive.xhtml")
    for name in names:
        (path,) = upload(url, (name, script)).json()
        for ranged in ({}, {"Range": "bytes=0-3"}):
            answer = httpx.get(file_url(url, path), headers=ranged)
            assert answer.status_code in (200, 206) and answer.text[:3] == script[:3]
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers.get_list("content-type") == ["application/octet-stream"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]


def test_the_player_gets_its_sound_and_pictures_by_type(served):
    url, root = served
    folder = root / "session-x"
    folder.mkdir()
    soundfile.write(folder / "before.flac", np.zeros(100), 8000)
    heard = httpx.get(file_url(url, folder / "before.flac"))
    seen = httpx.get(file_url(url, root / "backdrop.png"))
    assert heard.headers["content-type"] in ("audio/flac", "audio/x-flac")
    assert seen.headers["content-type"] == "image/png" and seen.content[:4] == b"\x89PNG"
    assert {one.headers["x-content-type-options"] for one in (heard, seen)} == {"nosniff"}


def test_the_server_fetches_nothing_for_a_visitor(served):
    for path in (
        "file=https://music.example/x",
        "file=HTTP://music.example/x",
        "proxy=https://a.b",
    ):
        assert httpx.get(f"{served[0]}/gradio_api/{path}").status_code == 403


def test_uploads_are_limited_in_files_and_size(tiny, tmp_path):
    serving = serve(tiny, tmp_path)
    url, root = next(serving)
    try:
        many = [(f"{number}.wav", b"x") for number in range(5)]
        assert upload(url, *many[:4]).status_code == 200
        refused = upload(url, *many)
        assert refused.status_code == 413 and "4 files" in refused.text
        for number in range(3):
            assert upload(url, (f"large {number}.wav", b"x" * 900_000)).status_code == 200
        refused = upload(url, ("large 3.wav", b"x" * 900_000))
        assert refused.status_code == 413 and "3 MB in a day" in refused.text
        codes = [upload(url, *many[:4]).status_code for _ in range(12)]
        assert codes[0] == 200 and codes[-1] == 413  # forty files in a day
        kept = {path.name for path in (root / "uploads").rglob("*") if path.is_file()}
        assert kept == {
            *(f"{number}.wav" for number in range(4)),
            *(f"large {n}.wav" for n in range(3)),
        }
    finally:
        serving.close()


def test_a_file_above_the_limit_is_refused(served):
    assert upload(served[0], ("large.wav", b"x" * 1_500_000)).status_code == 413


def test_an_upload_without_a_plain_boundary_and_a_huge_form_are_refused(served):
    kind = {"Content-Type": "multipart/form-data; boundary=a; boundary=b"}
    answer = httpx.post(f"{served[0]}/gradio_api/upload", headers=kind, content=b"--a--")
    assert answer.status_code == 400
    answer = httpx.post(f"{served[0]}/gradio_api/queue/join", json={"data": ["x" * 17_000_000]})
    assert answer.status_code == 413


def test_logins_are_throttled_and_cookies_are_strict(locked):
    url, _ = locked

    def login(password):
        return httpx.post(f"{url}/login", data={"username": "a2sb", "password": password})

    assert httpx.get(f"{url}/config").status_code == 401
    assert login("wrong").status_code == 400
    right = login(PASSWORD)
    assert right.status_code == 200
    cookies = right.headers.get_list("set-cookie")
    assert cookies and all(
        re.findall(r"samesite=(\w+)", one, re.IGNORECASE) == ["strict"] for one in cookies
    )
    assert [login("wrong").status_code for _ in range(7)] == [400] * 5 + [429] * 2
    assert login(PASSWORD).status_code == 429  # also the right one
