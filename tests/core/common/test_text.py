import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.common.text import format_bytes, format_seconds, printable, slug


@given(st.text())
def test_a_slug_is_safe_in_a_file_name_and_stays_as_it_is(text):
    assert slug(slug(text)) == slug(text)
    assert re.fullmatch(r"[\w.@=-]*", slug(text))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456_789, "123 MB"), (3.21e10, "32.1 GB")],
)
def test_sizes(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (36_000, "10.0 h")]
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


@given(st.text(st.characters(), max_size=20))
def test_what_is_printed_of_a_path_is_one_line_of_text(path):
    assert printable(path).isprintable()
    assert not path.isprintable() or printable(path) == path


def test_bytes_that_are_no_text_are_escaped():
    assert printable("a\udcff.wav") == r"a\udcff.wav"
