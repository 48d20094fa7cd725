"""Tags and pictures go from any kind of file into any other."""

import base64

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen import id3
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, CueSheet, CueSheetTrack, CueSheetTrackIndex, Picture

from a2sb_core.audio import files
from a2sb_core.audio.headers import production_chunks
from a2sb_core.audio.tags import Tags, read_tags, write_tags

RATE = 44100
WAVE = np.full((2, 4800), 0.1, dtype=np.float32)
TEXTS = {
    "title": ["Größe 日本 🎵"], "artist": ["One", "Two"], "album": ["A \"b\" <c>"],
    "albumartist": ["Various"], "date": ["1999-12-31"], "genre": ["Jazz", "Field recording"],
    "tracknumber": ["3/12"], "discnumber": ["1"], "comment": ["two\nlines"], "composer": ["C. B."],
    "lyrics": ["la\nla"], "isrc": ["USRC17607839"], "replaygain_track_gain": ["-6.5 dB"],
    "musicbrainz_trackid": ["8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"], "own field": ["x"],
}  # fmt: skip
SUFFIXES = ["flac", "ogg", "opus", "mp3", "wav", "aiff"]


def cover(data=b"\xff\xd8\xff" + bytes(range(256)) * 40, kind=3, desc="front"):
    picture = Picture()
    picture.type, picture.mime, picture.desc, picture.data = kind, "image/jpeg", desc, data
    return picture


def tagged(path, texts=TEXTS, pictures=None):
    """Write a file with tags by mutagen's means."""
    files.write(path, WAVE, 48000, overwrite=True)
    write_tags(path, Tags(dict(texts), [cover()] if pictures is None else pictures))
    return path


def seen(path):
    tags = read_tags(path)
    return tags.texts, [(p.type, p.mime, p.desc, p.data) for p in tags.pictures]


def copied(source, target, **options):
    files.write(target, WAVE, 48000, like=files.info(source), **options)
    return target


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
def test_tags_and_pictures_are_those_of_the_input(tmp_path, source, target):
    before = tagged(tmp_path / f"in.{source}")
    after = copied(before, tmp_path / f"out.{target}")
    assert seen(before) == (TEXTS, [(3, "image/jpeg", "front", cover().data)])
    assert seen(after) == seen(before)
    assert files.info(after).frames == WAVE.shape[1]


def test_flac_keeps_every_comment_and_picture_as_it_was(tmp_path):
    pictures = [cover(), cover(b"back", 4, ""), cover(b"", 6, "label"), cover(b"more", 3, "")]
    before = tagged(tmp_path / "in.flac", {"artist": ["b", "a"], "a b?": ["1"]}, pictures)
    after = mutagen.File(copied(before, tmp_path / "out.flac"))
    source = mutagen.File(before)
    assert after.tags.as_dict() == source.tags.as_dict()
    assert [p.write() for p in after.pictures] == [p.write() for p in source.pictures]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("suffix", ["mp3", "wav", "aiff"])
def test_id3_keeps_every_frame_and_its_version(tmp_path, version, suffix):
    source = tmp_path / "in.mp3"
    files.write(source, WAVE, RATE)
    tag = id3.ID3()
    for frame in (
        id3.TIT2(encoding=1, text="Ñ"),
        id3.POPM(email="a@b", rating=200, count=3),
        id3.UFID(owner="o", data=b"\0\1"),
        id3.PRIV(owner="p", data=b"\2"),
        id3.COMM(encoding=3, lang="deu", desc="d", text="c"),
        id3.TDRC(encoding=3, text="2001"),
        id3.WOAR(url="https://example.org"),
        id3.APIC(encoding=0, mime="image/png", data=b"i"),
        id3.TSSE(encoding=3, text="an encoder"),
        id3.TLEN(encoding=3, text="99"),
        id3.COMM(encoding=0, lang="eng", desc="iTunSMPB", text="00000000 00000840"),
    ):
        tag.add(frame)
    if version == 3:
        tag.update_to_v23()
    tag.save(source, v2_version=version)
    after = mutagen.File(copied(source, tmp_path / f"out.{suffix}")).tags
    before = id3.ID3(source)
    for key in ("TSSE", "TLEN", "COMM:iTunSMPB:eng"):  # true of the other encoding only
        assert before.pop(key)
    assert dict(after) == dict(before)
    assert after.version[:2] == (2, version)


def test_tags_of_mp4(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "in.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "f"), "fltp", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file = mutagen.File(path)
    file.tags["\xa9nam"], file.tags["trkn"], file.tags["tmpo"] = "T", [(2, 9)], [120]
    file.tags["----:com.apple.iTunes:LABEL"] = [b"Own"]
    file.tags["----:com.apple.iTunes:iTunSMPB"] = [b" 00000000 00000840"]
    file.tags["covr"] = [mutagen.mp4.MP4Cover(b"png", mutagen.mp4.MP4Cover.FORMAT_PNG)]
    file.save()
    texts, pictures = seen(path)
    assert (
        texts.items()
        >= {"title": ["T"], "tracknumber": ["2/9"], "bpm": ["120"], "label": ["Own"]}.items()
    )
    assert not [name for name in texts if "smpb" in name or name.startswith("encod")]
    assert pictures == [(3, "image/png", "", b"png")]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["title", "artist", "comment", "mood", "my own"]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
        max_size=5,
    )
)
def test_any_text_goes_round_the_kinds(tmp_path_factory, texts):
    folder = tmp_path_factory.getbasetemp()
    expected = {name: [text] for name, text in texts.items()}
    path = tagged(folder / "r.flac", expected, [])
    for suffix in ("mp3", "ogg", "wav", "flac"):
        about = files.info(path)
        path = folder / f"round.{suffix}"
        files.write(path, WAVE, 48000, like=about, overwrite=True)
    assert read_tags(path).texts == expected


def test_a_file_without_tags_gets_none_but_plain_ones_are_converted(tmp_path):
    soundfile.write(tmp_path / "bare.wav", WAVE.T, RATE)
    assert not read_tags(copied(tmp_path / "bare.wav", tmp_path / "bare.flac")).texts
    files.write(tmp_path / "info.wav", WAVE, RATE, tags={"title": "Ä", "artist": "B"})
    assert not read_tags(tmp_path / "info.wav")  # a chunk of text is what a WAV has
    for suffix in ("flac", "mp3", "ogg"):
        after = copied(tmp_path / "info.wav", tmp_path / f"info.{suffix}")
        assert read_tags(after).texts == {"title": ["Ä"], "artist": ["B"]}
    copied(tmp_path / "info.wav", tmp_path / "again.wav")
    assert not read_tags(tmp_path / "again.wav")
    assert files.info(tmp_path / "again.wav").tags == {"title": "Ä", "artist": "B"}


def test_broken_tags_do_no_harm(tmp_path):
    path = tagged(tmp_path / "in.ogg", {"title": ["T"]}, [])
    file = mutagen.File(path)
    file.tags["metadata_block_picture"] = ["no base 64 !", base64.b64encode(b"short").decode()]
    file.save()
    assert seen(copied(path, tmp_path / "out.flac")) == ({"title": ["T"]}, [])
    mp3 = tmp_path / "in.mp3"
    files.write(mp3, WAVE, RATE)
    mp3.write_bytes(
        b"ID3\x04\x00\x00\x00\x00\x00\x14" + b"TIT2\x7f\x7f\x7f\x7f" + bytes(12) + mp3.read_bytes()
    )
    assert files.info(copied(mp3, tmp_path / "out.wav")).frames == WAVE.shape[1]


def test_ape_tags_of_an_mp3_are_copied(tmp_path):
    source = tmp_path / "in.mp3"
    soundfile.write(source, WAVE.T, RATE)
    tags = APEv2()
    tags["Title"], tags["Year"], tags["Artist"] = "Größe", "1999", ["One", "Two"]
    tags.save(source)
    after = read_tags(copied(source, tmp_path / "out.flac"))
    assert after.texts == {"title": ["Größe"], "date": ["1999"], "artist": ["One", "Two"]}


PRODUCTION = {"cue ": b"\1\0\0\0", "smpl": bytes(36), "bext": b"odd", "iXML": b"<BWFXML/>"}


def with_chunks(path):
    """Write a WAV with tags, and with chunks that refer to its samples."""
    tagged(path, {"title": ["T"]}, [])
    content = path.read_bytes()
    for name, body in PRODUCTION.items():
        content += name.encode() + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8"])
def test_chunks_of_a_production_are_copied_to_wav(tmp_path, subtype):
    source, target = with_chunks(tmp_path / "in.wav"), tmp_path / "out.wav"
    about = files.info(source)
    with files.AudioWriter(target, about.sample_rate, 1, like=about, subtype=subtype) as writer:
        writer.write(files.read(source)[0][:1])
    assert writer.tag_notes == []
    assert production_chunks(target) == PRODUCTION
    assert seen(target) == ({"title": ["T"]}, [])
    assert files.info(target).frames == about.frames
    assert int.from_bytes(target.read_bytes()[4:8], "little") == target.stat().st_size - 8


@pytest.mark.parametrize(("suffix", "rate"), [("flac", 48_000), ("mp3", 48_000), ("wav", RATE)])
def test_chunks_of_a_production_are_reported_where_they_are_lost(tmp_path, suffix, rate):
    source, target = with_chunks(tmp_path / "in.wav"), tmp_path / f"out.{suffix}"
    with files.AudioWriter(target, rate, 2, like=files.info(source)) as writer:
        writer.write(WAVE)
    (note,) = writer.tag_notes
    assert note.endswith("bext, cue, iXML, smpl")


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_the_cue_sheet_of_a_flac_is_copied_to_flac(tmp_path, suffix):
    source, target = tmp_path / "in.flac", tmp_path / f"out.{suffix}"
    soundfile.write(source, WAVE.T, RATE)
    file = FLAC(source)
    sheet = CueSheet(None)
    sheet.tracks = [CueSheetTrack(1, 0), CueSheetTrack(170, WAVE.shape[1])]
    sheet.tracks[0].indexes = [CueSheetTrackIndex(1, 0)]
    file.metadata_blocks.append(sheet)
    file.save()
    with files.AudioWriter(target, RATE, 2, like=files.info(source)) as writer:
        writer.write(WAVE)
    if suffix == "flac":
        assert writer.tag_notes == [] and FLAC(target).cuesheet == FLAC(source).cuesheet
    else:
        assert "cue sheet" in writer.tag_notes[0]
    assert files.info(target).frames == WAVE.shape[1]
