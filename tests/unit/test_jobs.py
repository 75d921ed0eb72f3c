"""Who runs what: nobody fills the line by himself."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipeline.errors import BusyError
from pipeline.ui.jobs import RUNS_MAX, Jobs


@pytest.mark.parametrize("owner", [("mine", None), (None, "my run")])
def test_one_client_has_so_many_runs_at_a_time_and_others_are_not_held_up(owner):
    jobs = Jobs()
    with ExitStack() as stack:
        for _ in range(RUNS_MAX):
            stack.enter_context(jobs.running(*owner))
        with pytest.raises(BusyError, match=f"{RUNS_MAX} runs of yours"), jobs.running(*owner):
            pass
        with jobs.running("yours", "your run"):
            assert jobs.stop(*owner) == RUNS_MAX
    with jobs.running(*owner):
        assert jobs.stop(*owner) == 1
