#!/usr/bin/env python3
"""Fuzzes the HTTP API: `schemathesis` reads the OpenAPI document of a real
`gantry serve` and sends what it allows and what it forbids. No answer may be a
5xx, and each must be one that the document knows: status, type, schema, headers.

    GANTRY=target/debug/gantry tests/fuzz_api/run.py [arguments of schemathesis]

The server has a folder of its own, SQLite, a free port, and a queue of a few
executions; one script, `cat`, is registered before. It is ended by its process
id, its containers with it. All that is left is in target/fuzz-api.

Settings, in the environment:
  GANTRY             the binary (target/debug/gantry)
  FUZZ_API_SECONDS   how long requests are made, at most (120)
  FUZZ_API_SEED      where chance begins; printed, so that a run can be repeated (1)
  FUZZ_API_EXAMPLES  requests for each operation and phase, at most (40)
  PIP_INDEX_URL and others that pip reads: where schemathesis comes from
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SCHEMATHESIS = "schemathesis==4.32.5"

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "fuzz-api"

# Time for the server to begin and to end, in seconds.
BEGIN_WITHIN = 60
END_WITHIN = 60

# How long one answer may take, in seconds: an execution has ended by then.
ANSWER_WITHIN = 30

# What comes before the first request and after the last one, in seconds.
AROUND = 120


def schemathesis():
    """The program, installed once for each version."""
    folder = TARGET / SCHEMATHESIS.replace("==", "-")
    program = folder / "bin" / "schemathesis"
    if not (folder / "complete").exists():
        print(f"installing {SCHEMATHESIS} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "pip", "install", "--quiet", SCHEMATHESIS]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return program


def serve(folder, token):
    """A server, and the file that it says its address in."""
    settings = {
        "GANTRY_ADMIN_TOKEN": token,
        "GANTRY_DATA_DIR": str(folder / "data"),
        "GANTRY_DATABASE_URL": "",
        "GANTRY_MAX_CONCURRENT": "2",
        "GANTRY_QUEUE_LIMIT": "8",
        "GANTRY_STOP_TIMEOUT": "5s",
        "GANTRY_SCRIPT_ROOTS": "",
        "GANTRY_MOUNT_ROOTS": "",
        # Requirements that are made up are looked for nowhere.
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    binary = Path(os.environ.get("GANTRY", "target/debug/gantry")).resolve()
    said = open(folder / "serve.out", "w")
    log = open(TARGET / "serve.log", "w")
    return subprocess.Popen(
        [binary, "serve", "--listen", "127.0.0.1:0"],
        env=os.environ | settings, stdout=said, stderr=log, stdin=subprocess.DEVNULL,
    )


def address(server, folder):
    """Where the server listens."""
    until = time.monotonic() + BEGIN_WITHIN
    while time.monotonic() < until and server.poll() is None:
        for line in (folder / "serve.out").read_text().splitlines():
            if line.startswith("listening on "):
                return line.removeprefix("listening on ")
        time.sleep(0.05)
    sys.exit(f"error: the server did not begin; {TARGET}/serve.log says why")


def call(url, token, path, body):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def stop(server, folder):
    """Ends the server; answers what is wrong with how it ended."""
    server.terminate()
    try:
        code = server.wait(END_WITHIN)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        return [f"the server did not end within {END_WITHIN} s"]
    wrong = [] if code == 0 else [f"the server ended with {code}"]
    wrong += [f"the server panicked: {line}" for line in panics()]
    installation = (folder / "data" / "installation").read_text().strip()
    label = f"label=gantry.installation={installation}"
    containers = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", label],
        capture_output=True, text=True, check=True,
    )
    left = containers.stdout.split()
    return wrong + [f"containers were left: {' '.join(left)}"] * bool(left)


def panics():
    log = (TARGET / "serve.log").read_text(errors="replace")
    return [line for line in log.splitlines() if "panicked" in line][:5]


def fuzz(program, url, fuzzer, arguments):
    seconds = os.environ.get("FUZZ_API_SECONDS", "120")
    seed = os.environ.get("FUZZ_API_SEED", "1")
    examples = os.environ.get("FUZZ_API_EXAMPLES", "40")
    print(f"seed {seed}, at most {examples} requests for each operation and phase, "
          f"at most {seconds} s", flush=True)
    command = [
        program, "--config-file", HERE / "schemathesis.toml", "run", f"{url}/api/openapi.json",
        "--header", f"Authorization: Bearer {fuzzer['token']}", "--seed", seed,
        "--max-examples", examples, "--max-time", seconds,
        "--request-timeout", str(ANSWER_WITHIN), "--no-color", *arguments,
    ]
    settings = {
        "FUZZ_API_TOKEN_ID": str(fuzzer["id"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
    }
    # Its own measures do not bound one that hangs.
    try:
        return subprocess.run(
            command, cwd=TARGET, env=os.environ | settings, timeout=int(seconds) + AROUND
        ).returncode
    except subprocess.TimeoutExpired:
        return f"schemathesis did not end within {int(seconds) + AROUND} s"


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    program = schemathesis()
    root = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="data-", dir=TARGET) as folder:
        folder = Path(folder)
        server = serve(folder, root)
        try:
            url = address(server, folder)
            cat = {"name": "cat", "script_type": "shell", "source": "cat\n", "timeout_secs": 5}
            call(url, root, "/api/v1/admin/scripts", cat)
            fuzzer = {"name": "fuzzer", "role": "admin"}
            fuzzer = call(url, root, "/api/v1/admin/tokens", fuzzer)
            failed = fuzz(program, url, fuzzer, sys.argv[1:])
        finally:
            wrong = stop(server, folder)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if failed:
        print(f"error: {failed if isinstance(failed, str) else 'the API is not as it says'}",
              file=sys.stderr)
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
