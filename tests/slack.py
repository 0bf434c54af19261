"""A server that stands for Slack: real HTTP on 127.0.0.1, answers that a test chooses, and a record of all posts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

SECRET = "T0000/B0000/s3cr3tw3bh00k"
TOKEN = "xoxb-s3cr3t-t0k3n"


@dataclass(frozen=True, slots=True)
class Answer:
    """Slack's answer to one post."""

    status: int = 200
    body: str = "ok"
    retry_after: int | None = None


OK_FALSE = Answer(200, '{"ok": false, "error": "channel_not_found"}')
LIMITED = Answer(429, "rate_limited", 1)


def about(message: str) -> str:
    """The run that a message is about: the third word of its headline, after the sign and the tool's name."""
    return message.split()[2].rstrip(":")


@dataclass(slots=True)
class Slack:
    """A local Slack server. It sends ``answers`` in turn, then success; ``posts`` are the posts that it accepted."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    tokens: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def webhook(self) -> str:
        """The URL of an incoming webhook."""
        return f"{self.url}/services/{SECRET}"

    @property
    def api(self) -> str:
        """The URL of the Web API."""
        return f"{self.url}/api/"

    def of_run(self, run_id: str) -> list[str]:
        """The headlines of the messages about a run."""
        headers = [post["blocks"][0]["text"]["text"] for post in self.posts]
        return [header for header in headers if about(header) == run_id]

    def text_of(self, run_id: str) -> str:
        """All text of the only message about a run."""
        (post,) = (post for post in self.posts if about(post["text"]) == run_id)
        return json.dumps(post, ensure_ascii=False)

    def take(self, post: dict[str, Any], token: str) -> Answer:
        """Records a post and returns the answer."""
        with self.lock:
            self.asked += 1
            answer = self.answers.pop(0) if self.answers else Answer()
            if answer == Answer():
                self.posts.append(post)
                self.tokens.add(token)
            return answer


@contextmanager
def slack() -> Iterator[Slack]:
    """Runs a Slack server for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = served.take(_posted(text), self.headers.get("Authorization", "").removeprefix("Bearer "))
            body = answer.body
            if "/api/" in self.path and body == "ok":
                body = '{"ok": true, "ts": "1", "channel": "C1"}'
            self.send_response(answer.status)
            if answer.retry_after is not None:
                self.send_header("Retry-After", str(answer.retry_after))
            self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Slack(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _posted(text: str) -> dict[str, Any]:
    """Parses a post: JSON, or a form whose blocks are JSON."""
    if text.startswith("{"):
        post: dict[str, Any] = json.loads(text)
        return post
    form = {name: values[0] for name, values in parse_qs(text).items()}
    return {**form, "blocks": json.loads(form.get("blocks", "[]"))}
