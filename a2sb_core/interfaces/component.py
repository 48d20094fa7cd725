"""Component: the base class of all kinds, with a nested configuration that builds it."""

from __future__ import annotations

from typing import Any, ClassVar

from a2sb_core.plugins.component_config import ComponentConfig


class Component:
    """Base class of everything that a configuration names and builds.

    A concrete component nests a ``Config`` whose ``name`` defaults to the registered name. The
    first argument of the constructor is that configuration.

    Example:
        >>> from a2sb_core.interfaces import Component, ComponentConfig
        >>> class Gain(Component):
        ...     class Config(ComponentConfig):
        ...         name: str = "gain"
        ...         gain_db: float = 0.0
        >>> Gain.Config(gain_db=6).build().config.gain_db
        6.0
    """

    kind: ClassVar[str] = "component"
    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, config: ComponentConfig) -> None:
        """Store the configuration."""
        super().__init__()
        self.config: Any = config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Link a nested ``Config`` to its component, so that ``Config(...).build()`` works."""
        super().__init_subclass__(**kwargs)
        if "Config" in cls.__dict__:
            cls.Config.component = cls
