"""A pipeline as its author would write it with the generated client: registers a
script, runs it and waits, reads and lists executions, and cancels one. `run.py`
starts it.

    GANTRY_TOKEN=… python3 pipeline.py URL
"""

import os
import sys
import time

from gantry_client import AuthenticatedClient, Client
from gantry_client.api.artifacts import download_artifact, list_artifacts
from gantry_client.api.executions import (
    cancel_execution,
    get_execution,
    list_executions,
    submit_execution,
)
from gantry_client.api.operation import healthz, metrics
from gantry_client.api.scripts import get_script, list_scripts, register_script, test_script
from gantry_client.models import ExecutionRequest, Problem, ScriptInput, TestRequest

# Longest wait for the end of an execution, in seconds.
WAIT = 60

GREET = """\
#!/bin/bash
echo 'greeting' >&2
mkdir -p out && cp /dev/stdin out/input.json
printf '{"greeting": "hello, %s"}\\n' "$1"
"""


def check(name, found, expected):
    """Ends the program unless a result is as expected."""
    if found != expected:
        sys.exit(f"error: {name} is {found!r} and not {expected!r}")
    print(f"{name}: {found!r}")


def wait(client, request):
    """Submits an execution and waits for its end."""
    ended = submit_execution.sync(client=client, body=request, prefer=f"wait={WAIT}")
    if isinstance(ended, Problem):
        sys.exit(f"error: an execution was refused: {ended.detail}")
    return ended


def read_ended(client, execution_id):
    """Reads an execution again and again, until it has ended."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        execution = get_execution.sync(execution_id, client=client)
        if execution.status not in ("pending", "running"):
            return execution
        time.sleep(0.1)
    sys.exit(f"error: execution {execution_id} has not ended within {WAIT} s")


def register(client):
    check("health", healthz.sync(client=client).status, "ok")
    script = ScriptInput(name="greet", script_type="shell", source=GREET, timeout_secs=30.0)
    check("registered", register_script.sync(client=client, body=script).name, "greet")
    check("script", get_script.sync("greet", client=client).source, GREET)
    names = [script.name for script in list_scripts.sync(client=client, search="gree")]
    check("scripts", names, ["greet"])
    again = register_script.sync_detailed(client=client, body=script)
    check("registered again", (again.status_code, again.parsed.status), (409, 409))


def run(client):
    request = ExecutionRequest(script="greet", input_={"n": 1}, args=["Ada"], job_id="job-1")
    ended = wait(client, request)
    check("status", ended.status, "completed")
    check("output", ended.output_data, {"greeting": "hello, Ada"})
    check("stderr", ended.stderr_log, "greeting\n")
    check("token", ended.triggered_by, "admin")
    read = get_execution.sync(ended.id, client=client)
    check("read", (read.id, read.exit_code, read.input_data), (ended.id, 0, {"n": 1}))
    listed = list_executions.sync(client=client, job_id="job-1")
    check("listed", [execution.id for execution in listed], [ended.id])
    artifacts = [artifact.name for artifact in list_artifacts.sync(ended.id, client=client)]
    check("artifacts", artifacts, ["input.json"])
    content = download_artifact.sync_detailed(ended.id, "input.json", client=client).content
    check("artifact", content, b'{"n":1}')
    tested = test_script.sync("greet", client=client, body=TestRequest(args=["Bob"]))
    check("test", tested.parsed_output, {"greeting": "hello, Bob"})


def cancel(client):
    script = ScriptInput(name="sleep", script_type="shell", source="sleep 600\n")
    register_script.sync(client=client, body=script)
    request = ExecutionRequest(script="sleep")
    first = submit_execution.sync(client=client, body=request, idempotency_key="once")
    again = submit_execution.sync(client=client, body=request, idempotency_key="once")
    check("submitted again", again.id, first.id)
    cancelled = cancel_execution.sync(first.id, client=client)
    check("cancelled", cancelled.id, first.id)
    check("status", read_ended(client, first.id).status, "cancelled")
    cancelled = list_executions.sync(client=client, status="cancelled")
    check("list of the cancelled", [execution.id for execution in cancelled], [first.id])


def refuse(url):
    with Client(base_url=url) as stranger:
        refused = list_executions.sync_detailed(client=stranger)
    check("without a token", (refused.status_code, refused.parsed.status), (401, 401))


def main():
    (url,) = sys.argv[1:]
    token = os.environ["GANTRY_TOKEN"]
    with AuthenticatedClient(
        base_url=url, token=token, timeout=2.0 * WAIT, raise_on_unexpected_status=True
    ) as client:
        register(client)
        run(client)
        cancel(client)
        check("metrics", metrics.sync(client=client).endswith("# EOF\n"), True)
    refuse(url)


if __name__ == "__main__":
    main()
