"""The engine: assembles models, restores, trains."""
