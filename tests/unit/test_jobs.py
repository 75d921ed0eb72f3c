"""Who runs what: nobody fills the line by himself."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from pipeline.errors import BusyError
from pipeline.ui.api import _session
from pipeline.ui.jobs import RUNS_MAX, Jobs


def test_one_client_has_so_many_runs_at_a_time_and_others_are_not_held_up():
    jobs = Jobs()
    with ExitStack() as stack:
        for _ in range(RUNS_MAX):
            stack.enter_context(jobs.running("mine", "a name that many take"))
        with pytest.raises(BusyError, match=f"{RUNS_MAX} runs of yours"), jobs.running("mine"):
            pass
        with jobs.running("yours", "a name that many take"), jobs.running(None, "a name that many take"):
            assert jobs.stop("mine") == RUNS_MAX
    with jobs.running("mine"):
        assert jobs.stop("mine") == 1


@pytest.mark.parametrize(("user", "session"), [("mcp", None), ("api", "abc"), (None, "abc")])
def test_the_one_session_that_gradio_calls_all_tools_with_is_nobodys(user, session):
    headers = {} if user is None else {"x-gradio-user": user}
    assert _session(SimpleNamespace(headers=headers, session_hash="abc")) == session
