"""A web application with nothing but the standard library: counts visits in Redis.

Usage: counter.py PORT REDIS_PORT. It needs no trioresource: to the cluster it is a program.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Counter(BaseHTTPRequestHandler):
    def __init__(self, redis_port: int, *args: object) -> None:
        self.redis_port = redis_port
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        try:
            if self.path == "/health":
                text = self.ask("PING").removeprefix("+")
            else:
                text = f"visit {self.ask('INCR visits').removeprefix(':')}"
        except OSError as error:
            self.send_error(503, "Redis does not answer", str(error))
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())

    def ask(self, command: str) -> str:
        with (
            socket.create_connection(("127.0.0.1", self.redis_port), timeout=2) as connection,
            connection.makefile("r") as answers,
        ):
            connection.sendall(f"{command}\r\n".encode())
            return answers.readline().strip()

    def log_message(self, *args: object) -> None:
        """Not a line for each visit."""


if __name__ == "__main__":
    own_port, redis_port = int(sys.argv[1]), int(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", own_port), partial(Counter, redis_port)).serve_forever()
