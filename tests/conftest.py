"""Fixtures of every test: an engine on the fake backend, and state that goes away.

No test writes outside its temporary folder, and nothing here imports torch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.backends import embeddings
from pipeline.backends.everywhere import Everywhere
from pipeline.backends.hosted import HostedBackend
from pipeline.caches import ImageCache
from pipeline.catalog import Catalog, load_catalog
from pipeline.compare import plan
from pipeline.engine import Engine
from pipeline.request import ImageRequest
from pipeline.spending import Spending
from tests.fakes import CATALOG, CountingBackend
from tests.provider import CARDS, KEY, Provider, serving

settings.register_profile("diptych", deadline=None, database=None, max_examples=200)
settings.load_profile("diptych")

# A forgotten ``data=`` must not reach the home folder of whoever runs the tests, nor a test the network. Set when this
# file is read: the Hub's library reads its variables once, and test files import it while they are collected.
HOME = tempfile.TemporaryDirectory(prefix="diptych-tests-", ignore_cleanup_errors=True)
os.environ |= {
    name: str(Path(HOME.name, name.lower()))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HF_HOME", "GRADIO_TEMP_DIR")
}
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes whose threads are as many as the cores wait for each other most of the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path = tmp_path_factory.mktemp("catalog") / "catalog.toml"
    path.write_text(CATALOG, encoding="utf-8")
    return load_catalog(path)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny checkpoint of a pipeline class, with weights by a seed; made when it is first asked for, and only read."""

    @cache
    def made(pipeline: str, seed: int = 0) -> Path:
        from pipeline.bench.random_weights import save

        return save(pipeline, tmp_path_factory.mktemp(pipeline), seed)

    return made


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a prompt's encoding took in a busy moment is not reused; whether it is must not be for the machine to say
    that the tests run on."""
    monkeypatch.setattr(embeddings, "DISTURBED", 10**9)


@pytest.fixture
def backend() -> CountingBackend:
    return CountingBackend()


@pytest.fixture
def engine(catalog: Catalog, backend: CountingBackend, tmp_path: Path) -> Engine:
    """An engine on the fake backend, with an empty picture cache."""
    return Engine(catalog, backend, ImageCache(tmp_path / "cache"))


@pytest.fixture
def requests(catalog: Catalog) -> list[ImageRequest]:
    """Both lanes of the pair, the efficient one first."""
    return list(plan(catalog, catalog.pair("both"), "a red apple", seed=7).values())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Engine], str]]:
    """Serve the page of an engine on loopback; returns its address. Closed after the test."""
    with pages(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_page(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, CountingBackend]]:
    """The address of one page for many small questions, which build none of their own, and the backend behind it."""
    folder, backend = tmp_path_factory.mktemp("page"), CountingBackend()
    with pages(folder) as start:
        yield start(Engine(catalog, backend, ImageCache(folder / "cache"))), backend


@contextmanager
def pages(folder: Path) -> Iterator[Callable[[Engine], str]]:
    """What serves the pages of engines, with all data in ``folder``, until the end."""
    from pipeline.playground import Playground
    from pipeline.prices import load_prices
    from pipeline.ui.page import build_page, launch_options
    from pipeline.ui.readiness import Readiness
    from pipeline.ui.served import served_folders

    open_pages = []
    _, uploads = served_folders(folder / "served")

    def start(engine: Engine) -> str:
        playground = Playground(engine.catalog, load_prices(), engine, folder)
        page = build_page(playground, Readiness(playground))
        open_pages.append(page)
        _, url, _ = page.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, **launch_options(uploads)
        )
        return url

    try:
        yield start
    finally:
        for page in open_pages:
            page.close()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider on loopback, and its key in the environment."""
    monkeypatch.setenv("DIPTYCH_TEST_KEY", KEY)
    monkeypatch.setattr("pipeline.backends.hosted.WAIT_S", 0.05)
    with serving() as found:
        yield found


@pytest.fixture
def cards(provider: Provider, tmp_path: Path) -> Catalog:
    """A catalogue with two models of this machine and the provider's."""
    path = tmp_path / "both.toml"
    path.write_text(CATALOG + CARDS.format(address=provider.address), encoding="utf-8")
    return load_catalog(path)


@pytest.fixture
def spending() -> Spending:
    return Spending()


@pytest.fixture
def hosted_engine(cards: Catalog, backend: CountingBackend, spending: Spending, tmp_path: Path) -> Engine:
    """An engine on the fake backend beside the real one for hosted models."""
    return Engine(cards, Everywhere(backend, HostedBackend(spending)), ImageCache(tmp_path / "cache"))
