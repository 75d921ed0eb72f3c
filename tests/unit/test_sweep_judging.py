"""A sweep judged by a network: what is scored, what is kept, how settings stand, and that it takes its turn."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline import sweep_judging as module
from pipeline.cards import JudgeCard
from pipeline.errors import BusyError, Cancelled, InputError
from pipeline.history import History
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.sweep_judging import Judging
from pipeline.sweep_report import drawn, write_sweep_report
from pipeline.sweep_run import Sweeps
from pipeline.sweep_votes import NO_PERSON, standing_claim, standing_document, standing_texts
from pipeline.ui.vote_markup import judge
from tests.clip import write_clip
from tests.fakes import plan_of

CARD = JudgeCard(id="lamp", name="Lamp", path="/nowhere/lamp", puts_first="the brighter picture", note="It sees light.")
PRICE = load_prices().profile("36")


class Lamp:
    """Says how bright a picture is."""

    made: list[Lamp] = []  # noqa: RUF012

    def __init__(self, card: JudgeCard):
        self.card, self.mark, self.asked = card, "1", []
        self.made.append(self)

    def score(self, image, prompt: str) -> float:
        self.asked.append(prompt)
        return float(np.asarray(image).mean())


@pytest.fixture(autouse=True)
def lamp(monkeypatch):
    monkeypatch.setattr(module, "Judge", Lamp)
    monkeypatch.setattr(module, "locate_judge", lambda card: ("", "1"))
    monkeypatch.setattr(Lamp, "made", [])
    return Lamp


@pytest.fixture
def sweeps(catalog, engine, tmp_path):
    return Sweeps(catalog, engine, History(tmp_path / "history"))


@pytest.fixture
def judging(sweeps):
    return Judging(sweeps)


@pytest.fixture
def swept(sweeps):
    def make(**given: str):
        entry = sweeps.history.get(sweeps.start(plan_of(sweeps.catalog, **given), PRICE))
        list(sweeps.run(entry))
        return sweeps.history.get(entry.id)

    return make


def scores(judging, entry) -> dict[int, float]:
    """What is kept of the lamp's word."""
    heard = judging._best(entry.id).get("lamp")
    return heard.scores if heard else {}


def brightness(sweeps, entry) -> dict[int, float]:
    return {place: float(np.asarray(found.image).mean()) for place, found in sweeps.history.results(entry).items()}


def test_each_picture_is_scored_once_beside_its_reference_and_counted_by_setting(judging, sweeps, swept, lamp):
    entry = swept(models="old, new", prompts="a fox\na cat\na hat\na car\na bus", steps="2")
    assert list(judging.judge(entry, CARD)) == [(0, 10), *((done, 10) for done in range(10)), (10, 10)]
    assert scores(judging, entry) == pytest.approx(brightness(sweeps, entry))
    standing = judging.standing(entry, CARD)
    bright = brightness(sweeps, entry)
    prompts = {place: cell.request.prompt for place, cell in sweeps.history.results(entry).items()}
    models = {place: cell.request.model for place, cell in sweeps.history.results(entry).items()}
    old = {prompts[place]: bright[place] for place in bright if models[place] == "old"}
    new = {prompts[place]: bright[place] for place in bright if models[place] == "new"}
    [setting] = standing.settings
    assert standing.reference.label == "Old" and setting.label == "New"
    assert setting.tally.candidate == sum(new[prompt] > old[prompt] for prompt in old)
    assert setting.tally.baseline == sum(new[prompt] < old[prompt] for prompt in old)
    assert setting.mean == pytest.approx(np.mean(list(new.values())))
    assert standing.reference.mean == pytest.approx(np.mean(list(old.values())))
    assert setting.gain == pytest.approx(setting.mean - standing.reference.mean)

    assert list(judging.judge(entry, CARD)) == [(10, 10)]  # nothing is left, and no judge is loaded for it
    assert len(lamp.made) == 1 and sorted(lamp.made[0].asked) == sorted([*old, *new])


def test_what_is_said_counts_pictures_not_votes_and_says_whose_word_it_is(judging, swept, lamp, monkeypatch):
    monkeypatch.setattr(lamp, "score", lambda self, image, prompt: float(len(self.asked.append(prompt) or self.asked)))
    entry = swept(models="old, new", prompts="\n".join(f"a thing {i}" for i in range(10)), steps="2")
    list(judging.judge(entry, CARD))
    standing = judging.standing(entry, CARD)
    said = standing_texts(standing)
    assert standing_claim(standing) == "By Lamp: 1 setting preferred to the reference"
    assert said["Judge"] == "Lamp (folder lamp), 10 pictures"
    assert said["New"].startswith("score 100 % (72 % to 100 %), of 10 pictures: 10 better, 0 as good, 0 worse; mean ")
    assert "it puts first the brighter picture" in said["How it was judged"]
    assert NO_PERSON in said["How it was judged"]
    assert said["How it was judged"].endswith("It sees light.") and "vote" not in said["New"]
    document = standing_document(standing)
    assert document["settings"][0]["better"] == 10 and document["settings"][0]["score"]["low"] > 0.7
    assert document["reference"]["label"] == "Old" and document["reference"]["gain"] is None


def test_the_same_picture_is_as_good(judging, swept, lamp, monkeypatch):
    monkeypatch.setattr(lamp, "score", lambda self, image, prompt: 20.0)
    entry = swept(steps="2, 4")
    list(judging.judge(entry, CARD))
    [setting] = judging.standing(entry, CARD).settings
    assert (setting.tally.tie, setting.tally.score.share, setting.gain) == (1, 0.5, 0.0)


def test_stop_keeps_what_is_done_and_the_next_time_goes_on_there(judging, swept, lamp):
    entry = swept(steps="1, 2, 3, 4")
    stop = threading.Event()
    with pytest.raises(Cancelled, match="What is done stays"):
        for done, _ in judging.judge(entry, CARD, stop):
            if done == 2:
                stop.set()
    assert len(scores(judging, entry)) == 2
    assert list(judging.judge(entry, CARD)) == [(2, 4), (2, 4), (3, 4), (4, 4)]
    assert [len(each.asked) for each in lamp.made] == [2, 2]


def test_what_other_weights_said_is_not_mixed_in_and_counts_once_it_is_whole(judging, swept, monkeypatch):
    entry = swept(steps="1, 2")
    list(judging.judge(entry, CARD))
    first = scores(judging, entry)
    monkeypatch.setattr(module, "locate_judge", lambda card: ("", "2"))
    monkeypatch.setattr(Lamp, "score", lambda self, image, prompt: 7.0)
    events = judging.judge(entry, CARD)
    assert [next(events) for _ in range(3)] == [(0, 2), (0, 2), (1, 2)]  # one of two is scored anew
    events.close()
    assert scores(judging, entry) == first and judging.standing(entry, CARD).settings[0].tally.scored == 1
    list(judging.judge(entry, CARD))
    assert set(scores(judging, entry).values()) == {7.0} and len(first) == 2
    assert [card.id for card in judging.judges(entry.id)] == ["lamp"]
    by_first = judging.standing(entry, CARD, "1")  # put back: never the others' numbers under its name
    assert by_first.settings[0].mean == first[0] and judging.standing(entry, CARD, "3") is None
    with judging._history.transaction() as database:
        database.execute("UPDATE judges SET card = '{}' WHERE mark = '2'")  # as another version might keep it
    assert scores(judging, entry) == first


def test_it_takes_its_turn_in_the_line_and_a_run_its_own_between_two_pictures(judging, swept, engine, requests, lamp):
    entry = swept(steps="1, 2, 3")
    ticket = engine.line.join()
    events = judging.judge(entry, CARD)
    assert next(events) == (0, 3)
    waiting = threading.Thread(target=next, args=(events,))
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive() and not lamp.made  # not even loaded while somebody draws
    ticket.leave()
    waiting.join(10)
    assert len(lamp.made) == 1 and len(engine.line) == 0
    list(engine.run(requests[:1]))  # while the judging is under way
    assert [done for done, _ in events] == [1, 2, 3]


def test_a_fault_gives_the_place_back_and_the_next_one_can_judge(judging, swept, engine, lamp, monkeypatch):
    entry = swept(steps="1, 2")
    with monkeypatch.context() as broken:
        broken.setattr(lamp, "score", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(judging.judge(entry, CARD))
    assert len(engine.line) == 0
    engine.line.max_waiting = 0
    ticket = engine.line.join()
    with pytest.raises(BusyError, match="already waiting"):
        list(judging.judge(entry, CARD))
    ticket.leave()
    assert list(judging.judge(entry, CARD))[-1] == (2, 2)


def test_one_at_a_time_since_a_judge_takes_gigabytes(judging, swept, lamp):
    entry, other = swept(steps="1, 2"), swept(steps="2, 3")
    events = judging.judge(entry, CARD)
    assert [next(events), next(events)] == [(0, 2), (0, 2)]
    for again in (entry, other):
        with pytest.raises(BusyError, match="A sweep is being judged already"):
            list(judging.judge(again, CARD))
    events.close()  # its reader has gone
    list(judging.judge(other, CARD))
    list(judging.judge(entry, CARD))
    assert len(scores(judging, entry)) == len(scores(judging, other)) == 2


def test_a_lost_picture_is_left_out_and_told(judging, swept, sweeps):
    entry = swept(models="old, new", prompts="a fox\na cat\na hat", steps="2")
    entry.files[0].unlink()  # so its prompt has no reference any more
    entry.files[4].write_bytes(b"no picture")
    assert list(judging.judge(entry, CARD))[-1] == (3, 4)
    assert sorted(scores(judging, entry)) == [1, 2, 5]
    standing = judging.standing(entry, CARD)
    assert standing.settings[0].tally.scored == 1
    assert standing.reference.mean == scores(judging, entry)[2]  # of what stands beside something only


def test_a_setting_of_which_nothing_was_judged_has_no_score_and_costs_nothing_else(judging, swept, sweeps, tmp_path):
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    entry = swept(steps="1, 2, 3")
    entry.files[0].write_bytes(b"no picture")
    list(judging.judge(entry, CARD))
    lost, judged = judging.standing(entry, CARD).settings
    assert (lost.mean, lost.gain, lost.tally.score) == (None, None, None) and judged.mean is not None
    assert "nothing said" in drawn(playground, entry, "judge")
    write_sweep_report(tmp_path / "report.html", playground, entry)
    assert standing_document(judging.standing(entry, CARD))["settings"][0]["mean"] is None


def test_what_cannot_be_judged_is_one_sentence(judging, swept, sweeps, lamp, monkeypatch):
    with pytest.raises(InputError, match="Nothing can be judged yet"):
        list(judging.judge(swept(seeds="1, 2"), CARD))
    entry = swept(steps="1, 2")
    events = judging.judge(entry, CARD)
    assert [next(events), next(events)] == [(0, 2), (0, 2)]
    sweeps.history.delete(entry.id)
    with pytest.raises(InputError):
        list(events)
    entry = swept(steps="1, 2")
    monkeypatch.setattr(lamp, "score", lambda *_: sweeps.history.delete(entry.id) or 1.0)
    with pytest.raises(InputError, match="deleted from the history"):
        list(judging.judge(entry, CARD))


def test_what_was_said_goes_with_the_sweep(judging, swept, sweeps):
    entry = swept(steps="1, 2")
    list(judging.judge(entry, CARD))
    assert [card.id for card in judging.judges(entry.id)] == ["lamp"]
    sweeps.history.delete(entry.id)
    assert judging.judges(entry.id) == [] and scores(judging, entry) == {}


def test_plot_table_and_report_tell_of_people_and_judges_apart(catalog, engine, tmp_path, lamp):
    playground = Playground(catalog, load_prices(), engine, tmp_path)
    entry = playground.history.get(
        playground.sweeps.start(plan_of(catalog, models="old, new", prompts="a fox\na cat", steps="2"), PRICE)
    )
    list(playground.sweeps.run(entry))
    entry = playground.history.get(entry.id)
    for wanted in (None, "folder:gone"):
        with pytest.raises(InputError, match=r"^No such network has judged this sweep yet"):
            drawn(playground, entry, "judge", judge=wanted)
    list(playground.judging.judge(entry, CARD))
    shown = drawn(playground, entry, "judge")
    assert 'aria-label="Time against Lamp"' in shown and NO_PERSON in shown and "It sees light." in shown
    assert '<th scope="col">Pictures</th>' in shown and "to the reference’s" in shown
    write_sweep_report(tmp_path / "report.html", playground, entry)
    text = (tmp_path / "report.html").read_text()
    assert "<h3>Lamp (folder lamp)</h3>" in text and "How it was judged" in text and "How it was asked" not in text


def test_a_sweep_of_a_model_that_the_catalogue_has_no_more_is_reported_without_what_was_judged(
    catalog, engine, tmp_path, lamp
):
    playground = Playground(catalog, load_prices(), engine, tmp_path)
    plan = plan_of(catalog, models="old, new", prompts="a fox\na cat", steps="2")
    entry = playground.history.get(playground.sweeps.start(plan, PRICE))
    list(playground.sweeps.run(entry))
    entry = playground.history.get(entry.id)
    list(playground.judging.judge(entry, CARD))
    assert len(list(playground.judging.standings(entry))) == 1
    models = {id: card for id, card in catalog.models.items() if id != "new"}
    later = Playground(catalog.model_copy(update={"models": models}), playground.prices, engine, tmp_path)
    assert list(later.judging.standings(entry)) == [] and later.judging.standing(entry, CARD) is None
    write_sweep_report(tmp_path / "report.html", later, entry)
    text = (tmp_path / "report.html").read_text()
    assert "a fox" in text and "Lamp" not in text


def test_a_comparison_at_the_same_settings_is_told_what_the_judge_found(judging, swept, sweeps, catalog):
    entry = swept(models="old, new", prompts="a fox\na cat", steps="2")
    lanes = [{"model": "old", "steps": 2, "guidance": 3.0}, {"model": "new", "steps": 2, "guidance": 1.0}]
    document = {"width": 32, "height": 32, "lanes": lanes}
    assert list(judging.of_settings([entry], document)) == []
    list(judging.judge(entry, CARD))
    [(card, tally)] = judging.of_settings([entry, entry], document)
    assert card.id == "lamp" and tally == judging.standing(entry, CARD).settings[0].tally
    said = judge(CARD, tally)
    assert said.startswith(
        "Lamp, a network that puts first the brighter picture, says of the efficient model’s at these"
    )
    assert ": 2 pictures: " in said and " so a score of " in said
    for other in (
        {**document, "width": 64},
        {**document, "lanes": [{**lanes[0], "steps": 3}, lanes[1]]},
        {**document, "lanes": [lanes[0], {**lanes[1], "switches": ["fp8-weights"]}]},
        {**document, "lanes": lanes[::-1]},
    ):
        assert list(judging.of_settings([entry], other)) == []
    without = swept(models="old, new", prompts="a fox\na cat", steps="2", negative_prompt=" rain ")
    list(judging.judge(without, CARD))
    assert list(judging.of_settings([without], document)) == []
    rainy = {**document, "negative_prompt": "rain"}
    assert list(judging.of_settings([entry], rainy)) == []
    [(_, of_rain)] = judging.of_settings([entry, without], rainy)
    assert of_rain == judging.standing(without, CARD).settings[0].tally
    assert list(judging.of_settings([without], {**document, "negative_prompt": "snow"})) == []
    gone = replace(
        entry, document={**entry.document, "values": {**entry.document["values"], "models": ["old", "gone"]}}
    )
    assert [card.id for card, _ in judging.of_settings([gone, entry], document)] == ["lamp"]


def test_a_real_network_judges_from_the_command_line(tmp_path, capsys, monkeypatch):
    """The bundled pair's own pictures by a CLIP of random weights: what it says is chance, that it says it is not."""
    import json

    from pipeline.__main__ import main
    from pipeline.judges import Judge
    from pipeline.weights import locate_judge

    monkeypatch.setattr(module, "Judge", Judge)
    monkeypatch.setattr(module, "locate_judge", locate_judge)
    folder, data = str(write_clip(tmp_path / "tiny-clip")), ["--data", str(tmp_path / "data"), "--json"]
    assert main(["sweep", "--prompts-file", _prompts(tmp_path), "--pair", "bundled", "--seed", "1",
                 "--out", str(tmp_path / "out"), *data]) == 0  # fmt: skip
    out = capsys.readouterr().out
    entry = out.partition("kept as ")[2].partition(";")[0]
    report = tmp_path / "judged.html"
    assert main(["judge", entry, "--by", folder, "--report", str(report), *data]) == 0
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    [setting] = document["settings"]
    assert document["sweep"] == entry and document["judge"]["id"] == "folder:tiny-clip" and folder not in lines[-1]
    assert setting["label"] == "Diptych 128 Efficient" and setting["better"] + setting["worse"] == 2
    assert any(line.startswith("Verdict: By tiny-clip: 1 setting too close to call") for line in lines)
    assert "tiny-clip" in report.read_text() and str(tmp_path) not in report.read_text()
    assert main(["sweep", "--resume", entry, "--judge", folder, "--out", str(tmp_path / "out"), *data]) == 0
    out = capsys.readouterr().out
    assert {"settings": json.loads(out.splitlines()[-1])["judged"]["settings"]} == {"settings": [setting]}
    assert main(["sweep", "a fox", "--pair", "bundled", "--judge", "pickscore-v1", *data]) == 2
    told = capsys.readouterr()
    one = ["--model", "diptych-128-efficient", "--judge", folder, *data]
    assert main(["sweep", "a fox", *one]) == 2
    refused = capsys.readouterr()
    assert "nothing to judge in this sweep" in refused.err and "kept as" not in refused.out
    assert "PickScore v1 is not on this machine yet" in told.err and "kept as" not in told.out
    assert main(["judge", entry, *data]) == 2
    assert "CLIP ViT-L/14 is not on this machine yet" in capsys.readouterr().err
    assert main(["judge", "nothing", "--by", folder, *data]) == 2


def _prompts(folder) -> str:
    path = folder / "prompts.txt"
    path.write_text("a fox\na red apple\n")
    return str(path)
