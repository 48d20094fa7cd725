"""Properties of audio files, and the formats and bit depths that can be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from a2sb_core.errors import AudioError

FORMATS = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".bwf": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".aiff": "AIFF",
    ".aif": "AIFF",
    ".aifc": "AIFF",
    ".w64": "W64",
    ".rf64": "RF64",
    ".mp3": "MP3",
}
# Suffixes of formats that libsndfile reads, but that are not written.
READ_ONLY = (".au", ".snd", ".caf", ".mp2")
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
# Bits of integer samples.
INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
# Bytes of samples; those of other types have 4.
SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}
# Bit depths for inputs without one (lossy formats, or no input), or with one that the output format
# does not support. The restoration computes in float, so they lose nothing where possible.
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
# Bit depths that represent these exactly, for formats that do not support them. Telephone codecs
# are decoded to 16 bits; encoding the result with them would degrade it again.
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
# Bit depths by the names that users write.
DEPTHS = {"16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}
# Bits of float and of lossy formats, which are decoded to float.
FLOAT_BITS = 32
SPOILING_DEPTHS = ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")


# Sample rates in Hz that an encoder supports, and its largest number of channels. FLAC also
# supports every rate below FLAC_RATES. At other rates, the encoder of Vorbis ends the process.
FLAC_RATES = 1 << 16
ENCODER_RATES: Mapping[str, Sequence[int]] = {
    "FLAC": range(10, 655_351, 10),
    "VORBIS": range(1, 200_001),
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "MPEG_LAYER_III": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
ENCODER_CHANNELS = {"OPUS": 255, "VORBIS": 255, "MPEG_LAYER_III": 2, "FLAC": 8}
# Limits of what is read: beyond them, a header is damaged, and work would need all memory.
LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000
MOST_CHANNELS = 256
MOST_SAMPLES = 1 << 40  # of all channels: months of stereo


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file.

    Attributes:
        path: path of the file.
        sample_rate: sample rate in Hz.
        channels: number of channels.
        frames: number of samples of each channel.
        subtype: bit depth or codec by libsndfile's name, such as ``PCM_16``, ``FLOAT``, ``VORBIS``.
        format: container by libsndfile's name, such as ``WAV``, ``FLAC``.
        tags: the tags of `TAGS` that are not empty.
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
    """Return the suffixes that can be written, as a list for messages."""
    return ", ".join(sorted(FORMATS))


def bits_of(subtype: str) -> int:
    """Return the number of bits of a sample of a bit depth or codec."""
    return INTEGER_BITS.get(SAME_DEPTH.get(subtype, subtype), FLOAT_BITS)


def check_header(name: str, sample_rate: int, channels: int, frames: int = 0) -> None:
    """Check what a header declares, before memory for it is allocated or samples are decoded.

    Raises:
        AudioError: a value is beyond the limits of what is read.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise AudioError(
            f"{name} declares a sample rate of {sample_rate} Hz; files from {LOWEST_RATE} to "
            f"{HIGHEST_RATE} Hz are read. Its header is damaged, or it must be resampled first"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"{name} declares {channels} channels; files of 1 to {MOST_CHANNELS} channels are "
            "read. Its header is damaged, or it must be split first"
        )
    if frames * channels > MOST_SAMPLES:
        raise AudioError(
            f"{name} declares a length of {frames / sample_rate / 86400:.0f} days; its header is "
            "damaged, or it must be split first"
        )


def check_encoder(
    path: Path, subtype: str, container: str, sample_rate: int, channels: int
) -> None:
    """Check that a format can hold a sample rate and a number of channels.

    Raises:
        AudioError: it cannot.
    """
    kind = container if container in ENCODER_CHANNELS else subtype
    rates = ENCODER_RATES.get(kind, ())
    is_any = not rates or (kind == "FLAC" and sample_rate < FLAC_RATES)
    is_rate_possible = is_any or sample_rate in rates
    if is_rate_possible and channels <= ENCODER_CHANNELS.get(kind, channels):
        return
    remedy = "choose another format, such as .wav"
    if not is_rate_possible:
        above = [rate for rate in rates if rate > sample_rate] or [rates[-1]]
        remedy = f"use --sample-rate {above[0]} (output_rate={above[0]}), or {remedy}"
    raise AudioError(
        f"{path} cannot be written: {kind} does not support {channels} channels at {sample_rate} "
        f"Hz; {remedy}"
    )


def check_format(
    path: Path, sample_rate: int, channels: int, subtype: str = KEEP, like: AudioInfo | None = None
) -> tuple[str, str]:
    """Return the result of :func:`choose_format` if it can hold such samples.

    Raises:
        AudioError: the suffix is unknown, or the format does not support the bit depth, the sample
            rate or the number of channels.
    """
    container, depth = choose_format(path, subtype, like)
    check_encoder(path, depth, container, sample_rate, channels)
    return container, depth


def choose_format(path: Path, subtype: str, like: AudioInfo | None) -> tuple[str, str]:
    """Return the format and the bit depth of an output file.

    The bit depth is the requested one, else that of the input, else the default of the format.

    Raises:
        AudioError: the suffix is unknown, or the format does not support the requested bit depth.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AudioError(
            f"{path}: the format `{path.suffix}` cannot be written; use one of {known_suffixes()}"
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
            f"{path}: {container} does not support the bit depth `{subtype}`; "
            f"use `keep` or one of {known}"
        )
    depth = like.subtype if like is not None else own
    if depth in SPOILING_DEPTHS:
        depth = SAME_DEPTH[depth]
    for candidate in (depth, SAME_DEPTH.get(depth, own)):
        # A codec is kept only if it is the default of the format: MP3 inside WAV is unusual.
        is_depth = candidate in INTEGER_BITS or candidate in FLOAT_DEPTHS
        if (is_depth or candidate == own) and soundfile.check_format(container, candidate):
            return container, candidate
    return container, own


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc, unused-ignore]
    """A file that is read from front to back only.

    soundfile seeks after each read of a seekable file, which fails if the length is unknown.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False
