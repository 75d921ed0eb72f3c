"""What page, command line and benches all start from: catalogue, prices, folders and one engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from pipeline.backends.local import LocalBackend
from pipeline.caches import ImageCache
from pipeline.catalog import Catalog, load_catalog
from pipeline.cost import PriceTable, load_prices
from pipeline.engine import Engine
from pipeline.errors import PlaygroundError


@dataclass(frozen=True)
class Playground:
    """One process's parts. ``data`` holds everything that is written: nothing else on the disk is touched."""

    catalog: Catalog
    prices: PriceTable
    engine: Engine
    data: Path


def open_playground(data: str | Path | None = None) -> Playground:
    """Build the parts; loads no model and imports no torch. Raises PlaygroundError if ``data`` cannot be used."""
    folder = Path(data or platformdirs.user_data_dir("diptych")).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlaygroundError(
            f"The data folder {folder} cannot be made ({error.strerror}); choose another with --data."
        ) from error
    catalog = load_catalog()
    engine = Engine(catalog, LocalBackend(), ImageCache(folder / "cache"))
    return Playground(catalog, load_prices(), engine, folder)
