"""Good enough? What was judged on many prompts stands beside speed and cost, and only where it applies."""

from __future__ import annotations

import json

import pytest

from pipeline.cards import ASSETS
from pipeline.catalog import Judged, load_catalog
from pipeline.claims import claim
from pipeline.compare import plan
from pipeline.judged import evidence, judged_claim, judged_document, judged_text
from pipeline.reading import Reading
from pipeline.stored import load
from pipeline.ui import markup

SHIPPED = load_catalog()
SAID = {"verb": "preferred", "by": "a panel", "prompts": 40, "predecessor": 0.5, "efficient": 0.47, "source": "a.md",
        "steps": (24, 3), "guidance": (3.0, 1.0)}  # fmt: skip


def of(low: float, high: float, **other: object) -> dict:
    """The document's part of a pair judged so, at the settings of the bundled one."""
    pair = SHIPPED.default_pair.model_copy(update={"judged": Judged(**SAID | {"low": low, "high": high} | other)})
    return {"judged": judged_document(pair, plan(SHIPPED, pair, "a fox"))}


@pytest.mark.parametrize(
    ("low", "high", "claimed", "ends"),
    [
        (0.01, 0.2, "preferred more often on 40 prompts", "by this measure it is better."),
        (-0.049, 0.1, "preferred as often on 40 prompts", "which excludes a loss of 5 points or more."),
        (-0.051, 0.1, "", "too few prompts to tell."),
        (-0.2, -0.01, "preferred less often on 40 prompts", "by this measure it is worse."),
    ],
)
def test_which_way_it_points_is_decided_by_the_interval(low, high, claimed, ends):
    document = of(low, high)
    assert judged_claim(document) == claimed
    assert ends in judged_text(document)


def test_the_words_have_both_shares_their_difference_its_interval_and_the_source():
    assert judged_text(of(-0.04, 0.02)) == (
        "On 40 prompts a panel preferred 47 % of the efficient model’s pictures and 50 % of the predecessor’s: a "
        "difference of −3.0 points (95 % interval −4.0 to +2.0), which excludes a loss of 5 points or more. "
        "Source: a.md."
    )


@pytest.mark.parametrize(("efficient", "said"), [(0.4675, "−3.25"), (0.5, "+0.0"), (0.6, "+10.0"), (0.525, "+2.5")])
def test_the_difference_is_that_of_the_two_shares_beside_it(efficient, said):
    assert f"a difference of {said} points (" in judged_text(of(-0.1, 0.1, efficient=efficient))


def test_at_other_settings_nothing_is_claimed():
    pair = SHIPPED.default_pair
    assert judged_document(pair, plan(SHIPPED, pair, "a fox")) is not None
    for other in (
        {"steps": {"efficient": 4}},
        {"guidance": {"predecessor": 2}},
        {"switches": {"efficient": ["compile"]}},
        {"negative_prompt": "blur"},
    ):
        assert judged_document(pair, plan(SHIPPED, pair, "a fox", **other)) is None
    assert judged_text({"judged": None}) == judged_text({}) == judged_claim({}) == ""


def test_at_another_size_nothing_is_claimed():
    pair = SHIPPED.default_pair
    at = {size: pair.model_copy(update={"judged": Judged(**SAID, low=0, high=0, size=size)}) for size in (128, 256)}
    said = {size: judged_document(one, plan(SHIPPED, one, "a fox")) for size, one in at.items()}
    assert said[128] is not None and said[256] is None


def test_the_same_two_models_are_judged_by_any_name_but_not_the_other_way_round():
    same, turned = (
        SHIPPED.pair(ids) for ids in ("diptych-128:diptych-128-efficient", "diptych-128-efficient:diptych-128")
    )
    assert judged_document(same, plan(SHIPPED, same, "a fox")) is not None
    assert judged_document(turned, plan(SHIPPED, turned, "a fox")) is None


def test_what_the_catalogue_says_of_the_bundled_pair_is_what_its_report_says():
    said = SHIPPED.default_pair.judged
    report = json.loads((ASSETS / "models" / "report.json").read_text())
    assert said.prompts == report["prompts"]["held_out"]
    shares = tuple(report[role]["held_out"]["r1"] for role in ("predecessor", "efficient"))
    assert (said.predecessor, said.efficient) == shares
    assert [said.low, said.high] == report["efficient"]["r1_gain_ci"]
    for lane, steps, guidance in zip(("predecessor", "efficient"), said.steps, said.guidance, strict=True):
        card = SHIPPED.model(SHIPPED.default_pair.lane(lane).model)
        assert (steps, guidance) == (card.steps.default, card.guidance.default)


def unclear(document: dict) -> dict:
    """The same, had there been fewer prompts."""
    return {**document, "judged": {**document["judged"], "low": -0.07, "verdict": "unclear"}}


def test_the_page_answers_the_question_from_its_first_second():
    document, _ = load()
    html = markup.verdict(document)
    report = json.loads((ASSETS / "models" / "report.json").read_text())
    share, prompts = 100 * report["efficient"]["held_out"]["r1"], report["prompts"]["held_out"]
    said = f"{document['judged']['by']} recognised {share:g} % of the efficient model’s"
    assert f"Good enough? On {prompts} prompts {said}" in html
    assert "which excludes a loss of 5 points or more." in html
    assert "“a red apple”, seed 7" in html


def test_in_big_letters_stands_only_what_the_interval_bears_out():
    document, _ = load()
    assert claim(unclear(document)).endswith("% cheaper")
    assert "recognised as often" not in markup.verdict(unclear(document))
    assert document["judged"]["verdict"] == "as good"
    assert claim(document).endswith("cheaper, recognised as often on 467 prompts")
    assert '<strong class="claim">recognised as often on 467 prompts</strong>' in markup.verdict(document)


def test_without_any_evidence_the_way_to_some_is_named():
    document, _ = load()
    html = markup.verdict({**document, "judged": None})
    assert "Good enough? Nobody has said at these settings; put some prompts to a blind vote (Vote tab)." in html
    assert "In blind votes" in markup.verdict(
        {**document, "judged": None, "opinions": "In blind votes it was as good."}
    )


def test_what_was_judged_and_what_people_said_is_one_evidence():
    document, _ = load()
    said = "In blind votes it was as good."
    assert evidence({**document, "opinions": said}) == f"{judged_text(document)} {said}"
    assert evidence({**document, "opinions": ""}) == evidence(document) == judged_text(document)
    assert evidence({"judged": None, "opinions": said}) == said and evidence({}) == ""


def test_a_prompt_that_was_not_read_claims_nothing_of_those_that_were():
    document, _ = load()
    for lane in document["lanes"]:
        lane["reading"] = Reading(9, 24, ("苹" * 300,)).as_dict()
    html = markup.verdict(document)
    assert "recognised" not in claim(document) and "recognised as often on 467 prompts</strong>" not in html
    assert f"Each model has no token for “{'苹' * 23}…”." in html
    document["lanes"][0]["reading"] = None
    assert "The efficient model has no token for" in markup.verdict(document)
