"""Models: composition, folders, hub, cards, conversion, catalogue."""
