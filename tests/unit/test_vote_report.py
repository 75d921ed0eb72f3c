"""The votes as a file for spreadsheets."""

from __future__ import annotations

import csv

import pytest

from pipeline.errors import InputError
from pipeline.ui.vote_report import csv_of


def test_a_text_that_a_spreadsheet_would_reckon_with_is_marked_as_one_and_numbers_stay():
    prompts = ["a fox", "=1+1", "+1", "-1", "@sum", 'a "cat",\nasleep']
    rows = list(csv.DictReader(csv_of([{"prompt": prompt, "seed": -7} for prompt in prompts]).splitlines(True)))
    assert [row["prompt"] for row in rows] == ["a fox", "'=1+1", "'+1", "'-1", "'@sum", 'a "cat",\nasleep']
    assert {row["seed"] for row in rows} == {"-7"}


def test_of_no_votes_there_is_no_file():
    with pytest.raises(InputError, match="Nobody has voted yet"):
        csv_of([])
