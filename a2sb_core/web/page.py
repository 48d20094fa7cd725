"""The complete page; its tabs are in ``one`` and ``many``."""

from __future__ import annotations

from importlib import resources

import gradio as gr

from a2sb_core.web import many, one
from a2sb_core.web.parts import Served
from a2sb_core.web.view import draw_backdrop

TITLE = "a2sb: restore music"
TOP = "<h1>a2sb</h1><p>Restores damaged recordings of music.</p>"
SWEEP_S, UPLOADS_S = 3600, 24 * 3600
"""Seconds between searches for old uploads, and their age in seconds when they are removed."""
HUE = gr.themes.Color(
    "#fdf2f7",
    "#fbe4ee",
    "#f6c8dc",
    "#ee9fc1",
    "#e06d9f",
    "#b73779",
    "#9f2d69",
    "#832456",
    "#671d45",
    "#4d1735",
    "#2c0a1d",
    name="berry",
)
FONTS = ["ui-sans-serif", "system-ui", "sans-serif"]


def build(served: Served) -> gr.Blocks:
    """Return the page."""
    page: gr.Blocks = gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(SWEEP_S, UPLOADS_S)
    )
    draw_backdrop(served.root)
    with page:
        gr.HTML(TOP, elem_id="top")
        with gr.Tab("One file"):
            one.lay_out(served)
        with gr.Tab("Many files"):
            many.lay_out(served)

        def left(request: gr.Request) -> None:
            served.stop(request.session_hash)

        page.unload(left)
    return page


def theme() -> gr.themes.Base:
    """Return the theme, with the colours of the spectrograms and the fonts of the system."""
    return gr.themes.Soft(
        primary_hue=HUE,
        secondary_hue=HUE,
        neutral_hue="slate",
        radius_size="lg",
        font=FONTS,
        font_mono=["ui-monospace", "monospace"],
    ).set(
        block_border_width="1px",
        block_shadow="none",
        button_secondary_border_color="*neutral_200",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_padding="0",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_label_background_fill="none",
        block_label_background_fill_dark="none",
        block_label_text_color="*body_text_color",
        block_label_text_color_dark="*body_text_color",
        input_border_width="1px",
        input_border_color="*neutral_200",
        input_shadow="none",
        checkbox_label_shadow="none",
        checkbox_label_border_width="1px",
        checkbox_label_border_color="*neutral_200",
    )


def style() -> str:
    """Return the style sheet of the page."""
    return (resources.files("a2sb_core.web") / "page.css").read_text(encoding="utf8")
