"""Schemas, documents and data drawn at random, the same for every executor that runs them.

What a field yields follows from its parent's key and the field's name alone, so neither the order nor the number of
calls changes it. Asynchronous values wait on a virtual clock for times that are all different: the order in which they
arrive, and with it graphql-core's order of errors, is then determined.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from random import Random
from types import NoneType, SimpleNamespace
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
)

from execution import caller_only, loader_field


class Clock:
    """Time that passes only when everything else has come to rest."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, future))
        await future

    async def run(self, awaitable: Any) -> Any:
        """Await something and let time pass meanwhile."""
        loop: Any = asyncio.get_running_loop()
        task = asyncio.ensure_future(awaitable)
        while not task.done():
            await asyncio.sleep(0)
            if loop._ready or task.done():
                continue
            if not self._sleepers:
                await asyncio.sleep(0)
                if not loop._ready and not self._sleepers and not task.done():
                    task.cancel()
                    raise AssertionError("nothing left to wait for, and the operation is not done")
                continue
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        return task.result()


class Node:
    """An object of the generated data: a key, a type and attributes made when they are read."""

    def __init__(self, world: World, key: str, type_name: str) -> None:
        self.world = world
        self.key = key
        self.type_name = type_name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "resolve_type":
            raise AttributeError(name)
        return self.world.attribute(self, name)


@dataclass
class FieldRule:
    """How one field of one type gets its values."""

    type_: Any
    kind: str  # attribute, mapping, method, resolver, async, loader, guarded, promised
    failures: float


@dataclass
class World:
    """One generated schema and the rules of its data."""

    seed: int
    is_async: bool
    rules: dict[tuple[str, str], FieldRule] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    loads: list[list[Any]] = field(default_factory=list)
    schema: GraphQLSchema = None  # type: ignore[assignment]
    loaders: bool = False
    row_classes: dict[str, Any] = field(default_factory=dict)

    def random(self, *parts: Any) -> Random:
        return Random(f"{self.seed}/{'/'.join(map(str, parts))}")

    # Data

    def attribute(self, node: Node, name: str) -> Any:
        rule = self.rules.get((node.type_name, name))
        if rule is None:
            raise AttributeError(name)
        if rule.kind == "method":
            return lambda info, **arguments: self.value(node, name, arguments, info)
        return self.value(node, name, {}, None)

    def value(self, node: Node, name: str, arguments: dict[str, Any], info: Any) -> Any:
        rule = self.rules[node.type_name, name]
        if rule.kind == "promised":
            return self.promised(node, name)
        # Aliases of a resolver yield values of their own, so that no two of them arrive at the same time.
        key = f"{node.key}.{name}" if info is None else f"{_text(info.path)}{sorted(arguments.items())}"
        is_once = info is not None
        random = self.random("value", key)
        if random.random() < rule.failures:
            # The text of a StopIteration is lost where a column is read by one C loop, hence only in resolvers.
            other = StopIteration if rule.kind in {"method", "resolver"} else RuntimeError
            error: Exception = random.choice([ValueError, GraphQLError, other, KeyError])(f"failed {key}")
            if random.random() < 0.3:
                return error
            raise error
        return self.make(rule.type_, key, random, rule.failures, is_once)

    def promised(self, node: Node, name: str) -> Any:
        """Return a value that keeps the promise: never failed, of one type, null only where the promise admits it."""
        rule = self.rules[node.type_name, name]
        random = self.random("value", f"{node.key}.{name}")
        if NoneType in promise_of(self, node.type_name, name) and random.random() < 0.2:
            return None
        return random.choice([True, False] if get_named_type(rule.type_) is GraphQLBoolean else ["a", "", "é"])

    def make(self, type_: Any, key: str, random: Random, failures: float, is_once: bool) -> Any:
        if isinstance(type_, GraphQLNonNull):
            if random.random() < failures / 2:
                return None
            type_ = type_.of_type
        elif random.random() < 0.1:
            return None
        if isinstance(type_, GraphQLList):
            return self.make_list(type_.of_type, key, random, failures, is_once)
        if isinstance(type_, (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)):
            return self.make_object(type_, key, random, failures)
        if random.random() < failures / 2:
            return random.choice([object(), "no number", 2**40, float("nan"), [1], {"a": 1}, True])
        return _LEAVES[type_.name](random)

    def make_list(self, item: Any, key: str, random: Random, failures: float, is_once: bool) -> Any:
        if random.random() < failures / 4:
            return random.choice(["text", 5, {"no": "list"}])
        items = []
        for index in range(random.choice([0, 1, 1, 2, 3])):
            if random.random() < failures / 3:
                items.append(ValueError(f"item {key}[{index}]"))
            else:
                items.append(self.make(item, f"{key}[{index}]", random, failures, is_once))
            if self.is_async and is_once and random.random() < 0.15:
                items[-1] = self.later(f"{key}[{index}]", items[-1])
        shape = random.random() if is_once else 1.0  # what a loader gives to several rows must not be used up
        if shape < 0.1:
            return _broken_iterator(items, key) if random.random() < failures else iter(items)
        if shape < 0.2:
            return tuple(items)
        if shape < 0.26 and self.is_async:
            return _async_items(items)
        return items

    def make_object(self, type_: Any, key: str, random: Random, failures: float) -> Any:
        names = (
            [possible.name for possible in self.schema.get_possible_types(type_)]
            if not isinstance(type_, GraphQLObjectType)
            else [type_.name]
        )
        name = random.choice(names)
        if not isinstance(type_, GraphQLObjectType) and random.random() < failures / 4:
            name = random.choice(["Missing", "Query", "Leafy"])
        node = Node(self, key, name)
        if all(rule.kind == "mapping" for (owner, _), rule in self.rules.items() if owner == name):
            return _Mapping(node)
        # Beside its like, a row that promises nothing sends all of them the ordinary way.
        return self.make_row(node) if random.random() < 0.95 else node

    def make_row(self, node: Node) -> Any:
        """Return a row of a class that promises some attributes, or the node itself if none of them is promised."""
        owner = node.type_name
        names = [
            name for (type_name, name), rule in self.rules.items() if type_name == owner and rule.kind == "promised"
        ]
        if not names:
            return node
        if owner not in self.row_classes:
            promises = {name: (place, frozenset(promise_of(self, owner, name))) for place, name in enumerate(names, 1)}
            self.row_classes[owner] = type(owner, (_Row,), {"__promises__": promises})
        return self.row_classes[owner]([node, *(self.promised(node, name) for name in names)])

    async def later(self, key: str, value: Any) -> Any:
        await self.clock.sleep(self.random("delay", key).random() + 0.01)
        if isinstance(value, Exception):
            raise value
        return value

    async def load(self, keys: list[Any]) -> list[Any]:
        self.loads.append(list(keys))
        await self.clock.sleep(0.5)
        loaded = []
        for type_name, name, key in keys:
            rule = self.rules[type_name, name]
            random = self.random("load", key)
            if random.random() < rule.failures:
                loaded.append(ValueError(f"not loaded {key}"))
            else:
                loaded.append(self.make(rule.type_, f"load({key})", random, rule.failures, False))
        return loaded

    def context(self) -> Any:
        from strawberry.dataloader import DataLoader

        from execution import BatchLoader

        return SimpleNamespace(loader=(BatchLoader if self.random("loader").random() < 0.5 else DataLoader)(self.load))


class _Mapping(dict):  # type: ignore[type-arg]
    """A mapping whose entries are made when they are read."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    def get(self, name: str, default: Any = None) -> Any:
        if name == "__typename":
            return self.node.type_name
        return self.node.world.attribute(self.node, name)


class _Row(tuple):  # type: ignore[type-arg]
    """A node and what is promised of it; all its attributes are read from the node."""

    @property
    def node(self) -> Node:
        return self[0]  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)


def promise_of(world: World, owner: str, name: str) -> set[type]:
    """Return the types that the attribute may be of; null is admitted for some fields that are not nullable, too."""
    named = get_named_type(world.rules[owner, name].type_)
    admitted = {NoneType} if world.random("promise", owner, name).random() < 0.4 else set()
    return {bool if named is GraphQLBoolean else str} | admitted


def _broken_iterator(items: list[Any], key: str) -> Iterator[Any]:
    yield from items
    raise ValueError(f"broken {key}")


async def _async_items(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


_COLOURS = GraphQLEnumType("Colour", {"RED": "red", "GREEN": 2, "BLUE": (3,)})


def _serialise_shout(value: Any) -> Any:
    if value == "none":
        return None
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r:.20}")
    return value.upper()


_SHOUT = GraphQLScalarType("Shout", serialize=_serialise_shout)


def _serialise_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r:.20}")
    return value


_serialise_text.__passes_text__ = True  # type: ignore[attr-defined]
_TEXT = GraphQLScalarType("Text", serialize=_serialise_text)
_LEAVES: dict[str, Any] = {
    "Int": lambda random: random.choice([0, 1, -7, 2_147_483_647, 3.0, True, "12"]),
    "Float": lambda random: random.choice([0.5, 1, -3.25, 1e308, "2.5"]),
    "String": lambda random: random.choice(["a", "", "é", 5, True]),
    "Boolean": lambda random: random.choice([True, False, 1]),
    "ID": lambda random: random.choice(["x", 4, "é"]),
    "Colour": lambda random: random.choice(["red", 2, (3,), "red", "red", "unknown"]),
    "Text": lambda random: random.choice(["t", "", "t", 5]),
    "Shout": lambda random: random.choice(["hey", "none", 5, "ho", "ho", "ho"]),
}
SCALARS = [GraphQLInt, GraphQLFloat, GraphQLString, GraphQLBoolean, GraphQLID, _COLOURS, _SHOUT, _TEXT]
_PROMISED = (GraphQLString, GraphQLBoolean, GraphQLID, _TEXT, _SHOUT)
"""whose values may be promised; a text is no answer of the last one as it is"""


def _wrapped(random: Random, type_: Any) -> Any:
    if random.random() < 0.35:
        type_ = GraphQLNonNull(type_)
    for _ in range(random.choice([0, 0, 0, 1, 1, 2])):
        type_ = GraphQLList(type_)
        if random.random() < 0.4:
            type_ = GraphQLNonNull(type_)
    return type_


def _resolver(world: World, kind: str, name: str) -> Any:
    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        return world.value(_node(source), name, arguments, info)

    async def resolve_later(source: Any, info: Any, **arguments: Any) -> Any:
        await world.clock.sleep(world.random("delay", _text(info.path)).random() + 0.01)
        return world.value(_node(source), name, arguments, info)

    def guard(_info: Any) -> None:
        if world.random("guard", name).random() < 0.3:
            raise PermissionError(f"not for you: {name}")

    def other_guard(_info: Any) -> None:
        if world.random("other guard", name).random() < 0.3:
            raise PermissionError(f"not for you either: {name}")

    async def guard_later(info: Any) -> None:
        guard(info)

    def key_of(source: Any) -> Any:
        node = _node(source)
        number = world.random("key", node.key, name).choice([None, 1, 2, 3])
        return number and (node.type_name, name, number)

    def given_by(source: Any) -> Any:
        node = _node(source)
        drawn = world.random("given", node.key, name)
        rule = world.rules[node.type_name, name]
        return (
            world.make(rule.type_, f"given({node.key}.{name})", drawn, rule.failures, False)
            if drawn.random() < 0.3
            else None
        )

    return {
        "resolver": resolve,
        "async": resolve_later,
        "guarded": caller_only(guard, resolve),
        "guarded twice": caller_only(guard_later if world.loaders else guard, caller_only(other_guard, resolve)),
        "loader": loader_field(lambda info: info.context.loader, key=key_of, given=given_by),
    }.get(kind)


def _text(path: Any) -> str:
    return ".".join(map(str, path.as_list()))


def _node(source: Any) -> Node:
    return source.node if isinstance(source, _Mapping | _Row) else source


def build_world(seed: int, *, is_async: bool, failures: float, loaders: bool = False) -> World:
    """Draw a schema: three or four object types, an interface and a union."""
    world = World(seed, is_async, loaders=loaders)
    random = world.random("schema")
    kinds = ["attribute", "attribute", "method", "resolver", "guarded", "guarded twice"]
    if is_async:
        kinds += ["async", "async"]
    if loaders:
        kinds += ["loader", "loader"]
    objects: dict[str, GraphQLObjectType] = {}
    names = [f"T{number}" for number in range(random.choice([2, 3]))]

    def fields_of(owner: str, count: int) -> dict[str, GraphQLField]:
        drawn = world.random("fields", owner)
        mapping = owner != "Query" and drawn.random() < 0.25
        promises = owner != "Query" and not mapping and drawn.random() < 0.6
        fields: dict[str, GraphQLField] = {}
        if owner != "Query":
            kind = "promised" if promises and get_nullable_type(shared_type) in _PROMISED else "attribute"
            fields["shared"] = _field(world, owner, "shared", shared_type, "mapping" if mapping else kind, failures)
        for number in range(count):
            name = f"f{number}"
            named = drawn.choice([*SCALARS, *objects.values(), *objects.values(), interface, union])
            kind = "mapping" if mapping else drawn.choice(kinds)
            type_ = _wrapped(drawn, named)
            if promises and drawn.random() < 0.4:
                kind, type_ = "promised", drawn.choice(_PROMISED)
                type_ = GraphQLNonNull(type_) if drawn.random() < 0.5 else type_
            fields[name] = _field(world, owner, name, type_, kind, failures)
        return fields

    shared_type = _wrapped(random, random.choice(SCALARS))
    interface = GraphQLInterfaceType(
        "Face", {"shared": GraphQLField(shared_type)}, resolve_type=lambda value, _info, _type: _type_name(value)
    )
    for name in names:
        is_type_of = None
        if random.random() < 0.3:
            is_type_of = lambda value, _info, name=name: _node(value).type_name == name  # noqa: E731
        objects[name] = GraphQLObjectType(
            name, lambda name=name: fields_of(name, 4), interfaces=[interface], is_type_of=is_type_of
        )
    union = GraphQLUnionType(
        "Both", list(objects.values())[:2], resolve_type=lambda value, _info, _type: _type_name(value)
    )
    query = GraphQLObjectType("Query", lambda: fields_of("Query", 5))
    mutation = GraphQLObjectType("Mutation", lambda: fields_of("Query", 5))
    world.schema = GraphQLSchema(query, mutation, types=list(objects.values()))
    return world


def _type_name(value: Any) -> str:
    return _node(value).type_name


def _field(world: World, owner: str, name: str, type_: Any, kind: str, failures: float) -> GraphQLField:
    world.rules[owner, name] = FieldRule(type_, kind, failures)
    takes_arguments = kind in {"method", "resolver", "async"} and name in {"f0", "f1"}
    takes_arguments |= kind == "promised" and name == "f0"
    arguments = (
        {"number": GraphQLArgument(GraphQLInt), "texts": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLString)))}
        if takes_arguments
        else None
    )
    return GraphQLField(type_, args=arguments, resolve=_resolver(world, kind, name))
