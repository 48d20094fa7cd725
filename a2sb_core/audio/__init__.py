"""Audio files: reading, writing, formats, tags and resampling."""
