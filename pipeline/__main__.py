"""The command line: python -m pipeline COMMAND.

With --json the last line of stdout is one JSON document. Exit status 0; 2 with one line on stderr; 130 if interrupted;
141 if whoever reads stdout has closed it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline import compare, imagefile
from pipeline.cards import JudgeCard
from pipeline.catalog import ROLES, Catalog, load_catalog
from pipeline.claims import claim, fidelity_text, significance_text, throughput_text
from pipeline.device import find_facts
from pipeline.disk import place_of, writing
from pipeline.errors import InputError, PlaygroundError
from pipeline.events import Event, Result, final_results
from pipeline.history import Entry
from pipeline.judged import evidence
from pipeline.judges import judge_of
from pipeline.labels import cell_label
from pipeline.models import judge_text, model_text, models_document, pair_text
from pipeline.network import tell_hub
from pipeline.options import parser
from pipeline.playground import Playground, open_playground
from pipeline.prompt_sets import prompts_of
from pipeline.recipe import recipe_of
from pipeline.report import check_target, title_of, write_report
from pipeline.report_pictures import Item
from pipeline.request import REPEAT_MAX, ImageRequest, make_request, random_seed, whole
from pipeline.stored import remake
from pipeline.sweep import forecast, has_pairs, over_pair, plan_sweep, sweep_document
from pipeline.sweep_report import write_sweep_report
from pipeline.sweep_run import LeftOut, Working
from pipeline.sweep_votes import standing_claim, standing_document, standing_texts
from pipeline.terminal import fetch_here, line, progress, tell
from pipeline.weights import locate_judge
from pipeline.wholefile import whole_file
from pipeline.wording import made_by, seed_text, shortened, size_text


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    options = parser().parse_args(argv)
    tell_hub()
    for stream in (sys.stdout, sys.stderr):
        # Into a file or a pipe, Windows writes in a code page that has no arrow and no minus.
        stream.reconfigure(errors="replace")
    try:
        document = RUN[options.command](options)
        if options.json:
            print(json.dumps(document, allow_nan=False))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
        return 141  # as a shell tells it
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def _shared_fields(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "negative_prompt": options.negative_prompt,
        "seed": random_seed() if options.seed is None else options.seed,
        "width": options.width,
        "height": options.height,
    }


def _results(
    playground: Playground, requests: Sequence[ImageRequest], names: Sequence[str], **how: Any
) -> list[Result]:
    """Run to the end with one line of progress on a terminal; results in the order of the requests."""

    def told() -> Iterator[Event]:
        for event in playground.engine.run(requests, **how):
            progress(event, names)
            yield event
        progress(None, names)

    return final_results(told())


def _keep(playground: Playground, kind: str, document: dict[str, Any], results: Sequence[Result]) -> None:
    """Into the history, where the page of this machine shows it; what cannot be kept is told and still written."""
    try:
        playground.history.keep(kind, document, results)
    except PlaygroundError as error:
        print(error, file=sys.stderr)


def _save(result: Result, folder: Path) -> str:
    """Write one picture with its recipe; the name tells what was asked for."""
    path = folder / imagefile.name_of(result.request)
    with writing(f"the picture {path}", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as stream:
            imagefile.write(stream, result.image, recipe_of(result))
    return str(path)


def _report(target: str, document: dict[str, Any], playground: Playground) -> None:
    catalog = playground.catalog
    write_report(Path(target), title_of(document, catalog), [Item(document)], catalog, playground.prices)
    print(f"report: {target}")


def _seed_line(document: dict[str, Any]) -> str:
    return f"{seed_text(document)}, on {made_by(document)}"


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    playground = open_playground(options.data, model_file=options.model_file, spend=options.spend)
    pair = playground.pair(options.pair)
    own = {
        name: {role: getattr(options, f"{role}_{name}") for role in ROLES} for name in ("steps", "guidance", "switches")
    }
    requests = compare.plan(playground.catalog, pair, options.prompt, **_shared_fields(options), **own)
    playground.check_price(options.price)  # told before anything runs
    repeat = whole("repeat", options.repeat, 1, REPEAT_MAX)
    playground.check_spending(requests.values(), repeat, use_cache=not options.fresh)
    check_target(options.report)
    roles = list(requests)
    how = {"repeat": repeat, "throughput": options.throughput, "use_cache": not options.fresh}
    results = dict(zip(roles, _results(playground, list(requests.values()), roles, **how), strict=True))
    price = playground.price(options.price, compare.device_of(*(results[role] for role in ROLES)))
    document = compare.compare_document(pair, results, price)
    _keep(playground, "comparison", document, [results[role] for role in ROLES])
    for lane in document["lanes"]:
        lane["image"] = _save(results[lane["role"]], Path(options.out))
        tell(lane["role"], lane, document["lanes"])
    if rate := throughput_text(document["lanes"]):
        print(f"throughput: {rate}")
    tested = significance_text(document["significance"])
    print(f"{claim(document)}; {f'{tested}; ' if tested else ''}{_seed_line(document)}")
    if document["speedup"] is None:
        print("to measure again: --fresh, or several runs with --repeat")
    if near := fidelity_text(document):
        print(f"fidelity to the predecessor: {near}")
    if known := evidence(document):
        print(f"good enough? {known}")
    if options.report:
        _report(options.report, document, playground)
    return document


def _generate(options: argparse.Namespace) -> dict[str, Any]:
    playground = open_playground(options.data, model_file=options.model_file, model=options.model, spend=options.spend)
    card = playground.catalog.model(options.model)
    own = {"steps": options.steps, "guidance": options.guidance, "switches": options.switches}
    request = make_request(card, options.prompt, **own, **_shared_fields(options))
    playground.check_price(options.price)
    [result] = _results(playground, [request], [card.name], use_cache=not options.fresh)
    price = playground.price(options.price, result.device)
    document = compare.generate_document(result, price)
    _keep(playground, "picture", document, [result])
    document["image"] = _save(result, Path(options.out))
    tell("picture", document)
    print(_seed_line(document))
    return document


def _sweep(options: argparse.Namespace) -> dict[str, Any]:
    alone = options.model if options.model and "," not in options.model else None
    playground = open_playground(options.data, model_file=options.model_file, model=alone, spend=options.spend)
    sweeps = playground.sweeps
    playground.check_price(options.price)
    check_target(options.report)
    judge = None if options.judge is None else judge_of(playground.catalog, options.judge)
    if judge:
        locate_judge(judge)  # told before anything is drawn
    entry = _entry(options, playground)
    plan = sweeps.plan(entry)
    called = {place: _cell_name(entry.document, of, playground.catalog) for place, of in plan.requests.items()}
    results = {place: result for place, result in playground.history.results(entry).items() if place in plan.requests}
    with closing(sweeps.run(entry, use_cache=not options.fresh)) as told:
        for said in told:
            if isinstance(said, Working):
                name = f"picture {len(results) + 1} of {len(plan.requests)}: {called[said.place]}"
                progress(said.event, [name])
            elif isinstance(said, LeftOut):
                progress(None, [])
                print(f"left out: {called[said.place]}: {said.why}", file=sys.stderr)
            elif said.result:
                results[said.cell.place] = said.result
    progress(None, [])
    document = sweep_document(entry.document, sweeps.cells.of(entry.id))
    # A cell may have been made by another process meanwhile, or its kept picture be gone.
    results = playground.history.results(playground.history.get(entry.id)) | results
    for cell in document["cells"]:
        result = results.get(cell["place"])
        cell["image"] = result and _save(result, Path(options.out))
        tell(cell_label(document, cell, playground.catalog.name(cell["model"])), cell, document["cells"])
    print(_seed_line(document))
    try:
        if judge:
            document["judged"] = _judged(playground, playground.history.get(entry.id), judge)
    finally:
        _sweep_report(options.report, playground, entry)
    return document


def _cell_name(document: dict[str, Any], request: ImageRequest, catalog: Catalog) -> str:
    """What a picture of this sweep that is not there is called: as it would be if it were."""
    card = catalog.model(request.model)
    call = card.hosted and card.hosted.call(request.width, request.height)
    cell = {**request.model_dump(), "prompt": shortened(request.prompt), "hosted": call and call.model_dump()}
    return cell_label(document, cell, card.name)


def _entry(options: argparse.Namespace, playground: Playground) -> Entry:
    """The sweep to go on with, or a new one; both are weighed before they run."""
    sweeps = playground.sweeps
    if options.resume:
        entry = playground.history.get(options.resume)
        plan, price = sweeps.plan(entry), playground.prices.described(entry.document["price"])
        left = [plan.requests[place] for place in sweeps.left(entry)]
        playground.check_spending(left, use_cache=not options.fresh)
    else:
        given = {"models": options.model, "prompts": _prompts(options), "seeds": options.seeds or options.seed}
        given |= {"steps": options.steps, "guidance": options.guidance, "switches": options.switches}
        if options.pair:
            own = {name: value for name, value in given.items() if value is not None}
            given = {**over_pair(playground.catalog, playground.catalog.pair(options.pair)), **own}
        fixed = {"negative_prompt": options.negative_prompt, "width": options.width, "height": options.height}
        plan = plan_sweep(playground.catalog, given, **fixed)
        if options.judge is not None and not has_pairs(plan):
            raise InputError("There is nothing to judge in this sweep: name several models, steps or switches.")
        price = playground.price(options.price)
        left = [plan.requests[place] for place in plan.order()]
        playground.check_spending(left, use_cache=not options.fresh)
        entry = playground.history.get(sweeps.start(plan, price))
    print(f"{forecast(playground.engine, left, price).text()}, without loading")
    # A folder's id does not tell where it is.
    folder = options.model if options.model and place_of(options.model).is_dir() else None
    own = {"--model-file": options.model_file, "--model": folder}
    again = "".join(f" {name} {shlex.quote(value)}" for name, value in own.items() if value)
    print(f"kept as {entry.id}; if it is stopped: python -m pipeline sweep --resume {entry.id}{again}")
    return entry


def _prompts(options: argparse.Namespace) -> list[str] | str:
    if options.prompt_set:
        return prompts_of(options.prompt_set)
    if not options.prompts_file:
        return [options.prompt or ""]
    try:
        return Path(options.prompts_file).read_text(encoding="utf-8-sig")  # some editors begin it with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"prompts-file {options.prompts_file} cannot be read ({error}); name a text file.") from error


def _judge(options: argparse.Namespace) -> dict[str, Any]:
    playground = open_playground(options.data, model_file=options.model_file)
    check_target(options.report)
    entry = playground.history.get(options.entry)
    card = judge_of(playground.catalog, options.by)
    document = {"sweep": entry.id, **_judged(playground, entry, card)}
    _sweep_report(options.report, playground, entry)
    return document


def _judged(playground: Playground, entry: Entry, card: JudgeCard) -> dict[str, Any]:
    """Have a sweep judged to its end, and tell what was said."""
    for done, total in playground.judging.judge(entry, card):
        line(f"{card.name}: {done} of {total} pictures")
    line("")
    standing = playground.judging.standing(entry, card, locate_judge(card)[1])
    if standing is None:
        raise InputError("None of this sweep's pictures can be read any more; make the sweep anew.")
    said = {"Verdict": standing_claim(standing), **standing_texts(standing)}
    print("\n".join(f"{label}: {text}" for label, text in said.items()))
    return {"judge": card.model_dump(exclude={"path"}), **standing_document(standing)}


def _sweep_report(target: str | None, playground: Playground, entry: Entry) -> None:
    if target:
        write_sweep_report(Path(target), playground, entry)
        print(f"report: {target}")


def _models(options: argparse.Namespace) -> dict[str, Any]:
    document = models_document(_catalog(options), find_facts())
    for model in document["models"]:
        size = "hosted" if model["hosted"] else size_text(model["weight_bytes"])
        print(f"{model['id']:<24} {size:>8}  {model['licence']:<12} {model_text(model)}")
    for pair in document["pairs"]:
        print(f"pair {pair['id']}: {pair['predecessor']} → {pair['efficient']}: {pair['question']} {pair_text(pair)}")
    for judge in document["judges"]:
        print(f"judge {judge['id']} ({size_text(judge['weight_bytes'])}): {judge_text(judge)}")
    print(f"best for {document['device']}: {document['recommended']}")
    return document


def _catalog(options: argparse.Namespace) -> Catalog:
    return load_catalog(more=Path(options.model_file)) if options.model_file else load_catalog()


def _download(options: argparse.Namespace) -> dict[str, Any]:
    from pipeline import download
    from pipeline.adhoc import HUB_ID

    catalog, bare = _catalog(options), HUB_ID.fullmatch(options.model or "")
    if bool(options.model) == bool(options.pair):
        raise InputError("Name a model or a --pair to download, and not both; python -m pipeline models lists them.")
    if options.pair:
        plan = download.plan_cards(catalog.cards(catalog.pair(options.pair)))
    elif options.model in catalog.judges:
        plan = download.plan_card(catalog.judges[options.model])
    elif options.model not in catalog.models and bare:
        plan = download.plan_repo(bare["repo"], bare["revision"])
    else:
        plan = download.plan_card(catalog.model(options.model))
    fetch_here(plan)
    asked = {"pair": options.pair} if options.pair else {"model": options.model}
    return {**asked, "bytes": plan.total_bytes, "fetched_bytes": plan.missing_bytes}


def _bench(options: argparse.Namespace) -> dict[str, Any]:
    from pipeline import bench

    if options.name is None:
        print("\n".join(f"{name:<12} {each.about}" for name, each in bench.BENCHES.items()))
        return {"benches": list(bench.BENCHES)}
    subject = bench.Subject(options.pair, options.model, options.model_file)
    document = bench.run(options.name, options.runs, subject)
    print(bench.table(document))
    return document


def _stored(options: argparse.Namespace) -> dict[str, Any]:
    return remake(open_playground(options.data))


RUN = {
    "compare": _compare, "generate": _generate, "sweep": _sweep, "judge": _judge, "models": _models,
    "download": _download, "bench": _bench, "stored": _stored,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
