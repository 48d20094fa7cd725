"""`a2sb models`, `download` and `push`, against a hub on this machine."""

import hashlib
import json
import logging
from pathlib import Path

import pytest
import yaml
from hub_server import Hub, Repository

SHARED = {"license": "cc-by-4.0"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    from huggingface_hub import constants

    server = Hub()
    url = server.url
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in (
        ("ENDPOINT", url),
        ("HUGGINGFACE_CO_URL_TEMPLATE", template),
        ("HF_HUB_CACHE", str(tmp_path / "cache")),
        ("HF_HUB_OFFLINE", False),
        ("HF_HUB_DISABLE_XET", True),
        ("HF_TOKEN_PATH", str(tmp_path / "token")),
    ):
        monkeypatch.setattr(constants, name, value)
    # Its handler holds the stderr of whichever test came first.
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "handlers", [logging.NullHandler()])
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def files(model_folder):
    found = {path.name: path.read_bytes() for path in model_folder.iterdir()}
    return {**found, "README.md": b"---\nlicense: cc-by-4.0\n---\n\n# Tiny\n", "junk.bin": b"0"}


def told(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_models_that_are_shipped_are_listed(a2sb, hub):
    listed = {model["name"]: model for model in told(a2sb("models", "--json"))["models"]}
    small = listed["small"]
    assert (small["state"], small["tasks"]) == ("shipped", ["bandwidth", "inpaint"])
    assert small["licence"]["id"] == "apache-2.0" and small["licence"]["free"]
    assert small["parameters"] == pytest.approx(12.1e6, rel=0.01)
    assert {figure["metric"] for figure in small["figures"]} >= {"lsd", "sispec", "visqol"}
    published = listed["a2sb_twosplit"]
    assert published["state"] == "to download" and not published["licence"]["free"]
    table = a2sb("models").stdout.splitlines()
    assert table[1].split()[:3] == ["small", "bandwidth,", "inpaint"] and "24.4 MB" in table[1]
    assert any("a2sb download a2sb_twosplit" in line for line in table)
    assert hub.asked == []


def test_a_model_is_downloaded_once_verified_and_used(a2sb, hub, files, tmp_path, low_file):
    hub.repos["ann/tiny"] = Repository(files, SHARED)
    found = told(a2sb("download", "ann/tiny", "--json"))
    assert found["licence"]["id"] == "cc-by-4.0"
    assert {one["path"]: one["sha256"] for one in found["files"]} == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name != "junk.bin"
    }
    hub.asked.clear()
    result = a2sb("download", "ann/tiny")
    assert "licence: cc-by-4.0" in result.stderr and "use it with --model ann/tiny" in result.stdout
    assert [path for method, path in hub.asked if method == "GET" and "resolve" in path] == []
    (listed,) = (m for m in told(a2sb("models", "--json"))["models"] if m["name"] == "ann/tiny")
    assert (listed["state"], listed["tasks"]) == ("cached", ["bandwidth", "inpaint"])
    out = tmp_path / "new.wav"
    options = ["--task", "bandwidth", "--cutoff", "4000", "--model", "ann/tiny", "--device", "cpu"]
    restored = a2sb("restore", low_file, "-o", out, *options)
    assert restored.exit_code == 0 and out.is_file(), restored.stderr


def test_what_is_cached_serves_while_the_hub_is_down(a2sb, fails, hub, files, monkeypatch):
    hub.repos["ann/tiny"] = Repository(files, SHARED)
    a2sb("download", "ann/tiny")
    hub.trouble = "down"
    result = a2sb("download", "ann/tiny")
    assert result.exit_code == 0 and "the cached copy is complete" in result.stderr
    hub.trouble = None
    hub.asked.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    result = a2sb("download", "ann/tiny")
    assert result.exit_code == 0 and "HF_HUB_OFFLINE is set" in result.stderr
    fails(a2sb("download", "ann/other"), "HF_HUB_OFFLINE", "unset it", "not in the cache")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("down", ("ann/tiny", "503", "try again later")),
        ("cut", ("ann/tiny", "broke off", "try again")),
        (
            "short",
            ("model.safetensors is damaged", "removed from the cache", "download the model again"),
        ),
        (
            "other",
            ("model.safetensors is damaged", "removed from the cache", "download the model again"),
        ),
    ],
)
def test_trouble_is_told_and_an_older_download_stays(a2sb, fails, hub, files, trouble, words):
    repo = hub.repos["ann/tiny"] = Repository(files, SHARED)
    first = told(a2sb("download", "ann/tiny", "--json"))
    newer = {**files, "model.safetensors": files["model.safetensors"] + b" "}
    hub.trouble = trouble
    repo.push(newer)
    result = a2sb("download", "ann/tiny")
    if trouble != "down":
        fails(result, *words)
    hub.repos["ann/other"] = Repository(newer, SHARED)
    hub.asked.clear()
    fails(a2sb("download", "ann/other"), *(word.replace("tiny", "other") for word in words))
    assert len(hub.asked) < 30
    states = {m["name"]: m["state"] for m in told(a2sb("models", "--json"))["models"]}
    assert states["ann/tiny"] == "cached" and "ann/other" not in states
    hub.trouble = None
    assert told(a2sb("download", "ann/tiny", "--json"))["commit"] != first["commit"]


def test_a_silent_hub_is_not_waited_for(a2sb, fails, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.3)
    hub.trouble = "silent"
    fails(a2sb("download", "ann/tiny"), "ann/tiny", "cannot be reached", "check the connection")


def test_nothing_damaged_stays_in_the_cache(a2sb, fails, hub, files):
    from a2sb_core.models.locating import find_model

    large = {**files, "NOTICE": b"all rights given " * 20}
    hub.repos["ann/tiny"] = Repository(large, SHARED)
    hub.trouble = "other"
    fails(a2sb("download", "ann/tiny"), "model.safetensors is damaged", "NOTICE is damaged")
    hub.trouble = None
    folder = find_model("ann/tiny")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: content for name, content in large.items() if name != "junk.bin"
    }


def test_what_is_damaged_on_disk_goes_and_what_comes_for_it_is_verified(a2sb, fails, hub, files):
    from a2sb_core.errors import ModelError
    from a2sb_core.models.locating import find_model

    hub.repos["ann/tiny"] = Repository(files, SHARED)
    weights = find_model("ann/tiny") / "model.safetensors"
    weights.resolve().write_bytes(b"rust")
    fails(a2sb("download", "ann/tiny"), "model.safetensors is damaged")
    hub.trouble = "other"
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        find_model("ann/tiny")
    hub.trouble = None
    assert (find_model("ann/tiny") / weights.name).read_bytes() == files[weights.name]


def names_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("trouble", ["etag", "commit"])
def test_names_from_the_hub_that_are_paths_are_refused(a2sb, fails, hub, files, tmp_path, trouble):
    repo = hub.repos["ann/tiny"] = Repository(files, SHARED)
    if trouble == "commit":
        repo.commits["../../../../evil"] = files
        repo.refs["main"] = "../../../../evil"
    else:
        hub.trouble = "etag"
    fails(a2sb("download", "ann/tiny"), "evil")
    assert not [name for name in names_below(tmp_path) if "evil" in name]


def test_a_damaged_file_that_links_out_of_the_cache_is_not_followed(
    a2sb, fails, hub, files, tmp_path
):
    from a2sb_core.models.locating import find_model

    hub.repos["ann/tiny"] = Repository(files, SHARED)
    weights = find_model("ann/tiny") / "model.safetensors"
    outside = tmp_path / "precious"
    outside.write_bytes(b"precious")
    weights.unlink()
    weights.symlink_to(outside)
    fails(a2sb("download", "ann/tiny"), "model.safetensors is damaged")
    assert outside.read_bytes() == b"precious" and not weights.is_symlink()


def test_a_file_without_end_is_given_up(a2sb, fails, hub, files):
    hub.repos["ann/tiny"] = Repository(files, SHARED)
    hub.trouble = "endless"
    fails(a2sb("download", "ann/tiny"), "more than it announced")


@pytest.mark.parametrize(
    ("pace", "message"),
    [
        ({"bytes_per_s": 1000, "period_s": 0.2}, "less than 1.0 kB a second"),
        ({"total_s": 0.2}, "took more than"),
    ],
)
def test_a_hub_that_sends_a_byte_at_a_time_is_left(hub, files, pace, message):
    from a2sb_core.models.hub import MODEL_FILES, download, look_up
    from a2sb_core.models.hub_errors import UnreachableError
    from a2sb_core.models.hub_limits import Pace

    hub.repos["ann/tiny"] = Repository(files, SHARED)
    listing = look_up("ann/tiny")
    hub.trouble = "slow"
    with pytest.raises(UnreachableError, match=message):
        download(listing, MODEL_FILES, pace=Pace(**pace))


def test_files_come_over_http_where_the_limits_hold(a2sb, hub, files, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    hub.repos["ann/tiny"] = Repository(files, SHARED)
    hub.trouble = "xet"
    told(a2sb("download", "ann/tiny", "--json"))
    assert not [path for _, path in hub.asked if "xet" in path]


def test_a_download_needs_room_on_the_disk(a2sb, fails, hub, files, tmp_path, monkeypatch):
    import shutil

    hub.repos["ann/tiny"] = Repository(files, SHARED)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    fails(a2sb("download", "ann/tiny"), "room for only 1.0 kB", "HF_HOME")
    assert not [path for method, path in hub.asked if "resolve" in path]


def test_what_a_broken_download_left_is_verified(hub, files):
    from huggingface_hub import hf_hub_download

    from a2sb_core.errors import ModelError
    from a2sb_core.models.locating import find_model

    repo = hub.repos["ann/tiny"] = Repository(files, SHARED)
    hub.trouble = "other"
    hf_hub_download("ann/tiny", "model.safetensors", revision=repo.refs["main"])
    hub.trouble = None
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        find_model("ann/tiny")
    found = find_model("ann/tiny") / "model.safetensors"
    assert found.read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ann/absent", ("has no `ann/absent`", "check the name")),
        ("ann/gated", ("`ann/gated` is gated", "ask for access")),
        ("ann/text", ("is no model for a2sb", "config.json and no model.safetensors")),
        ("nothing", ("there is no model `nothing`", "owner/name")),
    ],
)
def test_what_can_not_be_had_is_told(a2sb, fails, hub, files, name, words):
    hub.repos["ann/gated"] = Repository(files, "gated")
    hub.repos["ann/text"] = Repository({"README.md": b"# Text"}, SHARED)
    fails(a2sb("download", name), *words)


def test_a_licence_that_is_not_free_is_agreed_to_first(a2sb, fails, hub, files):
    hub.repos["ann/tiny"] = Repository(files, {"license": "cc-by-nc-4.0"})
    fails(a2sb("download", "ann/tiny"), "does not allow every use: cc-by-nc-4.0")
    fails(a2sb("download", "a2sb_onesplit"), "`nvidia/audio_to_audio_schrodinger_bridge`")
    assert not [path for method, path in hub.asked if "resolve" in path]
    assert told(a2sb("download", "ann/tiny", "--accept-licence", "--json"))["folder"]
    assert a2sb("download", "ann/tiny").exit_code == 0  # agreed to already


def test_a_model_without_a_licence_is_told(a2sb, fails, hub, files):
    hub.repos["ann/tiny"] = Repository({**files, "README.md": b"# Tiny"})
    fails(a2sb("download", "ann/tiny"), "states no licence", "Ask its owner", "accept_licence=True")
    assert a2sb("download", "ann/tiny", "--accept-licence").exit_code == 0


def test_a_model_is_pushed_and_comes_back(a2sb, hub, model_folder):
    arguments = ("push", model_folder, "ann/mine", "--licence", "cc0-1.0")
    shown = a2sb(*arguments, "--dry-run")
    assert "nothing was sent" in shown.stdout and hub.asked == []
    pushed = told(a2sb(*arguments, "--json"))
    assert pushed["url"].startswith(f"{hub.url}/ann/mine/commit/")
    repo = hub.repos["ann/mine"]
    held = repo.commits[repo.refs["main"]]
    assert sorted(held) == ["README.md", "config.json", "model.safetensors"]
    assert held["model.safetensors"] == (model_folder / "model.safetensors").read_bytes()
    _, front, text = held["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(front)
    assert (card["license"], card["library_name"]) == ("cc0-1.0", "a2sb")
    assert card["tags"] == ["bandwidth", "inpaint"] and "--model ann/mine" in text
    back = told(a2sb("download", "ann/mine", "--json"))
    digests = {one["path"]: one["sha256"] for one in pushed["files"]}
    assert {one["path"]: one["sha256"] for one in back["files"]} == digests


def test_figures_of_an_evaluation_go_onto_the_card(a2sb, hub, model_folder, tmp_path):
    rows = [
        {"system": system, "task": "gap-300", "metrics": {"lsd": {"mean": mean}}}
        for system, mean in (("degraded", 9.0), (str(model_folder), 0.125))
    ]
    summary = {"reference": "degraded", "clips": ["a", "b"], "rows": rows}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    options = ("--licence", "mit", "--evaluation", tmp_path, "--json")
    pushed = told(a2sb("push", model_folder, "ann/mine", *options))
    (result,) = yaml.safe_load(pushed["card"].split("---\n")[1])["model-index"][0]["results"]
    assert result["dataset"] == {"type": "audio", "name": "2 clips", "config": "gap-300"}
    assert result["metrics"] == [{"type": "lsd", "value": 0.125}]


def test_what_can_not_be_pushed_is_told(a2sb, fails, hub, model_folder, tmp_path):
    fails(a2sb("push", model_folder, "ann/mine"), "states no licence", "--licence")
    fails(
        a2sb("push", model_folder, "mine", "--licence", "mit"), "`mine` is not an id", "owner/name"
    )
    fails(a2sb("push", tmp_path, "ann/mine", "--licence", "mit"), "is no model folder")
    hub.trouble = "down"
    fails(a2sb("push", model_folder, "ann/mine", "--licence", "mit"), "503", "try again later")
    hub.trouble = None
    hub.repos["ann/mine"] = Repository({}, SHARED)
    result = a2sb("push", model_folder, "ann/mine", "--licence", "mit", "--private")
    fails(result, "is public", "nothing was uploaded")
    assert hub.repos["ann/mine"].commits[hub.repos["ann/mine"].refs["main"]] == {}
    assert "hf_secret" not in result.stderr


@pytest.fixture
def published(hub, tmp_path):
    """Checkpoints of the published kind, small, on the hub."""
    import torch

    from a2sb_backbones.rope_unet import RoPEUNet

    found = {}
    for seed, name in enumerate(("A2SB_twosplit_0.0_0.5", "A2SB_twosplit_0.5_1.0")):
        torch.manual_seed(seed)
        network = RoPEUNet.Config(widths=(32, 32, 64), attention_levels=(1,)).build(channels=3)
        path = tmp_path / f"{name}_release.ckpt"
        state = {f"vf_model.{key}": value for key, value in network.state_dict().items()}
        torch.save({"state_dict": state}, path)
        found[f"ckpt/{path.name}"] = path.read_bytes()
    hub.repos["nvidia/audio_to_audio_schrodinger_bridge"] = Repository(found)
    return found


def test_published_checkpoints_are_converted_on_first_use(a2sb, fails, hub, published):
    from a2sb_core.errors import ModelError
    from a2sb_core.models.loading import load_model

    def listed():
        models = told(a2sb("models", "--json"))["models"]
        return next(model for model in models if model["name"] == "a2sb_twosplit")

    with pytest.raises(ModelError, match=r"`a2sb_twosplit` does not allow.*a2sb download"):
        load_model("a2sb_twosplit")
    assert listed()["state"] == "to download"
    found = told(a2sb("download", "a2sb_twosplit", "--accept-licence", "--json"))
    assert {one["path"] for one in found["files"]} == published.keys()
    assert listed()["state"] == "downloaded"
    model = load_model("a2sb_twosplit")
    assert (model.config.backbone.name, model.config.backbone.cuts) == ("experts", (0.5,))
    folder = Path(listed()["folder"])
    assert listed()["state"] == "converted"
    assert "license_name: non-commercial" in (folder / "README.md").read_text()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    hub.trouble = "down"
    assert load_model("a2sb_twosplit").config == model.config
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
