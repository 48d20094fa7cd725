"""Configuration trees: values with their origins, read from YAML, merged and changed."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from a2sb_core.common.limits import MAX_DEPTH, MAX_DIGITS, MAX_TEXT_BYTES
from a2sb_core.errors import ConfigError

DEFAULT = "default"
"""Origin of a default value."""

MAX_VALUES = 50_000
"""Largest number of values of a YAML file, in which each use of an anchor counts."""


@dataclass(frozen=True)
class Node:
    """A value of a configuration, and its origin.

    Attributes:
        value: a mapping of nodes, a list of nodes, or a scalar.
        origin: source of the value, such as ``run.yaml, line 3``.
    """

    value: Any
    origin: str = ""

    @classmethod
    def of(cls, value: Any, origin: str = "") -> Node:
        """Create a tree from plain values."""
        if isinstance(value, dict):
            return cls({key: cls.of(inner, origin) for key, inner in value.items()}, origin)
        if isinstance(value, list):
            return cls([cls.of(inner, origin) for inner in value], origin)
        return cls(value, origin)

    def plain(self) -> Any:
        """Return the values without their origins."""
        if isinstance(self.value, dict):
            return {key: inner.plain() for key, inner in self.value.items()}
        return [inner.plain() for inner in self.value] if self.is_list else self.value

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of nodes."""
        return isinstance(self.value, list)

    def nearest(self, path: Iterable[str | int]) -> tuple[Node, tuple[str, ...]]:
        """Follow a path as far as it exists; return the last node and the rest of the path."""
        node, keys = self, [str(key) for key in path]
        while keys and (inner := node._inner(keys[0])) is not None:
            node, keys = inner, keys[1:]
        return node, tuple(keys)

    def origin_of(self, path: Iterable[str | int]) -> str:
        """Return the origin of the value at a path; a bare name stands for the ``name`` in it."""
        node, rest = self.nearest(path)
        given = not rest or (rest == ("name",) and isinstance(node.value, str))
        return node.origin if given else DEFAULT

    def _inner(self, key: str) -> Node | None:
        pairs = enumerate(self.value) if self.is_list else _items(self.value)
        return next((inner for own, inner in pairs if str(own) == key), None)


def merge(base: Node, over: Node) -> Node:
    """Merge one tree over another.

    Mappings are merged field by field. All other values, including lists, are replaced. A bare name
    stands for a mapping with that ``name``. If the ``name`` of a component changes, the other
    fields of the old component are dropped.

    Example:
        >>> base = Node.of({"bridge": "i2sb", "sampler": {"name": "ode", "steps": 9}, "seed": 1})
        >>> over = Node.of({"bridge": {"beta_max": 2}, "sampler": {"steps": 5}})
        >>> merge(base, over).plain()
        {'bridge': {'name': 'i2sb', 'beta_max': 2}, 'sampler': {'name': 'ode', 'steps': 5}, \
'seed': 1}
        >>> merge(base, Node.of({"sampler": "implicit"})).plain()["sampler"]
        {'name': 'implicit'}
    """
    if isinstance(base.value, str) and isinstance(over.value, dict):
        base = _named(base)
    if isinstance(over.value, str) and "name" in dict(_items(base.value)):
        over = _named(over)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if _renames(base, over):
        return over
    fields = dict(base.value)
    for key, inner in over.value.items():
        fields[key] = merge(fields[key], inner) if key in fields else inner
    return Node(fields, over.origin)


def put(tree: Node, keys: Sequence[str], node: Node, above: tuple[str, ...] = ()) -> Node:
    """Return a tree with ``node`` at a path, on which missing mappings are created.

    A bare name on the path becomes a mapping with that ``name``. Another ``name`` drops the other
    fields of the old component. The key of a list item is its index, from 0.

    Raises:
        ConfigError: the path leads through another value.
    """
    key, rest = keys[0], keys[1:]
    if tree.is_list and key.isdecimal() and int(key) < len(tree.value):
        number = int(key)
        item = put(tree.value[number], rest, node, (*above, key)) if rest else node
        return Node([*tree.value[:number], item, *tree.value[number + 1 :]], tree.origin)
    if tree.value is None:
        tree = Node({}, node.origin)
    elif isinstance(tree.value, str):
        tree = _named(tree)
    if not isinstance(tree.value, dict):
        path = ".".join(above)
        raise ConfigError(
            f"`{path}` is {show(tree.plain())}, not a mapping; "
            f"replace it by a mapping: `{path}={{...}}`"
        )
    if rest:
        node = put(tree.value.get(key, Node(None)), rest, node, (*above, key))
    elif key == "name" and _renames(tree, Node({"name": node})):
        return Node({"name": node}, tree.origin)
    return Node({**tree.value, key: node}, tree.origin)


def show(value: Any) -> str:
    """Return a value as a short text for messages."""
    return reprlib.repr(value)


def _items(value: Any) -> Iterable[tuple[Any, Node]]:
    return value.items() if isinstance(value, dict) else ()


def _named(name: Node) -> Node:
    return Node({"name": name}, name.origin)


def _renames(base: Node, over: Node) -> bool:
    old, new = base.value.get("name"), over.value.get("name")
    return old is not None and new is not None and old.value != new.value


# YAML


class _Loader(yaml.SafeLoader):
    """YAML loader that rejects duplicate keys, and files whose values exceed a limit."""

    depth = 0
    composed = 0
    built = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        self.composed += 1
        if node is not None and self.composed > MAX_VALUES:
            raise _marked(f"more than {MAX_VALUES} values", node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _marked(f"the key `{key.value}` is given twice", key)
                seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:  # merged mappings that merge others grow exponentially
            raise _marked("too many merged keys", node)

    def scalar(self, node: yaml.Node) -> Any:
        """Return the value of a scalar."""
        is_long = len(node.value) > MAX_DIGITS
        if is_long and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            raise _marked(f"a number has {len(node.value)} characters", node)
        try:
            return self.construct_object(node, deep=True)
        except (ValueError, ArithmeticError) as error:  # such as a date that does not exist
            raise _marked(str(error), node) from error


class Dumper(yaml.SafeDumper):
    """YAML dumper whose output :func:`parse` reads."""


def _represent(dumper: Dumper, text: str) -> yaml.ScalarNode:
    # In other styles PyYAML writes some line breaks unescaped, and reads them as spaces.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _represent)

# PyYAML implements YAML 1.1, in which 1e-4 is a string.
for _class in (_Loader, Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def parse(text: str, source: str, lines: bool = True) -> Node:
    """Read YAML; the origin of each value is the source and, if ``lines`` is set, its line.

    Raises:
        ConfigError: the text is not valid YAML; the message states line and column.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise ConfigError(f"{source} has more than {MAX_TEXT_BYTES} characters")
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Node(None, source)
        node = _build(loader, root, source, lines, ())
        return Node(node.value, source)  # the origin of the whole tree is the file
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: {getattr(error, 'problem', None) or error}") from error
    finally:
        loader.dispose()


def _build(
    loader: _Loader,
    node: yaml.Node,
    source: str,
    lines: bool,
    around: tuple[yaml.Node, ...],
    key: yaml.Node | None = None,
) -> Node:
    if any(node is other for other in around):
        raise _marked("an anchor contains itself", node)
    loader.built += 1
    if loader.built > MAX_VALUES or len(around) > MAX_DEPTH:
        raise _marked("the anchors insert too many values", node)
    line = (key or node).start_mark.line + 1
    origin = f"{source}, line {line}" if lines else source
    inside = (*around, node)
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        loader.flatten_mapping(node)  # inserts the keys that `<<` merges before its own keys
        return Node(
            {
                _key(loader, own): _build(loader, value, source, lines, inside, own)
                for own, value in node.value
            },
            origin,
        )
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return Node([_build(loader, item, source, lines, inside) for item in node.value], origin)
    return Node(loader.scalar(node), origin)


def _key(loader: _Loader, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise _marked("a key must be a single value", node)
    return loader.scalar(node)


def _marked(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
