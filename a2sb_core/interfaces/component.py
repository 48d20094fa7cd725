"""What every kind of component shares: a nested configuration, and being built from it."""

from __future__ import annotations

from typing import Any, ClassVar

from a2sb_core.config.component import ComponentConfig


class Component:
    """A part that a configuration names.

    A concrete component nests a ``Config`` whose ``name`` defaults to the name it is registered
    under, and its constructor takes that configuration first.

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
        """Keep the configuration."""
        super().__init__()
        self.config: Any = config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Tie a nested ``Config`` to its component, so that ``Config(...).build()`` works."""
        super().__init_subclass__(**kwargs)
        if "Config" in cls.__dict__:
            cls.Config.component = cls
