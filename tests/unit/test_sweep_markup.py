"""What stands over a sweep: which one it is."""

from __future__ import annotations

import pytest

from pipeline.prices import load_prices
from pipeline.sweep import head_document
from pipeline.ui.sweep_markup import title
from tests.fakes import plan_of

PRICE = load_prices().proposed("CPU")


@pytest.mark.parametrize(
    ("given", "heading", "facts"),
    [
        ({"steps": "1, 2"}, "“a fox”", "Sweep over steps: Old · seed 7 · 32 × 32 · at $0.03 an hour"),
        (
            {"models": "old, new", "prompts": "a fox\na cat\na hat", "steps": "2"},
            "“a fox” and 2 more prompts",
            "Sweep over models and prompts: Old, New · seed 7 · 2 steps · 32 × 32 · at $0.03 an hour",
        ),
        ({"prompts": "a <b>"}, "“a &lt;b&gt;”", "Sweep: Old · seed 7 · 32 × 32 · at $0.03 an hour"),
    ],
)
def test_its_prompts_what_it_varies_and_what_all_have_in_common(catalog, given, heading, facts):
    plan = plan_of(catalog, **given)
    html = title(plan, head_document(plan, PRICE, "CPU"), catalog)
    assert f"<h3>{heading}</h3>" in html and f">{facts}<" in html
