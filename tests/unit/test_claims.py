"""What a comparison claims: no more than its runs carry, and nothing where a time is not the model's."""

from __future__ import annotations

import pytest

from pipeline.claims import claim, claims, median_claims, significance_text


def test_the_claim_of_a_comparison():
    several = {"lanes": [{"runs": 3}, {"runs": 3}]}
    assert claim(several | {"speedup": 2.0, "saving": 0.5}) == "2.00 × faster, 50 % cheaper"
    assert claim(several | {"speedup": 2.0, "saving": None}) == "2.00 × faster"
    cached = {"speedup": None, "saving": None, "lanes": [{"cache": "hit"}, {"cache": "miss"}]}
    assert claim(cached).startswith("Partly from the cache: ") and "no speed-up is claimed" in claim(cached)


def test_a_run_that_took_far_longer_than_usual_claims_nothing():
    lanes = [
        {"role": role, "cache": "miss", "seconds": {"total": total}, "usual_seconds": usual}
        for role, total, usual in (("predecessor", 0.6, 0.5), ("efficient", 0.31, 0.05))
    ]
    assert claim({"speedup": None, "saving": None, "lanes": lanes}) == (
        "The machine was busy: the efficient model took 6.2 times as long as at best here, so no speed-up is claimed"
    )


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (10.04, "about 10 × faster, about 90 % cheaper"), (4.27, "about 4.3 × faster, about 77 % cheaper"),
        (123.4, "about 123 × faster, about 99.2 % cheaper"), (0.5, "about 2.0 × slower, about 100 % dearer"),
        (1.052, "about 1.05 × faster, about 5 % cheaper"), (1.04, "about as fast"), (0.96, "about as fast"),
    ],
)  # fmt: skip
def test_one_run_is_told_roughly(ratio, said):
    once = {"lanes": [{"runs": 1}, {"runs": 1}], "speedup": ratio}
    assert claim(once | {"saving": 1 - 1 / ratio}) == said
    assert claim(once | {"saving": None}) == said.split(", ")[0]


def test_significance_is_said_with_what_to_do():
    clear = {"p": 0.0079, "significant": True, "runs_needed": 4}
    few = {"p": 0.1, "significant": False, "runs_needed": 4, "runs": 3}
    near = {"p": 0.095, "significant": False, "runs_needed": 4, "runs": 5}
    none = {"p": 0.6, "significant": False, "runs_needed": 4}
    assert significance_text(clear) == "significant (rank test, p = 0.0079)"
    assert "at least 4 runs" in significance_text(few)
    assert significance_text(near) == "not significant (rank test, p = 0.095): more runs may tell"
    assert "by chance" in significance_text(none)
    assert significance_text(None) == ""


def test_a_difference_that_may_be_chance_is_no_claim_of_speed_or_saving():
    said = {"speedup": 1.04, "saving": 0.04, "judged": None, "lanes": [{"runs": 3}, {"runs": 5}]}
    none = {"p": 0.6, "significant": False, "runs_needed": 4, "runs": 5}
    before = {key: value for key, value in none.items() if key != "runs"}  # older entries: as their sentence says
    for tested in (none, before):
        assert claims(said | {"significance": tested}) == ["no difference in time beyond chance"]
    for tested in (none | {"significant": True}, None):
        assert claims(said | {"significance": tested}) == ["1.04 × faster", "4 % cheaper"]


def test_the_median_of_several_claims_no_more_than_they_do():
    lanes = [{"runs": 5}, {"runs": 5}]
    clear = {"lanes": lanes, "speedup": 9.42, "saving": 0.894, "significance": {"significant": True, "runs_needed": 4}}
    single = clear | {"lanes": [{"runs": 1}, {"runs": 1}], "significance": None}
    none = clear | {"speedup": 1.12, "significance": {"significant": False, "runs_needed": 4, "runs": 20}}
    assert median_claims([clear, clear]) == ["9.42 × faster", "89 % cheaper"]
    assert median_claims([clear, single]) == ["about 9.4 × faster", "about 89 % cheaper"]
    slow = clear | {"speedup": 6.9, "saving": 1 - 1 / 6.9}
    fast = clear | {"speedup": 16, "saving": 1 - 1 / 16}
    assert median_claims([slow, fast]) == ["10.5 × faster", "90 % cheaper"], "1 - 1 / 10.5 is 90 %"
    assert median_claims([slow, fast, fast]) == ["16.0 × faster", "94 % cheaper"]
    assert median_claims([clear, none]) == ["no difference in time beyond chance in 1 of 2"]


def test_a_speed_up_that_is_hardly_known_is_told_roughly_and_always_with_its_interval():
    tested = {"p": 0.0079, "significant": True, "runs_needed": 4, "runs": 5, "low": 2.87, "high": 15.13}
    said = {"speedup": 11.52, "saving": 0.913, "judged": None, "lanes": [{"runs": 5}, {"runs": 5}]}
    assert claims(said | {"significance": tested}) == ["2.9 to 15 × faster", "65 to 93 % cheaper"]
    wide = tested | {"low": 8.87, "high": 15.13}
    assert claims(said | {"significance": wide}) == ["about 12 × faster", "about 91 % cheaper"]
    slower = {"speedup": 0.2, "saving": -4, "significance": tested | {"low": 0.1, "high": 0.4}}
    assert claims(said | slower) == ["2.5 to 10 × slower", "150 to 900 % dearer"]
    huge = said | {"significance": tested | {"low": 250, "high": 600}}
    assert claims(huge) == ["250 to 600 × faster", "99.6 to 99.8 % cheaper"]
    assert significance_text(tested) == ("significant (rank test, p = 0.0079; speed-up 2.87 to 15.1 ×, 95 % interval)")
    assert claims(said | {"significance": tested | {"low": 10.9, "high": 12.2}})[0] == "11.5 × faster"


def test_a_difference_that_more_runs_may_show_is_not_said_to_be_none():
    tested = {"p": 0.056, "significant": False, "runs_needed": 4, "runs": 5}
    said = {"speedup": 4.45, "saving": 0.78, "judged": None, "lanes": [{"runs": 5}, {"runs": 5}]}
    assert claims(said | {"significance": tested}) == ["a difference in time is not shown yet"]
    assert claims(said | {"significance": tested | {"p": 0.3}}) == ["no difference in time beyond chance"]
    several = [said | {"significance": tested | {"p": p}} for p in (0.056, 0.3)]
    assert median_claims(several) == ["a difference in time is not shown yet in 2 of 2"]


def test_a_certain_difference_that_nobody_would_notice_is_called_none():
    tested = {"p": 0.0079, "significant": True, "runs_needed": 4, "runs": 5, "low": 1.001, "high": 1.005}
    said = {"speedup": 1.003, "saving": 0.003, "judged": None, "lanes": [{"runs": 5}, {"runs": 5}]}
    assert claims(said | {"significance": tested}) == ["about as fast"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [((60, 64), (745, 770), "about 12 × the throughput"), ((60, 64), (63, 66), "about the same throughput")],
)
def test_throughput_is_of_three_calls_and_told_so(old, new, said):
    lanes = [
        {"runs": 1, "throughput": {"images_per_minute_min": low, "images_per_minute_max": high}}
        for low, high in (old, new)
    ]
    assert claims({"speedup": 1.0, "saving": 0.0, "lanes": lanes, "throughput_gain": 12.31})[1] == said


def test_runs_too_few_to_be_significant_claim_as_roughly_as_one():
    few = {"speedup": 10.54, "saving": 0.905, "judged": None, "lanes": [{"runs": 3}, {"runs": 3}]}
    few["significance"] = {"p": 0.1, "significant": False, "runs_needed": 4, "runs": 3}
    assert claims(few) == ["about 11 × faster", "about 90 % cheaper"]
