"""Viewers: a process of its own that opens streams and counts what arrives.

    python watch.py PORT SECONDS MJPEG-PATH MJPEG-VIEWERS SOCKETS SOCKETS-WITH-PICTURES

Prints the JPEGs and the states that arrived within the time, all viewers together.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time

START = b"\xff\xd8\xff"


async def mjpeg(port: int, path: str, begin: float, end: float) -> int:
    """JPEGs that arrived between `begin` and `end`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    count, tail = 0, b""
    while (now := time.monotonic()) < end:
        try:
            chunk = await asyncio.wait_for(reader.read(65536), end - now)
        except TimeoutError:
            break
        if not chunk:
            break
        text = tail + chunk
        if time.monotonic() >= begin:
            count += text.count(START)
        tail = text[-2:]
    writer.close()
    return count


async def socket(port: int, pictures: bool, begin: float, end: float) -> int:
    """States that arrived between `begin` and `end`."""
    from websockets.asyncio.client import connect

    count = 0
    address = f"ws://127.0.0.1:{port}/api/live" + ("?picture=640" if pictures else "")
    async with connect(address, max_size=2**24, compression=None, proxy=None) as connection:
        with contextlib.suppress(TimeoutError):
            while (now := time.monotonic()) < end:
                message = await asyncio.wait_for(connection.recv(), end - now)
                if isinstance(message, str):
                    count += time.monotonic() >= begin
                else:
                    length = int.from_bytes(message[:4], "big")
                    sequence = json.loads(message[4 : 4 + length])["sequence"]
                    await connection.send(json.dumps({"type": "ack", "sequence": sequence}))
    return count


async def main() -> None:
    port, seconds, path, streams, sockets, with_pictures = sys.argv[1:]
    begin = time.monotonic() + 1.5  # connecting is not measured
    end = begin + float(seconds)
    watching = [mjpeg(int(port), path, begin, end) for _ in range(int(streams))]
    talking = [socket(int(port), index < int(with_pictures), begin, end) for index in range(int(sockets))]
    counts = await asyncio.gather(*watching, *talking)
    print(sum(counts[: int(streams)]), sum(counts[int(streams) :]))


if __name__ == "__main__":
    asyncio.run(main())
