#!/usr/bin/env python3
"""Uploads with a public client of the tus protocol, `tuspy`, through a line that is cut
at many places: each upload goes on where it was cut, and the server has the file.

    GANTRY=target/debug/gantry tests/client/uploads.py

Settings: those of run.py.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "client-test"

sys.path.append(str(HERE.parent / "testkit"))
import gantry  # noqa: E402

CLIENT = "tuspy==1.1.0"

# Size of the files, of the parts in which they are sent, and the places at which the
# line is cut, counted in bytes that went to the server.
BYTES = 300_000
PART = 100_000
CUTS = [0, 1, 100, 400, 700, 5_000, 100_000, 101_500, 180_000, 260_000, 300_900]

# How long all of it may take, in seconds.
WITHIN = 240


class Line:
    """A line to the server that is cut once, after so many bytes."""

    def __init__(self, url, cut):
        host, port = url.removeprefix("http://").split(":")
        self.to, self.left = (host, int(port)), cut
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.to)
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source, target, is_cut):
        try:
            while data := source.recv(4096):
                if is_cut and self.left is not None:
                    data, self.left = data[: self.left], self.left - len(data)
                    if self.left <= 0:
                        self.left = None
                        target.sendall(data)
                        break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def client_of(url):
    from tusclient import client

    token = os.environ["GANTRY_TOKEN"]
    return client.TusClient(url + "/api/v1/uploads", headers={"Authorization": f"Bearer {token}"})


def uploaded(url, path, cut, checksum):
    """Sends a file through a line that is cut; returns how often it had to go on."""
    line, begun, again = Line(url, cut), None, 0
    while True:
        try:
            uploader = client_of(line.url).uploader(
                str(path), chunk_size=PART, url=begun, metadata={"filename": path.name},
                upload_checksum=checksum,
            )
            if begun is None:
                uploader.set_url(uploader.create_url())
                uploader.offset = 0
            begun = uploader.url
            uploader.upload()
            return again
        except Exception as error:
            again += 1
            if again > 3:
                raise SystemExit(f"error: cut at {cut}: it does not go on: {error!r}")


def fetched(url, digest):
    request = urllib.request.Request(
        f"{url}/api/v1/files/sha256:{digest}",
        headers={"Authorization": f"Bearer {os.environ['GANTRY_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def upload_all(url):
    for number, cut in enumerate([None, *CUTS]):
        for checksum in (False, True):
            content = os.urandom(BYTES)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"take {number}.mov"
                path.write_bytes(content)
                again = uploaded(url, path, cut, checksum)
            if fetched(url, hashlib.sha256(content).hexdigest()) != content:
                raise SystemExit(f"error: cut at {cut}: another file came")
            print(json.dumps({"cut": cut, "checksum": checksum, "went on": again}), flush=True)


def main():
    if len(sys.argv) == 2:
        return upload_all(sys.argv[1])
    failed = None
    python = gantry.installed(CLIENT, "python", TARGET)
    with gantry.Server(TARGET) as server:
        command = [python, "-B", Path(__file__), server.url]
        try:
            subprocess.run(
                command, env=os.environ | {"GANTRY_TOKEN": server.token}, check=True,
                timeout=WITHIN,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            failed = f"a public client can't send files: {error}"
    for line in server.wrong + [failed] * bool(failed):
        print(f"error: {line}", file=sys.stderr)
    return 1 if failed or server.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
