"""The clip of `a2sb demo`, and the damage that the demo applies to it."""
