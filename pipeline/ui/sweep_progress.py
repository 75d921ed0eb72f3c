"""A sweep of a page on its way: made, then compared, with Stop; told as seldom as pipeline.ui.series says. Knows no
component."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.cells import Cell
from pipeline.errors import Cancelled, PlaygroundError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.sweep_run import Kept, LeftOut, Working
from pipeline.tradeoff import compare_cells, left_to_compare
from pipeline.ui import markup, sweep_markup
from pipeline.ui.jobs import Jobs
from pipeline.ui.pace import SETTLE_S
from pipeline.ui.series import Pace, in_line
from pipeline.ui.served import address
from pipeline.wording import count

COMPARED_EVERY_S = 0.3
STOPPED = "Stopped. What is done stays; Go on makes the rest."
FAILED = "The sweep failed; the server's log says where. What is done stays."
NOT_COMPARED = "The comparing was stopped; it goes on when this tab is opened again."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Said:
    """What a page is to show. ``html``: what is said; None where that stays. ``cells``: place and HTML of those that
    changed. ``busy``: whether there is something to stop, ``some``: whether any picture is finished, ``left``: how many
    there are to go on with; None where that is as before."""

    html: str | None = None
    cells: Sequence[tuple[int, str]] = ()
    busy: bool | None = None
    some: bool | None = None
    left: int | None = None


class _Changed:
    """Cells that the page does not have yet, and those that it was sent last: a browser may merge two updates into the
    later one."""

    def __init__(self):
        self.new: list[tuple[int, str]] = []
        self._last: list[tuple[int, str]] = []

    def to_send(self) -> list[tuple[int, str]]:
        both = self._last + self.new
        self._last, self.new = self.new, []
        return both


def run_of(session: str | None) -> str:
    """What all that the Sweep tab of a page has going is called, so that its Stop ends nothing else."""
    return f"sweep {session}"


def cell_html(entry: Entry, cell: Cell) -> Markup:
    return sweep_markup.cell(cell, entry.files.get(cell.place), address)


def made(playground: Playground, jobs: Jobs, session: str | None, entry: Entry) -> Iterator[Said]:
    """Make what is missing of a sweep, then compare; whatever happens, the end is told."""
    sweeps, changed, pace = playground.sweeps, _Changed(), Pace()
    total, declined, told_some = 0, [], False
    try:
        total = len(sweeps.plan(entry).requests)
        done = len(sweeps.cells.places(entry.id))
        with (
            jobs.running(session, run_of(session)) as stop,
            closing(sweeps.run(entry, stop=stop)) as events,
        ):
            time.sleep(SETTLE_S)  # in here, so that Stop is heard meanwhile
            for event in events:
                if isinstance(event, Kept):
                    done += 1
                    changed.new.append((event.cell.place, cell_html(playground.history.get(entry.id), event.cell)))
                elif isinstance(event, LeftOut):
                    declined.append(event.why)
                going = event.event if isinstance(event, Working) else None
                if pace.due(going):
                    waiting = in_line(going)
                    text = f"{done} of {total} done{waiting and f'; {waiting}'}."
                    # Once: every update of a button costs the server, and that the model.
                    yield Said(markup.hint(text), changed.to_send(), some=True if done and not told_some else None)
                    told_some = done > 0
                    pace.told(going)
        end = markup.hint(f"All {total} done.")
        if declined:
            end = markup.fault(f"{count(len(declined), 'picture')} left out. {declined[0]}")
    except Cancelled:
        end = markup.hint(STOPPED)
    except PlaygroundError as error:
        end = markup.fault(str(error))
    except Exception:  # whatever it is, a page must not stay busy for ever
        log.exception("a sweep failed")
        end = markup.fault(FAILED)
    unmade: list[int] = []
    with suppress(PlaygroundError):
        unmade = sweeps.left(entry)
    elsewhere = sweeps.running(entry.id)
    not_made = [] if elsewhere else [(place, sweep_markup.NOT_MADE) for place in unmade]
    yield Said(cells=[*changed.to_send(), *not_made], some=len(unmade) < total)
    lacking = yield from _comparing(playground, jobs, session, entry.id)
    yield Said(end + lacking, busy=False, some=len(unmade) < total, left=len(unmade))


def compared(playground: Playground, jobs: Jobs, session: str | None, entry: Entry) -> Iterator[Said]:
    """The comparing of a kept sweep alone; nothing is told where there is nothing to compare."""
    if left_to_compare(playground.sweeps, entry):
        lacking = yield from _comparing(playground, jobs, session, entry.id)
        yield Said(markup.hint(state(playground, entry)) + lacking, busy=False)


def state(playground: Playground, entry: Entry) -> str:
    """How much of a kept sweep there is. Raises InputError if it cannot be made here any more."""
    done = len(playground.sweeps.cells.places(entry.id))
    return f"{count(done, 'picture')} of {len(playground.sweeps.plan(entry).requests)} done."


def _comparing(playground: Playground, jobs: Jobs, session: str | None, entry: str) -> Generator[Said, None, Markup]:
    """Each picture beside its reference, for the plot: hundreds take a while. Returns why some are not."""
    told = 0.0
    try:
        with jobs.running(session, run_of(session)) as stop:
            for done, total in compare_cells(playground.sweeps, playground.history.get(entry), stop):
                if time.monotonic() - told >= COMPARED_EVERY_S:
                    # That there is something to stop is told once: later it would undo the button's "Stopping".
                    yield Said(markup.hint(f"Comparing pictures: {done} of {total}."), busy=None if told else True)
                    told = time.monotonic()
    except Cancelled:
        return markup.hint(NOT_COMPARED)
    except PlaygroundError:  # deleted meanwhile, not to be read, or a full line
        log.info("not all pictures of a sweep were compared", exc_info=True)
    except Exception:  # as above
        log.exception("a sweep's pictures could not be compared")
    return Markup("")
