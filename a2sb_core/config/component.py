"""The configuration every component nests, and how a bigger configuration holds one by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SerializeAsAny
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from a2sb_core.interfaces.component import Component


class FrozenConfig(BaseModel):
    """A configuration object: immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ComponentConfig(FrozenConfig):
    """Base of the nested ``Config`` of every component; ``name`` is the registered name."""

    component: ClassVar[type[Component]]

    name: str

    def build(self, **parts: Any) -> Any:
        """Make the component this configuration describes; ``parts`` are what its kind needs besides."""
        return self.component(self, **parts)


@dataclass(frozen=True)
class ComponentField:
    """Pydantic annotation: a field that holds the configuration of one component of ``kind``.

    Accepts a mapping with a ``name``, a bare name, or a ready configuration object. Only the
    component that is named gets imported.
    """

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Resolve the raw value to the named component's own configuration before checking it."""
        return core_schema.no_info_before_validator_function(self.resolve, handler(source))

    def resolve(self, value: Any) -> Any:
        """Return the configuration object that ``value`` describes (see the class)."""
        if isinstance(value, ComponentConfig):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise ValueError(
                f"expected the name of a {self.kind}, or a mapping with a `name`; "
                f"got {type(value).__name__}"
            )
        from a2sb_core.plugins import default_registry

        return default_registry().resolve(self.kind, value["name"]).Config.model_validate(dict(value))


AnyRepresentation = Annotated[SerializeAsAny[ComponentConfig], ComponentField("representation")]
AnyCorruption = Annotated[SerializeAsAny[ComponentConfig], ComponentField("corruption")]
AnyBridge = Annotated[SerializeAsAny[ComponentConfig], ComponentField("bridge")]
AnyPrediction = Annotated[SerializeAsAny[ComponentConfig], ComponentField("prediction")]
AnyBackbone = Annotated[SerializeAsAny[ComponentConfig], ComponentField("backbone")]
AnySampler = Annotated[SerializeAsAny[ComponentConfig], ComponentField("sampler")]
AnyMetric = Annotated[SerializeAsAny[ComponentConfig], ComponentField("metric")]
AnyRestorer = Annotated[SerializeAsAny[ComponentConfig], ComponentField("restorer")]
