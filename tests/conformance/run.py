#!/usr/bin/env python3
"""Compares what CPython's own tests find in a sandbox with what they find in a plain,
hardened container of the same image: the tests of the image's own version, in an
interpreter that is started for them (cold), in one that has waited for them (warm), and
by `docker run` with the engine's own seccomp profile (plain).

    GANTRY=target/debug/gantry tests/conformance/run.py [--again] [--table] [module …]

Without modules it runs those in `modules`. Each difference needs a line in
`reasons.tsv`; none is allowed between cold and warm. A module of which no test passes in
any way needs one, too. A module with a difference that has no reason is run a second time
in all three ways; what then agrees in one of its runs is chance.

Results are kept in target/conformance/results, a file for each module, as soon as they
are there: a run that was interrupted goes on where it was. Those of another binary or
suite are run anew; so is everything with --again. With --table nothing is run, and the
table is made of what is kept, whichever binary it is of. The table is left in
target/conformance/table.md. It is an error if a difference has no reason.

Settings, in the environment:
  GANTRY               the binary (target/debug/gantry)
  CONFORMANCE_SECONDS  how long a module may take (900)
"""

import argparse
import fnmatch
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

sys.path.append(str(HERE.parent / "testkit"))
import gantry  # noqa: E402

TARGET = HERE.parents[1] / "target" / "conformance"
RESULTS = TARGET / "results"
SECONDS = int(os.environ.get("CONFORMANCE_SECONDS", "900"))

# Debian's packages of the tests and of what they use, by the interpreter's version.
PACKAGES = ("libpython{}-testsuite", "python{}-venv")

# What both kinds of containers have.
MEMORY = 2 << 30
PIDS = 512
SCRATCH = 512 << 20

# Times that an unused sandbox is waited for, a second each.
PATIENCE = 60

# Times that a module is run until it has found an interpreter that waited.
ATTEMPTS = 5

WAYS = ("plain", "cold", "warm")

# Runs of a module with a difference.
RUNS = 2

# Characters of what is shown of the end of a module that did not come to its end.
MAX_SAID = 500

# Columns of the table's counts.
COLUMNS = ("passed", "skipped", "failed")

# What is wrong with a module that says nothing.
NONE_PASSED = "no test passed"

# The outcome of a module that hung or died.
NO_END = "no end"

# What unittest calls a module that it could not import.
NOT_LOADED = "unittest.loader._FailedTest."


class Server(gantry.Server):
    """A server that runs the suite, with so many sandboxes in wait."""

    def __init__(self, target, pool_size):
        super().__init__(target, GANTRY_POOL_SIZE=str(pool_size))

    def register(self, packages):
        self.post("/api/v1/admin/scripts", {
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
        execution = self.post("/api/v1/executions", body)
        path = f"/api/v1/executions/{execution['id']}"
        try:
            while execution["status"] in ("pending", "running"):
                time.sleep(0.2)
                execution = json.loads(self.ask(path))
        except SystemExit:
            # A server that ends waits for what it runs.
            self.post(f"{path}/cancel", {})
            raise
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
        lines = b""
        if "outcomes" in [it["name"] for it in execution["artifacts"] or []]:
            lines = self.ask(f"/api/v1/executions/{execution['id']}/artifacts/outcomes")
        said = execution["error_message"] or f"exit code {execution['exit_code']}"
        return parsed(module, lines, f"{said} {execution['stderr_log'][-MAX_SAID:]}")


def plain(image, module):
    """The same in a container that is as hard as `docker run` makes one, and in which
    what was written may be executed. As in every sandbox its loopback has IPv6, and its
    user has a name."""
    name = f"gantry-conformance-{secrets.token_hex(6)}"
    own = "uid=65534,gid=65534,mode=0755"
    places = {"/work": own, "/run/gantry": own, "/tmp": "mode=1777"}
    options = f"rw,exec,nosuid,nodev,size={SCRATCH}"
    variables = {
        "HOME": "/work", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "EXECUTION_ID": "plain", "SCRIPT_NAME": "conformance",
    }
    user = "s|^nobody:.*|nobody:x:65534:65534:nobody:/work:/bin/sh|"
    name_user = f"sed '{user}' /usr/lib/gantry/passwd > /run/gantry/@passwd"
    suite = f"timeout --kill-after=10 {SECONDS} python3 /run/gantry/suite.py {module}"
    command = [
        "docker", "run", "--rm", "--init", "--interactive", f"--name={name}", "--read-only",
        "--network=none", "--sysctl=net.ipv6.conf.all.disable_ipv6=0", "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=65534:65534", "--workdir=/work", f"--memory={MEMORY}", f"--pids-limit={PIDS}",
        f"--volume={HERE / 'suite.py'}:/run/gantry/suite.py:ro",
        *(f"--tmpfs={place}:{options},{owner}" for place, owner in places.items()),
        *(f"--env={key}={value}" for key, value in variables.items()), "--entrypoint=/bin/sh",
        image, "-c",
        f'{name_user}; {suite} > log 2>&1; echo "exit code $?" >&2; tail -c {MAX_SAID} log >&2; '
        "cat out/outcomes",
    ]
    try:
        ran = subprocess.run(command, input=b"{}", capture_output=True, timeout=SECONDS + 60)
    except subprocess.TimeoutExpired:
        return parsed(module, b"", f"no end within {SECONDS} s")
    finally:
        # Gone by itself, but for what hangs, and when this run is ended.
        subprocess.run(["docker", "rm", "--force", name], capture_output=True)
    return parsed(module, ran.stdout, ran.stderr.decode(errors="replace"))


def parsed(module, lines, end):
    """Of each test, whether it passed, and why it did not. What failed once has failed.
    Where the module did not come to its end, its own line says in which test that was."""
    outcomes, last, has_ended = {}, "none", False
    for line in lines.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        test, outcome = told["test"], told["outcome"]
        if outcome == "began":
            last = test
        elif outcome == "ended":
            has_ended = True
        elif outcomes.get(test, ("",))[0] != "failed":
            outcomes[test] = (outcome, told["reason"])
    if not has_ended:
        why = " ".join(end.split())
        outcomes[module] = (NO_END, f"the last test that began is {last}: {why}")
    return outcomes


def compare(module, seen):
    """The tests that never had the same outcome in all ways, and those that hide others
    because nothing was loaded; each with what it had, and what is wrong with it."""
    tests = sorted({test for way in WAYS for run in seen[way] for test in run})
    for test in tests:
        had = {way: [it for run in seen[way] if (it := outcome_of(test, module, run))]
               for way in WAYS}
        kinds = {way: {outcome for outcome, _ in had[way]} for way in WAYS}
        if not all(kinds.values()):
            continue
        if not kinds["cold"] & kinds["warm"]:
            yield test, had, "cold and warm differ"
        elif not kinds["plain"] & kinds["cold"] & kinds["warm"]:
            yield test, had, "plain differs"
        elif test.startswith(NOT_LOADED):
            yield test, had, "it does not load"
        elif NO_END in kinds["plain"]:
            yield test, had, "it has no end in any way"
    if not any(counted("passed", run) for way in WAYS for run in seen[way]):
        had = {way: [(NONE_PASSED, first_reason(run)) for run in seen[way]] for way in WAYS}
        yield module, had, NONE_PASSED


def outcome_of(test, module, run):
    """What a run has of a test. Of one that did not come to its end, nothing is known of
    what is not there: the module's own line says so."""
    has_ended = run.get(module, ("",))[0] != NO_END
    return run.get(test) or (("missing", "") if has_ended else None)


def first_reason(run):
    return next((reason for _, reason in run.values() if reason), "")


def counted(outcome, run):
    return sum(it == outcome for it, _ in run.values())


def reasons():
    """Patterns of tests with why they differ."""
    lines = (HERE / "reasons.tsv").read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def judged(modules):
    """A row for each difference: the test, what it had, and the reason or what is wrong."""
    known = reasons()
    for module, result in modules.items():
        for test, had, wrong in compare(module, result["seen"]):
            why = [reason for pattern, reason in known if fnmatch.fnmatchcase(test, pattern)]
            is_fine = why and wrong != "cold and warm differ"
            yield test, had, why[0] if is_fine else None, wrong


def table(modules, rows):
    """The table, in Markdown."""
    unexplained = sum(why is None for _, _, why, _ in rows)
    runs = {way: [it["seen"][way][0] for it in modules.values()] for way in WAYS}
    yield "# CPython's own tests in a sandbox\n"
    yield f"{len(modules)} modules. {len(rows)} differences, {unexplained} without a reason.\n"
    yield "| way | passed | skipped | failed |\n|---|---|---|---|"
    for way in WAYS:
        numbers = [sum(counted(it, run) for run in runs[way]) for it in COLUMNS]
        yield f"| {way} | {' | '.join(map(str, numbers))} |"
    yield "\n| test | plain | cold | warm | why |\n|---|---|---|---|---|"
    for test, had, why, wrong in rows:
        cells = [" / ".join(sorted({outcome for outcome, _ in had[way]})) for way in WAYS]
        last = [f"{way}: {had[way][-1][1]}" for way in WAYS if had[way][-1][1]]
        why = why or f"**{wrong}, no reason is known**: {'; '.join(last)}"
        why = why.replace("|", "\\|").replace("\n", " ")
        yield f"| `{test}` | {' | '.join(cells)} | {why} |"


def version_of(server):
    """The version of the image's interpreter, as its package is called."""
    body = {
        "name": "version", "script_type": "python",
        "source": "import sys\nprint('\"%d.%d\"' % sys.version_info[:2])",
    }
    server.post("/api/v1/admin/scripts", body)
    return server.run([], "version")["output_data"]


def fingerprint():
    """What results depend on, other than CPython itself."""
    digest = hashlib.sha256()
    for path in (gantry.BINARY, HERE / "suite.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept(module):
    try:
        return json.loads((RESULTS / f"{module}.json").read_text())
    except FileNotFoundError:
        return None


def keep(module, result):
    path = RESULTS / f"{module}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result))
    new.rename(path)


def run_modules(modules, of):
    """Runs them and keeps what came out, one module after the other."""
    with Server(TARGET / "cold", 0) as cold, Server(TARGET / "warm", 1) as warm:
        version = version_of(cold)
        packages = [package.format(version) for package in PACKAGES]
        cold.register(packages)
        image = cold.run(["test_eof"])["sandbox"]["image"]
        warm.register(packages)
        ways = {
            "plain": lambda module: plain(image, module),
            "cold": lambda module: cold.outcomes(module, False),
            "warm": lambda module: warm.outcomes(module, True),
        }
        for module in modules:
            seen = run_module(module, ways)
            keep(module, {"of": of, "image": image, "seen": seen})
    if wrong := cold.wrong + warm.wrong:
        sys.exit("\n".join(f"error: {line}" for line in wrong))


def run_module(module, ways):
    seen = {way: [] for way in WAYS}
    for _ in range(RUNS):
        for way, outcomes in ways.items():
            begun = time.monotonic()
            seen[way].append(outcomes(module))
            took, passed = time.monotonic() - begun, counted("passed", seen[way][-1])
            print(f"{way} {module}: {passed} passed, {took:.0f} s", flush=True)
        rows = judged({module: {"seen": seen}})
        differences = [test for test, _, why, wrong in rows if not why and wrong != NONE_PASSED]
        if not differences:
            break
        print(f"{module} differs: {', '.join(differences)}"[:MAX_SAID], flush=True)
    return seen


def options():
    parser = argparse.ArgumentParser(description="CPython's own tests in a sandbox")
    parser.add_argument("--again", action="store_true", help="run what is kept, too")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("modules", nargs="*")
    return parser.parse_args()


def main():
    asked = options()
    # Ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: the run was ended"))
    modules = asked.modules or (HERE / "modules").read_text().split()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not asked.table:
        of = fingerprint()
        missing = [
            module for module in modules
            if asked.again or (kept(module) or {}).get("of") != of
        ]
        if missing:
            run_modules(missing, of)
    results = {module: result for module in modules if (result := kept(module))}
    rows = list(judged(results))
    lines = "\n".join(table(results, rows))
    (TARGET / "table.md").write_text(lines + "\n")
    print(lines)
    sys.exit(any(why is None for _, _, why, _ in rows))


if __name__ == "__main__":
    main()
