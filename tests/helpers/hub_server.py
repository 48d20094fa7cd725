"""A hub on this machine: the few routes that huggingface_hub asks to find, fetch and push a model.

It answers from memory, and misbehaves where it is told to.
"""

import contextlib
import hashlib
import json
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

SMALL_FILE = 200
"""Bytes from which on a file is stored by its SHA-256, as large files are."""


class Repository:
    """Files by commit, and what branches and tags stand for."""

    def __init__(self, files, card=None, private=False):
        self.commits, self.refs, self.card, self.private = {}, {}, card, private
        self.push(files)

    def push(self, files, branch="main"):
        """Make a commit."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[commit], self.refs[branch] = dict(files), commit
        return commit

    def commit(self, revision):
        """Return the commit that a revision stands for, or None."""
        return self.refs.get(revision, revision if revision in self.commits else None)


class Hub(ThreadingHTTPServer):
    """The server. ``trouble`` is None, ``down`` (503), ``silent`` (no answer), or what it does to
    large files: ``cut`` (it breaks off after half), ``short`` (it has only half), ``other``
    (other bytes of the same size), ``etag`` (their ETag is a path), ``slow`` (a byte at a time),
    ``xet`` (offered through Xet, too) or ``endless`` (weights of a hundred times the size);
    ``asked`` holds each method and path."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos, self.asked, self.trouble, self.uploaded = {}, [], None, {}
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, "/".join(path)))
        if self.server.trouble == "down":
            return self._send(503, b"the hub is down")
        if self.server.trouble == "silent":
            return self.server.ended.wait()
        if path[:2] == ["api", "models"]:
            return self._api("/".join(path[2:4]), path[4:])
        if path[:3] == ["api", "repos", "create"]:
            return self._create()
        if path == ["api", "validate-yaml"]:
            return self._json({"errors": [], "warnings": []})
        if path[0] == "upload":
            self.server.uploaded[path[1]] = self.body
            return self._send(200)
        if path[1].endswith(".git"):
            return self._batch()
        if path[2:3] == ["resolve"]:
            return self._resolve("/".join(path[:2]), path[3], "/".join(path[4:]))
        return self._send(404)

    def _send(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value, status=200):
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _repo(self, name):
        repo = self.server.repos.get(name)
        if repo is None:
            self._send(404, headers={"X-Error-Code": "RepoNotFound"})
        elif repo.card == "gated":
            self._send(403, headers={"X-Error-Code": "GatedRepo"})
            return None
        return repo

    def _api(self, name, rest):
        repo = self._repo(name)
        if repo is None:
            return None
        if rest[:1] == ["preupload"]:
            files = [
                {
                    "path": one["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if one["size"] >= SMALL_FILE else "regular",
                }
                for one in json.loads(self.body)["files"]
            ]
            return self._json({"files": files})
        if rest[:1] == ["commit"]:
            return self._commit(name, repo, rest[1])
        if rest[:1] == ["branch"]:
            repo.refs.setdefault(rest[1], repo.refs["main"])
            return self._json({})
        commit = repo.commit(rest[1] if rest else "main")
        if commit is None:
            return self._send(404, headers={"X-Error-Code": "RevisionNotFound"})
        if rest[:1] == ["tree"]:
            return self._json([_entry(*file) for file in repo.commits[commit].items()])
        files = [_sibling(path, content) for path, content in repo.commits[commit].items()]
        return self._json(
            {
                "id": name,
                "modelId": name,
                "sha": commit,
                "private": repo.private,
                "siblings": files,
                "cardData": repo.card or _front(repo.commits[commit]),
                "tags": [],
                "downloads": 0,
                "likes": 0,
            }
        )

    def _resolve(self, name, revision, path):
        repo = self._repo(name)
        if repo is None:
            return None
        commit = repo.commit(revision)
        if commit is None:
            return self._send(404, headers={"X-Error-Code": "RevisionNotFound"})
        content = repo.commits[commit].get(path)
        if content is None:
            told = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            return self._send(404, headers=told)
        large = len(content) >= SMALL_FILE
        etag = hashlib.sha256(content).hexdigest() if large else _git(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
        sent = content
        if large and self.server.trouble in ("cut", "short"):
            sent = content[: len(content) // 2]
        if large and self.server.trouble == "short":
            content = sent
        if large and self.server.trouble == "other":
            sent = bytes(byte ^ 1 for byte in content)
        if large and self.server.trouble == "etag":
            headers["ETag"] = '"../../../../evil"'
        if large and self.server.trouble == "xet":
            headers["X-Xet-Hash"] = etag
            headers["X-Xet-Refresh-Route"] = f"{self.server.url}/xet"
        if self.server.trouble == "slow" and self.command == "GET" and large:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while not self.server.ended.wait(0.02):
                    self.wfile.write(b"x")
            return None
        if self.server.trouble == "endless" and self.command == "GET" and len(content) > 1 << 17:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(100 * content)
            return None
        return self._send(200, sent, headers, len(content))

    def _create(self):
        asked = json.loads(self.body)
        name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        if name in self.server.repos:
            return self._json({"url": f"{self.server.url}/{name}"}, 409)
        self.server.repos[name] = Repository({}, private=bool(asked.get("private")))
        return self._json({"url": f"{self.server.url}/{name}"})

    def _batch(self):
        asked = json.loads(self.body)
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {
                    "upload": {"href": f"{self.server.url}/upload/{one['oid']}", "header": {}}
                },
            }
            for one in asked["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, name, repo, branch):
        files = dict(repo.commits[repo.refs[branch]])
        for line in map(json.loads, self.body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self.server.uploaded[value["oid"]]
        commit = repo.push(files, branch)
        self._json({"commitOid": commit, "commitUrl": f"{self.server.url}/{name}/commit/{commit}"})


def _front(files):
    """Return the front matter of the card, as the hub tells it."""
    _, front, _ = (files.get("README.md", b"").decode() + "---\n---\n").split("---\n", 2)
    return yaml.safe_load(front) or {}


def _git(content):
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _sibling(path, content):
    found = {"rfilename": path, "size": len(content), "blobId": _git(content)}
    if len(content) >= SMALL_FILE:
        sha256 = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
    return found


def _entry(path, content):
    found = _sibling(path, content)
    oid = found["lfs"]["sha256"] if "lfs" in found else None
    lfs = {"lfs": {"oid": oid, "size": len(content), "pointerSize": 130}} if oid else {}
    return {"type": "file", "path": path, "size": len(content), "oid": found["blobId"], **lfs}
