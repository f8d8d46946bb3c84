"""Small presets in Hugging Face's form, and a hub on the loopback interface that serves them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from safetensors.numpy import save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_preset(folder: Path) -> Path:
    """A folder that looks like a BERT of Hugging Face's: 128 parameters in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "bert", "hidden_size": 8, "vocab_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film"]))
    weights = {"embeddings.weight": np.arange(128, dtype=np.float32).reshape(16, 8)}
    save_file(
        weights | {"embeddings.position_ids": np.arange(8, dtype=np.int64)}, folder / "model.safetensors"
    )
    return folder


def make_keras_hub_preset(folder: Path) -> Path:
    """A folder that looks like a preset of keras-hub's."""
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    config = {"registered_name": "keras_hub>BertBackbone", "class_name": "BertBackbone", "config": {}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "metadata.json").write_text("{}")
    (folder / "assets" / "tokenizer" / "vocabulary.txt").write_text("[PAD]\n[UNK]\n")
    (folder / "model.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    return folder


@contextmanager
def serve(respond: Any) -> Iterator[tuple[str, list[str]]]:
    """Serves on a free loopback port while the block runs.

    Args:
        respond: (method, target, body) → (status, headers, body); the target is the path with its query.

    Yields:
        The server's URL, and the list that the requests' lines are added to.
    """
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(f"{self.command} {self.path}")
            status, headers, answer = respond(self.command, unquote(self.path), body)
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(answer))} | headers).items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = handle_any

        def log_message(self, *arguments: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def build_hugging_face_hub(repository: str, folder: Path) -> Any:
    """What `serve` needs to pose as Hugging Face with one model; `owner/gated` and `owner/broken` answer as named."""

    def respond(method: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        path = urlsplit(target).path
        if "gated" in path:
            return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, b"{}"
        if "broken" in path:
            return 500, {}, b"{}"
        files = {each.relative_to(folder).as_posix(): each for each in folder.rglob("*") if each.is_file()}
        if path in (f"/api/models/{repository}", f"/api/models/{repository}/revision/main"):
            info = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        if path.startswith(f"/api/models/{repository}/revision/"):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if path == f"/api/models/{repository}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": each.stat().st_size, "oid": compute_etag(each)}
                for name, each in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
        name = path.removeprefix(f"/{repository}/resolve/{COMMIT}/")
        if name in files:
            headers = {"ETag": f'"{compute_etag(files[name])}"', "X-Repo-Commit": COMMIT}
            return 200, headers, files[name].read_bytes()
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    return respond


def compute_etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
