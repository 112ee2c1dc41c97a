"""Common parts of Python programs that test a real `gantry serve`: a tool from PyPI in
a virtual environment, and a server that ends with nothing left.

The server is the binary that `GANTRY` names (target/debug/gantry). It has a folder of
its own, SQLite, a free port, and a queue of a few executions. It is ended by its
process id, its containers with it.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

BINARY = Path(os.environ.get("GANTRY", "target/debug/gantry")).resolve()

# Time for the server to begin and to end, in seconds.
BEGIN_WITHIN = 60
END_WITHIN = 60


def installed(requirement, program, target):
    """Path of a program of a package, installed once for each version below `target`."""
    folder = target / requirement.replace("==", "-")
    if not (folder / "complete").exists():
        print(f"installing {requirement} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "pip", "install", "--quiet", requirement]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return folder / "bin" / program


class Server:
    """A server, within `with`. `wrong` lists the errors of its end afterwards; `others` are
    settings of its own."""

    def __init__(self, target, **others):
        self.target = target
        self.others = others
        self.log = target / "serve.log"
        self.token = secrets.token_urlsafe(32)
        self.wrong = []

    def __enter__(self):
        self.target.mkdir(parents=True, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(prefix="data-", dir=self.target)
        self.data = Path(self.folder.name) / "data"
        self.output = Path(self.folder.name) / "serve.out"
        settings = {
            "GANTRY_ADMIN_TOKEN": self.token,
            "GANTRY_DATA_DIR": str(self.data),
            "GANTRY_DATABASE_URL": "",
            "GANTRY_MAX_CONCURRENT": "2",
            "GANTRY_QUEUE_LIMIT": "8",
            "GANTRY_STOP_TIMEOUT": "5s",
            "GANTRY_SCRIPT_ROOTS": "",
            "GANTRY_MOUNT_ROOTS": "",
            # Made-up requirements are looked up nowhere.
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        }
        with open(self.output, "w") as output, open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", "127.0.0.1:0"],
                env=os.environ | settings | self.others, stdout=output, stderr=log, stdin=subprocess.DEVNULL,
            )
        try:
            self.url = self._address()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self._stop()

    def ask(self, path, body=None, timeout=60):
        """Asks as the admin, with JSON if there is a body; returns the answer's bytes."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            sys.exit(f"error: {path}: {error.read().decode(errors='replace')}")

    def post(self, path, body):
        """The same; returns the answer's JSON."""
        return json.loads(self.ask(path, body))

    def _address(self):
        until = time.monotonic() + BEGIN_WITHIN
        while time.monotonic() < until and self.process.poll() is None:
            for line in self.output.read_text().splitlines():
                if line.startswith("listening on "):
                    return line.removeprefix("listening on ")
            time.sleep(0.05)
        sys.exit(f"error: the server did not begin; {self.log} says why")

    def _stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(END_WITHIN)
            self.wrong += [f"the server ended with {code}"] * (code != 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.wrong.append(f"the server did not end within {END_WITHIN} s")
        self.wrong += [f"the server panicked: {line}" for line in self._panics()]
        left = self._containers()
        self.wrong += [f"containers were left: {' '.join(left)}"] * bool(left)
        self.folder.cleanup()

    def _panics(self):
        log = self.log.read_text(errors="replace")
        return [line for line in log.splitlines() if "panicked" in line][:5]

    def _containers(self):
        installation = self.data / "installation"
        if not installation.exists():
            return []
        label = f"label=gantry.installation={installation.read_text().strip()}"
        containers = subprocess.run(
            ["docker", "ps", "--all", "--quiet", "--filter", label],
            capture_output=True, text=True, check=True,
        )
        return containers.stdout.split()
