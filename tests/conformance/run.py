#!/usr/bin/env python3
"""Compares what CPython's own tests find in a sandbox with what they find in a plain,
hardened container of the same image: the tests of the image's own version, in an
interpreter that is started for them (cold), in one that has waited for them (warm), and
by `docker run` with the engine's own seccomp profile (plain).

    GANTRY=target/debug/gantry tests/conformance/run.py [module …]

Without modules it runs those in `modules`. A test that differs is run a second time in
all three; what then agrees in one of its runs is chance. Each difference needs a line in
`reasons.tsv`; none is allowed between cold and warm. The table is left in
target/conformance/table.md. It is an error if a difference has no reason.

Settings, in the environment:
  GANTRY               the binary (target/debug/gantry)
  CONFORMANCE_SECONDS  how long a module may take (900)
"""

import fnmatch
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "conformance"
SECONDS = int(os.environ.get("CONFORMANCE_SECONDS", "900"))

# Debian's package of the tests, by the interpreter's version.
TESTS = "libpython{}-testsuite"

# What both kinds of containers have.
MEMORY = 2 << 30
PIDS = 512
SCRATCH = 512 << 20

# Time for the server to begin and to end, in seconds.
BEGIN_WITHIN = 60
END_WITHIN = 60

# Times that an unused sandbox is waited for, a second each.
PATIENCE = 60

# Times that a module is run until it has found an interpreter that waited.
ATTEMPTS = 5

WAYS = ("plain", "cold", "warm")


class Server:
    """A `gantry serve` of its own."""

    def __init__(self, folder, pool_size):
        self.token = secrets.token_hex(32)
        settings = {
            "GANTRY_ADMIN_TOKEN": self.token,
            "GANTRY_DATA_DIR": str(folder / "data"),
            "GANTRY_DATABASE_URL": "",
            "GANTRY_POOL_SIZE": str(pool_size),
            "GANTRY_SCRIPT_ROOTS": "",
            "GANTRY_MOUNT_ROOTS": "",
        }
        binary = Path(os.environ.get("GANTRY", "target/debug/gantry")).resolve()
        self.said = folder / "serve.out"
        with open(self.said, "w") as said, open(TARGET / "serve.log", "a") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--listen", "127.0.0.1:0"],
                env=os.environ | settings, stdout=said, stderr=log, stdin=subprocess.DEVNULL,
            )
        self.url = self.address()

    def address(self):
        until = time.monotonic() + BEGIN_WITHIN
        while time.monotonic() < until and self.process.poll() is None:
            for line in self.said.read_text().splitlines():
                if line.startswith("listening on "):
                    return line.removeprefix("listening on ")
            time.sleep(0.05)
        sys.exit(f"error: the server did not begin; {TARGET}/serve.log says why")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(END_WITHIN)

    def ask(self, path, body=None, **headers):
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS + 600) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            sys.exit(f"error: {path}: {error.read().decode(errors='replace')}")

    def register(self, packages):
        self.ask("/api/v1/admin/scripts", {
            "name": "conformance",
            "script_type": "python",
            "source": (HERE / "suite.py").read_text(),
            "system_packages": packages,
            "timeout_secs": SECONDS,
            "limits": {
                "cpus": 2, "memory_bytes": MEMORY, "pids": PIDS, "scratch_bytes": SCRATCH,
            },
            "warm": 1,
        })

    def run(self, arguments, script="conformance"):
        body = {"script": script, "input": {}, "args": arguments}
        execution = json.loads(self.ask("/api/v1/executions", body))
        while execution["status"] in ("pending", "running"):
            time.sleep(0.2)
            execution = json.loads(self.ask(f"/api/v1/executions/{execution['id']}"))
        return execution

    def wait_for_unused(self):
        for _ in range(PATIENCE):
            if json.loads(self.ask("/readyz"))["pool"]["unused"]:
                return
            time.sleep(1)

    def outcomes(self, module, is_warm):
        """What became of a module's tests, in a sandbox of this kind."""
        for _ in range(ATTEMPTS):
            if is_warm:
                self.wait_for_unused()
            execution = self.run([module])
            sandbox = execution["sandbox"] or {}
            if not is_warm or sandbox.get("preloaded"):
                break
        else:
            sys.exit(f"error: nothing was imported ahead: {sandbox.get('preload_reason')}")
        names = [it["name"] for it in execution["artifacts"] or []]
        if "outcomes" not in names:
            said = execution["error_message"] or execution["stderr_log"][-500:]
            return {module: ("failed", f"no outcomes: {said}")}
        return parsed(self.ask(f"/api/v1/executions/{execution['id']}/artifacts/outcomes"))


def plain(image, module):
    """The same in a container that is as hard as `docker run` makes one, and in which
    what was written may be executed."""
    name = f"gantry-conformance-{secrets.token_hex(6)}"
    places = {"/work": "uid=65534,gid=65534,mode=0755", "/tmp": "mode=1777"}
    options = f"rw,exec,nosuid,nodev,size={SCRATCH}"
    variables = {
        "HOME": "/work", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "EXECUTION_ID": "plain", "SCRIPT_NAME": "conformance",
    }
    command = [
        "docker", "run", "--rm", "--init", "--interactive", f"--name={name}", "--read-only",
        "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--user=65534:65534", "--workdir=/work", f"--memory={MEMORY}", f"--pids-limit={PIDS}",
        f"--volume={HERE / 'suite.py'}:/run/gantry/suite.py:ro",
        *(f"--tmpfs={place}:{options},{owner}" for place, owner in places.items()),
        *(f"--env={key}={value}" for key, value in variables.items()), "--entrypoint=/bin/sh",
        image, "-c", f"python3 /run/gantry/suite.py {module} > log 2>&1; cat out/outcomes",
    ]
    try:
        ran = subprocess.run(command, input=b"{}", capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=True)
        return {module: ("failed", f"no end within {SECONDS} s")}
    return parsed(ran.stdout)


def parsed(lines):
    """Of each test, whether it passed, and why it did not. What failed once has failed."""
    outcomes = {}
    for line in lines.decode(errors="replace").splitlines():
        told = json.loads(line)
        if outcomes.get(told["test"], ("",))[0] != "failed":
            outcomes[told["test"]] = (told["outcome"], told["reason"])
    return outcomes


def compare(seen):
    """The tests that never had the same outcome in all ways, with what they had."""
    tests = sorted({test for way in WAYS for run in seen[way] for test in run})
    missing = ("missing", "")
    for test in tests:
        had = {way: [run.get(test, missing) for run in seen[way]] for way in WAYS}
        kinds = {way: {outcome for outcome, _ in had[way]} for way in WAYS}
        if not kinds["plain"] & kinds["cold"] & kinds["warm"]:
            yield test, had, not kinds["cold"] & kinds["warm"]


def reasons():
    """Patterns of tests with why they differ."""
    lines = (HERE / "reasons.tsv").read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def table(rows, counted):
    yield f"# CPython's own tests in a sandbox\n\n{counted}\n"
    yield "| test | plain | cold | warm | why |\n|---|---|---|---|---|"
    for test, had, why in rows:
        cells = [" / ".join(sorted({outcome for outcome, _ in had[way]})) for way in WAYS]
        last = had["cold"][-1][1] or had["plain"][-1][1]
        why = why or f"**no reason is known**: {last}".replace("|", "\\|").replace("\n", " ")
        yield f"| `{test}` | {' | '.join(cells)} | {why} |"


def versions(server):
    """The version of the image's interpreter, as its package is called."""
    body = {
        "name": "version", "script_type": "python",
        "source": "import sys\nprint('\"%d.%d\"' % sys.version_info[:2])",
    }
    server.ask("/api/v1/admin/scripts", body)
    return server.run([], "version")["output_data"]


def run_all(folder, modules):
    seen = {module: {way: [] for way in WAYS} for module in modules}

    def go(server, way, modules, image=None):
        for module in modules:
            begun = time.monotonic()
            if way == "plain":
                outcomes = plain(image, module)
            else:
                outcomes = server.outcomes(module, way == "warm")
            seen[module][way].append(outcomes)
            took = time.monotonic() - begun
            print(f"{way} {module}: {len(outcomes)} outcomes, {took:.0f} s", flush=True)

    again = modules
    for attempt in range(2):
        with Server(folder, 0) as server:
            if attempt == 0:
                server.register([TESTS.format(versions(server))])
            image = server.run(["test_eof"])["sandbox"]["image"]
            go(server, "cold", again)
        with Server(folder, 2) as server:
            go(server, "warm", again)
        go(None, "plain", again, image)
        again = [module for module in modules if any(compare(seen[module]))]
        if not again:
            break
    return seen


def main():
    modules = sys.argv[1:] or (HERE / "modules").read_text().split()
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        seen = run_all(Path(folder), modules)
    known, rows, wrong = reasons(), [], 0
    for module in modules:
        for test, had, is_between in compare(seen[module]):
            why = [reason for pattern, reason in known if fnmatch.fnmatchcase(test, pattern)]
            wrong += is_between or not why
            rows.append((test, had, None if is_between or not why else why[0]))
    passed = {way: sum(
        outcome == "passed" for module in modules for outcome, _ in seen[module][way][0].values()
    ) for way in WAYS}
    counted = f"{len(modules)} modules; passed: " + ", ".join(f"{passed[it]} {it}" for it in WAYS)
    lines = "\n".join(table(rows, f"{counted}. {len(rows)} differ, {wrong} without a reason."))
    (TARGET / "table.md").write_text(lines + "\n")
    print(lines)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
