"""What everything starts from: no torch at the start, nothing written outside the data folder."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from pipeline.device import (
    Facts,
    PeakMemory,
    available_cores,
    cpu_device,
    give_back,
    one_arena,
    out_of_memory,
    plain_name,
    resident_bytes,
)
from pipeline.errors import PlaygroundError
from pipeline.playground import open_playground


class Cuda:
    """Stands in for torch.cuda's allocator."""

    def __init__(self, given: int):
        self.given = self.most = given

    def reset_peak_memory_stats(self) -> None:
        self.most = self.given

    def memory_allocated(self) -> int:
        return self.given

    def max_memory_allocated(self) -> int:
        return self.most


def test_the_peak_on_a_gpu_is_that_of_the_model_that_runs():
    """It lies beside another one of 9 bytes, weighs 5 itself, and takes 3 more to draw."""
    peak = PeakMemory(cuda := Cuda(9 + 5))
    cuda.most = 100
    peak.start(own=5)
    cuda.most = 9 + 5 + 3
    assert peak.bytes() == 8


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            True,
        ),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA driver error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_known_by_every_way_in_which_it_is_said(error, expected):
    assert out_of_memory(error) is expected


def test_state_lies_below_the_given_folder(tmp_path):
    playground = open_playground(tmp_path / "a" / "b")
    assert playground.data == tmp_path / "a" / "b"
    assert playground.engine.images.folder.is_relative_to(playground.data)


def test_without_a_folder_the_users_own_is_taken():
    assert "xdg_data_home" in str(open_playground().data)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PlaygroundError, match=r"data folder .*file/data cannot be made .*--data\.$"):
        open_playground(tmp_path / "file" / "data")


def test_a_folder_that_cannot_be_written_is_the_same_sentence(tmp_path, monkeypatch):
    def refused(number, text, **_):
        raise OSError(number, text)

    opened = open_playground(tmp_path)
    opened.check_data()
    monkeypatch.setattr("pipeline.playground.TemporaryFile", partial(refused, 30, "Read-only file system"))
    with pytest.raises(PlaygroundError, match=r"cannot be written \(Read-only file system\); choose another with --da"):
        opened.check_data()
    monkeypatch.setattr("pipeline.playground.TemporaryFile", partial(refused, 28, "No space left on device"))
    opened.check_data()


def test_the_page_can_be_up_before_torch_is_read(tmp_path):
    code = (
        "import sys; from pipeline.playground import open_playground; open_playground(sys.argv[1]);"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'gradio') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, cwd=root, check=True)
    assert run.stdout.strip() == "[]"


def test_the_processor_is_named_with_its_cores():
    device = cpu_device()
    assert device.kind == "cpu"
    assert device.name.startswith(f"CPU, {available_cores()} core")
    assert device.memory_bytes > 10**8


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Intel(R) Xeon(R) Processor", "Intel Xeon"),
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "Intel Xeon Gold 6338 @ 2.00GHz"),
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("AMD EPYC", "AMD EPYC"),
        ("Neoverse-N1", "Neoverse-N1"),
    ],
)
def test_a_processors_name_without_marks(said, name):
    assert plain_name(said) == name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process its memory")
def test_memory_taken_shows_in_peak_and_residence():
    peak, size = PeakMemory(), 200_000_000
    before = resident_bytes()
    peak.start()
    block = bytearray(b"x") * size
    assert resident_bytes() - before > 0.8 * size
    del block
    assert resident_bytes() - before < 0.5 * size
    assert peak.bytes() - before > 0.8 * size


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_on_other_systems_what_only_linux_has_is_left_alone(monkeypatch, system):
    def refuse(*_: object) -> None:
        raise TypeError("argument of type 'NoneType' is not iterable")  # what ctypes.CDLL(None) is on Windows

    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("ctypes.CDLL", refuse)
    one_arena()
    give_back("cpu")


def test_a_peak_that_cannot_be_set_back_is_not_told(monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    peak = PeakMemory()
    peak.start()
    assert peak.bytes() is None


def test_a_model_that_was_placed_is_here_though_its_files_are_gone(tmp_path, monkeypatch):
    opened = open_playground(tmp_path)
    facts = Facts("cuda", "NVIDIA H200", 140 * 10**9, 256 * 10**9, True)
    monkeypatch.setattr("pipeline.playground.find_facts", lambda: facts)
    assert opened.default_pair.id == "bundled"
    opened.engine.backend.local.placed = frozenset({"sdxl", "sdxl-lightning"})
    assert opened.default_pair.id == "sdxl"


def test_what_the_hardware_rents_for_can_be_asked_for_whatever_the_default_is(tmp_path):
    own = open_playground(tmp_path, "2.5")
    assert own.price(None, "NVIDIA T4").usd_per_hour == 2.5
    assert own.proposed_price("NVIDIA T4") == open_playground(tmp_path).price(None, "NVIDIA T4")
    assert own.proposed_price("NVIDIA T4").usd_per_hour != 2.5
