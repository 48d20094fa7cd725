"""Names of tags: those of Vorbis comments, in lower case, and what other kinds call them."""

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
"""Text frames of ID3."""

CREDITS = {
    "producer": "producer",
    "engineer": "engineer",
    "mix": "mixer",
    "arranger": "arranger",
}
"""Roles in ID3's lists of people; every other is a performer."""

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
"""Number and count."""

PICTURE_FIELD = "metadata_block_picture"
"""Where Vorbis comments of Ogg hold a picture, in base 64."""

OWN_OF_A_STREAM = ("itunsmpb", "itunnorm", "encoder", "encoding settings")
"""Beginnings of names that tell of one encoding, such as its delay: wrong of any other."""
