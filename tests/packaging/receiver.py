"""Takes POSTs on 127.0.0.1:PORT for five minutes, and writes a line for each into a file: receiver.py PORT FILE."""

from __future__ import annotations

import http.server
import sys
import threading
from pathlib import Path


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
            file.write(f"{self.path} {self.headers['User-Agent']}\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    threading.Timer(300, server.shutdown).start()
    server.serve_forever()
