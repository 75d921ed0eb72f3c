"""What the server remembers of open pages is bounded, and whose page is open keeps what stands on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.routes import App
from gradio.state_holder import StateHolder
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from pipeline.ui import sessions
from pipeline.ui.request_limit import RequestLimit
from pipeline.ui.served import served_folders
from pipeline.ui.sessions import KEPT, Messages, Sessions, sessions_of


@pytest.fixture
def page() -> gr.Blocks:
    """It says back what a visitor wrote, and how often they have."""
    with gr.Blocks(analytics_enabled=False) as page:
        text, said, times = gr.Textbox(), gr.Textbox(), gr.State(0)
        text.change(lambda text, times: (gr.Textbox(text, label="said"), times + 1), [text, times], [said, times])
    return page


@pytest.fixture
def holder(page: gr.Blocks) -> StateHolder:
    holder = StateHolder()
    holder.set_blocks(page)
    holder.session_data = Sessions(holder.time_last_used)
    return holder


@pytest.fixture
def visit(page: gr.Blocks, tmp_path: Path) -> Iterator[TestClient]:
    _, uploads = served_folders(tmp_path)
    page.theme = None  # as launch does
    kwargs = {"middleware": [Middleware(RequestLimit, uploads=uploads)]}
    with TestClient(App.create_app(page, app_kwargs=kwargs, mcp_server=False)) as client:
        yield client


def write(visit: TestClient, session: str, text: str) -> None:
    asked = {"fn_index": 0, "session_hash": session, "data": [text, None]}
    answer = visit.post("/gradio_api/run/predict", json=asked)
    assert answer.status_code == 200 and text in answer.text


def test_what_a_visitor_sends_is_not_kept_and_what_the_page_knows_of_him_is(visit, page):
    for _ in range(2):
        write(visit, "me", "long" * 1000)
    write(visit, "you", "short")
    held = visit.app.state_holder.session_data
    assert isinstance(held, Sessions) and list(held) == ["me", "you"]
    assert "long" not in json.dumps(list(held["me"].components), default=str)
    times = next(block for block in page.blocks.values() if isinstance(block, gr.State))
    assert (held["me"][times._id], held["you"][times._id]) == (2, 1)


def test_an_updated_component_is_still_known(visit, page):
    """As Gradio checks later values by it."""
    write(visit, "me", "hello")
    said = next(dep.outputs[0] for dep in page.fns.values())
    assert visit.app.state_holder["me"][said._id].label == "said"


def test_the_least_recently_used_go_first(holder, monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS", 3)
    for session in ("a", "b", "c", "a", "d"):
        assert holder[session] is holder[session]
    assert list(holder.session_data) == ["c", "a", "d"] and set(holder.time_last_used) == {"a", "c", "d"}


def test_whose_page_is_open_goes_last(holder, monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS", 3)
    with ExitStack() as pages:
        for session in ("first", "second"):
            pages.enter_context(holder.session_data.page(session))
            assert holder[session]
        for stranger in range(10):
            assert holder[f"{stranger}"]
        assert list(holder.session_data) == ["first", "second", "9"]
        pages.enter_context(holder.session_data.page("third"))
        assert holder["third"] and holder["stranger"]
        assert list(holder.session_data) == ["second", "third", "stranger"]
    assert holder["another"] and list(holder.session_data) == ["third", "stranger", "another"]


def test_an_hour_after_its_last_event_a_closed_page_is_forgotten(holder):
    with holder.session_data.page("open"), holder.session_data.page("open"):
        for session in ("open", "closed", "fresh"):
            assert holder[session]
        for session in ("open", "closed"):
            holder.time_last_used[session] = datetime.now() - KEPT - timedelta(seconds=1)
        assert holder["new"] and list(holder.session_data) == ["open", "fresh", "new"]


class Message(BaseModel):
    """As Gradio's queue sends them."""

    output: str


@pytest.fixture
def queue(page, monkeypatch) -> gr.queueing.Queue:
    monkeypatch.setattr(sessions, "UNREAD_BYTES", 10_000)
    sessions_of(App.create_app(page, mcp_server=False))
    return page._queue


def waiting(queue: gr.queueing.Queue) -> list[str]:
    return [
        message.output[0] for _, messages in queue.pending_messages_per_session.items() for message in left(messages)
    ]


def left(messages: Messages) -> list[Message]:
    return [messages.get_nowait() for _ in range(messages.qsize())]


def test_answers_that_nobody_reads_go_the_oldest_first(queue):
    pending = queue.pending_messages_per_session
    for session in ("a", "b"):
        pending[session] = asyncio.Queue()
    for number in range(8):
        pending["ab"[number % 2]].put_nowait(Message(output=f"{number}" * 3000))
    assert waiting(queue) == ["6", "5", "7"]
    for _ in range(100):
        pending["a"].put_nowait(Message(output="x"))
    assert len(waiting(queue)) == 10 and pending._bytes == 0


def test_what_is_read_counts_no_more_and_what_has_gone_is_no_harm(queue):
    pending = queue.pending_messages_per_session
    for session in ("gone", "me"):
        pending[session] = asyncio.Queue()
    pending["gone"].put_nowait(Message(output="g" * 6000))
    del pending["gone"]
    for number in range(20):
        pending["me"].put_nowait(Message(output=f"{number % 10}" * 4000))
        assert [message.output[0] for message in left(pending["me"])] == [f"{number % 10}"]


def test_the_sessions_of_an_app_are_bounded_from_the_first_request_on(page):
    app = App.create_app(page, mcp_server=False)
    assert app.state_holder["before"]
    found = sessions_of(app)
    assert list(found) == ["before"] and app.state_holder.session_data is found is sessions_of(app)


def test_gradio_still_opens_a_heartbeat_for_a_page_like_ours(visit):
    """By which it is known whose page is open."""
    assert visit.get("/config").json()["connect_heartbeat"]


def test_a_gradio_that_keeps_them_otherwise_serves_all_the_same(caplog):
    for _ in range(2):
        with sessions_of(SimpleNamespace()).page("me"):
            pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
