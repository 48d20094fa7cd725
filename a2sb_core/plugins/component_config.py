"""Configurations of components, and fields that hold such a configuration by its name."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
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

from a2sb_core.errors import InvalidConfigError, PluginError

if TYPE_CHECKING:
    from typing import Self

    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # which has no public name


_COMPLETE = ("component", "unknown_field", "missing", "value_error")
"""Types of the errors whose messages need no input value."""

PLACE = "a2sb-component"
"""Keyword in a raw JSON Schema that marks the place of a component of a kind."""


class _ConfigMeta(ModelMetaclass):
    """Metaclass of configurations, whose constructor raises an error of this project.

    Pydantic does not call it for configurations inside others, so that it can put the path of a
    field in front of each of its errors.
    """

    def __call__(cls, /, *args: Any, **fields: Any) -> Any:  # noqa: N805
        try:
            return super().__call__(*args, **fields)
        except ValidationError as error:
            raise InvalidConfigError(explain(error, cls.__qualname__)) from error


class FrozenConfig(BaseModel, metaclass=_ConfigMeta):
    """Base class of configurations, which are immutable and reject unknown fields.

    The string below a field is its description, also in the JSON Schema. The constructor raises
    InvalidConfigError, which is a ConfigError and a ValueError; the methods of pydantic, such as
    ``model_validate``, raise pydantic's ValidationError.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _suggest(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """List the known fields in the error of an unknown field."""
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
        # Pydantic does not format a template without a context, so the message may contain braces.
        return _details(kind, message, loc, details["input"])


class ComponentConfig(FrozenConfig):
    """Base class of the nested ``Config`` of every component."""

    component: ClassVar[Any]
    """The class that this configuration builds."""

    name: str
    """The registered name."""

    def build(self, **parts: Any) -> Any:
        """Build the component; ``parts`` are the further constructor arguments of its kind."""
        return self.component(self, **parts)


@dataclass(frozen=True)
class ComponentField:
    """Pydantic annotation of a field that holds the configuration of a component of ``kind``.

    The field accepts a mapping with a ``name``, a bare name, or a configuration object. Only the
    named component is imported.
    """

    kind: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Resolve the raw value to the configuration of the named component, then validate it."""
        return schemas.no_info_before_validator_function(self.resolve, handler(source))

    def resolve(self, value: Any) -> Any:
        """Return the configuration object that ``value`` describes (see the class).

        Raises:
            ValueError: ``value`` describes no component; pydantic prepends the path of the field.
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
        """Mark the field; ``a2sb_core.config.schema.json_schema`` inserts all components there."""
        return {PLACE: self.kind}


def find_components(value: Any, path: str = "") -> Iterator[tuple[str, ComponentConfig]]:
    """Yield the configurations of components within a value, each with its path, from outside in.

    The value is a configuration, or a list of configurations.
    """
    if isinstance(value, ComponentConfig):
        yield path, value
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, BaseModel):
        pairs = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    for name, inner in pairs:
        yield from find_components(inner, f"{path}.{name}".lstrip("."))


def explain(
    error: ValidationError, source: str, place_of: Callable[[ErrorDetails], str] = lambda _: ""
) -> str:
    """Describe an error in a line for the source and one for each problem.

    Args:
        error: the error.
        source: name of the file or the class.
        place_of: function that returns where the value of a problem was read, in brackets.
    """
    problems = error.errors(include_url=False)
    lines = [f"{source}: {len(problems)} problem{'s' * (len(problems) > 1)}"]
    for details in problems:
        path = ".".join(map(str, details["loc"])) or "the whole"
        message = details["msg"].removeprefix("Value error, ").replace("\n", "\n  ")
        if details["type"] not in _COMPLETE:
            given = reprlib.repr(details["input"])
            message = f"{message.replace('Input should be', 'expected')}; got {given}"
        lines.append(f"- {path}{place_of(details)}: {message}")
    return "\n".join(lines)


def _details(kind: Any, message: Any, loc: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, message), loc=loc, input=value)


def _error(message: str, value: Any, loc: tuple[int | str, ...] = ()) -> ValidationError:
    details = _details("component", message, loc, value)
    return ValidationError.from_exception_data("component", [details])


AnyRepresentation = Annotated[SerializeAsAny[ComponentConfig], ComponentField("representation")]
AnyLoss = Annotated[SerializeAsAny[ComponentConfig], ComponentField("loss")]
AnyGuess = Annotated[SerializeAsAny[ComponentConfig], ComponentField("guess")]
AnyCorruption = Annotated[SerializeAsAny[ComponentConfig], ComponentField("corruption")]
AnyBridge = Annotated[SerializeAsAny[ComponentConfig], ComponentField("bridge")]
AnyPrediction = Annotated[SerializeAsAny[ComponentConfig], ComponentField("prediction")]
AnyBackbone = Annotated[SerializeAsAny[ComponentConfig], ComponentField("backbone")]
AnySampler = Annotated[SerializeAsAny[ComponentConfig], ComponentField("sampler")]
AnyMetric = Annotated[SerializeAsAny[ComponentConfig], ComponentField("metric")]
AnyRestorer = Annotated[SerializeAsAny[ComponentConfig], ComponentField("restorer")]
