"""The configuration every component nests, and how a bigger configuration holds one by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core import core_schema as schemas

from a2sb_core.errors import PluginError

if TYPE_CHECKING:
    from typing import Self

    from a2sb_core.interfaces.component import Component


PLACE = "a2sb-component"
"""Keyword in a raw JSON Schema that marks where a component of a kind goes."""


class FrozenConfig(BaseModel):
    """A configuration object: immutable, and unknown fields are refused.

    The string below a field describes it, also in the JSON Schema.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _suggest(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Let the error of an unknown field say which fields there are."""
        try:
            return handler(value)
        except ValidationError as error:
            problems = [cls._problem(details) for details in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(error.title, problems) from None

    @classmethod
    def _problem(cls, details: ErrorDetails) -> InitErrorDetails:
        kind, message, loc = details["type"], details["msg"], details["loc"]
        if kind == "extra_forbidden" and len(loc) == 1:
            known = list(cls.model_fields)
            near = difflib.get_close_matches(str(loc[0]), known, 1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            message = f"unknown field; {hint}known fields: {', '.join(known) or 'none'}"
            kind = "unknown_field"
        # A template without a context is taken as it is, so braces in the message are harmless.
        return _details(kind, message, loc, details["input"])


class ComponentConfig(FrozenConfig):
    """Base of the nested ``Config`` of every component."""

    component: ClassVar[type[Component]]

    name: str
    """The registered name."""

    def build(self, **parts: Any) -> Any:
        """Make the component this describes; ``parts`` are what its kind needs besides."""
        return self.component(self, **parts)


@dataclass(frozen=True)
class ComponentField:
    """Pydantic annotation: a field that holds the configuration of one component of ``kind``.

    Accepts a mapping with a ``name``, a bare name, or a ready configuration object. Only the
    component that is named gets imported.
    """

    kind: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Resolve the raw value to the named component's own configuration before checking it."""
        return schemas.no_info_before_validator_function(self.resolve, handler(source))

    def resolve(self, value: Any) -> Any:
        """Return the configuration object that ``value`` describes (see the class).

        Raises:
            ValueError: it describes none; pydantic puts the path of this field before it.
        """
        from a2sb_core.plugins import default_registry

        if isinstance(value, ComponentConfig):
            kind = getattr(getattr(value, "component", None), "kind", None)
            if kind != self.kind:
                raise _error(f"expected a {self.kind}; got a {kind}", value.name)
            return value
        fields = {"name": value} if isinstance(value, str) else value
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            names = ", ".join(default_registry().names(self.kind))
            message = f"expected the name of a {self.kind}, or a mapping with a `name`"
            raise _error(f"{message}; known names: {names}", value)
        try:
            component = default_registry().resolve(self.kind, fields["name"])
        except PluginError as error:
            loc = () if isinstance(value, str) else ("name",)
            raise _error(str(error), fields["name"], loc) from error
        return component.Config.model_validate(dict(fields))

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Mark the place; ``a2sb_core.config.load.json_schema`` puts all of the kind there."""
        return {PLACE: self.kind}


def _details(kind: Any, message: Any, loc: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, message), loc=loc, input=value)


def _error(message: str, value: Any, loc: tuple[int | str, ...] = ()) -> ValidationError:
    details = _details("component", message, loc, value)
    return ValidationError.from_exception_data("component", [details])


AnyRepresentation = Annotated[SerializeAsAny[ComponentConfig], ComponentField("representation")]
AnyCorruption = Annotated[SerializeAsAny[ComponentConfig], ComponentField("corruption")]
AnyBridge = Annotated[SerializeAsAny[ComponentConfig], ComponentField("bridge")]
AnyPrediction = Annotated[SerializeAsAny[ComponentConfig], ComponentField("prediction")]
AnyBackbone = Annotated[SerializeAsAny[ComponentConfig], ComponentField("backbone")]
AnySampler = Annotated[SerializeAsAny[ComponentConfig], ComponentField("sampler")]
AnyMetric = Annotated[SerializeAsAny[ComponentConfig], ComponentField("metric")]
AnyRestorer = Annotated[SerializeAsAny[ComponentConfig], ComponentField("restorer")]
