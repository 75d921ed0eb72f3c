"""Named endpoints for programs: /compare, /generate, /estimate, /models, /stop. The same documents as the command line,
with a file where the document has a path. Docstrings and type hints become the API's and the MCP tools' description.

Every limit of the page's controls is checked again here, by the same make_request.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
import gradio as gr

from pipeline import compare as comparison
from pipeline.catalog import ROLES
from pipeline.device import find_facts
from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.events import Result, final_results
from pipeline.models import models_document
from pipeline.playground import Playground
from pipeline.request import REPEAT_MAX, ImageRequest, make_request, random_seed, whole, yes_or_no
from pipeline.throughput import check_local
from pipeline.ui.jobs import Jobs
from pipeline.ui.pace import SETTLE_S, is_quick
from pipeline.ui.served import hand_out_result
from pipeline.ui.visitors import Visitors

RUN_NAME_MAX = 100
QUEUE = {"concurrency_id": "programs", "concurrency_limit": 20}
"""How many programs' calls may be open at once: however many come, there are places for whoever looks at the page."""
THREADS = anyio.CapacityLimiter(QUEUE["concurrency_limit"])
"""For runs, which hold a thread while they wait in line; the page and its pictures are read by anyio's own forty."""


def attach(playground: Playground, jobs: Jobs, visitors: Visitors) -> None:
    """Add the endpoints to the Blocks that is being built."""
    catalog, engine = playground.catalog, playground.engine

    async def in_thread(
        work: Callable[[threading.Event, threading.Event], dict], request: gr.Request | None, run: Any
    ) -> dict:
        """All of ``work`` beside the server's own thread, which every visitor waits for; it is handed the run's stop
        and settled flags. A caller who goes away ends their run."""
        with jobs.running(_session(request), _run_name(run)) as stop:
            settled = threading.Event()
            try:
                return await anyio.to_thread.run_sync(lambda: work(stop, settled), limiter=THREADS)
            finally:
                # Gradio cancels the task, not the thread: the flag is what the run hears.
                stop.set()
                settled.set()

    def run_all(
        requests: Sequence[ImageRequest],
        request: gr.Request | None,
        stop: threading.Event,
        settled: threading.Event,
        **how: Any,
    ) -> list[Result]:
        """All results, in the order of the requests."""
        repeat = whole("repeat", how.get("repeat", 1), 1, REPEAT_MAX)
        visitors.check_spending(requests, request, repeat, how["use_cache"])
        reads = how["use_cache"] and repeat == 1 and not how.get("throughput")
        drawn = [each for each in requests if not (reads and engine.is_cached(each))]
        if drawn and is_quick([engine.estimate(each) for each in drawn]):
            time.sleep(SETTLE_S)  # the server and its caller still hand the call over, perhaps on the same cores
        return final_results(engine.run(requests, stop=stop, settled=settled, **how))

    async def compare(
        prompt: str,
        pair: str | None = None,
        seed: int | None = None,
        negative_prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        predecessor_steps: int | None = None,
        predecessor_guidance: float | None = None,
        efficient_steps: int | None = None,
        efficient_guidance: float | None = None,
        predecessor_switches: list[str] | None = None,
        efficient_switches: list[str] | None = None,
        repeat: int = 1,
        throughput: bool = False,
        use_cache: bool = True,
        price: str | None = None,
        run: str | None = None,
        request: gr.Request = None,
    ) -> dict:
        """Draw one prompt and seed with both models of a pair, and say time, cost, speed-up and saving.

        Args:
            prompt: What to draw.
            pair: Id of a pair from /models, or any two models as MODEL:MODEL; the default pair if left out.
            seed: 0 to 2**64 - 1; a random one, told in the answer, if left out.
            negative_prompt: What not to draw; used by models with classifier-free guidance only.
            width: Pixels; the model's own size if left out.
            height: Pixels; the model's own size if left out.
            predecessor_steps: Denoising steps; the model's own if left out.
            predecessor_guidance: Guidance scale; the model's own if left out.
            efficient_steps: Denoising steps; the model's own if left out.
            efficient_guidance: Guidance scale; the model's own if left out.
            predecessor_switches: Efficiency switches, such as fp8-weights; /models lists them.
            efficient_switches: The same for the efficient lane.
            repeat: Runs a model; the median counts.
            throughput: Also measure pictures a minute, with up to 8 at once; draws some 45 more a model, or fewer.
            use_cache: Whether a picture made before will do; its time is that of then, and no speed-up is said.
            price: Id of a price profile, or dollars per hour.
            run: A name of your choice for this run, by which /stop can end it; make it hard to guess.

        Returns:
            The comparison as one document; each lane's image is a PNG with its recipe inside.
        """

        def work(stop: threading.Event, settled: threading.Event) -> dict:
            chosen = playground.pair(pair)
            playground.check_price(price)
            requests = comparison.plan(
                catalog,
                chosen,
                prompt,
                negative_prompt=negative_prompt,
                seed=_seed(seed),
                width=width,
                height=height,
                steps={"predecessor": predecessor_steps, "efficient": efficient_steps},
                guidance={"predecessor": predecessor_guidance, "efficient": efficient_guidance},
                switches={"predecessor": predecessor_switches, "efficient": efficient_switches},
            )
            how = {"repeat": repeat, "throughput": throughput, "use_cache": yes_or_no("use_cache", use_cache)}
            made = run_all(list(requests.values()), request, stop, settled, **how)
            results = dict(zip(requests, made, strict=True))
            at = playground.price(price, comparison.device_of(*made))
            document = comparison.compare_document(chosen, results, at)
            visitors.keep_program("comparison", document, [results[role] for role in ROLES], request)
            for lane in document["lanes"]:
                lane["image"] = _file(results[lane["role"]])
            return document

        return await in_thread(work, request, run)

    async def generate(
        prompt: str,
        model: str,
        seed: int | None = None,
        negative_prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        switches: list[str] | None = None,
        use_cache: bool = True,
        price: str | None = None,
        run: str | None = None,
        request: gr.Request = None,
    ) -> dict:
        """Draw one picture with one model.

        Args:
            prompt: What to draw.
            model: Id of a model from /models.
            seed: 0 to 2**64 - 1; a random one, told in the answer, if left out.
            negative_prompt: What not to draw; used by models with classifier-free guidance only.
            width: Pixels; the model's own size if left out.
            height: Pixels; the model's own size if left out.
            steps: Denoising steps; the model's own if left out.
            guidance: Guidance scale; the model's own if left out.
            switches: Efficiency switches, such as fp8-weights; /models lists them.
            use_cache: Whether the same picture made before will do; its time is then that of then.
            price: Id of a price profile, or dollars per hour.
            run: A name of your choice for this run, by which /stop can end it; make it hard to guess.

        Returns:
            One document with the picture, its times and its cost.
        """

        def work(stop: threading.Event, settled: threading.Event) -> dict:
            playground.check_price(price)
            wanted = make_request(
                catalog.model(model),
                prompt,
                negative_prompt=negative_prompt,
                seed=_seed(seed),
                width=width,
                height=height,
                steps=steps,
                guidance=guidance,
                switches=switches,
            )
            [result] = run_all([wanted], request, stop, settled, use_cache=yes_or_no("use_cache", use_cache))
            document = comparison.generate_document(result, playground.price(price, result.device))
            visitors.keep_program("picture", document, [result], request)
            document["image"] = _file(result)
            return document

        return await in_thread(work, request, run)

    def estimate(
        pair: str | None = None,
        predecessor_steps: int | None = None,
        predecessor_guidance: float | None = None,
        efficient_steps: int | None = None,
        efficient_guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        repeat: int = 1,
        throughput: bool = False,
        price: str | None = None,
    ) -> dict:
        """Say how long a comparison will take and what it will cost, before it runs.

        Args:
            pair: Id of a pair from /models; the default pair if left out.
            predecessor_steps: Denoising steps; the model's own if left out.
            predecessor_guidance: Guidance scale; the model's own if left out.
            efficient_steps: Denoising steps; the model's own if left out.
            efficient_guidance: Guidance scale; the model's own if left out.
            width: Pixels; the model's own size if left out.
            height: Pixels; the model's own size if left out.
            repeat: Runs a model.
            throughput: Whether the throughput is measured too; the seconds are then for all of it, which may end early.
            price: Id of a price profile, or dollars per hour.

        Returns:
            Seconds, their basis and dollars a lane, and for the whole.
        """
        steps = {"predecessor": predecessor_steps, "efficient": efficient_steps}
        guidance = {"predecessor": predecessor_guidance, "efficient": efficient_guidance}
        size = {"width": width, "height": height}
        requests = comparison.plan(catalog, playground.pair(pair), "x", steps=steps, guidance=guidance, **size)
        if yes_or_no("throughput", throughput):
            check_local(catalog.model(each.model) for each in requests.values())
        return comparison.estimate_document(
            requests,
            {role: engine.estimate(requests[role]) for role in ROLES},
            playground.price(price),
            whole("repeat", repeat, 1, REPEAT_MAX),
            throughput,
        )

    def models() -> dict:
        """List the models and pairs: what runs here, limits, licence, and if something does not run, why not.

        Returns:
            All models and pairs of the catalogue.
        """
        return models_document(catalog, find_facts())

    def stop(run: str | None = None, request: gr.Request = None) -> dict:
        """Stop your own running comparisons; nobody else's.

        Args:
            run: The name that you gave the run; without one, all runs of this client's session.

        Returns:
            How many runs were told to stop.
        """
        return {"stopped": jobs.stop(_session(request), _run_name(run))}

    for function in (compare, generate):
        gr.api(_told_later(function), api_name=function.__name__, **QUEUE)
    for function in (estimate, models, stop):
        gr.api(_told()(function), api_name=function.__name__, queue=False)


@contextmanager
def _told() -> Iterator[None]:
    """Our errors as Gradio's, so that a client gets the sentence and no traceback."""
    try:
        yield
    except PlaygroundError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _told_later(function: Any) -> Any:
    """The same for a coroutine function."""

    @functools.wraps(function)
    async def endpoint(*args: Any, **kwargs: Any) -> Any:
        with _told():
            return await function(*args, **kwargs)

    return endpoint


def _seed(seed: Any) -> Any:
    return random_seed() if seed is None else seed


def _run_name(run: object) -> str | None:
    """The name that a caller gave their run. Raises InputError."""
    if run is not None and not (isinstance(run, str) and 0 < len(run) <= RUN_NAME_MAX):
        raise InputError(f"run must be a name of 1 to {RUN_NAME_MAX} characters; got {shown(run)}.")
    return run


def _session(request: gr.Request | None) -> str | None:
    """None of MCP's tools: Gradio calls for all who use them with one session."""
    headers = getattr(request, "headers", None) or {}
    return None if headers.get("x-gradio-user") == "mcp" else getattr(request, "session_hash", None)


def _file(result: Result) -> dict[str, Any]:
    """A picture as Gradio's clients expect a file in a document."""
    path = hand_out_result(result)
    return {"path": path, "mime_type": "image/png", "meta": {"_type": "gradio.FileData"}}
