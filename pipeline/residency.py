"""Which pipelines are in memory, and where: load, place, share equal components, evict by bytes.

Two budgets: the device's memory, and the machine's own for models that are offloaded to it; without a GPU there is
only the first. Used only by the thread that holds the lock. Does not run anything.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from pipeline.cards import ModelCard
from pipeline.device import give_back, one_arena
from pipeline.errors import ModelError
from pipeline.fit import Plan, ram_taken
from pipeline.loading import load, load_preview_vae
from pipeline.request import Key
from pipeline.switches import SWITCHES
from pipeline.switching import denoiser_of, switch_on
from pipeline.weights import Weights, locate


@dataclass
class Resident:
    """A loaded pipeline. ``warmed`` holds the kinds of run (size, guided or not) that have been warmed up."""

    card: ModelCard
    plan: Plan
    pipe: Any
    weights: Weights
    warmed: set = field(default_factory=set)

    @cached_property
    def preview_vae(self) -> Any | None:
        """The tiny VAE of its card, if it is on the disk; read when it is first asked for, so within a preview."""
        place, device = self.weights.preview_vae, self.pipe._execution_device
        return None if place is None else load_preview_vae(place, denoiser_of(self.pipe).dtype, device)


class Residency:
    """Keeps pipelines up to ``device_bytes`` and ``ram_bytes`` of weights; the least recently used goes first."""

    def __init__(self, torch_device: str, device_bytes: int, ram_bytes: int | None = None):
        self.torch_device = torch_device
        self.device_bytes = device_bytes
        self.ram_bytes = device_bytes if ram_bytes is None else ram_bytes
        self.share = True
        """False: nothing is held once, for a bench to compare with."""
        self._resident: OrderedDict[Key, Resident] = OrderedDict()
        one_arena()

    def get(self, card: ModelCard, plan: Plan, switches: tuple[str, ...] = (), keep: Iterable[Key] = ()) -> Resident:
        """The pipeline of ``card`` placed as ``plan`` says, loaded if need be; ``keep`` is not evicted to make room
        if that can be avoided.

        Raises ModelError: weights missing, damaged, or larger than this machine's budget.
        """
        key = (card.id, switches)
        if not self.holds(key, plan):
            self.evict(key)
            weights = locate(card)
            # What the disk proves to be equal counts more than what the card says; what a switch changes is shared with
            # nobody.
            own = {SWITCHES[switch].component for switch in switches}
            known = {name: key for name, key in (card.shared | weights.contents).items() if name not in own}
            card = card.model_copy(update={"shared": known})
            # Held here, or a pair that takes turns would read again what both of its models share.
            shared = self._shared_components(card, plan)
            self._make_room(key, card, plan, frozenset(keep))
            self._resident[key] = Resident(card, plan, self._load(card, weights, plan, switches, shared), weights)
        elif self._resident[key].plan != plan:  # for a picture of another size
            self._resident[key].plan = plan
            self._make_room(key, card, plan, frozenset(keep))
        self._resident.move_to_end(key)
        return self._resident[key]

    def holds(self, key: Key, plan: Plan) -> bool:
        """Whether the pipeline is there, and placed so. Whether others lie beside it makes no difference to it."""
        found = self._resident.get(key)
        return (
            found is not None
            and (found.plan.whole, found.plan.dtype) == (plan.whole, plan.dtype)
            and (plan.whole or found.plan.how == plan.how)
        )

    def __contains__(self, key: Key) -> bool:
        return key in self._resident

    def has_others(self, key: Key) -> bool:
        """Whether any other pipeline is there."""
        return any(other != key for other in self._resident)

    def __len__(self) -> int:
        return len(self._resident)

    def used_bytes(self) -> int:
        """Bytes of the weights of pipelines that are placed whole; what two of them share counts once."""
        return sum(
            {
                id(tensor): tensor.nbytes
                for resident in self._resident.values()
                if resident.plan.whole
                for tensor in tensors_of(resident.pipe)
            }.values()
        )

    def _used_ram(self) -> int:
        """Bytes that offloaded pipelines take of the machine's own memory; they share nothing."""
        offloaded = [resident for resident in self._resident.values() if not resident.plan.whole]
        return sum(ram_taken(each.plan.how, sum(t.nbytes for t in tensors_of(each.pipe))) for each in offloaded)

    def evict(self, key: Key) -> None:
        """Drop a pipeline and give its memory back. Components that another pipeline shares stay with that one."""
        if (resident := self._resident.pop(key, None)) is not None:
            resident.pipe = None  # whoever still holds the resident does not hold the weights
            self._collect()

    def evict_all(self) -> None:
        """Drop all, and what is left of a pipeline whose loading failed half way."""
        while self._resident:
            self._resident.popitem()[1].pipe = None
        self._collect()

    def _collect(self) -> None:
        gc.collect()
        give_back(self.torch_device)

    def _make_room(self, key: Key, card: ModelCard, plan: Plan, keep: frozenset[Key]) -> None:
        """Evict others until ``card`` can be loaded, or if it is there already, can draw what ``plan`` is for."""
        on_device, in_ram = self._needs(key, card, plan)
        if on_device > self.device_bytes or in_ram > self.ram_bytes:
            needed, budget = max((on_device, self.device_bytes), (in_ram, self.ram_bytes), key=lambda both: both[0])
            raise ModelError(
                f"{card.name} needs {needed / 1e9:.1f} GB for its weights and this machine has "
                f"{budget / 1e9:.1f} GB to give; choose a smaller model."
            )
        # First without those to be kept; if that is not enough the pair does not fit at once and its models take turns.
        for spared in (keep, frozenset()):
            for other in list(self._resident):
                on_device, in_ram = self._needs(key, card, plan)
                if (
                    self.used_bytes() + on_device + self._work(card, plan) <= self.device_bytes
                    and self._used_ram() + in_ram <= self.ram_bytes
                ):
                    return
                if other != key and other not in spared:
                    self.evict(other)

    def _work(self, card: ModelCard, plan: Plan) -> int:
        """Bytes that drawing takes on the device beside the weights that lie there, of whichever model takes most: one
        draws at a time. Of an offloaded model the parts that are there in turn are among them."""
        everyone = [(card, plan), *((resident.card, resident.plan) for resident in self._resident.values())]
        return max(0, *(each.device_bytes - (of.bytes_as(each.dtype) if each.whole else 0) for of, each in everyone))

    def _needs(self, key: Key, card: ModelCard, plan: Plan) -> tuple[int, int]:
        """Bytes that loading would add on the device and in the machine's own memory."""
        if key in self._resident:
            return 0, 0
        if not plan.whole:
            return 0, ram_taken(plan.how, card.bytes_as(plan.dtype))
        shared = sum(card.part_bytes.get(name, 0) for name in self._shared_components(card, plan))
        return card.bytes_as(plan.dtype) * (card.weight_bytes - shared) // card.weight_bytes, 0

    def _load(
        self, card: ModelCard, weights: Weights, plan: Plan, switches: tuple[str, ...], shared: dict[str, Any]
    ) -> Any:
        pipe = load(card, weights, plan.dtype, shared)
        early = [switch for switch in switches if SWITCHES[switch].early]
        for switch in early:
            switch_on(switch, card, pipe)
        if plan.how == "model offload":
            pipe.enable_model_cpu_offload(device=self.torch_device)
        elif plan.how == "group offload":
            self._offload_groups(pipe)
        else:
            pipe.to(self.torch_device)
        for switch in switches:
            if switch not in early:
                switch_on(switch, card, pipe)
        return pipe

    def _offload_groups(self, pipe: Any) -> None:
        import torch
        from diffusers.hooks import apply_group_offloading

        device = torch.device(self.torch_device)
        for name, component in pipe.components.items():
            if isinstance(component, torch.nn.Module):
                # Leaves, not blocks: every component of every family has them, and a VAE's decoding is no forward of a
                # block. Nor of the VAE, so that the order which a stream loads ahead in would be learned for ever.
                ahead = device.type == "cuda" and name != "vae"
                offload = getattr(component, "enable_group_offload", None) or partial(apply_group_offloading, component)
                offload(onload_device=device, offload_type="leaf_level", use_stream=ahead)

    def _shared_components(self, card: ModelCard, plan: Plan) -> dict[str, Any]:
        """Components that a resident pipeline already holds under the same key, in the same type. Offloading puts
        hooks on modules, which two pipelines must not both have."""
        if not (plan.whole and self.share):
            return {}
        return {
            name: getattr(resident.pipe, name)
            for name, key in card.shared.items()
            for resident in self._resident.values()
            if resident.card.shared.get(name) == key
            and resident.plan.whole
            and resident.plan.dtype == plan.dtype
            and name in resident.pipe.components
        }


def tensors_of(pipe: Any) -> Iterable[Any]:
    """Weights and buffers of all components."""
    for module in pipe.components.values():
        if hasattr(module, "parameters"):
            for tensor in (*module.parameters(), *module.buffers()):
                yield from _inside(tensor)


def _inside(tensor: Any) -> Iterable[Any]:
    """What a quantised tensor really holds: of itself it says the bytes that it would have unquantised."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    return [inner for name in tensor.__tensor_flatten__()[0] for inner in _inside(getattr(tensor, name))]
