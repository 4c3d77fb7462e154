"""Clients that post one picture again and again: a process of its own, only the standard library.

    python load.py PORT PATH SECONDS CLIENTS FILE

Prints how many answers of 200 came within the time, and how many others.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from pathlib import Path


def client(port: int, path: str, body: bytes, end: float, counts: list[int], lock: threading.Lock) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    good = other = 0
    while time.monotonic() < end:
        try:
            connection.request("POST", path, body, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            other += 1
            connection.close()
            time.sleep(0.05)
            continue
        if time.monotonic() > end:
            break  # begun within the time, ended after it: no round gets these
        if answer.status == 200:
            good += 1
        else:
            other += 1
            time.sleep(0.05)
    with lock:
        counts[0] += good
        counts[1] += other


def main() -> None:
    port, path, seconds, clients, file = sys.argv[1:]
    body = Path(file).read_bytes()
    counts, lock = [0, 0], threading.Lock()
    end = time.monotonic() + float(seconds)
    threads = [
        threading.Thread(target=client, args=(int(port), path, body, end, counts, lock)) for _ in range(int(clients))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*counts)


if __name__ == "__main__":
    main()
