"""Golden results: what the public surfaces gave before, to compare with what they give now."""
