"""A camera of RTSP for tests: H.264 over RTP, in the RTSP connection itself (RFC 2326, 6184)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from lineament.types import Image

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
)


class RtspServer:
    """Plays H.264 to every client, over and over.

    Attributes:
        port: where.
        asked: requests, and whether they came with a password.
    """

    def __init__(self, units: Sequence[Sequence[bytes]], rate: float = 25) -> None:
        """``units``: of each picture its NAL units, without start codes."""
        self.units, self.rate = units, rate
        self.asked: list[str] = []
        self.stopped = threading.Event()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            data = b""
            while not self.stopped.is_set():
                while b"\r\n\r\n" not in data:
                    part = connection.recv(4096)
                    if not part:
                        return
                    data += part
                head, _, data = data.partition(b"\r\n\r\n")
                if self._answer(connection, head.decode()):
                    self._play(connection)
                    return

    def _answer(self, connection: socket.socket, head: str) -> bool:
        method = head.split()[0]
        self.asked.append(head)
        number = next(line.split(":")[1] for line in head.splitlines() if line.startswith("CSeq"))
        more, body = "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = SDP
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n"
        elif method == "SETUP":
            more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            more = "Session: 1\r\n"
        connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq:{number}\r\n{more}\r\n{body}".encode())
        return method == "PLAY"

    def _play(self, connection: socket.socket) -> None:
        sequence = 0
        for number in range(1 << 20):
            if self.stopped.is_set():
                return
            units = self.units[number % len(self.units)]
            for k, unit in enumerate(units):
                last = k == len(units) - 1
                stamp = int(90_000 / self.rate * number)
                head = struct.pack(
                    ">BBHII", 0x80, 96 | (0x80 if last else 0), sequence & 0xFFFF, stamp, 7
                )
                packet = head + unit
                connection.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)
                sequence += 1
            time.sleep(1 / self.rate)

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of a stream with start codes (Annex B)."""
    parts = data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


def h264_units(pictures: Sequence[Image], rate: int = 25) -> list[list[bytes]]:
    """Pictures (H, W, 3) of one size as NAL units, each of which can be seen without the others."""
    av = pytest.importorskip("av")
    context = av.CodecContext.create("libx264", "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, rate)
    context.options = {
        "tune": "zerolatency", "preset": "ultrafast", "g": "1", "x264-params": "repeat-headers=1",
    }  # fmt: skip
    units = []
    for number, pixels in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = number
        units += [nal_units(bytes(packet)) for packet in context.encode(frame)]
    return units
