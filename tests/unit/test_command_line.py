"""The command line, as a shell meets it: documents, files, exit status, one line on stderr."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

import pipeline.__main__ as command_line
from pipeline import imagefile
from pipeline.cards import ASSETS
from pipeline.engine import Engine
from pipeline.errors import Declined
from pipeline.options import parser
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.recipe import request_from_recipe
from pipeline.request import make_request
from pipeline.sweep_votes import open_vote
from tests.fakes import CountingBackend


@pytest.fixture(autouse=True)
def playground(monkeypatch: pytest.MonkeyPatch, engine: Engine, tmp_path: Path) -> Playground:
    made = Playground(engine.catalog, load_prices(), engine, tmp_path)
    monkeypatch.setattr(command_line, "open_playground", lambda data, **_: made)
    monkeypatch.setattr(command_line, "load_catalog", lambda **_: engine.catalog)
    monkeypatch.chdir(tmp_path)
    return made


def document(capsys: pytest.CaptureFixture, *words: str) -> dict:
    assert command_line.main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_compare_keeps_its_contract(capsys):
    said = document(capsys, "compare", "a fox", "--seed", "7", "--repeat", "3", "--price", "hf-l4", "--out", "out")
    assert set(said) == {
        "prompt", "negative_prompt", "seed", "width", "height", "pair", "question", "device", "price", "lanes",
        "speedup", "saving", "significance", "throughput_gain", "fidelity", "judged",
    }  # fmt: skip
    source = load_prices().profiles["hf-l4"].source
    assert said["price"] == {"profile": "hf-l4", "usd_per_hour": 0.8, "source": source, "as_of": "2026-08-22"}
    old, new = said["lanes"]
    assert (old["role"], old["model"], old["steps"], old["model_evaluations"], old["runs"]) == (
        "predecessor", "old", 6, 12, 3,
    )  # fmt: skip
    assert (new["role"], new["model"], new["steps"], new["model_evaluations"], new["cache"]) == (
        "efficient", "new", 2, 2, "miss",
    )  # fmt: skip
    assert old["warm"] is True and {"psnr_db", "ssim"} == set(said["fidelity"])
    assert old["cost_usd"] == pytest.approx(old["seconds"]["total"] * 0.8 / 3600)
    assert said["saving"] == pytest.approx(1 - new["cost_usd"] / old["cost_usd"])
    for lane in said["lanes"]:
        _, recipe = imagefile.read(Path(lane["image"]))
        assert request_from_recipe(recipe).seed == 7


def test_compare_tells_the_throughput_when_asked(capsys):
    assert command_line.main(["compare", "a fox", "--seed", "7", "--throughput", "--price", "hf-l4"]) == 0
    said = capsys.readouterr().out
    assert "throughput: " in said and "pictures a minute, 4 against 4 at once, medians of 3 calls; then $" in said
    assert "× the throughput" in said


def test_a_seed_that_nobody_gave_is_random_and_told(capsys):
    seeds = {document(capsys, "compare", "a fox")["seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_a_picture_that_cannot_be_written_leaves_the_older_one(capsys, tmp_path, monkeypatch):
    words = ("generate", "a fox", "--model", "new", "--seed", "7", "--fresh", "--out", str(tmp_path))
    place = Path(document(capsys, *words)["image"])
    before = place.read_bytes()

    def full(stream: BinaryIO, *_: object) -> None:
        stream.write(b"half a picture")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(imagefile, "write", full)
    assert command_line.main(list(words)) == 2
    assert f"The disk is full, so the picture {place} cannot be written" in capsys.readouterr().err
    assert place.read_bytes() == before and list(place.parent.glob("*.png")) == [place]


def test_the_cache_is_read_unless_fresh_is_wanted(capsys, backend: CountingBackend):
    words = ("compare", "a fox", "--seed", "7")
    assert document(capsys, *words)["speedup"]
    assert document(capsys, *words)["speedup"] is None
    assert document(capsys, *words, "--fresh")["speedup"]
    assert len(backend.made) == 4


def test_generate_and_sweep(capsys):
    one = document(capsys, "generate", "a fox", "--model", "old", "--steps", "3", "--guidance", "1")
    assert (one["model_evaluations"], Path(one["image"]).is_file()) == (3, True)
    grid = document(capsys, "sweep", "a fox", "--model", "old", "--steps", "1,2", "--guidance", "1, 3", "--seed", "2")
    assert [(cell["steps"], cell["guidance"]) for cell in grid["cells"]] == [(1, 1), (1, 3), (2, 1), (2, 3)]
    assert len({cell["image"] for cell in grid["cells"]}) == 4


def test_a_sweep_over_prompts_models_and_switches(capsys, backend: CountingBackend):
    Path("prompts.txt").write_text("a fox\n\na cat\n", encoding="utf-8")
    grid = document(capsys, "sweep", "--prompts-file", "prompts.txt", "--model", "old,new", "--seed", "2")
    told = [(cell["prompt"], cell["model"]) for cell in grid["cells"]]
    assert sorted(told) == sorted((prompt, model) for prompt in ("a fox", "a cat") for model in ("old", "new"))
    assert [request.model for request in backend.made] == ["old", "old", "new", "new"]
    switched = document(capsys, "sweep", "a fox", "--model", "old", "--switches", "none, compile", "--seed", "2")
    assert [cell["switches"] for cell in switched["cells"]] == [[], ["compile"]]


def test_a_switch_that_a_model_of_a_sweep_cannot_take_is_refused_before_it_starts(capsys, playground, backend):
    words = ["sweep", "a fox", "--model", "old", "--switches", "none, step-cache+fp8-weights"]
    assert command_line.main(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Step cache cannot be used with Old: It has none.\n")
    assert backend.made == [] and playground.history.find() == []


def test_a_sweep_is_gone_on_with(capsys, backend: CountingBackend):
    assert command_line.main(["sweep", "a fox", "--model", "old", "--steps", "1..3"]) == 0
    entry = re.search(r"--resume (\S+)", capsys.readouterr().out)[1]
    again = document(capsys, "sweep", "--resume", entry)
    assert [cell["steps"] for cell in again["cells"]] == [1, 2, 3] and len(backend.made) == 3


def test_a_picture_that_a_sweep_leaves_out_is_named(capsys, backend: CountingBackend):
    backend.fail = Declined("Not this one.")
    assert command_line.main(["sweep", "a fox", "--model", "old", "--steps", "1..3"]) == 0
    assert capsys.readouterr().err == "left out: 1 step: Not this one.\n"
    assert [request.steps for request in backend.made] == [2, 3]


def test_a_picture_that_a_sweep_leaves_out_is_told_apart_from_those_of_other_models_and_seeds(
    capsys, backend: CountingBackend
):
    backend.fail = Declined("Not this one.")
    assert command_line.main(["sweep", "a fox", "--model", "old,new", "--seeds", "7,8"]) == 0
    assert capsys.readouterr().err == "left out: Old, seed 7: Not this one.\n"
    (long := Path("long.txt")).write_text(f"{'a fox ' * 99}\na cat\n")
    backend.fail = Declined("Not this one.")
    assert command_line.main(["sweep", "--prompts-file", str(long), "--model", "old", "--seed", "9"]) == 0
    assert re.fullmatch(r"left out: (a fox ){9}a fox…: Not this one\.\n", capsys.readouterr().err)


def test_nothing_is_said_of_settings_that_a_provider_does_not_tell(cards):
    alone, settings = {"rows": None, "columns": None}, "steps not told, guidance not told"
    assert command_line._cell_name(alone, make_request(cards.model("grand"), "a fox"), cards) == settings


def test_a_time_of_a_busy_machine_is_marked(capsys, backend: CountingBackend):
    for seed in range(3):
        document(capsys, "generate", "a fox", "--model", "old", "--seed", f"{seed}")
    backend.denoise_s = [1.0]
    assert command_line.main(["generate", "a fox", "--model", "old", "--seed", "3"]) == 0
    assert "1.00 s (the machine was busy)" in capsys.readouterr().out
    assert command_line.main(["generate", "a fox", "--model", "old", "--seed", "4"]) == 0
    assert "busy" not in capsys.readouterr().out


def test_a_sweep_whose_kept_picture_is_gone_says_so_and_ends_well(capsys, playground: Playground):
    assert command_line.main(["sweep", "a fox", "--model", "old", "--steps", "1..3"]) == 0
    entry = playground.history.get(re.search(r"--resume (\S+)", capsys.readouterr().out)[1])
    min(entry.files.values()).unlink()
    again = document(capsys, "sweep", "--resume", entry.id)
    assert sorted(cell["image"] is None for cell in again["cells"]) == [False, False, True]


@pytest.mark.parametrize("words", [("compare", "a <b>fox</b>"), ("sweep", "a <b>fox</b>", "--model", "old")])
def test_a_report_is_one_offline_file_and_escapes_the_prompt(capsys, words):
    document(capsys, *words, "--seed", "1", "--report", "report.html")
    html = Path("report.html").read_text(encoding="utf-8")
    assert "<b>" not in html and "a &lt;b&gt;fox&lt;/b&gt;" in html
    assert re.findall(r'src="(?!data:)', html) == []
    assert "data:image/png;base64," in html and "÷ 3600" in html


def test_the_report_of_a_sweep_has_its_plot(capsys):
    document(capsys, "sweep", "a fox", "--model", "new", "--steps", "1..4", "--report", "report.html")
    html = Path("report.html").read_text(encoding="utf-8")
    assert 'aria-label="Time against fidelity"' in html and html.count("<circle") == 3
    assert html.count("data:image/png;base64,") == 4 and '<a href="#' not in html


def test_the_report_of_a_sweep_has_its_votes(capsys, playground: Playground):
    words = ("sweep", "--report", "report.html", "--resume")
    assert command_line.main(["sweep", "a <b>fox</b>", "--model", "new", "--steps", "1, 2, 4"]) == 0
    entry = re.search(r"--resume (\S+)", capsys.readouterr().out)[1]
    document(capsys, *words, entry)
    assert "Time against votes" not in Path("report.html").read_text(encoding="utf-8")
    vote = open_vote(playground.votes, playground.sweeps, playground.history.get(entry))
    playground.votes.cast(vote, "ann", 0, "tie")
    document(capsys, *words, entry)
    html = Path("report.html").read_text(encoding="utf-8")
    assert 'aria-label="Time against fidelity"' in html and 'aria-label="Time against votes"' in html
    assert "1 by 1 voter" in html and "1 vote: 0 better, 1 as good, 0 worse" in html and "<b>" not in html


def test_a_report_can_be_a_zip_of_everything(capsys):
    said = document(capsys, "compare", "a fox", "--seed", "1", "--report", "out/report.zip")
    with zipfile.ZipFile("out/report.zip") as archive:
        told = json.loads(archive.read("report.json"))["items"]
        assert [lane["model"] for lane in told[0]["lanes"]] == ["old", "new"]
        assert archive.read(told[0]["lanes"][0]["image"]) == Path(said["lanes"][0]["image"]).read_bytes()


def test_compare_tells_a_person_what_its_document_tells_a_program(capsys):
    assert command_line.main(["compare", "a fox", "--seed", "7", "--repeat", "5"]) == 0
    said = capsys.readouterr().out
    assert said.count(", 5 runs)") == 2 and "fidelity to the predecessor: PSNR" in said and "--fresh" not in said
    for _ in range(2):
        command_line.main(["compare", "a fox", "--seed", "7"])
    assert "to measure again: --fresh, or several runs with --repeat" in capsys.readouterr().out


def test_models_says_why_not(capsys):
    said = document(capsys, "models")
    assert [model["runs_here"] for model in said["models"]] == [False, False]
    assert "SHA256SUMS" in said["models"][0]["why_not"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["compare", ""], "prompt"),
        (["compare", "a", "--seed", "x"], "seed"),
        (["compare", "a", "--seed", "-1"], "seed"),
        (["compare", "a", "--repeat", "0"], "repeat"),
        (["compare", "a", "--pair", "none"], "pair"),
        (["compare", "a", "--price", "none"], "price"),
        (["compare", "a", "--predecessor-steps", "1e9"], "steps"),
        (["compare", "a", "--efficient-guidance", "nan"], "guidance"),
        (["generate", "a", "--model", "none"], "model"),
        (["sweep", "a", "--model", "old", "--steps", "1,two"], "steps"),
        (["sweep", "a", "--model", "old", "--steps", ",".join(["1"] * 401)], "A sweep"),
        (["compare", "a", "--report", "report.pdf"], "report"),
        (["sweep", "a", "--model", "old", "--report", "report"], "report"),
        (["bench", "none"], "bench"),
    ],
)
def test_bad_input_exits_with_2_and_one_line(capsys, backend: CountingBackend, words, field):
    assert command_line.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{field} ") and said.count("\n") == 1
    assert backend.made == []


@pytest.mark.parametrize("words", [[], ["paint"], ["compare"], ["generate", "a"], ["compare", "a", "--sise", "3"]])
def test_a_wrong_command_exits_with_2_and_one_line(capsys, words):
    with pytest.raises(SystemExit) as caught:
        command_line.main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_told(capsys, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert command_line.main(["compare", "a", "--out", str(tmp_path / "file")]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_what_is_made_is_kept_for_the_page_of_this_machine(capsys, playground: Playground):
    said = document(capsys, "compare", "a fox", "--seed", "7")
    document(capsys, "generate", "a cat", "--model", "old")
    picture, comparison = playground.history.find("whoever sits here")
    assert (picture.kind, picture.prompt, comparison.kind) == ("picture", "a cat", "comparison")
    assert comparison.document["speedup"] == said["speedup"]
    assert [result.request.model for result in playground.history.results(comparison).values()] == ["old", "new"]


def test_a_history_that_cannot_be_written_is_told_and_the_picture_is_there(capsys, playground, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(playground.history, "save_picture", full)
    assert command_line.main(["generate", "a cat", "--model", "old", "--out", "out"]) == 0
    said = capsys.readouterr()
    assert "could not be kept in the history" in said.err and said.err.count("\n") == 1
    assert len(list(Path("out").iterdir())) == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "pipeline", "bench"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ASSETS.parent) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)


def test_a_code_page_without_our_signs_stops_nothing(playground):
    """As Windows has where output goes into a file: no arrow, no minus."""
    command = [sys.executable, "-m", "pipeline", "models", "--json"]
    env = {**os.environ, "PYTHONIOENCODING": "cp1252", "DIPTYCH_DATA": str(playground.data)}
    ran = subprocess.run(command, capture_output=True, cwd=ASSETS.parent, env=env)
    assert ran.returncode == 0, ran.stderr
    assert "→" in json.loads(ran.stdout.splitlines()[-1])["pairs"][0]["name"]


def test_variables_stand_for_options(monkeypatch):
    monkeypatch.setenv("DIPTYCH_DATA", "here")
    monkeypatch.setenv("DIPTYCH_PRICE", "hf-l4")
    asked = parser().parse_args(["compare", "a fox"])
    assert (asked.data, asked.price) == ("here", "hf-l4")


def test_a_file_of_prompts_may_begin_with_a_byte_order_mark(capsys, tmp_path: Path):
    (tmp_path / "prompts.txt").write_text("a fox\na cat\n", "utf-8-sig")
    said = document(capsys, "sweep", "--prompts-file", "prompts.txt", "--model", "new")
    assert [cell["prompt"] for cell in said["cells"]] == ["a fox", "a cat"]


def test_offline_by_its_variable_reaches_for_no_hub(tmp_path: Path):
    command = [sys.executable, "-m", "pipeline", "download", "z-image", "--data", str(tmp_path)]
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env |= {"DIPTYCH_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ASSETS.parent, env=env)
    assert ran.returncode == 2 and "offline" in ran.stderr and "127.0.0.1" not in ran.stderr
