"""Samplers: algorithms that go from x1 to x0 along a bridge."""
