"""A web application with nothing but the standard library: counts visits in Redis.

Usage: counter.py PORT REDIS_PORT. It needs no trioresource: to the cluster it is a program.
"""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class Counter(BaseHTTPRequestHandler):
    redis_port: ClassVar[int]

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

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so named there
        """Not a line for each visit."""


if __name__ == "__main__":
    Counter.redis_port = int(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Counter).serve_forever()
