"""How the hooks of several extensions enclose a stage of an operation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from strawberry.extensions import SchemaExtension

from schema.hooks import HooksRunner


class Told(SchemaExtension):
    """Writes down what it sees; the name tells whether it swallows an error or raises another."""

    def __init__(self, name: str, seen: list[str]) -> None:
        super().__init__()
        self.name, self.seen = name, seen

    def _after(self, error: Exception | None) -> None:
        self.seen.append(f"-{self.name} {error}" if error else f"-{self.name}")
        if error is not None and self.name == "replaces":
            raise ValueError("another") from error
        if error is not None and self.name != "swallows":
            raise error


class Plain(Told):
    def on_execute(self) -> Iterator[None]:
        self.seen.append(f"+{self.name}")
        found = None
        try:
            yield
        except Exception as error:
            found = error
        self._after(found)


class Asynchronous(Told):
    async def on_execute(self) -> AsyncIterator[None]:
        self.seen.append(f"+{self.name}")
        found = None
        try:
            yield
        except Exception as error:
            found = error
        self._after(found)


class Refusing(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        raise LookupError("refused")
        yield


class YieldsTwice(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        yield
        yield


class NoGenerator(SchemaExtension):
    def on_execute(self) -> None:  # type: ignore[override]
        pass


async def run(extensions: list[Any], error: Exception | None = None) -> None:
    context: Any = None
    runner = HooksRunner(context, extensions)
    async with runner.executing():
        if error is not None:
            raise error


async def test_hooks_are_entered_in_order_and_left_in_reverse():
    seen: list[str] = []
    await run([Plain("a", seen), SchemaExtension(), Asynchronous("b", seen), Plain("c", seen)])
    assert seen == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_failure_passes_through_every_hook():
    seen: list[str] = []
    with pytest.raises(LookupError, match="it"):
        await run([Plain("a", seen), Asynchronous("b", seen)], LookupError("it"))
    assert seen == ["+a", "+b", "-b it", "-a it"]


@pytest.mark.parametrize("kind", [Plain, Asynchronous])
async def test_what_a_hook_raises_in_place_of_a_failure_is_what_the_others_see(kind: type[Told]):
    seen: list[str] = []
    with pytest.raises(ValueError, match="another"):
        await run([Plain("a", seen), kind("replaces", seen)], LookupError("it"))
    assert seen == ["+a", "+replaces", "-replaces it", "-a another"]


@pytest.mark.parametrize("kind", [Plain, Asynchronous])
async def test_a_hook_that_swallows_a_failure_ends_it(kind: type[Told]):
    seen: list[str] = []
    await run([Plain("a", seen), kind("swallows", seen)], LookupError("it"))
    assert seen == ["+a", "+swallows", "-swallows it", "-a"]


@pytest.mark.parametrize("name", ["a", "swallows"])
async def test_a_hook_that_refuses_leaves_what_was_entered_and_nothing_runs(name: str):
    seen: list[str] = []
    with pytest.raises(LookupError, match="refused"):
        await run([Plain(name, seen), Refusing(), Plain("never", seen)])
    assert seen == [f"+{name}", f"-{name} refused"]


async def test_a_hook_that_yields_twice_is_told():
    with pytest.raises(RuntimeError, match="no more than once"):
        await run([YieldsTwice()])


async def test_a_hook_that_does_not_yield_is_told():
    with pytest.raises(TypeError, match=r"NoGenerator\.on_execute must yield once"):
        await run([NoGenerator()])


async def test_extensions_of_one_class_are_told_apart():
    seen: list[str] = []
    await run([Plain("a", seen), Plain("b", seen)])
    assert seen == ["+a", "+b", "-b", "-a"]
