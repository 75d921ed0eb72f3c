"""The stage clock, on a clock of our own, and the median of several runs."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.timing import StageClock, Timings, median, spread


class Clock:
    """Stands in for the module ``time``; moves only when told."""

    def __init__(self):
        self.now = 50.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pipeline.timing.time", clock)
    return clock


def test_a_stage_lasts_until_the_next_begins(time):
    clock = StageClock()
    for stage, seconds in (("encode", 1.0), ("denoise", 5.0), ("decode", 2.0)):
        clock.start(stage)
        time.now += seconds
    clock.stop()
    time.now += 100
    assert clock.seconds() == {"encode": 1.0, "denoise": 5.0, "decode": 2.0}


def test_a_stage_that_comes_twice_adds_up_and_gaps_do_not_count(time):
    clock = StageClock()
    clock.start("denoise")
    time.now += 1
    clock.stop()
    time.now += 10
    clock.start("denoise")
    time.now += 2
    clock.stop()
    assert clock.seconds() == {"denoise": 3.0}


def test_a_running_stage_is_not_told_yet(time):
    clock = StageClock()
    assert clock.seconds() == {}
    clock.start("encode")
    time.now += 1
    assert clock.seconds() == {}


def test_what_is_paused_is_not_the_stages(time):
    clock = StageClock()
    clock.start("denoise")
    time.now += 3
    with clock.paused():
        time.now += 7
    time.now += 1
    with clock.paused():
        time.now += 5
    clock.start("decode")
    time.now += 2
    clock.stop()
    assert clock.seconds() == {"denoise": 4.0, "decode": 2.0}


def test_a_pause_that_fails_is_left_out_too(time):
    clock = StageClock()
    clock.start("denoise")
    time.now += 1
    with pytest.raises(RuntimeError), clock.paused():
        time.now += 7
        raise RuntimeError
    clock.stop()
    assert clock.seconds() == {"denoise": 1.0}


class Cuda:
    """Stands in for torch.cuda: events carry the device's own clock, in milliseconds, known only after a wait."""

    def __init__(self):
        self.now_ms = 0.0
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1

    def Event(self, enable_timing: bool):  # noqa: N802, torch's name
        assert enable_timing
        return CudaEvent(self)


class CudaEvent:
    def __init__(self, cuda: Cuda):
        self.cuda = cuda
        self.at: float | None = None

    def record(self) -> None:
        self.at = self.cuda.now_ms

    def elapsed_time(self, end: CudaEvent) -> float:
        assert self.cuda.waits, "an event is read only after the device was waited for"
        return end.at - self.at


def test_a_gpus_own_clock_is_used_and_the_device_never_waits_while_it_works():
    cuda = Cuda()
    clock = StageClock(cuda)
    for stage, milliseconds in (("encode", 4.0), ("denoise", 800.0), ("decode", 20.0)):
        clock.start(stage)
        cuda.now_ms += milliseconds
    clock.stop()
    assert cuda.waits == 0
    assert clock.seconds() == pytest.approx({"encode": 0.004, "denoise": 0.8, "decode": 0.02})


TIMINGS = st.builds(Timings, *(st.floats(0, 1000) for _ in range(5)))


def test_total_is_encode_denoise_and_decode():
    timings = Timings(wait=100, load=50, encode=1, denoise=2, decode=3)
    assert timings.total == 6
    assert timings.as_dict() == {"wait": 100, "load": 50, "encode": 1, "denoise": 2, "decode": 3, "total": 6}
    assert Timings.from_dict(timings.as_dict()) == timings


def test_the_median_is_a_real_run_with_the_first_ones_wait_and_load():
    runs = [
        Timings(wait=9, load=8, encode=0.5, denoise=5.0, decode=0.1),
        Timings(wait=9, load=8, encode=0.1, denoise=2.0, decode=0.2),
        Timings(wait=9, load=8.5, encode=0.2, denoise=3.0, decode=0.3),
    ]
    assert median(runs) == Timings(wait=9, load=8, encode=0.2, denoise=3.0, decode=0.3)
    assert spread(runs) == (pytest.approx(2.3), pytest.approx(5.6))


def test_of_an_even_number_the_two_in_the_middle_count_stage_by_stage():
    runs = [Timings(wait=5.0, encode=0.5 * seconds, denoise=seconds) for seconds in (4.0, 1.0, 3.0, 2.0)]
    assert median(runs) == Timings(wait=5.0, encode=1.25, denoise=2.5)


@given(st.lists(TIMINGS, min_size=1, max_size=9))
def test_the_medians_stages_add_up_and_lie_within_the_spread(runs):
    middle = median(runs)
    low, high = spread(runs)
    assert middle.total == middle.encode + middle.denoise + middle.decode
    assert middle.total == pytest.approx(statistics.median(run.total for run in runs))
    assert low * (1 - 1e-12) <= middle.total <= high * (1 + 1e-12)
