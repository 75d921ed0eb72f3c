"""Who runs what: nobody fills the line alone."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from pipeline.errors import BusyError
from pipeline.ui import unfinished
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


def test_a_run_that_is_asked_for_is_known_before_it_begins_and_can_be_withdrawn():
    jobs = Jobs()
    ticket = jobs.ask("mine", "compare mine")
    assert jobs.busy("mine") and jobs.busy(None, "compare mine") and not jobs.busy("yours", "compare yours")
    assert jobs.ask("mine", "compare mine") is None
    assert jobs.withdraw("compare mine") and not jobs.busy("mine")
    with jobs.begun(ticket) as flag:
        assert flag is None
    again = jobs.ask("mine", "compare mine")
    with jobs.begun(again) as flag, jobs.begun(again) as twice, jobs.begun(None) as none:
        assert twice is none is None
        assert not jobs.withdraw("compare mine") and jobs.ask("mine", "compare mine") is None
        assert jobs.stop(None, "compare mine") == 1 and flag.is_set()
    assert not jobs.busy("mine")


def test_runs_that_are_asked_for_and_never_begin_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.ui.jobs.ASKED_MAX", 2)
    jobs = Jobs()
    tickets = [jobs.ask(session, session) for session in "abc"]
    assert [jobs.busy(session) for session in "abc"] == [False, True, True]
    with jobs.begun(tickets[0]) as flag:
        assert flag is None


@pytest.mark.parametrize(("user", "session"), [("mcp", None), ("api", "abc"), (None, "abc")])
def test_the_one_session_that_gradio_calls_all_tools_with_is_nobodys(user, session):
    headers = {} if user is None else {"x-gradio-user": user}
    assert _session(SimpleNamespace(headers=headers, session_hash="abc")) == session


def test_what_is_unfinished_is_bounded_and_ends_with_its_own_pictures_only(monkeypatch):
    monkeypatch.setattr(unfinished, "VISITORS_MAX", 2)
    last = unfinished.Unfinished()
    for owner, said in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        last.begin(owner, said)
    assert [last.of(owner) for owner in "abc"] == [3, None, 4]
    last.end("a", 1)
    last.end("b", 2)
    last.end("c", 4)
    assert [last.of(owner) for owner in "abc"] == [3, None, None]
