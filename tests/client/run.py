#!/usr/bin/env python3
"""Uses the API through a client that a public generator makes of its document:
`openapi-python-client` reads the OpenAPI document of a real `gantry serve`, must have
nothing to warn of, and `pipeline.py` registers, runs, reads, lists and cancels with
what it has made.

    GANTRY=target/debug/gantry tests/client/run.py

All that is left is in target/client-test: the generated client, the server's log.

Settings, in the environment:
  GANTRY             the binary (target/debug/gantry)
  PIP_INDEX_URL and others that pip reads: where the generator comes from
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "client-test"

sys.path.append(str(HERE.parent / "testkit"))
import gantry  # noqa: E402

GENERATOR = "openapi-python-client==0.29.1"

# How long the generator, and then the client, may take, in seconds.
WITHIN = 120


def generate(server):
    """Makes the client; answers the folder that it is in."""
    program = gantry.installed(GENERATOR, "openapi-python-client", TARGET)
    document = TARGET / "openapi.json"
    document.write_bytes(server.ask("/api/openapi.json"))
    made = TARGET / "client"
    shutil.rmtree(made, ignore_errors=True)
    command = [
        program, "generate", "--path", document, "--output-path", made,
        "--config", HERE / "generator.yaml", "--fail-on-warning",
    ]
    subprocess.run(command, check=True, timeout=WITHIN)
    return program.parent / "python", made


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    failed = None
    with gantry.Server(TARGET) as server:
        try:
            python, made = generate(server)
            command = [python, "-B", HERE / "pipeline.py", server.url]
            subprocess.run(
                command, env={"PYTHONPATH": str(made), "GANTRY_TOKEN": server.token},
                check=True, timeout=WITHIN,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            failed = f"a generated client does not work: {error}"
    for line in server.wrong + [failed] * bool(failed):
        print(f"error: {line}", file=sys.stderr)
    return 1 if failed or server.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
