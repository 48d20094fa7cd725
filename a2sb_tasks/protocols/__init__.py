"""Protocols of evaluation: the damage of the paper's comparisons (section 4.1)."""
