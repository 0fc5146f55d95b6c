"""Runs drawn operations on graphql-core and on CompiledExecutor and compares the answers, errors and their order.

`python -m tests.execution.differential --seconds 600` searches for a difference and prints the seed of the first one;
`--seed 123 --mode waits` runs a single case again. The ordinary test run draws a bounded number of cases.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from graphql import ExecutionResult, Executor, execute, parse, validate
from graphql.execution.incremental import IncrementalExecutor

from execution import CompiledExecutor
from tests.execution.documents import draw_document, draw_variables
from tests.execution.generated import Node, World, build_world

MODES = ("at_once", "waits", "loads")
"""at_once: nothing is awaited. waits: values arrive one after another, at different times. loads: in batches too."""

_cases = count()

Outcome = tuple[str, list[Any]]


def draw_world(seed: int, mode: str) -> World:
    """Draw a schema and its data; the failure rate is drawn as well, and often zero."""
    failures = [0.0, 0.02, 0.06, 0.12, 0.3][seed % 5]
    return build_world(seed, is_async=mode != "at_once", failures=failures, loaders=mode == "loads")


def draw_case(seed: int, mode: str) -> tuple[str, dict[str, Any]]:
    """Draw a valid document and its variables."""
    world = draw_world(seed, mode)
    for attempt in range(20):
        random = world.random("document", attempt)
        text = draw_document(world.schema, random)
        if not validate(world.schema, parse(text)):
            return text, draw_variables(random)
    raise AssertionError(f"seed {seed}: no valid document in 20 attempts")


def run(seed: int, mode: str, executor: type[Executor[Any]], text: str, variables: dict[str, Any]) -> ExecutionResult:
    """Run the case in a world of its own."""
    world = draw_world(seed, mode)
    document = parse(text)

    def start() -> Any:
        return execute(
            world.schema,
            document,
            Node(world, "root", "Query"),
            world.context() if mode == "loads" else None,
            variables,
            executor_class=executor,
        )

    async def run_in_loop() -> ExecutionResult:
        # Work that a failure made superfluous may fail as the loop ends, before anybody could look at it.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        result = start()
        return await world.clock.run(result) if inspect.isawaitable(result) else result

    result: ExecutionResult = start() if mode == "at_once" else asyncio.run(run_in_loop())
    return result


def outcome(result: ExecutionResult) -> Outcome:
    """Return what has to be equal; the text tells the order of the keys too."""
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    return json.dumps(result.data), errors


def _is_contained(data: Any, errors: list[Any]) -> bool:
    """Tell whether every error nulled its own position and nothing above it."""
    for _, path, _ in errors:
        place = data
        for key in path[:-1]:
            place = place[key] if place is not None else None
        if place is None:
            return False
    return True


@contextmanager
def littering() -> Iterator[None]:
    """Let both executors leave coroutines behind that a failure made superfluous.

    They are collected at a time of our choosing: within the restricted globals of a named tuple's constructor, of
    which execution makes many, even the warning about them fails.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.disable()
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            gc.enable()
            gc.collect()


def difference(seed: int, mode: str) -> str | None:
    """Return how the two executors differ on a case, or None; call it while `littering`."""
    if next(_cases) % 20 == 0:
        gc.collect()
    return _difference(seed, mode)


def _difference(seed: int, mode: str) -> str | None:
    text, variables = draw_case(seed, mode)
    try:
        expected = outcome(run(seed, mode, IncrementalExecutor, text, variables))
    except asyncio.CancelledError:
        # graphql-core 3.3.2 cancels a loader's future when one of the fields that await it is nulled, and falls with
        # the others. There is no answer to compare with; ours must answer.
        run(seed, mode, CompiledExecutor, text, variables)
        return None
    actual = outcome(run(seed, mode, CompiledExecutor, text, variables))
    if mode == "loads":
        # Values of one batch arrive in the same turn of the event loop. Which of two errors in it comes first, and
        # whether the second is still reported below what the first one nulled, is left open by the specification.
        is_contained = all(_is_contained(json.loads(data), errors) for data, errors in (expected, actual))
        expected = (expected[0], sorted(expected[1], key=str) if is_contained else [])
        actual = (actual[0], sorted(actual[1], key=str) if is_contained else [])
    if expected == actual:
        return None
    return f"seed {seed}, mode {mode}\n{text}\n{variables}\ngraphql-core: {expected}\ncompiled:     {actual}"


def search(seconds: float, first: int) -> int:
    """Run cases until the time is over or one differs; returns an exit status."""
    end = time.monotonic() + seconds
    seed = first
    cases: Counter[str] = Counter()
    before = CompiledExecutor.compiled
    while time.monotonic() < end:
        mode = MODES[seed % len(MODES)]
        found = difference(seed, mode)
        if found is not None:
            sys.stdout.write(f"{found}\n")
            return 1
        cases[mode] += 1
        seed += 1
    ran = CompiledExecutor.compiled - before
    sys.stdout.write(
        f"no difference in {sum(cases.values())} cases {dict(cases)}, seeds {first}–{seed - 1}\n"
        f"ran compiled: {ran}; fallbacks: {dict(CompiledExecutor.fallbacks)}\n"
    )
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, default=None)
    options = parser.parse_args()
    with littering():
        if options.seed is None:
            sys.exit(search(options.seconds, options.first))
        told = [difference(options.seed, mode) for mode in ([options.mode] if options.mode else MODES)]
    sys.stdout.write("\n\n".join(filter(None, told)) or "no difference\n")
    sys.exit(any(told))
