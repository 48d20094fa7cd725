"""Listening tests: made from the audio of an evaluation, collected, and reported."""
