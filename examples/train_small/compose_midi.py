"""Compose pieces for General MIDI instruments from a seed, for training on rendered music.

A piece has a style, a key and a tempo, three sections with their own chord progressions and drum
patterns, and up to six parts: chords, bass, lead, pad, arpeggio and drums. Times are in ticks of
1/480 of a quarter note; every bar has four quarter notes. Nothing here depends on any other music.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

TICKS = 480
BAR = 4 * TICKS
STEP = TICKS // 4
DRUM_CHANNEL = 9
CHANNELS = {"chords": 0, "bass": 1, "lead": 2, "pad": 3, "arpeggio": 4, "drums": DRUM_CHANNEL}

PIANO = (0, 1, 2, 4, 5, 6)
MALLETS = (8, 9, 10, 11, 12, 13, 14, 15)
ORGAN = (16, 17, 18, 19, 21, 22)
GUITAR = (24, 25, 26, 27, 28, 29, 30)
BASS = (32, 33, 34, 35, 36, 37, 38, 39)
STRINGS = (40, 41, 42, 43, 44, 45, 46, 48, 49, 50, 51)
CHOIR = (52, 53, 54)
BRASS = (56, 57, 58, 59, 60, 61, 62, 63)
REEDS = tuple(range(64, 80))
SYNTH_LEAD = tuple(range(80, 88))
SYNTH_PAD = tuple(range(88, 104))
PLUCKED = tuple(range(104, 112))
LOW_LEADS = (42, 43, 58)

SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 2, 3, 5, 7, 8, 11),
)
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (1, 4, 0, 0), (0, 6, 5, 4),
    (0, 2, 3, 4), (0, 5, 1, 4), (3, 4, 2, 5), (0, 3, 0, 4), (0, 0, 3, 3, 4, 3, 0, 4),
    (5, 4, 3, 4), (0, 6, 3, 0),
)  # fmt: skip
FORMS = ("AABBAC", "AABABC", "ABABCB", "AABBCC")

# Each rhythm is a list of (step, length) pairs, in sixteenth notes within one bar.
BASS_RHYTHMS = (
    tuple((2 * i, 2) for i in range(8)),
    ((0, 6), (6, 2), (8, 8)),
    ((0, 16),),
    ((0, 3), (3, 3), (6, 2), (8, 4), (12, 4)),
)
BASS_BY_STYLE = {
    "edm": tuple((2 * i + 1, 1) for i in range(8)),
    "jazz": tuple((4 * i, 4) for i in range(4)),
    "funk": ((0, 2), (3, 1), (6, 1), (7, 1), (10, 2), (14, 1)),
}
CHORD_RHYTHMS = {
    "block": ((0, 15),),
    "pump": tuple((2 * i, 2) for i in range(8)),
    "strum": tuple((step, 3) for step in (0, 4, 6, 10, 12, 14)),
    "off": tuple((4 * i + 2, 1) for i in range(4)),
    "sync": tuple((step, 2) for step in (0, 3, 6, 10, 13)),
}
HAT_STEPS = (range(0, 16, 2), range(16), range(0, 16, 4), range(2, 16, 4))
HAT_SOUNDS = (42, 42, 46, 51, 53, 59, 70, 82, 54)
SNARES = (38, 38, 40)
CRASHES = (49, 57, 55, 52)
FILL_SOUNDS = (38, 45, 47, 50, 43)
PERCUSSION = (37, 39, 56, 60, 61, 62, 63, 64, 65, 67, 69, 70, 75, 76, 80, 81)


@dataclass(frozen=True)
class Style:
    """A style: range of the tempo (quarter notes per minute), programs and drum kits."""

    tempo: tuple[int, int]
    chords: Sequence[int]
    lead: Sequence[int] = ()
    bass: Sequence[int] = ()
    kits: Sequence[int] = ()


STYLES = {
    "rock": Style(
        (95, 170), GUITAR + ORGAN + PIANO, GUITAR[3:] + SYNTH_LEAD + ORGAN, BASS[:5], (0, 8, 16)
    ),
    "pop": Style(
        (85, 130),
        PIANO + GUITAR + MALLETS + SYNTH_PAD,
        SYNTH_LEAD + REEDS + PIANO + MALLETS,
        BASS,
        (0, 8, 25),
    ),
    "edm": Style(
        (118, 150), SYNTH_LEAD + SYNTH_PAD + STRINGS[7:], SYNTH_LEAD + MALLETS, BASS[6:], (24, 25)
    ),
    "funk": Style((88, 118), (27, 28, 4, 7, 16, 17), BRASS + REEDS, (33, 36, 37, 38), (0, 8)),
    "jazz": Style((90, 200), (0, 4, 26, 11), BRASS + REEDS + (26, 0, 11), (32,), (32, 40)),
    "latin": Style((90, 130), (0, 24, 25, 21), BRASS + REEDS + (24,), (32, 33), (0,)),
    "orchestra": Style(
        (60, 140), STRINGS + CHOIR + BRASS, REEDS + STRINGS + BRASS, (43, 42, 58), (48,)
    ),
    "solo": Style((60, 130), PIANO + GUITAR[:3] + (6, 7, 46, 19)),
    "ambient": Style((55, 85), SYNTH_PAD + CHOIR, MALLETS + PIANO + PLUCKED, (39, 35, 89)),
    "folk": Style((80, 140), (24, 25, 105, 21, 46), (40, 73, 72, 109, 110, 105, 22), (32,)),
}


@dataclass(frozen=True)
class Note:
    """One note: start and length in ticks, channel, MIDI pitch and velocity."""

    start: int
    length: int
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Piece:
    """A composed piece: tempo in quarter notes per minute, parts and notes.

    ``setup`` holds the program, volume, pan, reverb and chorus (0..127 each) of every channel.
    """

    style: str
    tempo: int
    setup: dict[int, tuple[int, int, int, int, int]]
    notes: tuple[Note, ...]


class Composer:
    """Writes one piece; the random generator decides everything."""

    def __init__(self, rng: random.Random) -> None:
        """Draw what holds for the whole piece: style, key, tempo, motif and patterns."""
        self.rng = rng
        self.name = rng.choice(list(STYLES))
        self.style = STYLES[self.name]
        self.key = rng.randrange(12)
        self.scale = rng.choice(SCALES)
        self.tempo = rng.randint(*self.style.tempo)
        self.swing = rng.choice((0, 0, STEP // 2)) if self.name in ("jazz", "funk", "folk") else 0
        self.programs = self._draw_programs()
        self.progressions = {section: rng.choice(PROGRESSIONS) for section in "ABC"}
        self.motif = [(rng.randrange(8), rng.choice((1, 1, 2, 2, 3, 4))) for _ in range(8)]
        self.chord_rhythm = rng.choice((*CHORD_RHYTHMS, "arpeggio"))
        self.kicks = {section: self._draw_kick() for section in "ABC"}
        self.hats = {s: (rng.choice(HAT_STEPS), rng.choice(HAT_SOUNDS)) for s in "ABC"}
        self.percussion = [
            (rng.choice(PERCUSSION), rng.randrange(16)) for _ in range(rng.randint(0, 6))
        ]
        self.notes: list[Note] = []
        self.energy = 1.0

    def _draw_programs(self) -> dict[str, int]:
        """Choose an instrument for each part that the piece has; drums hold their kit."""
        rng, style = self.rng, self.style
        programs = {"chords": rng.choice(style.chords)}
        for part, choice in (("bass", style.bass), ("lead", style.lead), ("drums", style.kits)):
            if choice:
                programs[part] = rng.choice(choice)
        if rng.random() < 0.45:
            programs["pad"] = rng.choice(SYNTH_PAD + STRINGS[8:])
        if rng.random() < 0.35:
            programs["arpeggio"] = rng.choice(MALLETS + SYNTH_LEAD + PIANO + GUITAR)
        return programs

    def _draw_kick(self) -> list[int]:
        """Choose the steps of the bass drum."""
        if self.name == "edm":
            return [0, 4, 8, 12]
        extra = self.rng.choices((2, 3, 6, 7, 8, 10, 11, 14), k=self.rng.randint(1, 3))
        return sorted({0, *extra})

    def compose(self) -> Piece:
        """Write all sections of the piece."""
        bars = 4 if self.tempo < 100 else 8
        start = 0
        for section in self.rng.choice(FORMS):
            self.energy = self.rng.uniform(0.7, 1.1)
            self._section(section, start, bars)
            start += bars * BAR
        setup = {CHANNELS[part]: self._setup(part) for part in self.programs}
        notes = sorted(self.notes, key=lambda note: (note.start, note.channel, note.pitch))
        return Piece(self.name, self.tempo, setup, tuple(notes))

    def _setup(self, part: str) -> tuple[int, int, int, int, int]:
        """Return program, volume, pan, reverb and chorus of a part."""
        rng = self.rng
        pan = 64 if part in ("bass", "drums") else rng.randint(20, 108)
        volume, reverb, chorus = rng.randint(75, 115), rng.randint(0, 90), rng.randint(0, 60)
        return self.programs[part], volume, pan, reverb, chorus

    def _section(self, section: str, start: int, bars: int) -> None:
        """Write one section of ``bars`` bars, with the parts that take part in it."""
        optional = ("bass", "lead", "pad", "arpeggio", "drums")
        used = {p for p in optional if p in self.programs and self.rng.random() < 0.88}
        position = 0
        for bar in range(bars):
            time = start + bar * BAR
            degree = self.progressions[section][bar % len(self.progressions[section])]
            chord = self._chord(degree)
            self._chords_bar(time, chord)
            if "bass" in used:
                self._bass_bar(time, degree)
            if "pad" in used:
                for pitch in chord:
                    self._note("pad", time, BAR, pitch, 55)
            if "arpeggio" in used:
                for i in range(16):
                    self._note("arpeggio", time + i * STEP, STEP, chord[i % len(chord)] + 12, 62)
            if "lead" in used:
                position = self._lead_bar(time, degree, position)
            if "drums" in used:
                self._drums_bar(time, section, bar, bars)

    def _pitch(self, degree: int, octave: int) -> int:
        """Return the MIDI pitch of a scale degree (0 is the key note)."""
        return self.key + 12 * (octave + degree // 7) + self.scale[degree % 7]

    def _chord(self, degree: int) -> list[int]:
        """Return the pitches of the chord on a scale degree."""
        chord = [self._pitch(degree + third, 5) for third in (0, 2, 4)]
        if self.name in ("jazz", "funk") or self.rng.random() < 0.2:
            chord.append(self._pitch(degree + 6, 5))
        if self.rng.random() < 0.4:
            chord[0] += 12
        return chord

    def _note(self, part: str, time: int, length: float, pitch: int, velocity: float) -> None:
        """Add a note, with a little human error; pitches are folded into 24..103."""
        channel = CHANNELS[part]
        if channel != DRUM_CHANNEL:
            while pitch > 103:
                pitch -= 12
            while pitch < 24:
                pitch += 12
        late = self.swing if time % TICKS == TICKS // 2 else 0
        start = max(0, time + late + round(self.rng.gauss(0, 5)))
        loud = min(127, max(12, round(velocity * self.energy + self.rng.gauss(0, 6))))
        self.notes.append(Note(start, max(20, int(length)), channel, pitch, loud))

    def _drum(self, time: int, step: int, sound: int, velocity: float, length: int = 60) -> None:
        """Add a drum hit at a step of the bar that starts at ``time``."""
        self._note("drums", time + step * STEP, length, sound, velocity)

    def _chords_bar(self, time: int, chord: Sequence[int]) -> None:
        """Write one bar of the chord part."""
        if self.chord_rhythm == "arpeggio":
            for i in range(16):
                pitch = chord[(0, 1, 2, 1)[i % 4]] + (12 if i % 8 > 3 else 0)
                self._note("chords", time + i * STEP, 2 * STEP, pitch, 78)
            return
        delay = 14 if self.chord_rhythm == "strum" else 0
        for step, length in CHORD_RHYTHMS[self.chord_rhythm]:
            for i, pitch in enumerate(chord):
                self._note("chords", time + step * STEP + i * delay, length * STEP, pitch, 78)

    def _bass_bar(self, time: int, degree: int) -> None:
        """Write one bar of bass: the root first, then chord notes."""
        rhythm = BASS_BY_STYLE.get(self.name) or self.rng.choice(BASS_RHYTHMS)
        for i, (step, length) in enumerate(rhythm):
            jump = self.rng.choice((0, 0, 0, 2, 4, 7)) if i else 0
            pitch = self._pitch(degree + jump, 3)
            self._note("bass", time + step * STEP, 0.9 * length * STEP, pitch, 90)

    def _lead_bar(self, time: int, degree: int, position: int) -> int:
        """Write one bar of melody from the motif; returns the next position in the motif."""
        octave = 5 if self.programs["lead"] in LOW_LEADS else 6
        step = 0
        while step < 16:
            offset, length = self.motif[position % len(self.motif)]
            position += 1
            if self.rng.random() < 0.82:
                pitch = self._pitch(degree + offset + self.rng.choice((-1, 0, 0, 1)), octave)
                self._note("lead", time + step * STEP, 0.95 * length * STEP, pitch, 86)
            step += length
        return position

    def _drums_bar(self, time: int, section: str, bar: int, bars: int) -> None:
        """Write one bar of drums, with a crash at the start and a fill at the end."""
        if self.name == "orchestra":
            self._orchestral_drums(time, bar)
            return
        if self.name == "jazz":
            self._jazz_drums(time)
        else:
            self._beat(time, section)
        for sound, step in self.percussion:
            self._drum(time, step, sound, 66)
        if bar == bars - 1:
            for step in range(12, 16):
                self._drum(time, step, self.rng.choice(FILL_SOUNDS), 70 + 2 * step)
        if bar == 0:
            self._drum(time, 0, self.rng.choice(CRASHES), 100, 300)

    def _orchestral_drums(self, time: int, bar: int) -> None:
        """Write timpani strokes and, every fourth bar, a cymbal."""
        for step in range(0, 16, 4):
            if self.rng.random() < 0.5:
                self._drum(time, step, self.rng.choice((47, 41, 43, 45)), 80)
        if bar % 4 == 0:
            self._drum(time, 0, self.rng.choice(CRASHES[:3]), self.rng.randint(60, 105), 400)

    def _jazz_drums(self, time: int) -> None:
        """Write a swinging ride cymbal, the pedal hi-hat and a stray snare."""
        for step in (0, 4, 6, 8, 12, 14):
            swing = TICKS // 12 if step in (6, 14) else 0
            self._drum(time + swing, step, 51, 70)
        for step in (4, 12):
            self._drum(time, step, 44, 70, 40)
        if self.rng.random() < 0.5:
            self._drum(time, self.rng.randrange(16), 38, 45, 40)

    def _beat(self, time: int, section: str) -> None:
        """Write bass drum, snare and hi-hat in the pattern of the section."""
        for step in self.kicks[section]:
            self._drum(time, step, 36, 102)
        for step in (4, 12):
            self._drum(time, step, 39 if self.name == "edm" else self.rng.choice(SNARES), 104)
        steps, sound = self.hats[section]
        for step in steps:
            opened = step == 14 and self.rng.random() < 0.3
            self._drum(time, step, 46 if opened else sound, 78 if step % 4 == 0 else 58, 40)


def compose(seed: int) -> Piece:
    """Compose the piece of a seed."""
    return Composer(random.Random(seed)).compose()


def excerpt(piece: Piece, seconds: float) -> Piece:
    """Cut about ``seconds`` out of the middle of a piece, from the start of a bar.

    A piece that is shorter comes back whole.
    """
    length = int(seconds * piece.tempo / 60.0 * TICKS)
    total = max(note.start + note.length for note in piece.notes)
    first = max(0, (total - length) // 2 // BAR * BAR)
    last = first + length
    kept = [note for note in piece.notes if first <= note.start < last]
    return replace(piece, notes=tuple(replace(note, start=note.start - first) for note in kept))


def stems(piece: Piece) -> list[Piece]:
    """Return the parts of a piece that play, each as a piece of its own."""
    parts = []
    for channel, setup in sorted(piece.setup.items()):
        notes = tuple(note for note in piece.notes if note.channel == channel)
        parts += [replace(piece, setup={channel: setup}, notes=notes)] if notes else []
    return parts


def to_midi(piece: Piece) -> bytes:
    """Return the piece as a standard MIDI file of type 1."""
    tempo = round(60_000_000 / piece.tempo)
    tracks = [_track([(0, b"\xff\x51\x03" + struct.pack(">I", tempo)[1:])])]
    for channel, (program, *controls) in sorted(piece.setup.items()):
        events = [(0, bytes((0xC0 | channel, program)))]
        for control, value in zip((7, 10, 91, 93), controls, strict=True):
            events.append((0, bytes((0xB0 | channel, control, value))))
        timed = []
        for note in piece.notes:
            if note.channel == channel:
                on = bytes((0x90 | channel, note.pitch, note.velocity))
                timed.append((note.start, 1, on))
                off = bytes((0x80 | channel, note.pitch, 0))
                timed.append((note.start + note.length, 0, off))
        events += [(time, data) for time, _, data in sorted(timed)]
        tracks.append(_track(events))
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS)
    return header + b"".join(tracks)


def _track(events: Sequence[tuple[int, bytes]]) -> bytes:
    """Return a MIDI track of events given with their times in ticks, in order of time."""
    body = bytearray()
    last = 0
    for time, data in events:
        body += _variable_length(time - last) + data
        last = time
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + bytes(body)


def _variable_length(value: int) -> bytes:
    """Encode a number of ticks in groups of seven bits."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
