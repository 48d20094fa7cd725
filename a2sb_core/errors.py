"""Errors a user can act on: each message says what is wrong, where, and what to do."""

from __future__ import annotations


class A2SBError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class ConfigError(A2SBError):
    """A configuration is wrong: the message names the field and what was expected."""


class InvalidConfigError(ConfigError, ValueError):
    """A configuration that was created in Python has missing, unknown or invalid fields."""


class PluginError(A2SBError):
    """A plugin is unknown, ambiguous or broken."""


class AudioError(A2SBError):
    """An audio file or array cannot be used as requested."""


class ModelError(A2SBError):
    """A model folder, checkpoint or state dict does not fit."""


class TaskError(A2SBError):
    """A restoration was asked for that this model or this audio does not allow."""


class TrainingError(A2SBError):
    """Training cannot start or continue."""
