"""A place that a person names may be none; that is one sentence, on the command line too."""

import sys

import pytest

from pipeline.__main__ import main
from pipeline.disk import place_of
from pipeline.errors import InputError

ELSEWHERE = pytest.mark.skipif(sys.platform == "win32", reason="Windows takes any ~name")


def test_a_place_is_absolute_and_need_not_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert place_of("~/data") == tmp_path / "data"
    monkeypatch.chdir(tmp_path)
    assert place_of("a/b") == tmp_path / "a" / "b"


@pytest.mark.parametrize(
    "given", [pytest.param("~nosuchuser/x", marks=ELSEWHERE), "x" * 300 + "/y"], ids=["home", "long"]
)
def test_a_place_that_cannot_be_is_one_sentence(given):
    with pytest.raises(InputError, match=r"is no place that can be used here \(.+\); name another\.$"):
        place_of(given)


@ELSEWHERE
@pytest.mark.parametrize(
    "command",
    [
        ["generate", "a fox", "--model", "~nosuchuser/x"],
        ["generate", "a fox", "--model", "x" * 300],
        ["models", "--model-file", "~nosuchuser/x.toml"],
        ["generate", "a fox", "--model", "diptych-128", "--data", "~nosuchuser"],
        ["judge", "0123456789ab", "--by", "~nosuchuser/clip"],
    ],
)
def test_no_command_ends_in_a_traceback_for_it(command, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("DIPTYCH_DATA", str(tmp_path))
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
