"""A stand-in for the Hub on loopback: what huggingface_hub asks of it to list and fetch a model's files; and faults.

Answers as huggingface.co does, by the headers that the library reads: file lists at a commit, large files by a redirect
to another host, Range, gated and missing repositories. Xet is never offered, so the library takes plain HTTP. Point a
process at it with :meth:`Hub.environment`: the library reads its settings once, when it is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
REPO = "someone/tiny"
CARD = """
[models.tiny]
name = "Tiny"
summary = "A few thousand weights."
repo = "someone/tiny"
revision = "{revision}"
licence = "MIT"
pipeline = "StableDiffusionPipeline"
steps = {{ default = 2, min = 1, max = 9 }}
guidance = {{ default = 1.0, min = 1.0, max = 9.0 }}
size = {{ default = 32, min = 16, max = 64, multiple = 8 }}
negative_prompt = true
weight_bytes = 100000
reference_seconds_per_evaluation = 0.1
reference_device = "a guess"
"""
"""A model of ``REPO`` as a file of the user's own has it; ``revision`` is to be filled in."""
LARGE = ".safetensors"
"""Kept apart from the small ones and given out by another host, as large files are."""
SIGNATURE = "Signature=sig-of-the-other-host"
PIECE = 1024


@dataclass
class Repo:
    """Commits of one repository, oldest first; ``main`` is the last. ``gated``: whether its files want a token that
    has access; its list of files is open to all, as on the Hub."""

    commits: dict[str, Path]
    gated: bool = False


@dataclass
class Faults:
    """What goes wrong, by file name; each is asked anew for every request."""

    cut: dict[str, tuple[int, int]] = field(default_factory=dict)
    """File -> (bytes until the connection is closed, how many times)."""
    slow: dict[str, float] = field(default_factory=dict)
    """File -> seconds before every piece of 1 kB."""
    missing: set[str] = field(default_factory=set)
    """In the list and not there."""
    forbidden: bool = False
    """Files are refused to a token whose owner could have them, as to a fine-grained one; the list is not."""
    status: int | None = None
    """Every answer is this one, whatever is asked."""


class Hub:
    """``asked`` holds (method, path, Range) of every request for a file's content, ``tokens`` who was shown which."""

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.valid: dict[str, bool] = {}
        """Known token -> whether it has access to gated repositories."""
        self.faults = Faults()
        self.asked: list[tuple[str, str, str | None]] = []
        self.tokens: set[tuple[str, str]] = set()
        """(host, authorization)."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def add(self, repo: str, *folders: Path, gated: bool = False) -> list[str]:
        """A repository with one commit a folder; returns the commits."""
        commits = {hashlib.sha1(f"{repo} {number}".encode()).hexdigest(): f for number, f in enumerate(folders)}
        self.repos[repo] = Repo(commits, gated)
        return list(commits)

    def fetched(self, ending: str = "") -> list[str]:
        """Names of the files whose content was asked for, in order."""
        return [path.rpartition("/")[2] for method, path, _ in self.asked if method == "GET" and path.endswith(ending)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Of a process that takes this for the Hub and keeps everything below ``home``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        folders = {"HF_HOME": "hf", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
        apart = {name: str(home / folder) for name, folder in folders.items()}
        here = {"HF_ENDPOINT": self.endpoint, "NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DOWNLOAD_TIMEOUT": "5"}
        return {**kept, **apart, **here, **more}

    @contextmanager
    def running(self) -> Iterator[Hub]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """``localhost`` plays the host of large files, 127.0.0.1 the Hub."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path, host = unquote(address.path), self.headers["Host"].partition(":")[0]
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        self.hub.tokens.add((host, token))
        if self.hub.faults.status:
            self._refuse(self.hub.faults.status, None, "out of order")
        elif token and token not in self.hub.valid:
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif found := API.fullmatch(path):
            self._list(**found.groupdict(), token=token)
        elif found := FILE.fullmatch(path):
            self._file(**found.groupdict(), token=token, elsewhere=host == "localhost" and SIGNATURE in address.query)
        else:
            self._refuse(404, None, "no such page")

    def _commit(self, repo: str, revision: str | None, token: str) -> tuple[str, Path] | None:
        found = self.hub.repos.get(repo)
        if found is None:  # the Hub does not tell a stranger whether a repository is private or not there
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
            return None
        commit = list(found.commits)[-1] if revision in (None, "main") else revision
        if commit not in found.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit, found.commits[commit]

    def _list(self, repo: str, revision: str | None, token: str) -> None:
        if found := self._commit(repo, revision, token):
            commit, folder = found
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            siblings = [{"rfilename": f.relative_to(folder).as_posix(), "size": f.stat().st_size} for f in files]
            said = {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "private": False, "tags": []}
            self._send(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _file(self, repo: str, revision: str, file: str, token: str, elsewhere: bool) -> None:
        found = self._commit(repo, revision, token)
        if not found:
            return
        commit, folder = found
        headers, path, name = {"X-Repo-Commit": commit}, folder / file, Path(file).name
        if self.hub.repos[repo].gated and not elsewhere and not self.hub.valid.get(token):
            message = f"Access to model {repo} is restricted."
            self._refuse(403 if token else 401, "GatedRepo", message, headers)
        elif self.hub.faults.forbidden:
            self._refuse(403, None, "Please enable access to public gated repositories in your token's settings")
        elif not path.is_file() or name in self.hub.faults.missing:
            self._refuse(404, "EntryNotFound", "Entry not found", headers)
        else:
            content = path.read_bytes()
            headers |= {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
            if file.endswith(LARGE) and not elsewhere:
                large = {"X-Linked-Size": str(len(content)), "X-Linked-ETag": headers["ETag"]}
                large["Location"] = f"http://localhost:{self.hub.port}{urlsplit(self.path).path}?{SIGNATURE}"
                self._send(302, b"", headers | large)
            else:
                self._content(content, name, headers)

    def _content(self, content: bytes, name: str, headers: dict[str, str]) -> None:
        wanted = self.headers["Range"]
        self.hub.asked.append((self.command, urlsplit(self.path).path, wanted))
        first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if first:
            headers |= {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        self._send(206 if first else 200, content[first:], headers, name)

    def _refuse(self, status: int, code: str | None, message: str, more: dict[str, str] | None = None) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(more or {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str], name: str = "") -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        faults = self.hub.faults
        until, times = faults.cut.get(name, (len(content), 0))
        if times:
            faults.cut[name] = (until, times - 1)
        for start in range(0, min(until, len(content)) if times else len(content), PIECE):
            time.sleep(faults.slow.get(name, 0))
            try:
                self.wfile.write(content[start : min(start + PIECE, until) if times else start + PIECE])
            except OSError:  # whoever asked has gone
                break
        if times:
            self.close_connection = True
