"""Detection of damage: the cutoff and the gaps of a recording."""
