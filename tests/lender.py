"""A stand-in for the package ``spaces`` on ZeroGPU, after the source of its version 0.51.3.

What it shares with the real one: a call runs in a forked process; arguments and yields are pickled; an exception comes
through as its class name only; closing the generator is heard at the next yield, and waited for; no quota is a
gradio.Error, known by its ``message``.
"""

from __future__ import annotations

import multiprocessing
import types
from collections.abc import Callable, Iterator
from typing import Any

fork = multiprocessing.get_context("fork")


class Refused(Exception):
    """As gradio.Error."""

    def __init__(self, message: str):
        self.message = message


class Spaces(types.ModuleType):
    """``durations`` holds the seconds that were asked for; ``refusal`` is raised instead of lending, once."""

    def __init__(self):
        super().__init__("spaces")
        self.durations: list[int] = []
        self.refusal: str | None = None

    def GPU(self, duration: Callable[..., int]) -> Callable:  # noqa: N802 (the real one's name)
        return lambda task: self._lent(task, duration)

    def _lent(self, task: Callable[..., Iterator[Any]], duration: Callable[..., int]) -> Callable[..., Iterator[Any]]:
        def call(*args: Any) -> Iterator[Any]:
            self.durations.append(duration(*args))
            if self.refusal:
                said, self.refusal = self.refusal, None
                raise Refused(said)
            results, stop, arguments = fork.SimpleQueue(), fork.Event(), fork.SimpleQueue()
            process = fork.Process(target=_child, args=(task, arguments, results, stop), daemon=True)
            process.start()
            arguments.put(args)
            try:
                while True:
                    kind, value = results.get()
                    if kind == "end":
                        return
                    if kind == "error":
                        raise Refused(value)
                    yield value
            finally:
                stop.set()
                while process.is_alive() and not results.empty():
                    results.get()
                process.join(20)

        return call


def _child(task: Callable[..., Iterator[Any]], arguments: Any, results: Any, stop: Any) -> None:
    generator = task(*arguments.get())
    try:
        for value in generator:
            if stop.is_set():
                generator.close()
                break
            results.put(("value", value))
    except Exception as error:
        results.put(("error", type(error).__name__))
    results.put(("end", None))
