"""What page, command line and benches all start from: catalogue, prices, folders and one engine."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile

import platformdirs

from pipeline import fit
from pipeline.adhoc import catalog_with
from pipeline.backends.everywhere import Everywhere
from pipeline.backends.hosted import HostedBackend
from pipeline.backends.local import LocalBackend
from pipeline.caches import ImageCache
from pipeline.catalog import Catalog, Pair, load_catalog
from pipeline.cost import call_sum
from pipeline.device import find_facts
from pipeline.disk import place_of
from pipeline.engine import Engine
from pipeline.errors import PlaygroundError
from pipeline.history import History
from pipeline.prices import PriceProfile, PriceTable, load_prices
from pipeline.request import ImageRequest
from pipeline.spending import Spending
from pipeline.sweep_judging import Judging
from pipeline.sweep_run import Sweeps
from pipeline.votes import Votes
from pipeline.weights import is_here


@dataclass(frozen=True)
class Playground:
    """One process's parts. ``data`` holds everything that is written: nothing else on the disk is touched."""

    catalog: Catalog
    prices: PriceTable
    engine: Engine
    data: Path
    default_price: str | None = None
    """What is taken where nobody names a price; None: what the device rents for."""
    spending: Spending = field(default_factory=Spending)
    """What hosted pictures may cost, and whose."""

    @property
    def default_pair(self) -> Pair:
        """The best pair that this machine has both the weights and the memory for; without a GPU or without weights of
        the Hub's the bundled one."""
        placed = self.engine.backend.placed
        hub = [card for card in self.catalog.models.values() if card.repo]
        downloaded = {card.id for card in hub if card.id in placed or is_here(card)}
        if not downloaded:
            return self.catalog.default_pair  # known without importing torch
        return fit.default_pair(self.catalog, find_facts(), here=lambda card: card.id in downloaded)

    def pair(self, wanted: object) -> Pair:
        """The wanted pair; None gives the default. Raises InputError with the known ids."""
        return self.default_pair if wanted is None else self.catalog.pair(wanted)

    @cached_property
    def history(self) -> History:
        """What was made, kept under ``data``. Raises PlaygroundError if that cannot be opened."""
        return History(self.data / "history")

    @cached_property
    def sweeps(self) -> Sweeps:
        """The sweeps of the history. Raises PlaygroundError as :attr:`history` does."""
        return Sweeps(self.catalog, self.engine, self.history)

    @cached_property
    def votes(self) -> Votes:
        """The votes of the history. Raises PlaygroundError as :attr:`history` does."""
        return Votes(self.history)

    @cached_property
    def judging(self) -> Judging:
        """What networks said of the sweeps. Raises PlaygroundError as :attr:`history` does."""
        return Judging(self.sweeps)

    def price(self, wanted: str | float | None, device_name: str = "") -> PriceProfile:
        """The wanted profile, else the default, else the one of the device (which, unnamed, imports torch)."""
        wanted = self.default_price if wanted is None else wanted
        return self.proposed_price(device_name) if wanted is None else self.prices.profile(wanted)

    def proposed_price(self, device_name: str = "") -> PriceProfile:
        """What the device rents for, whatever the default is; finding an unnamed device imports torch."""
        return self.prices.proposed(device_name or self.engine.backend.device().name)

    def check_data(self) -> None:
        """Raises PlaygroundError if nothing can be written into the data folder. A full disk may have room again once
        what is old was swept."""
        try:
            with TemporaryFile(dir=self.data):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise PlaygroundError(
                    f"The data folder {self.data} cannot be written ({error.strerror}); choose another with --data."
                ) from error

    def check_spending(self, requests: Iterable[ImageRequest], repeat: int = 1, use_cache: bool = True) -> None:
        """Raises InputError if what providers ask for these would be more than may still be spent."""
        cached = self.engine.is_cached if use_cache and repeat == 1 else lambda _: False
        each = [(self.catalog.model(request.model).hosted, request) for request in requests]
        calls = [hosted.dearest(of) for hosted, of in each if hosted and not cached(of)]
        self.spending.check(repeat * sum(call_sum(call).usd or 0.0 for call in calls))

    def check_price(self, wanted: object) -> None:
        """Raises InputError for a price that nobody knows, before anything runs."""
        if wanted is not None:
            self.prices.profile(wanted)


def open_playground(
    data: str | Path | None = None,
    default_price: str | None = None,
    model_file: str | Path | None = None,
    model: str | None = None,
    spend: object = None,
) -> Playground:
    """Build the parts; loads no model and imports no torch. ``model_file``: a user's own catalogue beside the shipped
    one. ``model``: a folder or a bare Hub id that is to be known too. ``spend``: see :meth:`Spending.of`.

    Raises PlaygroundError if ``data``, the price or ``spend`` cannot be used.
    """
    folder = place_of(data or platformdirs.user_data_dir("diptych"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlaygroundError(
            f"The data folder {folder} cannot be made ({error.strerror}); choose another with --data."
        ) from error
    catalog = load_catalog(more=Path(model_file) if model_file else None)
    if model is not None:
        catalog = catalog_with(catalog, model)
    spending = Spending.of(spend)
    backend = Everywhere(LocalBackend(), HostedBackend(spending))
    engine = Engine(catalog, backend, ImageCache(folder / "cache"))
    playground = Playground(catalog, load_prices(), engine, folder, default_price, spending)
    playground.check_price(default_price)
    return playground
