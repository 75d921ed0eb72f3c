"""Hugging Face's ZeroGPU: the GPU is lent for one call, which runs in a forked process.

The package ``spaces``, which a Space brings along, pickles the call's arguments and everything it yields, ends the
call at its next yield when the generator is closed, and reads the visitor's quota out of Gradio's context. Read in the
source of spaces 0.51.3; not run on ZeroGPU itself.
"""

from __future__ import annotations

import html
import math
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from pipeline.errors import BusyError, Cancelled, PlaygroundError
from pipeline.events import Done, Event
from pipeline.work import CarryOut, Order, Rounds, Tell, failure

BASE_S, SHARE = 10, 1.5
"""Seconds asked for: BASE_S for fork, transfer and warm-up, and SHARE of our own estimate. Shorter calls come first
in the line and cost less quota; one that is too short is broken off."""
MOST_S = 300
LOAD_BYTES_A_S = 1e9
"""From a Space's disk to the GPU; a guess, on the safe side of what NVMe disks give."""


def duration(seconds: float) -> int:
    """Whole seconds to ask for, for work of so many seconds by our estimate."""
    return min(MOST_S, BASE_S + math.ceil(SHARE * seconds))


def loading(size: int) -> float:
    """Seconds to load so many bytes of weights."""
    return size / LOAD_BYTES_A_S


def lent(carry_out: CarryOut, seconds: Callable[[Order], float]) -> CarryOut:
    """``carry_out``, in one call of a lent GPU. To be made before the page is launched, and before torch is imported:
    the package patches both."""
    import spaces

    def events(order: Order) -> Iterator[Event | PlaygroundError]:
        yield from _streamed(lambda tell, stop: carry_out(order, tell, stop))

    borrowed = spaces.GPU(duration=lambda order: duration(seconds(order)))(events)

    def carry_out_there(order: Order, tell: Tell, stop: threading.Event) -> None:
        # A process that is broken off cannot tell any more what it has whole; so that is known here, too.
        rounds, ended = Rounds(order.lanes), not order.measurement
        try:
            # Closed, it waits until the other process is idle; so the lock is never given back before.
            with closing(borrowed(order)) as told:
                for event in told:
                    if isinstance(event, PlaygroundError):
                        raise event
                    if isinstance(event, Done):
                        rounds.add(event.lane, event.result)
                        ended = ended or event.final
                    tell(event)
                    if stop.is_set():
                        raise Cancelled("The run was stopped.")
        except PlaygroundError:
            raise
        except Exception as error:
            said = getattr(error, "message", None)  # gradio.Error: no quota, no GPU, taken too long
            if not isinstance(said, str):
                raise
            text = html.unescape(re.sub(r"<[^>]*>", "", said)).strip().rstrip(".")
            raise BusyError(f"ZeroGPU gave no GPU for this run ({text}); try again later, or sign in.") from error
        finally:
            for lane, result in () if ended else rounds.results().items():
                tell(Done(lane, result, final=True))

    return carry_out_there


def _streamed(work: Callable[[Tell, threading.Event], None]) -> Iterator[Event | PlaygroundError]:
    """What ``work`` tells, as a generator; at its end its error, as a value: only values come through whole.

    Closing it stops the work and waits for its end.
    """
    told: queue.SimpleQueue = queue.SimpleQueue()
    stop, end = threading.Event(), object()

    def run() -> None:
        try:
            work(told.put, stop)
        except PlaygroundError as error:
            told.put(error)
        except Exception:
            told.put(failure())
        finally:
            told.put(end)

    thread = threading.Thread(target=run, name="lent-device", daemon=True)
    thread.start()
    try:
        while (event := told.get()) is not end:
            yield event
    finally:
        stop.set()
        thread.join()
