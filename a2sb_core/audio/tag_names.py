"""Names of tags: those of Vorbis comments, in lower case, and their equivalents elsewhere."""

from __future__ import annotations

ID3_NAMES = {
    "TIT2": "title",
    "TPE1": "artist",
    "TALB": "album",
    "TDRC": "date",
    "TCON": "genre",
    "TRCK": "tracknumber",
    "COMM": "comment",
    "TCOP": "copyright",
    "TPE2": "albumartist",
    "TPOS": "discnumber",
    "TCOM": "composer",
    "TEXT": "lyricist",
    "TPE3": "conductor",
    "TPE4": "remixer",
    "TPUB": "organization",
    "TSRC": "isrc",
    "TBPM": "bpm",
    "TKEY": "initialkey",
    "TLAN": "language",
    "TMOO": "mood",
    "TMED": "media",
    "TIT1": "grouping",
    "TIT3": "subtitle",
    "TSST": "discsubtitle",
    "TSOT": "titlesort",
    "TSOP": "artistsort",
    "TSOA": "albumsort",
    "TSO2": "albumartistsort",
    "TSOC": "composersort",
    "TDOR": "originaldate",
    "TENC": "encoded-by",
    "TCMP": "compilation",
}
"""Names of the text frames of ID3."""

CREDITS = {"producer": "producer", "engineer": "engineer", "mix": "mixer", "arranger": "arranger"}
"""Roles in the lists of people of ID3; every other person is a performer."""

APE_NAMES = {
    "year": "date",
    "track": "tracknumber",
    "disc": "discnumber",
    "album artist": "albumartist",
}
"""Names of APEv2 tags that differ from those of Vorbis comments."""

ASF_NAMES = {
    "Title": "title",
    "Author": "artist",
    "WM/AlbumTitle": "album",
    "WM/Year": "date",
    "WM/Track": "tracknumber",
    "WM/PartOfSet": "discnumber",
    "Description": "comment",
    "WM/Writer": "lyricist",
    "WM/Publisher": "organization",
    "WM/BeatsPerMinute": "bpm",
    "WM/ContentGroupDescription": "grouping",
}
"""Names of ASF tags (WMA) that differ from those of Vorbis comments by more than ``WM/``."""

MP4_NAMES = {
    "\xa9nam": "title",
    "\xa9ART": "artist",
    "\xa9alb": "album",
    "\xa9day": "date",
    "\xa9gen": "genre",
    "\xa9cmt": "comment",
    "cprt": "copyright",
    "aART": "albumartist",
    "\xa9wrt": "composer",
    "\xa9lyr": "lyrics",
    "\xa9grp": "grouping",
    "tmpo": "bpm",
    "cpil": "compilation",
    "sonm": "titlesort",
    "soar": "artistsort",
    "soal": "albumsort",
    "soaa": "albumartistsort",
    "soco": "composersort",
}
MP4_PAIRS = {"trkn": "tracknumber", "disk": "discnumber"}
"""MP4 tags with a number and a total."""

PICTURE_FIELD = "metadata_block_picture"
"""Vorbis comment of Ogg files that contains a picture in base 64."""

OWN_OF_A_STREAM = (
    "itunsmpb", "itunnorm", "encoder", "encoding settings", "encodingsettings", "encodingtime",
    "wmfsdk", "isvbr", "deviceconformance",
)  # fmt: skip
"""Prefixes of tags that describe one encoding, such as its delay, and are wrong for another."""
