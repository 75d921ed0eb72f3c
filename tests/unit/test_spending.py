"""The limit of what hosted pictures may cost: what was let begin is drawn to its end, and not a cent more is spent."""

from __future__ import annotations

import pytest

from pipeline.backends.everywhere import Everywhere
from pipeline.backends.hosted import HostedBackend
from pipeline.cost import call_sum
from pipeline.engine import Engine
from pipeline.errors import InputError, ModelError
from pipeline.request import make_request
from pipeline.spending import Spending
from tests.provider import asked_for, run

EACH = (0.0014, 0.002, 0.003, 0.005, 0.006, 0.01, 0.02, 0.025, 0.03, 0.0336, 0.04, 0.053, 0.1, 64 * 80 / 1024 * 19e-6)


@pytest.mark.parametrize("each", EACH)
def test_a_sum_is_the_same_multiplied_and_added_up(each):
    for n in range(1, 120):
        spending = Spending(float(f"{n * each:.9g}"))
        spending.check(n * each)
        for _ in range(n):
            with spending.paying(each, "It"):
                pass
        told = r"^It costs up to \$.*, and .* are left; start anew with a larger"
        with pytest.raises(ModelError, match=told), spending.paying(each, "It"):
            pass
        with pytest.raises(InputError, match="This costs up to"):
            spending.check(each)


def test_a_run_that_was_let_begin_is_not_cut_off_for_the_tokens_of_its_prompt(cards, backend, provider):
    """The prompt is charged afterwards, by the provider's count; before, it is taken for as long as it can be."""
    provider.usage = {"num_output_tokens": 4, "num_input_text_tokens": len("a red apple")}
    grand = asked_for(cards)["predecessor"]
    most = call_sum(cards.model("grand").hosted.dearest(grand)).usd
    spending = Spending(5 * most)
    spending.check(5 * most)
    with pytest.raises(InputError):
        spending.check(5.01 * most)
    engine = Engine(cards, Everywhere(backend, HostedBackend(spending)))
    [result] = run(engine, grand, repeat=5)
    assert len(result.runs) == 5 and result.hosted.cut_short is None
    assert spending.spent_usd == pytest.approx(5 * (4 * 4000 + 11 * 1000) / 1e6)


def test_a_picture_whose_prompt_could_make_it_too_dear_is_not_asked_for(cards, backend, provider):
    spending = Spending(0.02)  # the picture alone costs $0.016
    engine = Engine(cards, Everywhere(backend, HostedBackend(spending)))
    with pytest.raises(ModelError, match=r"A picture by Grand costs up to \$0\.0470"):
        run(engine, asked_for(cards)["predecessor"])
    assert not provider.asked and spending.spent_usd == 0


def test_a_prompt_has_no_more_tokens_than_bytes_and_what_is_put_round_it(cards):
    card = cards.model("swift").model_copy(update={"negative_prompt": True})
    request = make_request(card, "ein Käfer 🪲", negative_prompt="blau")
    assert card.hosted.dearest(request).prompt_tokens == 15 + 4 + 20
    assert card.hosted.call(64, 64).prompt_tokens is None
