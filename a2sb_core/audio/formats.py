"""What is known of an audio file, and the formats and depths that can be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from a2sb_core.errors import AudioError

FORMATS = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".aiff": "AIFF",
    ".aif": "AIFF",
    ".w64": "W64",
    ".rf64": "RF64",
    ".mp3": "MP3",
}
TAGS = (
    "title",
    "artist",
    "album",
    "date",
    "genre",
    "tracknumber",
    "comment",
    "copyright",
    "license",
)

KEEP = "keep"
FLOAT_DEPTHS = ("FLOAT", "DOUBLE")
# Bits of the depths that hold integers.
INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
# Depths written where the input has none of its own (it was lossy, or there is no input), or one
# that the format does not hold: the engine computes in float, and nothing need be lost.
FALLBACK_DEPTH = {
    "WAV": "FLOAT",
    "WAVEX": "FLOAT",
    "FLAC": "PCM_24",
    "OGG": "VORBIS",
    "AIFF": "FLOAT",
    "W64": "FLOAT",
    "RF64": "FLOAT",
    "MP3": "MPEG_LAYER_III",
}
# The depth that holds all of what these hold, for formats without them. Telephone codecs are
# decoded to 16 bits; written back in kind, they would spoil what was restored.
SAME_DEPTH = {
    "PCM_S8": "PCM_U8",
    "PCM_U8": "PCM_S8",
    "ULAW": "PCM_16",
    "ALAW": "PCM_16",
    "IMA_ADPCM": "PCM_16",
    "MS_ADPCM": "PCM_16",
    "GSM610": "PCM_16",
    "ALAC_16": "PCM_16",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "PCM_32",
}
# Depths by the names people know them by.
DEPTHS = {"16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}
# What computes in float, and what was lossy, has all the bits there are.
FLOAT_BITS = 32
SPOILING_DEPTHS = ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself.

    Attributes:
        path: where it is.
        sample_rate: in Hz.
        channels: number of channels.
        frames: samples of one channel.
        subtype: depth or codec by libsndfile's name, such as ``PCM_16``, ``FLOAT``, ``VORBIS``.
        format: container by libsndfile's name, such as ``WAV``, ``FLAC``.
        tags: those of `TAGS` that are not empty.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    subtype: str
    format: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


def known_suffixes() -> str:
    """The suffixes that can be written, as a list for messages."""
    return ", ".join(sorted(FORMATS))


def bits_of(subtype: str) -> int:
    """The bits that samples of a depth or codec have."""
    return INTEGER_BITS.get(SAME_DEPTH.get(subtype, subtype), FLOAT_BITS)


def choose_format(path: Path, subtype: str, like: AudioInfo | None) -> tuple[str, str]:
    """Return format and depth to write: as told, else as the input's, else the format's own.

    Raises:
        AudioError: the suffix is unknown, or the depth asked for does not fit the format.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AudioError(
            f"{path}: the format `{path.suffix}` can not be written; use one of {known_suffixes()}"
        )
    container = FORMATS[suffix]
    if container == "WAV" and like is not None and like.format == "WAVEX":
        container = "WAVEX"
    own = "OPUS" if suffix == ".opus" else FALLBACK_DEPTH[container]
    if subtype.lower() != KEEP:
        if soundfile.check_format(container, subtype.upper()):
            return container, subtype.upper()
        known = ", ".join(sorted(soundfile.available_subtypes(container)))
        raise AudioError(
            f"{path}: {container} can not hold the depth `{subtype}`; use `keep` or one of {known}"
        )
    depth = like.subtype if like is not None else own
    if depth in SPOILING_DEPTHS:
        depth = SAME_DEPTH[depth]
    for candidate in (depth, SAME_DEPTH.get(depth, own)):
        # A codec counts only where it is the format's own: MP3 inside WAV is nobody's wish.
        is_depth = candidate in INTEGER_BITS or candidate in FLOAT_DEPTHS
        if (is_depth or candidate == own) and soundfile.check_format(container, candidate):
            return container, candidate
    return container, own
