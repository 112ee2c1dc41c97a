#!/usr/bin/env python3
"""Fuzzes the HTTP API: `schemathesis` reads the OpenAPI document of a real
`gantry serve` and sends what it allows and what it forbids. No answer may be a
5xx, and each must be one that the document knows: status, type, schema, headers.

    GANTRY=target/debug/gantry tests/fuzz_api/run.py [arguments of schemathesis]

The server is tests/testkit/gantry.py's; one script, `cat`, is registered before. All
that is left is in target/fuzz-api.

Settings, in the environment:
  GANTRY             the binary (target/debug/gantry)
  FUZZ_API_SECONDS   how long requests are made, at most (120)
  FUZZ_API_SEED      where chance begins; printed, so that a run can be repeated (1)
  FUZZ_API_EXAMPLES  requests for each operation and phase, at most (40)
  PIP_INDEX_URL and others that pip reads: where schemathesis comes from
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "fuzz-api"

sys.path.append(str(HERE.parent / "testkit"))
import gantry  # noqa: E402

SCHEMATHESIS = "schemathesis==4.32.5"

# How long one answer may take, in seconds: an execution has ended by then.
ANSWER_WITHIN = 30

# What comes before the first request and after the last one, in seconds.
AROUND = 120


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
    program = gantry.installed(SCHEMATHESIS, "schemathesis", TARGET)
    with gantry.Server(TARGET) as server:
        cat = {"name": "cat", "script_type": "shell", "source": "cat\n", "timeout_secs": 5}
        server.post("/api/v1/admin/scripts", cat)
        fuzzer = server.post("/api/v1/admin/tokens", {"name": "fuzzer", "role": "admin"})
        failed = fuzz(program, server.url, fuzzer, sys.argv[1:])
    for line in server.wrong:
        print(f"error: {line}", file=sys.stderr)
    if failed:
        print(f"error: {failed if isinstance(failed, str) else 'the API is not as it says'}",
              file=sys.stderr)
    return 1 if failed or server.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
