"""Networks, t-range experts, and the converter of the published checkpoints."""
