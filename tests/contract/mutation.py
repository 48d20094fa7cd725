"""Derivation of faulty components from sane ones."""

from types import FunctionType


def mutant(base, more=None, settings=None, **changes):
    """Derive a component; each of ``changes`` replaces an attribute.

    A function replaces a method: it is called with the inherited method before the arguments.
    """

    def method(name, change):
        def changed(self, *a, **more):
            return change(getattr(super(cls, self), name), *a, **more)

        return changed

    class Config(base.Config):
        model_config = settings or {}

    space = {
        name: method(name, change) if isinstance(change, FunctionType) else change
        for name, change in changes.items()
    }
    cls = type(f"Broken{base.__name__}", (base,), {"Config": Config, **space})
    Config.component = cls
    return cls


def fail(error):
    raise error


def own(old):
    """Return the component to which a method is bound."""
    return old.__self__


def both(first, second):
    """Return the second of two values; the first is only computed."""
    return second


def with_extra(**made):
    """Return an ``__init__`` that adds attributes to a network."""

    def init(old, *a, **k):
        old(*a, **k)
        for name, make in made.items():
            setattr(own(old), name, make())

    return init
