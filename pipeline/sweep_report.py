"""A kept sweep, drawn and reported: one function each, which page and command line share. Runs nothing; what fidelity
was not compared yet is compared here.
"""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.report import Item, title_of, write_report
from pipeline.sweep import cell_label, sweep_document
from pipeline.sweep_plot import plot
from pipeline.sweep_run import Sweeps
from pipeline.tradeoff import compare_cells, tradeoff


def drawn(sweeps: Sweeps, entry: Entry, link: str = "") -> Markup:
    """The plot of what is finished. ``link``: as in :func:`pipeline.sweep_plot.plot`; empty where it is."""
    for _ in compare_cells(sweeps, entry):
        pass
    labels = {
        cell.place: cell_label(entry.document, cell.document, sweeps.catalog.name(cell.document["model"]))
        for cell in sweeps.cells.of(entry.id)
    }
    return plot(tradeoff(sweeps, entry), labels, link)


def write_sweep_report(path: Path, playground: Playground, entry: Entry) -> None:
    """Write what is finished as :func:`pipeline.report.write_report` does; raises also InputError of no picture."""
    cells = playground.sweeps.cells.of(entry.id)
    if not cells:
        raise InputError("This sweep has no finished picture yet; wait for the first one.")
    kept = playground.history.get(entry.id)  # after the cells, so that none of them lacks its file
    document = sweep_document(kept.document, cells)
    pictures = {i: kept.files[cell["place"]] for i, cell in enumerate(document["cells"])}
    item = Item(document, pictures=pictures, plot=drawn(playground.sweeps, kept) or None)
    write_report(path, title_of(document, playground.catalog), [item], playground.catalog, playground.prices)
