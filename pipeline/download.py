"""Bring a model's files from the Hub onto this disk: only when asked, with progress, stoppable.

huggingface_hub does the work and keeps the files in its own cache (HF_HOME, HF_TOKEN and HF_ENDPOINT do what people
expect). What is whole is kept when a download stops or breaks off, so the next one goes on with the file it was at.
Only safetensors, JSON and tokenizer files are taken; never code.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pipeline.cards import JudgeCard, ModelCard
from pipeline.errors import Cancelled, ModelError
from pipeline.weights import INDEX, cached, is_variant, parts_of

SETTINGS = ("*.json", "*.txt", "*.model", "*.jinja")
TINY_VAE = "diffusion_pytorch_model.safetensors"
OnBytes = Callable[[int, int, str], None]
"""Called with the bytes here, the bytes in all, and the file being read."""


@dataclass(frozen=True)
class Wanted:
    """One file of a repository at a commit."""

    repo: str
    revision: str
    file: str
    size: int
    here: bool


@dataclass(frozen=True)
class Plan:
    """What a download would bring, and the folder it goes to. Files come in this order: the pipeline's index last, so
    that a model with an index is whole."""

    name: str
    files: tuple[Wanted, ...]
    place: Path

    @property
    def total_bytes(self) -> int:
        return sum(wanted.size for wanted in self.files)

    @property
    def missing_bytes(self) -> int:
        return sum(wanted.size for wanted in self.files if not wanted.here)


def plan_card(card: ModelCard | JudgeCard) -> Plan:
    """What ``card`` needs from the Hub, asked of the Hub. Raises ModelError in one sentence, whatever goes wrong."""
    if card.repo is None:
        hosted = isinstance(card, ModelCard) and card.hosted
        where = f"{hosted.provider} draws it" if hosted else f"it lies in {Path(card.path).name}"
        raise ModelError(f"{card.name} needs no download; {where}.")
    if isinstance(card, JudgeCard):
        return _plan(card.name, [*_listed(card.name, card.repo, card.revision, _at_the_top)])
    files = [*_listed(card.name, card.repo, card.revision, lambda file: _of_pipeline(card, file))]
    for part in parts_of(card).values():
        wants = part.file.__eq__ if part.file else _at_the_top
        files += _listed(card.name, part.repo, part.revision, wants)
    if card.preview_vae is not None and card.preview_vae.repo is not None:
        tiny = card.preview_vae
        with contextlib.suppress(ModelError):  # only previews need it
            files += _listed(card.name, tiny.repo, tiny.revision, ("config.json", TINY_VAE).__contains__)
    return _plan(card.name, files)


def plan_cards(cards: Sequence[ModelCard | JudgeCard]) -> Plan:
    """The same for several; a file that two of them need comes once."""
    wanted = [card for card in cards if card.repo is not None]
    plans = [plan_card(card) for card in wanted or cards[:1]]  # the first says that nothing is to be fetched
    files = {(wanted.repo, wanted.revision, wanted.file): wanted for plan in plans for wanted in plan.files}
    return _plan(" and ".join(plan.name for plan in plans), list(files.values()))


def plan_repo(repo: str, revision: str | None) -> Plan:
    """What a bare Hub repository would bring."""
    return _plan(repo, [*_listed(repo, repo, revision, lambda file: file == INDEX or ("/" in file and _useful(file)))])


def fetch(plan: Plan, on_bytes: OnBytes, stop: threading.Event) -> None:
    """Bring what is missing. Raises Cancelled before the next piece once ``stop`` is set, ModelError on a failure."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging

    # A broken connection is tried again without a word: what the library says of it holds the signed address of a file.
    logging.set_verbosity_error()
    done = plan.total_bytes - plan.missing_bytes
    for wanted in plan.files:
        if wanted.here:
            continue
        if stop.is_set():
            raise _stopped(plan)
        counter = _counter(plan, wanted, done, on_bytes, stop)
        on_bytes(done, plan.total_bytes, wanted.file)
        try:
            hf_hub_download(wanted.repo, wanted.file, revision=wanted.revision, tqdm_class=counter)
        except Cancelled:
            raise
        except Exception as error:  # whatever the library raises, a user gets one sentence
            raise ModelError(_sentence(plan.name, wanted.repo, error)) from error
        done += wanted.size
    on_bytes(done, plan.total_bytes, "")


def _plan(name: str, files: list[Wanted]) -> Plan:
    from huggingface_hub import constants

    ordered = sorted(files, key=lambda wanted: (wanted.file == INDEX, wanted.file.endswith(SETTINGS[0][1:])))
    if not any(wanted.file.endswith(".safetensors") for wanted in ordered):
        raise ModelError(f"{name} has no safetensors files on the Hub, and other weights are not read.")
    return Plan(name, tuple(ordered), Path(constants.HF_HUB_CACHE))


def _listed(name: str, repo: str, revision: str | None, wants: Callable[[str], bool]) -> Iterator[Wanted]:
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=20)
    except Exception as error:  # as above
        raise ModelError(_sentence(name, repo, error)) from error
    for entry in info.siblings or ():
        if wants(entry.rfilename):
            here = cached(repo, info.sha, entry.rfilename) is not None
            # Without a pin the index is asked for by branch: that makes the library record the commit it found.
            by_branch = revision is None and entry.rfilename in (INDEX, "config.json")
            here = here and not (by_branch and cached(repo, None, entry.rfilename) is None)
            yield Wanted(repo, "main" if by_branch else info.sha, entry.rfilename, entry.size or 0, here)


def _of_pipeline(card: ModelCard, file: str) -> bool:
    component = file.partition("/")[0]
    part = card.replace.get(component)
    if "/" not in file:
        return file == INDEX
    if part is not None and (part.file is None or file.endswith(".safetensors")):
        return False
    if file.endswith(".safetensors") and card.parts_known and component not in card.part_bytes:
        return False  # a folder beside the pipeline's own, such as an older VAE
    return _useful(file, card.variant)


def _at_the_top(file: str) -> bool:
    """Of a repository that is one network and no pipeline; beside its weights they often lie in another form."""
    named = not file.endswith(".safetensors") or file.startswith(("diffusion_pytorch_model", "model"))
    return "/" not in file and named and _useful(file)


def _useful(file: str, variant: str | None = None) -> bool:
    """Settings, and the weights of one variant: repositories often hold the same weights several times."""
    name = file.rpartition("/")[2]
    if any(fnmatch(name, pattern) for pattern in SETTINGS):
        # The index of another variant's shards names files that do not come with it.
        return ".safetensors.index" not in name or name.endswith(f".index.{variant}.json" if variant else ".index.json")
    return name.endswith(".safetensors") and is_variant(name, variant)


def _counter(plan: Plan, wanted: Wanted, before: int, on_bytes: OnBytes, stop: threading.Event) -> type:
    """The class of a silent progress bar that hands the bytes on and hears a stop."""
    from huggingface_hub.utils import tqdm

    seen = 0

    class Counter(tqdm):
        """Xet counts what came over the network and what it made of it: with :meth:`update_transfer` in one bar, of
        which only the second is counted."""

        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **(options | {"disable": True}))

        def update_transfer(self, n: float) -> None:
            if stop.is_set():
                raise _stopped(plan)

        def set_transfer_postfix_str(self, *_: Any, **__: Any) -> None:
            """Nothing is shown."""

        def update(self, n: float | None = 1) -> None:
            nonlocal seen
            self.update_transfer(0)
            seen = min(seen + int(n or 0), wanted.size)
            on_bytes(before + seen, plan.total_bytes, wanted.file)

    return Counter


def _stopped(plan: Plan) -> Cancelled:
    return Cancelled(f"The download of {plan.name} was stopped; whole files are kept, and the next one goes on there.")


def _sentence(name: str, repo: str, error: Exception) -> str:
    """What went wrong with the Hub, in one sentence."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # "not in the cache" is not why; it is said of all that the Hub answers
    match error:
        case errors.OfflineModeIsEnabled():
            return f"{name} cannot be fetched while HF_HUB_OFFLINE is set; unset it, or start without --offline."
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms at {page}, set HF_TOKEN to your token and try again."
        case errors.RevisionNotFoundError():
            return f"{name} has no such revision on the Hub any more; correct the revision of {repo}."
        case errors.RepositoryNotFoundError():
            return f"{name} is not on the Hub as {repo}, or is private; correct the name, or set HF_TOKEN."
        case errors.EntryNotFoundError() if not isinstance(error, FileNotFoundError):
            return f"{name} lacks a file on the Hub that it needs; see {page}."
        case OSError() if error.errno == errno.ENOSPC:
            return f"The disk is full; make room in {constants.HF_HUB_CACHE} and fetch {name} again."
        case errors.HfHubHTTPError() if error.response is not None and error.response.status_code in (401, 403):
            return f"The Hub refuses {name}: accept its terms at {page}, set HF_TOKEN to a valid token and try again."
    status = getattr(getattr(error, "response", None), "status_code", None)
    what = f"status {status}" if status else type(error).__name__
    return (
        f"The download of {name} broke off ({what}); check the network and try again: whole files are "
        "kept, and the next download goes on there."
    )
