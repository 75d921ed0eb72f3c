"""Models of the Hub through the command line, against a stand-in on loopback: fetched, run, cut off, gone on with,
refused; every failure one sentence, and no token anywhere."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import download, imagefile
from pipeline.__main__ import main
from pipeline.cards import ASSETS
from pipeline.errors import Cancelled
from tests.clip import write_clip
from tests.hub import CARD, REPO, Faults, Hub

TOKEN = "hf_MARKERmarkerMARKERmarker"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def checkpoints(checkpoint) -> list[Path]:
    """Two commits of one repository: the same model with other weights."""
    return [checkpoint("StableDiffusionPipeline", seed) for seed in (0, 1)]


@pytest.fixture
def hub(checkpoints) -> Iterator[Hub]:
    with Hub().running() as hub:
        hub.commits = hub.add(REPO, *checkpoints)
        hub.add("someone/gated", checkpoints[1], gated=True)
        hub.valid = {TOKEN: True, "hf_stranger": False}
        yield hub


DRAWN = ("generate", "a red apple", "--seed", "7", "--steps", "2", "--width", "32", "--height", "32", "--json")


def document(out: str) -> dict:
    """What --json has on the last line."""
    return json.loads(out.splitlines()[-1])


class Shell:
    """Runs commands in a folder of its own, and looks that nothing of a token is left in it."""

    def __init__(self, hub: Hub, folder: Path, heard: pytest.CaptureFixture):
        self.hub, self.folder, self.heard = hub, folder, heard

    def start(self, *words: str, stderr: int = subprocess.PIPE, **more: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "pipeline", *words]
        environment = self.hub.environment(self.folder, PYTHONPATH=str(ASSETS.parent), **more)
        pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
        # Whoever runs the tests in the background has them ignore what Ctrl-C sends, and this would inherit it.
        heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        return subprocess.Popen(command, cwd=self.folder, env=environment, **pipes, **heard)

    def run(self, *words: str, status: int = 0, **more: str) -> tuple[str, str]:
        """What it said on stdout and stderr."""
        with self.start(*words, **more) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == status, (out, err)
        assert "Traceback" not in out + err
        for token in filter(None, [more.get("HF_TOKEN")]):
            files = [path for path in self.folder.rglob("*") if path.is_file()]
            assert token not in out + err and not [p for p in files if token.encode() in p.read_bytes()]
        return out, err

    def refused(self, *words: str, **more: str) -> str:
        """The one sentence of a command that failed."""
        _, err = self.run(*words, status=2, **more)
        assert err.count("\n") == 1, err
        return err.rstrip("\n")

    def picture(self, *words: str, **more: str) -> np.ndarray:
        out, err = self.run(*DRAWN, *words, **more)
        assert err == ""
        return np.asarray(imagefile.read(self.folder / document(out)["image"])[0])

    def here(self, *words: str) -> str:
        """What a command that needs no Hub says, run in this process, which has imported everything long ago."""
        assert main([*words, "--data", str(self.folder / "data")]) == 0
        return self.heard.readouterr().out

    def picture_here(self, folder: Path) -> np.ndarray:
        """What the model in a folder draws."""
        said = document(self.here(*DRAWN, "--model", str(folder), "--out", str(self.folder)))
        return np.asarray(imagefile.read(Path(said["image"]))[0])

    def left_over(self) -> list[Path]:
        """Parts of files that were not fetched to the end."""
        return list((self.folder / "hf").rglob("*.incomplete"))


@pytest.fixture
def shell(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture) -> Shell:
    return Shell(hub, tmp_path, capsys)


def test_a_bare_id_is_fetched_and_makes_the_pictures_of_its_folder(hub, shell, checkpoints):
    sentence = shell.refused("generate", "a red apple", "--model", REPO)
    assert sentence == f"{REPO} is not on this machine yet; fetch it with: python -m pipeline download {REPO}"
    out, err = shell.run("download", REPO, "--json", HF_TOKEN=TOKEN)
    said = document(out)
    assert said["bytes"] == said["fetched_bytes"] > 0 and err == "" and shell.left_over() == []
    assert ("127.0.0.1", TOKEN) in hub.tokens and ("localhost", TOKEN) not in hub.tokens
    there = len(hub.fetched())
    assert document(shell.run("download", REPO, "--json")[0])["fetched_bytes"] == 0
    assert len(hub.fetched()) == there
    made = shell.picture("--model", REPO, HF_TOKEN=TOKEN)
    assert np.array_equal(made, shell.picture_here(checkpoints[1]))
    assert not [path for path in shell.folder.rglob("*") if path.suffix in (".py", ".bin", ".ckpt")]


def test_a_pinned_revision_is_the_one_that_is_fetched_and_run(hub, shell, checkpoints):
    (shell.folder / "my.toml").write_text(CARD.format(revision=hub.commits[0]))
    mine = ("--model-file", "my.toml")
    sentence = shell.refused("generate", "a red apple", "--model", "tiny", *mine)
    assert "Tiny is not on this machine yet" in sentence and sentence.endswith("python -m pipeline download tiny")
    shell.run("download", "tiny", *mine)
    assert {path.split("/")[4] for _, path, _ in hub.asked} == {hub.commits[0]}
    pinned = shell.picture("--model", f"{REPO}@{hub.commits[0]}")
    assert np.array_equal(pinned, shell.picture_here(checkpoints[0]))
    shell.run("compare", "a fox", "--pair", "tiny:tiny", *mine, "--report", "report.html", HF_TOKEN=TOKEN)
    assert hub.commits[0][:12] in (shell.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "faults", "token", "sentence"),
    [
        ("someone/gated", {}, "", "someone/gated is gated: accept its terms at {page}someone/gated, set HF_TOKEN to"),
        ("someone/gated", {}, "hf_stranger", "someone/gated is gated: accept its terms at"),
        ("someone/gated", {}, "hf_wrong", "The Hub refuses someone/gated: accept its terms at"),
        ("someone/none", {}, "", "someone/none is not on the Hub as someone/none, or is private; correct the name"),
        ("someone/none", {}, TOKEN, "someone/none is not on the Hub as someone/none, or is private; correct the name"),
        (f"{REPO}@{'0' * 40}", {}, "", "someone/tiny has no such revision on the Hub any more; correct the revision"),
        (REPO, {"missing": {"vocab.json", WEIGHTS}}, "", "someone/tiny lacks a file on the Hub that it needs; see"),
        (REPO, {"status": 403}, TOKEN, "The Hub refuses someone/tiny: accept its terms at"),
        (REPO, {"forbidden": True}, TOKEN, "The Hub refuses someone/tiny: accept its terms at"),
        (REPO, {"status": 500}, "", "The download of someone/tiny broke off (status 500); check the network and try"),
        ("nonsense", {}, "", "model must be one of"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence_and_the_next_one_works(hub, shell, words, faults, token, sentence):
    hub.faults = Faults(**faults)
    said = shell.refused("download", words, HF_TOKEN=token)
    assert said.startswith(sentence.format(page=f"{hub.endpoint}/")), said
    assert shell.left_over() == []
    if faults:
        hub.faults = Faults()
        shell.run("download", REPO, HF_TOKEN=token)


def test_accepted_terms_open_a_gated_repository(hub, shell):
    shell.run("download", "someone/gated", HF_TOKEN=TOKEN)
    assert WEIGHTS in hub.fetched()


def test_no_hub_at_all_and_no_network_wanted_are_said(shell):
    said = shell.refused("download", REPO, HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("The download of someone/tiny broke off (ConnectError); check the network and try again")
    said = shell.refused("download", REPO, HF_HUB_OFFLINE="1")
    assert said.startswith("someone/tiny cannot be fetched while HF_HUB_OFFLINE is set")


def test_a_file_that_is_cut_off_is_asked_for_again(hub, shell, checkpoints):
    hub.faults.cut = {WEIGHTS: (5000, 1)}
    _, err = shell.run("download", REPO, HF_TOKEN=TOKEN)
    assert err == "" and shell.left_over() == []
    (weights,) = (shell.folder / "hf").rglob(f"unet/{WEIGHTS}")
    assert weights.read_bytes() == (checkpoints[1] / "unet" / WEIGHTS).read_bytes()


def test_a_connection_that_stays_down_is_one_sentence_and_whole_files_are_kept(hub, shell):
    hub.faults.cut = {WEIGHTS: (0, 99)}
    said = shell.refused("download", REPO, HF_TOKEN=TOKEN)
    assert said.startswith("The download of someone/tiny broke off (RemoteProtocolError); check the network")
    assert "Signature" not in said and shell.left_over() == []
    assert "is not on this machine yet" in shell.refused("generate", "a fox", "--model", REPO)
    whole = set(hub.fetched()) - {WEIGHTS}
    hub.faults, hub.asked = Faults(), []
    shell.run("download", REPO)
    assert not whole & set(hub.fetched()) and WEIGHTS in hub.fetched()


def test_a_slow_one_tells_how_far_it_is_is_stopped_and_goes_on_with_that_file(hub, shell):
    hub.faults.slow = {WEIGHTS: 0.2}
    ours, theirs = pty.openpty()
    process = shell.start("download", REPO, stderr=theirs, HF_TOKEN=TOKEN)
    said: list[bytes] = []

    def read() -> None:
        """All the while, as a terminal does: one that is full holds up whoever writes to it."""
        with suppress(OSError):  # which is how the end is told
            while piece := os.read(ours, 1 << 12):
                said.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 60
    while WEIGHTS not in hub.fetched():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    os.close(theirs)
    reader.join()
    os.close(ours)
    told = b"".join(said).decode()
    assert process.returncode == 130 and "Stopped." in told and "Traceback" not in told and TOKEN not in told
    assert re.search(rf" of 40\d kB (unet|vae)/{WEIGHTS}", told)
    assert shell.left_over() == []
    whole = set(hub.fetched()) - {WEIGHTS}
    hub.faults, hub.asked = Faults(), []
    shell.run("download", REPO)
    assert not whole & set(hub.fetched()) and WEIGHTS in hub.fetched()
    assert shell.picture("--model", REPO).std() > 1


def test_a_damaged_file_is_one_sentence(hub, shell):
    shell.run("download", REPO)
    (weights, *_) = (shell.folder / "hf").rglob(f"unet/{WEIGHTS}")
    weights.resolve().write_bytes(weights.read_bytes()[:1000])
    said = shell.refused("generate", "a fox", "--model", REPO, HF_TOKEN=TOKEN)
    assert said.startswith("tiny could not be loaded from someone/tiny") and str(shell.folder) not in said


PROGRESS = """
import json, threading
from huggingface_hub import constants
from pipeline import download
constants.DOWNLOAD_CHUNK_SIZE = 1000  # of a file: its own 10 MB are more than these have
plan, told = download.plan_repo("someone/tiny", None), []
download.fetch(plan, lambda *said: told.append(said), threading.Event())
print(json.dumps({"told": told, "total": plan.total_bytes}))
"""


def test_progress_only_grows_and_a_cut_file_goes_on_where_it_was_cut(hub, shell):
    hub.faults.cut = {WEIGHTS: (3500, 1)}
    environment = hub.environment(shell.folder)
    command = [sys.executable, "-c", PROGRESS]
    ran = subprocess.run(command, cwd=ASSETS.parent, env=environment, capture_output=True, text=True, timeout=60)
    said = json.loads(ran.stdout)
    done = [done for done, _, _ in said["told"]]
    assert done == sorted(done) and done[0] == 0 and said["told"][-1] == [said["total"], said["total"], ""]
    assert {total for _, total, _ in said["told"]} == {said["total"]} and ran.stderr == ""
    assert len(set(done)) > 100 and [wanted for _, _, wanted in hub.asked if wanted] == ["bytes=3000-"]


def test_what_xet_fetches_is_counted_once():
    from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

    wanted = download.Wanted(REPO, "main", WEIGHTS, 100, False)
    plan, told, stop = download.Plan("tiny", (wanted,), Path()), [], threading.Event()
    counter = download._counter(plan, wanted, 7, lambda *said: told.append(said), stop)
    report = {"total_bytes": 100, "total_bytes_completion_rate": 1.0, "total_transfer_bytes_completion_rate": 1.0}
    with XetDownloadProgressReporter(reconstruction_desc="", total=100, log_level=30, tqdm_class=counter) as bars:
        for arrived, whole in ((40, 0), (80, 40), (100, 100)):
            done = {"total_bytes_completed": whole, "total_transfer_bytes_completed": arrived}
            bars.update_progress(SimpleNamespace(**report, **done))
        assert [done for done, _, _ in told] == [47, 107]
        stop.set()
        with pytest.raises(Cancelled, match="The download of tiny was stopped"):
            bars.reconstruction_bar.update_transfer(1)


def test_a_full_disk_is_said():
    said = download._sentence("Tiny", REPO, OSError(28, "No space left on device"))
    assert said.startswith("The disk is full; make room in ") and said.endswith("and fetch Tiny again.")


def test_a_tiny_vae_for_previews_comes_along_and_is_not_missed(hub, shell, tmp_path):
    import diffusers

    own = CARD.format(revision=hub.commits[0]) + 'preview_vae = { repo = "someone/tinyvae" }\n'
    (shell.folder / "my.toml").write_text(own)
    mine = ("--model-file", "my.toml", "--json")
    fetched = document(shell.run("download", "tiny", *mine)[0])["bytes"]
    shell.picture("--model", "tiny", "--model-file", "my.toml")
    small = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    tiny = diffusers.AutoencoderTiny(**small, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    tiny.save_pretrained(tmp_path / "tinyvae")
    (tmp_path / "tinyvae" / "another.safetensors").write_bytes(b"x")
    hub.add("someone/tinyvae", tmp_path / "tinyvae")
    here = len(hub.fetched())
    said = document(shell.run("download", "tiny", *mine)[0])
    assert said["fetched_bytes"] == said["bytes"] - fetched > 0
    assert sorted(hub.fetched()[here:]) == ["config.json", WEIGHTS]


PAIR = """
[pairs.twice]
name = "Tiny twice"
question = "Is it the same?"
predecessor = { model = "tiny" }
efficient = { model = "tiny", steps = 1 }
same_path = true
"""


def test_a_pair_is_fetched_in_one_go(hub, shell):
    (shell.folder / "my.toml").write_text(CARD.format(revision=hub.commits[0]) + PAIR)
    mine = ("--model-file", "my.toml", "--json")
    said = document(shell.run("download", "--pair", "twice", *mine)[0])
    assert said["pair"] == "twice" and said["bytes"] == said["fetched_bytes"] > 0
    assert sum(name == "model_index.json" for name in hub.fetched()) == 1
    sentence = "Name a model or a --pair to download, and not both; python -m pipeline models lists them."
    for words in ((), ("tiny", "--pair", "twice")):
        assert shell.refused("download", *words, *mine).endswith(sentence)
    assert shell.refused("download", "--pair", "bundled").startswith("Diptych 128 needs no download")


def test_a_judge_is_fetched_and_gives_its_folders_scores(hub, shell, tmp_path):
    folder = write_clip(tmp_path / "clip")
    (folder / "pytorch_model.bin").write_bytes(b"never taken")
    (folder / "nested").mkdir()
    (folder / "nested/model.safetensors").write_bytes(b"another's")
    [commit] = hub.add("someone/clip", folder)
    (shell.folder / "my.toml").write_text(
        f'[judges.tiny]\nname = "Tiny judge"\nrepo = "someone/clip"\nrevision = "{commit}"\n'
    )
    mine = ("--model-file", "my.toml", "--data", "data")
    asked = ("--model", "diptych-128-efficient", "--steps", "2,3", "--out", str(shell.folder))
    drawn = shell.here("sweep", "a fox", *asked)
    entry = drawn.partition("kept as ")[2].partition(";")[0]
    sentence = shell.refused("judge", entry, "--by", "tiny", *mine)
    assert sentence.startswith("Tiny judge is not on this machine yet; fetch its ")
    shell.run("download", "tiny", *mine)
    assert "nested" not in str(hub.asked) and "pytorch_model.bin" not in hub.fetched()

    def judged(said: dict) -> dict:
        [setting] = said["settings"]
        return {name: setting[name] for name in ("label", "better", "worse", "mean", "gain")}

    fetched, _ = shell.run("judge", entry, "--by", "tiny", "--json", *mine, HF_HUB_OFFLINE="1")
    assert judged(document(fetched)) == judged(document(shell.here("judge", entry, "--by", str(folder), "--json")))
    told = document(shell.run("models", "--json", *mine)[0])["judges"]
    assert {judge["id"]: judge["downloaded"] for judge in told} == {
        "clip-vit-l-14": False, "pickscore-v1": False, "tiny": True,
    }  # fmt: skip


def test_the_app_fetches_what_it_was_asked_to_before_its_page_is_up(hub, shell):
    (shell.folder / "my.toml").write_text(CARD.format(revision=hub.commits[0]) + PAIR)

    def app(*words: str, **more: str) -> tuple[int, str, str]:
        # A port that cannot be had ends it as soon as the page would be up.
        command = [sys.executable, str(ASSETS.parent / "app.py"), "--port", "99999", "--model-file", "my.toml", *words]
        done = subprocess.run(
            command,
            cwd=shell.folder,
            env=hub.environment(shell.folder, **more),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    hub.faults.status = 500
    status, _, err = app("--fetch", "twice")
    assert (status, err.count("\n")) == (2, 1) and "The download of Tiny broke off (status 500)" in err
    hub.faults.status = None
    status, out, err = app(DIPTYCH_FETCH="twice")
    assert "Everything is here." in out and "cannot listen on port 99999" in err
    # There already: nothing is asked of the Hub, so that a restart needs no network.
    hub.faults.status = 500
    status, out, err = app("--fetch", "twice")
    assert out == "" and "cannot listen on port 99999" in err
    assert "pair must be one of" in app("--fetch", "nonsense")[2]
