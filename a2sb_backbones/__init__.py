"""Networks for audio-to-audio Schrodinger bridges: plugins of the kind ``backbone``."""
