"""Reading, writing, resampling and measuring audio."""
