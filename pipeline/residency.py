"""Which pipelines are in memory: load, share equal components, evict by bytes.

Used only by the thread that holds the lock. Does not run anything.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.catalog import ModelCard, check_files
from pipeline.errors import ModelError


@dataclass
class Resident:
    """A loaded pipeline. ``warmed`` holds the kinds of run (size, guided or not) that have been warmed up."""

    card: ModelCard
    pipe: Any
    warmed: set = field(default_factory=set)


class Residency:
    """Keeps pipelines up to ``max_bytes`` of weights; the least recently used goes first."""

    def __init__(self, torch_device: str, max_bytes: int):
        self.torch_device = torch_device
        self.max_bytes = max_bytes
        self._resident: OrderedDict[str, Resident] = OrderedDict()

    def get(self, card: ModelCard, keep: Iterable[str] = ()) -> Resident:
        """The pipeline of ``card``, loaded if need be; models named in ``keep`` are not evicted to make room.

        Raises ModelError: weights missing, damaged, or larger than this machine's budget.
        """
        if card.id not in self._resident:
            self._make_room(card, frozenset(keep))
            self._resident[card.id] = Resident(card, self._load(card))
        self._resident.move_to_end(card.id)
        return self._resident[card.id]

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._resident

    def used_bytes(self) -> int:
        """Bytes of weights in memory; what two pipelines share counts once."""
        return sum(
            {
                tensor.data_ptr(): tensor.nbytes
                for resident in self._resident.values()
                for module in resident.pipe.components.values()
                if hasattr(module, "parameters")
                for tensor in (*module.parameters(), *module.buffers())
            }.values()
        )

    def evict(self, model_id: str) -> None:
        """Drop a pipeline and give its memory back. Components that another pipeline shares stay with that one."""
        resident = self._resident.pop(model_id, None)
        if resident is None:
            return
        # Every reference must be gone before the collector runs, or the weights stay.
        resident.pipe = None
        del resident
        gc.collect()
        if self.torch_device == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _make_room(self, card: ModelCard, keep: frozenset[str]) -> None:
        if card.weight_bytes > self.max_bytes:
            raise ModelError(
                f"{card.name} needs {card.weight_bytes / 1e9:.1f} GB for its weights and this machine has "
                f"{self.max_bytes / 1e9:.1f} GB to give; choose a smaller model."
            )
        for model_id in list(self._resident):
            if self.used_bytes() + card.weight_bytes <= self.max_bytes:
                return
            if model_id not in keep:
                self.evict(model_id)
        # Not even without the others: the pair does not fit at once, so the models take turns.
        for model_id in list(self._resident):
            if self.used_bytes() + card.weight_bytes > self.max_bytes:
                self.evict(model_id)

    def _load(self, card: ModelCard) -> Any:
        import diffusers
        import torch
        import transformers

        # Progress is told through events; a library's own bars would only litter the log.
        for library in (diffusers.utils.logging, transformers.utils.logging):
            library.disable_progress_bar()
        pipeline_class = getattr(diffusers, card.pipeline, None)
        if pipeline_class is None:
            raise ModelError(
                f"{card.name} needs {card.pipeline}, which diffusers {diffusers.__version__} does not have; "
                "run pip install -U diffusers."
            )
        check_files(card)
        dtype = torch.float32 if self.torch_device == "cpu" else getattr(torch, card.dtype)
        source = str(card.folder) if card.folder else card.repo
        try:
            pipe = pipeline_class.from_pretrained(
                source,
                revision=card.revision,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=card.folder is not None,
                **self._shared_components(card),
            )
            pipe.set_progress_bar_config(disable=True)
            return pipe.to(self.torch_device)
        except Exception as error:  # whatever a library raises while reading weights, a user gets one sentence
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{card.name} could not be loaded from {source}: {first}") from error

    def _shared_components(self, card: ModelCard) -> dict[str, Any]:
        """Components that a resident pipeline already holds under the same key."""
        return {
            name: getattr(resident.pipe, name)
            for name, key in card.shared.items()
            for resident in self._resident.values()
            if resident.card.shared.get(name) == key
        }
