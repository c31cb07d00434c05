"""A Hub on this machine: the few addresses that `huggingface_hub` asks for, with commits in memory; not a test."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Files = dict[str, bytes]


class Hub(ThreadingHTTPServer):
    """Repositories by kind and name, each a list of commits."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[tuple[str, str], list[Files]] = {}
        self.private: dict[tuple[str, str], bool] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sha(self, key: tuple[str, str], number: int) -> str:
        return hashlib.sha1(f"{key}{number}".encode()).hexdigest()

    def commit(self, key: tuple[str, str], revision: str) -> tuple[str, Files] | None:
        commits = self.repositories.get(key, [])
        for number, files in reversed(list(enumerate(commits))):
            if revision in ("main", self.sha(key, number)):
                return self.sha(key, number), files
        return None


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self._path()
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            key = (asked.get("type", "model"), name)
            if key in self.server.repositories:
                return self._json({"error": "exists", "url": f"{self.server.url}/{name}"}, 409)
            self.server.repositories[key] = [{".gitattributes": b""}]
            private = asked.get("private") is True or asked.get("visibility") == "private"
            self.server.private[key] = private
            return self._json({"url": f"{self.server.url}/{name}", "name": name, "id": "1"})
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/preupload/[^/]+", path):
            names = [one["path"] for one in json.loads(body)["files"]]
            regular = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self._json({"files": regular})
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/commit/[^/]+", path):
            key = (match[1][:-1], match[2])
            files = dict(self.server.repositories[key][-1])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            self.server.repositories[key].append(files)
            sha = self.server.sha(key, len(self.server.repositories[key]) - 1)
            return self._json(
                {"success": True, "commitOid": sha, "commitUrl": f"{self.server.url}/{key[1]}/commit/{sha}"}
            )
        return self._json({"error": f"no {path}"}, 404)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self._path()
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            found = self.server.commit((match[1][:-1], match[2]), match[3] or "main")
            if found is None:
                return self._missing(match[1][:-1], match[2])
            siblings = [{"rfilename": name} for name in found[1]]
            return self._json(
                {"id": match[2], "sha": found[0], "siblings": siblings, "private": True, "tags": []}
            )
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)/?", path):
            found = self.server.commit((match[1][:-1], match[2]), match[3])
            if found is None:
                return self._missing(match[1][:-1], match[2])
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in found[1].items()
            ]
            return self._json(entries)
        if match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind = "dataset" if match[1] else "model"
            found = self.server.commit((kind, match[2]), match[3])
            if found is None or match[4] not in found[1]:
                return self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return self._file(found[0], found[1][match[4]], body)
        return self._json({"error": f"no {path}"}, 404)

    def _path(self) -> str:
        path = self.path.partition("?")[0].replace("%2F", "/")
        self.server.asked.append(f"{self.command} {path}")
        return path

    def _missing(self, kind: str, name: str) -> None:
        known = (kind, name) in self.server.repositories
        code = "RevisionNotFound" if known else "RepoNotFound"
        self._json({"error": code}, 404, {"X-Error-Code": code})

    def _file(self, sha: str, data: bytes, body: bool) -> None:
        headers = {
            "X-Repo-Commit": sha,
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        self._send(200, "application/octet-stream", data, headers, body)

    def _json(self, value: Any, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(
            code, "application/json", json.dumps(value).encode(), headers or {}, self.command != "HEAD"
        )

    def _send(self, code: int, kind: str, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@contextmanager
def local_hub() -> Iterator[Hub]:
    """A Hub that answers while the body runs."""
    hub = Hub()
    thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
