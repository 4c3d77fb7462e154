"""The method of picamera2's example MJPEG server on another camera: one encoder, a condition, a thread for each viewer.

    python peer_picamera2_method.py PORT SOURCE        (opencv-python-headless)

The example encodes each frame once with a JPEG encoder, hands it to all handlers through a condition, and every handler
writes it to its viewer. It does not classify.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from http import server

import cv2


class Output:
    def __init__(self) -> None:
        self.frame = b""
        self.condition = threading.Condition()

    def write(self, frame: bytes) -> None:
        with self.condition:
            self.frame = frame
            self.condition.notify_all()


OUTPUT = Output()


class Handler(server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        if self.path != "/stream.mjpg":
            self.end_headers()
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=FRAME")
        self.end_headers()
        try:
            while True:
                with OUTPUT.condition:
                    OUTPUT.condition.wait()
                    frame = OUTPUT.frame
                self.wfile.write(b"--FRAME\r\n")
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(len(frame)))
                self.end_headers()
                self.wfile.write(frame)
                self.wfile.write(b"\r\n")
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, server.HTTPServer):
    allow_reuse_address = True
    daemon_threads = True


def capture(source: str) -> None:
    stream = cv2.VideoCapture(source, cv2.CAP_FFMPEG)
    while True:
        good, frame = stream.read()
        if not good:
            stream = cv2.VideoCapture(source, cv2.CAP_FFMPEG)
            continue
        OUTPUT.write(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


if __name__ == "__main__":
    threading.Thread(target=capture, args=(sys.argv[2],), daemon=True).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
