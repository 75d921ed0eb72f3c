"""What this machine is: the device that pictures are made on, in words and numbers. Knows nothing of models."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

M_ARENA_MAX = -8  # malloc.h of glibc
CGROUP = Path("/sys/fs/cgroup")
VERSIONED = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class Device:
    """``kind`` is torch's name (cpu, cuda); ``name`` is for people."""

    kind: str
    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Facts:
    """What decides which models run on a machine, and how. ``free_bytes`` are a GPU's own, or all of the machine's
    where it has none; ``ram_bytes`` always the machine's. ``bf16`` is true only where the hardware computes in
    bfloat16: torch emulates it before compute capability 8.0, and on processors without matrix units."""

    kind: str
    name: str
    free_bytes: int
    ram_bytes: int
    bf16: bool = False


def find_facts() -> Facts:
    """The facts of the device that pictures are made on. Imports torch."""
    import torch

    ram = cpu_device().memory_bytes
    device = find_device()
    if device.kind != "cuda":
        return Facts(device.kind, device.name, device.memory_bytes, ram, cpu_computes_bf16())
    free, _ = torch.cuda.mem_get_info()
    bf16 = torch.cuda.get_device_capability(0) >= (8, 0)
    # What this process holds already can be given back for another model.
    return Facts("cuda", device.name, free + torch.cuda.memory_reserved(), ram, bf16)


def cpu_computes_bf16() -> bool:
    """Whether the processor multiplies matrices in bfloat16 (Intel's AMX). The vector instructions of the same name do
    not count: they save next to nothing, and without either bfloat16 takes longer than float32 (bench precision)."""
    import torch

    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16"))


def cpu_device() -> Device:
    """The processor, described without importing torch."""
    count = available_cores()
    memory = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # a container's own limit (cgroup v2), "max" where there is none
        memory = min(memory, int((CGROUP / "memory.max").read_text()))
    name = f"CPU, {count} core{'s' if count != 1 else ''}"
    model = _cpu_model()
    return Device("cpu", f"{name} ({model})" if model else name, memory)


def available_bytes() -> int:
    """Bytes of memory that can still be taken without anything being killed for it."""
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # a container's own limit, "max" where there is none
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        counts = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # What files left there is counted as used, and given up before anything is killed.
        free = min(free, limit - used + int(counts.get("inactive_file", 0)))
    return free


def available_cores() -> int:
    """Cores this process may run on, which in a container is often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return plain_name(line.partition(":")[2])
    return platform.processor()


def plain_name(model: str) -> str:
    """A processor's name without marks and words that tell nothing: AMD EPYC 7763, Intel Xeon @ 2.20GHz. The clock
    stays: some rented machines say nothing else that tells two of them apart."""
    model = re.sub(r"\((R|TM|C)\)|\bCPU\b|\bProcessor\b|\b\d+-Core\b", " ", model, flags=re.IGNORECASE)
    return " ".join(model.split())


def find_device() -> Device:
    """The device that pictures are made on. Imports torch."""
    import torch

    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory)
    return cpu_device()


def on_zerogpu() -> bool:
    """Whether this process runs on ZeroGPU (see pipeline.zerogpu), asked as its package does."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


OUT_OF_MEMORY = (
    "can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "_STATUS_ALLOC_FAILED",
)


def one_arena() -> None:
    """Tell the C library to take all memory from one pool. Weights are read by several threads, each with a pool of
    its own, and what models leave behind there is not given back: 6 % more after 20 switches, against none."""
    _glibc("mallopt", M_ARENA_MAX, 1)


def give_back(kind: str) -> None:
    """Return what torch's and the C library's allocators keep for later to the device and the system."""
    if kind == "cuda":
        import torch

        torch.cuda.empty_cache()
        # What offloaded weights were pinned in. Since torch 2.9 or so; before, it stays until the process ends.
        getattr(torch.accelerator, "empty_host_cache", lambda: None)()
    # Without it freed weights stay with the process: 4 % more after 20 switches, where giving them back takes 3 to
    # 12 ms each (bundled pair, two cores).
    _glibc("malloc_trim", 0)


def _glibc(function: str, *values: int) -> None:
    """Call what only Linux's usual C library has."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another one, such as musl
            getattr(ctypes.CDLL(None), function)(*values)


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine itself, had no memory left for what torch wanted."""
    import torch

    # On a processor, and where the driver or one of CUDA's libraries wants memory, torch says so only in words.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    )


def versions() -> dict[str, str]:
    """Versions of what decides the pixels."""
    return {name: metadata.version(name) for name in VERSIONED}


class PeakMemory:
    """Peak bytes while a block runs: on a GPU those of the model that runs, without others that lie beside it; on a
    CPU those of the whole process.

    On Linux the kernel's high-water mark is set back first (proc(5), clear_refs 5). Where that is not possible the
    mark is the process's highest ever, so ``bytes`` is None instead of a wrong number.
    """

    def __init__(self, cuda=None):
        self._cuda = cuda
        self._reset = False
        self._others = 0

    def start(self, own: int = 0) -> None:
        """``own``: bytes on the GPU of the model that is about to run."""
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
            self._others = self._cuda.memory_allocated() - own
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._reset = True

    def bytes(self) -> int | None:
        if self._cuda is not None:
            return self._cuda.max_memory_allocated() - self._others
        if not self._reset:
            return None
        with contextlib.suppress(OSError, ValueError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None


def resident_bytes() -> int:
    """Bytes of memory the process holds now."""
    return psutil.Process().memory_info().rss
