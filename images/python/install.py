"""The installer of Python environments.

It runs as the script of a build sandbox (read-only root, nobody's rights, a
network, one volume at /cache that all builds share) and turns requirements
into the layer of an image:

    stdin               one JSON request, see `main`
    stdout              a tar, nothing else: opt/env/..., and in an image's beginning
                        usr/local/bin/uv, opt/python/...; nothing when it publishes
    stderr              uv's and pip's own words, and lines on what goes on
    /work/result.json   what was installed, or which step failed
    exit code           0; 1 when a step failed; 2 when the request is malformed

A wheel is unpacked, compiled to bytecode and packed once per volume: the
outcome is kept as a *fragment*, a piece of a tar without its end, under a key
of the pin with its hashes and of where packages come from. An environment is
the skeleton of a virtual environment and one fragment per package, laid end to
end in the order of their names; where two packages own the same path, the later
one wins, as it does when they are installed one after the other.

Builds trust each other's fragments, so a fragment must follow from its wheel
alone, whatever else the build that made it installed: each wheel is unpacked
below a root of its own, with a download cache of the build's own, and packed
only when all that it wrote stands in its own RECORD with the right hash. A build
only proposes its fragments: the host checks the layer that they are a part of, and
has them published then, by a run of its own. Nothing that was built from source or
has no hash ever is.

It must never write an index's URL, a credential or the CA bundle into the
tar, and never leave a build directory behind.
"""

import base64
import csv
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import py_compile
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn

# The interpreter that environments lead to: the one that runs this, wherever it is.
PYTHON = os.path.realpath(sys.executable)
UV = "/usr/local/bin/uv"
PIP_WHEELS = Path("/usr/share/python-wheels")
WORK = Path("/work")
CACHE = Path("/cache")
ENVIRONMENT = "opt/env"
INTERPRETER = "opt/python"

# Part of the fragments' place and keys: a new number forgets all fragments.
FRAGMENT_FORMAT = 4
FRAGMENTS = f"fragments-{FRAGMENT_FORMAT}"
FRAGMENT_LIFE = 30 * 86400.0

# Where fragments are until the host has them published, and for how long at most, in
# seconds: checking a layer takes less.
PROPOSALS = "proposals"
PROPOSAL_LIFE = 600.0

# Of formats that are not read any more; older versions may still be at work.
FORMER_PLACES = ("fragments", "fragments-3", "uv")
FORMER_LIFE = 86400.0

# Younger directories of builds may not be locked yet.
BUILD_BEGINS = 60.0

# Where a build has the fragments that others made: they take no disk of its own.
TAKEN = "taken"

# Bytes on the disk that one build, and all fragments together, may take, unless
# the request says otherwise.
BUILD_BYTES = 16 << 30
CACHE_BYTES = 16 << 30

# Seconds between two looks at what a build takes; more, when looking takes long.
WATCHED_EVERY = 0.25
WATCH_SHARE = 4

# Wheels that are fetched and unpacked at once: most of it is waiting.
UNPACKED_AT_ONCE = 4

# Most of one command's words that are passed on, in bytes.
WORDS_BYTES = 128 << 10

# One time for all files, so that equal content makes equal layers; 1980,
# because zip archives made from them can't say anything earlier.
MTIME = 315532800
TAR_END = bytes(2 * tarfile.BLOCKSIZE)
COPY_BYTES = 1 << 20

# Half of the time that compiling takes goes into these, and nobody runs them.
NOT_COMPILED = frozenset({"test", "tests"})
COMPILE_JOBS_AT_MOST = 8

# What installers write down about where a package came from. It can hold the
# URL of an index, with credentials.
PROVENANCE = frozenset({"direct_url.json", "uv_build.json", "uv_cache.json"})

# Versions of Python that scripts can ask for, and requirements that are looked for in
# all of them when one has no wheel.
RELEASES = ("3.10", "3.11", "3.12", "3.13", "3.14")
CHECKED_FOR_WHEELS = 50

PROPOSAL = re.compile(r"[A-Za-z0-9_]{1,64}")
PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*])?\s*==\s*(?P<version>[^\s;\\]+)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HASH = re.compile(r"--hash=(\S+)")
HASHES_AT_END = re.compile(r"(?:\s+--hash=[a-z0-9]+:[0-9a-f]+)+\s*$")
# Hash algorithms that a RECORD may use ("Recording installed projects").
RECORD_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
# Files of a .dist-info that its RECORD can't have a hash of: itself, and its signatures
# ("Binary distribution format"). Bytecode may lack one, too, but is never kept.
WITHOUT_HASH = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
# Left by uv in the root of an environment.
LOCK_FILE = ".lock"
CREDENTIALS = re.compile(r"//[^/\s]*@")
RELEASE = re.compile(r"3\.\d{1,2}")
VERSION = re.compile(r"3\.\d{1,2}\.\d{1,3}\S{0,8}")
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


class MalformedRequest(Exception):
    """The request, or the lock in it, can't be understood."""


class StepFailed(Exception):
    """A step ended with an error."""

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(detail)
        self.step = step


class CommandFailed(StepFailed):
    """uv or pip ended with an error, and has said why on stderr."""

    def __init__(self, step: str, detail: str, words: str) -> None:
        super().__init__(step, detail)
        self.words = words


@dataclass(frozen=True)
class Pin:
    """One package of a lock."""

    text: str
    name: str
    version: str | None
    hashes: tuple[str, ...]
    # The request says what its hashes have to be.
    is_checked: bool = False

    @property
    def requirement(self) -> str:
        """The text without hashes, in one line."""
        return " ".join(self.text.replace("\\\n", " ").split(" --hash=")[0].split())

    @property
    def package(self) -> str:
        """What the package is called in results and candidates."""
        if self.version is None:
            return self.requirement
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Candidate:
    """An image with an environment that may already hold a part of this one."""

    id: str
    packages: frozenset[str]


@dataclass(frozen=True)
class EnvironmentRequest:
    """`"mode": "environment"`."""

    requirements: str
    lock: str | None
    candidates: tuple[Candidate, ...]
    allow_sources: bool
    compile: bool
    build_bytes: int = BUILD_BYTES
    cache_bytes: int = CACHE_BYTES


# A build that installs no requirements.
NOTHING = EnvironmentRequest("", None, (), False, False)


@dataclass(frozen=True)
class UvRequest:
    """`"mode": "uv"`."""

    version: str
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class PythonRequest:
    """`"mode": "python"`."""

    version: str


@dataclass(frozen=True)
class PublishRequest:
    """`"mode": "publish"`."""

    proposal: str
    cache_bytes: int


@dataclass(frozen=True)
class Fragment:
    """Packed files of one package, without their directories: a tar without its
    end, and a list of names."""

    tar: Path

    @property
    def index(self) -> Path:
        """The names of its files, one a line."""
        return self.tar.with_suffix(".txt")

    def names(self) -> frozenset[str]:
        """The paths in the image that this package owns."""
        return frozenset(self.index.read_text().splitlines())

    def link_to(self, other: "Fragment") -> bool:
        """Gives its files a second name, which stays when the first one goes;
        says whether they were there."""
        try:
            for own, its in ((self.index, other.index), (self.tar, other.tar)):
                with suppress(FileExistsError):
                    os.link(own, its)
            os.utime(self.tar)
        except FileNotFoundError:
            other.index.unlink(missing_ok=True)
            return False
        return True

    def move_to(self, other: "Fragment") -> None:
        """Puts it in the place of another. It is whole there, also after a crash: its
        files are on the disk before they have their names."""
        for own, its in ((self.index, other.index), (self.tar, other.tar)):
            sync(own)
            own.replace(its)


@dataclass
class Clock:
    """Seconds spent in each step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to the step's."""
        begin = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begin
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)


class Watch:
    """Holds a build to its disk: ends its commands when its directory takes more.
    Until packages are packed they may take half of it, because that doubles them."""

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory, self.limit = directory, limit
        self.allowed = limit // 2
        self.is_over = False
        self._commands: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Looks, until the end, at what the directory takes."""
        limit_files(self.allowed)
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.end()
            thread.join()

    def _look(self) -> None:
        pause = WATCHED_EVERY
        while not self._ended.wait(pause):
            begin = time.monotonic()
            if disk_usage(self.directory) > self.allowed:
                self.is_over = True
                self.end()
            pause = max(WATCHED_EVERY, WATCH_SHARE * (time.monotonic() - begin))

    def end(self) -> None:
        """Kills what runs, and lets nothing more begin."""
        with self._lock:
            self._ended.set()
            for command in self._commands:
                command.kill()

    def allow_all(self) -> None:
        """Lets the build take all that it may: packages are packed now."""
        self.allowed = self.limit
        limit_files(self.limit)

    @contextmanager
    def guarding(self, command: subprocess.Popen[bytes]) -> Iterator[None]:
        """Has the command killed when the build is to end, or nobody waits for it."""
        with self._lock:
            self._commands.add(command)
            if self._ended.is_set():
                command.kill()
        try:
            yield
        finally:
            with self._lock:
                self._commands.discard(command)
            if command.poll() is None:
                command.kill()

    def check(self, step: str) -> None:
        """Fails when the build takes more than it may."""
        if self.is_over:
            half = "half of " if self.allowed < self.limit else ""
            words = f"{self.allowed >> 20} MiB of disk, {half}what a build may take"
            raise StepFailed(step, f"the packages take more than {words}")


@dataclass(frozen=True)
class Build:
    """An environment that is being built."""

    request: EnvironmentRequest
    directory: Path
    variables: dict[str, str]
    watch: Watch
    clock: Clock = field(default_factory=Clock)

    @property
    def sources_flag(self) -> list[str]:
        """Keeps uv from running any package's own code."""
        return [] if self.request.allow_sources else ["--only-binary", ":all:"]

    def fragment(self, pin: Pin) -> Fragment:
        """A package's fragment in this build, taken or to be made; it goes with it."""
        taken = self._taken(pin)
        made = Fragment(self.directory / "fragments" / f"{pin.name}.tar")
        return taken if taken.tar.exists() else made

    def _taken(self, pin: Pin) -> Fragment:
        return Fragment(self.directory / TAKEN / f"{pin.name}.tar")

    def published(self, pin: Pin) -> Fragment | None:
        """The same for other builds, where they may use it."""
        key = fragment_key(pin, self.request, self.variables)
        if self.request.allow_sources or key is None:
            return None
        return Fragment(CACHE / FRAGMENTS / f"{key}.tar")

    def take(self, pin: Pin) -> bool:
        """Says whether another build has published the package's fragment, and
        makes it one of this build."""
        published = self.published(pin)
        return published is not None and published.link_to(self._taken(pin))


def say(text: str) -> None:
    """One line for the build's log."""
    sys.stderr.write(f"gantry: {text}\n")
    sys.stderr.flush()


# Locks and candidates


def normalise(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> list[Pin]:
    """The pins of a requirements file in which every line names a package."""
    logical = re.sub(r"\\\n\s*", "\\\n    ", text)
    blocks = re.findall(r"(?:.*\\\n)*.*", logical)
    lines = (block for block in blocks if block.strip() and not block.lstrip().startswith("#"))
    return sorted((parse_pin(block) for block in lines), key=lambda pin: (pin.name, pin.text))


def parse_pin(text: str) -> Pin:
    """One package of a lock, with the hashes that follow it."""
    name = NAME.match(text)
    if name is None:
        raise MalformedRequest(f"not a package in the lock: {text.splitlines()[0]!r}")
    exact = PIN.match(text)
    return Pin(
        text=text,
        name=normalise(name.group()),
        version=exact["version"] if exact else None,
        hashes=tuple(sorted(HASH.findall(text))),
    )


def asked_hashes(requirements: str) -> dict[str, frozenset[str]]:
    """The hashes at the ends of normalised requirement lines, by the packages'
    names. Of several lines for one package, the hashes of all count: which of
    them apply is up to their markers, and somebody vouched for each."""
    asked: dict[str, frozenset[str]] = {}
    for line in requirements.split("\n"):
        name, hashes = NAME.match(line), HASHES_AT_END.search(line)
        if name and hashes:
            key = normalise(name.group())
            asked[key] = asked.get(key, frozenset()).union(HASH.findall(hashes.group()))
    return asked


def enforce_hashes(pins: list[Pin], asked: dict[str, frozenset[str]]) -> list[Pin]:
    """The pins, those that were asked for with hashes with no other ones, so
    that uv refuses everything else."""
    pins = [narrow(pin, asked[pin.name]) if pin.name in asked else pin for pin in pins]
    refused = [pin.package for pin in pins if pin.is_checked and not pin.hashes]
    if refused:
        words = (f"{package}: none of its hashes is the index's" for package in refused)
        raise StepFailed("resolve", "; ".join(words))
    return pins


def narrow(pin: Pin, asked: frozenset[str]) -> Pin:
    """A pin with those of the asked hashes that can be right: the index's own,
    and those of algorithms that the index doesn't use, which uv computes."""
    known = {algorithm(digest) for digest in pin.hashes}
    hashes = sorted(h for h in asked if h in pin.hashes or algorithm(h) not in known)
    text = " \\\n    ".join([pin.requirement, *(f"--hash={digest}" for digest in hashes)])
    return replace(pin, text=text, hashes=tuple(hashes), is_checked=True)


def algorithm(digest: str) -> str:
    """`sha256` of `sha256:...`."""
    return digest.partition(":")[0]


def lock_text(pins: Iterable[Pin]) -> str:
    """Pins as a requirements file."""
    return "".join(f"{pin.text}\n" for pin in pins)


def choose_candidate(candidates: Iterable[Candidate], packages: frozenset[str]) -> Candidate | None:
    """The candidate that holds the most of the packages and nothing else."""
    usable = [c for c in candidates if c.packages and c.packages <= packages]
    return max(usable, key=lambda c: len(c.packages), default=None)


def fragment_key(pin: Pin, request: EnvironmentRequest, variables: dict[str, str]) -> str | None:
    """The name of a package's fragment, where all that it follows from is known.
    The hashes are those of all files of a release; which of them is this
    platform's is the index's word, so builds share only what they have from the
    same indexes."""
    strong = [digest for digest in pin.hashes if algorithm(digest) in RECORD_ALGORITHMS]
    if pin.version is None or not strong or len(strong) != len(pin.hashes):
        return None
    parts = (
        FRAGMENT_FORMAT,
        platform.machine(),
        platform.python_version(),
        sysconfig.get_config_var("SOABI"),
        platform.libc_ver(),
        request.compile,
        pin.package,
        *pin.hashes,
        *origins(request, variables),
    )
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def origins(request: EnvironmentRequest, variables: dict[str, str]) -> list[str]:
    """Where packages come from: the options of the requirements, and the
    installers' variables without the credentials and the build's directory in them."""
    named = ("PIP_", "UV_")
    ours = tool_settings(Path())
    here = variables.get("HOME", "")
    settings = sorted(
        f"{name}={CREDENTIALS.sub('//', value.removeprefix(here))}"
        for name, value in variables.items()
        if name.startswith(named) and name not in ours
    )
    return [*options_text(request.requirements).splitlines(), *settings]


# Running uv and pip


def run(step: str, command: list[str], variables: dict[str, str], cwd: Path, watch: Watch) -> str:
    """Runs a command, passes its words on in one piece, and answers its stdout."""
    with (
        tempfile.TemporaryFile(dir=cwd) as words,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            env=variables,
            cwd=cwd,
        ) as child,
        watch.guarding(child),
    ):
        output, _ = child.communicate()
        watch.check(step)
        said = pass_on(words) if child.returncode >= 0 else ""
    program = Path(command[0]).name
    if child.returncode == -signal.SIGXFSZ:
        watch.is_over = True
        watch.check(step)
    if child.returncode < 0:
        raise StepFailed(step, f"signal {-child.returncode} ended {program}")
    if child.returncode > 0:
        raise CommandFailed(step, f"{program} ended with {child.returncode}", said)
    return output.decode()


def pass_on(words: IO[bytes]) -> str:
    """Copies the end of a command's words to stderr, and returns it."""
    words.seek(max(0, words.seek(0, os.SEEK_END) - WORDS_BYTES))
    said = words.read().decode(errors="replace")
    sys.stderr.write(said)
    sys.stderr.flush()
    return said


def tool_settings(directory: Path) -> dict[str, str]:
    """What uv and pip are always told: to write to the build's directory alone."""
    return {
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "NO_COLOR": "1",
        "UV_CACHE_DIR": str(directory / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }


def tool_variables(directory: Path, ca_bundle: str | None) -> dict[str, str]:
    """The environment variables of uv and pip."""
    variables = dict(os.environ) | tool_settings(directory)
    if ca_bundle is not None:
        # Its name is a part of fragments' keys.
        digest = hashlib.sha256(ca_bundle.encode()).hexdigest()
        path = directory / f"ca-{digest}.pem"
        path.write_text(ca_bundle)
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), str(path))
    return variables


def resolve(build: Build) -> str:
    """A lock for the requirements, with hashes."""
    if not build.request.requirements.strip():
        return ""
    requirements = "requirements.txt"
    (build.directory / requirements).write_text(build.request.requirements)
    command = ["uv", "pip", "compile", "--python", PYTHON, "--generate-hashes"]
    command += ["--no-header", "--no-annotate", *build.sources_flag, requirements]
    try:
        return run("resolve", command, build.variables, build.directory, build.watch)
    except CommandFailed as failure:
        # An index that does not answer would not answer for other versions either.
        if not build.request.allow_sources and "wheels" in failure.words:
            say_missing_wheels(build)
        raise


def say_missing_wheels(build: Build) -> None:
    """Says of the first requirement without a wheel for this version which versions
    have one, as far as a script can ask for them."""
    own = own_interpreter().release
    options = options_text(build.request.requirements)
    lines = [line for line in build.request.requirements.splitlines() if not line.startswith("-")]
    for line in lines[:CHECKED_FOR_WHEELS]:
        if has_wheel(build, options + line, own):
            continue
        others = [it for it in RELEASES if it != own and has_wheel(build, options + line, it)]
        if others:
            name = HASHES_AT_END.sub("", line).split(";")[0].replace(" ", "")
            without = f"{name} has no wheel for Python {own}"
            say(f"resolve failed: {without}; it has wheels for {', '.join(others)}")
            return


def has_wheel(build: Build, requirement: str, release: str) -> bool:
    """Whether uv finds a wheel for a version of Python; that of its dependencies is
    another matter. All that it says is left out."""
    wanted = build.directory / "wanted.txt"
    wanted.write_text(requirement + "\n")
    command = ["uv", "pip", "compile", "--quiet", "--python", PYTHON, "--no-deps"]
    command += ["--python-version", release, "--only-binary", ":all:", str(wanted)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=build.variables,
        cwd=build.directory,
    ) as child, build.watch.guarding(child):
        return child.wait() == 0


@dataclass(frozen=True)
class Unpacked:
    """A package below a root of its own."""

    pin: Pin
    top: Path
    files: list[Path]


def unpack_all(build: Build, pins: list[Pin], top: Path) -> list[Unpacked]:
    """Fetches and unpacks packages, several at once; the first failure ends all."""
    slots: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(UNPACKED_AT_ONCE):
        slots.put(top / f"slot-{number}")
    with ThreadPoolExecutor(UNPACKED_AT_ONCE) as pool:
        (top / "unpacked").mkdir()
        places = {pin: top / "unpacked" / pin.name for pin in pins}
        tasks = [pool.submit(unpack, build, pin, slots, place) for pin, place in places.items()]
        try:
            done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            failures = [task.exception() for task in tasks if task in done]
            failure = next((it for it in failures if it is not None), None)
        finally:
            if not all(task.done() for task in tasks):
                build.watch.end()
                pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]


def unpack(build: Build, pin: Pin, slots: "queue.SimpleQueue[Path]", top: Path) -> Unpacked:
    """Has uv unpack one package where nothing else is. uv asks an interpreter
    about itself once for each place, so a few places are used in turn."""
    slot = slots.get()
    tree = slot / ENVIRONMENT
    write_skeleton(tree)
    skeleton = states(tree)
    wanted = slot / "wanted.txt"
    wanted.write_text(options_text(build.request.requirements) + lock_text([pin]))
    command = ["uv", "pip", "install", "--quiet", "--python", str(tree), "--no-deps"]
    command += [*build.sources_flag, "-r", str(wanted)]
    try:
        run("install", command, build.variables, slot, build.watch)
        slot.rename(top)
    finally:
        slots.put(slot)
    files = owned_files(top / ENVIRONMENT, pin, skeleton)
    say(f"{pin.package} is unpacked: {len(files)} files")
    return Unpacked(pin, top, files)


def options_text(requirements: str) -> str:
    """The lines that say where packages are: a lock has none."""
    lines = requirements.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("-"))


# The tree of a virtual environment


@dataclass(frozen=True)
class Interpreter:
    """What a virtual environment leads to."""

    path: str
    version: str

    @property
    def release(self) -> str:
        """The version without its last part: 3.13."""
        return ".".join(self.version.split(".")[:2])


def own_interpreter() -> Interpreter:
    """The one that runs this."""
    return Interpreter(PYTHON, platform.python_version())


def write_skeleton(tree: Path, interpreter: Interpreter | None = None) -> None:
    """A virtual environment without packages. It is relocatable, because it is
    filled in one place and used in another."""
    interpreter = interpreter or own_interpreter()
    library = f"python{interpreter.release}"
    (tree / "bin").mkdir(parents=True)
    (tree / "lib" / library / "site-packages").mkdir(parents=True)
    (tree / "lib64").symlink_to("lib")
    (tree / "bin" / "python").symlink_to(interpreter.path)
    (tree / "bin" / "python3").symlink_to("python")
    (tree / "bin" / library).symlink_to("python")
    (tree / "pyvenv.cfg").write_text(
        f"home = {Path(interpreter.path).parent}\n"
        f"version = {interpreter.version}\n"
        "include-system-site-packages = false\n"
        "relocatable = true\n"
    )


def site_packages(tree: Path) -> Path:
    """Where packages are."""
    return next((tree / "lib").glob("python*/site-packages"))


def states(tree: Path) -> dict[str, str]:
    """What stands in a tree, by path: where a link leads, and a file's content."""
    return {str(path.relative_to(tree)): state(path) for path in tree.rglob("*")}


def state(path: Path) -> str:
    """What a path is: the same in two trees when neither has been written to."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    if path.is_dir():
        return "directory"
    return path.read_text() if path.is_file() else "gone"


# What one package may write


def owned_files(tree: Path, pin: Pin, skeleton: dict[str, str]) -> list[Path]:
    """The files that a package wrote into a tree that had been a skeleton, without
    bytecode. All stand in its own RECORD, under their own names, with their hash."""
    own = own_info(site_packages(tree), pin)
    try:
        drop_provenance(own)
        hashes = recorded_hashes(tree, own / "RECORD")
    except (FileNotFoundError, UnicodeDecodeError, csv.Error) as error:
        raise refusal(pin, f"its RECORD can't be read: {error}") from error
    aliases = {fold(path): path for path in skeleton}
    for path, was in skeleton.items():
        if state(tree / path) != was:
            raise refusal(pin, f"it replaces {path}, which every environment has")
    owned = []
    for name in sorted(written_files(tree, skeleton)):
        if is_bytecode(name):
            (tree / name).unlink()
            continue
        check_name(pin, name, aliases)
        path = tree / name
        may_lack_hash = path.parent == own and path.name in WITHOUT_HASH
        check_content(pin, path, hashes.get(name), may_lack_hash=may_lack_hash)
        owned.append(path)
    return owned


def refusal(pin: Pin, why: str) -> StepFailed:
    """A wheel that is not one."""
    return StepFailed("install", f"{pin.package} can't be used: {why}")


def own_info(site: Path, pin: Pin) -> Path:
    """Where a package says what it is; it may not speak for others."""
    infos = {entry: fold(entry.name).rpartition(".") for entry in site.iterdir()}
    infos = {entry: it for entry, it in infos.items() if it[2] in ("dist-info", "egg-info")}
    own = [e for e, it in infos.items() if normalise(it[0].partition("-")[0]) == pin.name]
    foreign = sorted(entry.name for entry in infos if entry not in own)
    if foreign:
        raise refusal(pin, f"it has another package's {foreign[0]!a}")
    own = [entry for entry in own if entry.name.endswith(".dist-info") and entry.is_dir()]
    if len(own) != 1:
        raise refusal(pin, "it was installed without a .dist-info of its own")
    return own[0]


def recorded_hashes(tree: Path, record: Path) -> dict[str, str | None]:
    """The hashes in a RECORD, by paths below the tree. A row without one has an empty
    string. uv adds what a wheel's own RECORD lacks, with a size alone: that has `None`."""
    site = record.parent.parent.relative_to(tree)
    hashes: dict[str, str | None] = {}
    with record.open(newline="") as rows:
        for row in csv.reader(rows):
            name, digest, size = (*row, "", "", "")[:3]
            added = size != "" and digest == "" and name.rpartition("/")[2] not in WITHOUT_HASH
            hashes[os.path.normpath(site / name)] = None if added else digest
    return hashes


def written_files(tree: Path, skeleton: dict[str, str]) -> Iterator[str]:
    """All that is in a tree now, folders apart."""
    for parent, directories, names in os.walk(tree):
        links = [name for name in directories if os.path.islink(os.path.join(parent, name))]
        for name in (*names, *links):
            path = os.path.relpath(os.path.join(parent, name), tree)
            if path not in skeleton and path != LOCK_FILE:
                yield path


def is_bytecode(name: str) -> bool:
    """Whether a file is, or passes for, what an interpreter has compiled. It would
    run in the place of a source that says something else."""
    return "__pycache__" in fold(name).split("/") or fold(name).endswith((".pyc", ".pyo"))


def fold(name: str) -> str:
    """One spelling of all names that a file system or a reader may take for each other."""
    return unicodedata.normalize("NFKC", name).casefold()


def check_name(pin: Pin, name: str, aliases: dict[str, str]) -> None:
    """Refuses names that mean something else elsewhere."""
    if not all(" " <= c < "\x7f" or c > "\x9f" for c in name) or "\\" in name:
        raise refusal(pin, f"it has a file with an odd name: {name!a}")
    if any("\ud800" <= c <= "\udfff" for c in name):
        raise refusal(pin, f"it has a file whose name is not UTF-8: {name!a}")
    parts = name.split("/")
    if any(part.startswith(".wh.") for part in parts):
        raise refusal(pin, f"an image can't hold {name!a}")
    for count in range(1, len(parts) + 1):
        above = "/".join(parts[:count])
        if aliases.get(fold(above), above) != above:
            raise refusal(pin, f"it has {name!a} beside {aliases[fold(above)]}")


def check_content(pin: Pin, path: Path, digest: str | None, *, may_lack_hash: bool) -> None:
    """Refuses what is not the file that the RECORD names."""
    if digest is None:
        raise refusal(pin, f"its RECORD does not list {path.name!a}")
    if path.is_symlink() or not path.is_file():
        raise refusal(pin, f"{path.name!a} is not a file")
    if digest == "" and may_lack_hash:
        return
    name, _, value = digest.partition("=")
    if name not in RECORD_ALGORITHMS:
        raise refusal(pin, f"its RECORD has no usable hash of {path.name!a}")
    actual = hashlib.new(name)
    with path.open("rb") as content:
        while piece := content.read(COPY_BYTES):
            actual.update(piece)
    if base64.urlsafe_b64encode(actual.digest()).decode().rstrip("=") != value.rstrip("="):
        raise refusal(pin, f"{path.name!a} has another hash than in its RECORD")


def drop_provenance(info: Path) -> None:
    """Removes the files that say where a package came from, also from its
    RECORD."""
    for name in PROVENANCE:
        (info / name).unlink(missing_ok=True)
    record = info / "RECORD"
    lines = record.read_text().splitlines(keepends=True)
    dropped = {f"{info.name}/{name}" for name in PROVENANCE}
    kept = [line for line in lines if line.split(",")[0] not in dropped]
    if len(kept) != len(lines):
        record.unlink()
        record.write_text("".join(kept))


# Bytecode


def is_compiled(path: Path, tree: Path) -> bool:
    """Whether a file gets bytecode."""
    parents = path.relative_to(tree).parts[:-1]
    return path.suffix == ".py" and NOT_COMPILED.isdisjoint(parents)


def compile_all(packages: list[Unpacked]) -> None:
    """Compiles in as many processes as there are processors. They are forked
    by hand: pools need semaphores, which a sandbox without IPC lacks."""
    files = [(path, it.top) for it in packages for path in it.files if is_compiled(path, it.top)]
    jobs = min(len(os.sched_getaffinity(0)), COMPILE_JOBS_AT_MOST)
    files.sort(key=lambda file: (-file[0].stat().st_size, file))
    children = [fork_compiler(files[job::jobs]) for job in range(jobs)]
    for child in children:
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise StepFailed("compile", f"a compiling process ended with status {status}")


def fork_compiler(files: list[tuple[Path, Path]]) -> int:
    """A child process that compiles these files; answers its process id."""
    child = os.fork()
    if child != 0:
        return child
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        for path, top in files:
            compile_file(path, top)
        os._exit(0)
    except OSError as error:
        say(f"can't write bytecode: {error}")
    finally:
        os._exit(1)


def compile_file(path: Path, top: Path) -> None:
    """Writes bytecode that is never checked against its source: images don't
    change. A file that is not valid for this Python (a template, say) stays as
    it is, and fails where it is imported, if anywhere."""
    with suppress(py_compile.PyCompileError, ValueError, RecursionError):
        py_compile.compile(
            str(path),
            dfile=f"/{path.relative_to(top)}",
            doraise=True,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def with_bytecode(paths: list[Path]) -> list[Path]:
    """The files and the bytecode that was made of them."""
    compiled = (Path(importlib.util.cache_from_source(str(p))) for p in paths if p.suffix == ".py")
    return sorted([*paths, *(path for path in compiled if path.is_file())])


# Tars


def sanitise(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, of no particular time, without special bits, with the plain modes."""
    executable = member.isdir() or member.issym() or member.mode & 0o100
    member.mode = 0o755 if executable else 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = MTIME
    return member


def header(member: tarfile.TarInfo) -> bytes:
    """What stands before a member's content."""
    return sanitise(member).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def directory_header(name: str) -> bytes:
    """All of a directory's member."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return header(member)


def parent_directories(names: Iterable[str]) -> set[str]:
    """All directories above relative paths."""
    found: set[str] = set()
    for name in names:
        parent = name.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def write_members(output: IO[bytes], paths: Iterable[Path], top: Path) -> None:
    """Appends members named relative to `top`, in order and without the end of
    a tar. Needs nothing from the output but `write`: it may be a pipe."""
    for path in sorted(paths):
        member = plain_member(path, path.relative_to(top))
        output.write(header(member))
        if member.isreg():
            with path.open("rb") as content:
                shutil.copyfileobj(content, output, COPY_BYTES)
            output.write(bytes(-member.size % tarfile.BLOCKSIZE))


def plain_member(path: Path, name: Path) -> tarfile.TarInfo:
    """A file, a directory or a symbolic link. Files with several names are
    files: their other names are in uv's cache."""
    status = path.lstat()
    member = tarfile.TarInfo(str(name))
    member.mode = status.st_mode
    if path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif path.is_dir():
        member.type = tarfile.DIRTYPE
    else:
        member.size = status.st_size
    return member


def write_fragment(fragment: Fragment, paths: list[Path], top: Path) -> None:
    """Packs a package's files."""
    names = [str(path.relative_to(top)) for path in paths]
    fragment.index.write_text("".join(f"{name}\n" for name in names))
    with fragment.tar.open("wb") as output:
        write_members(output, paths, top)


def write_environment(output: IO[bytes], fragments: list[Fragment], directory: Path) -> None:
    """The whole tar: the skeleton, all directories, and the fragments. No path
    is named twice."""
    hidden = hidden_names(fragments)
    directories = parent_directories(name for one in fragments for name in one.names())
    blocked = [name for one in fragments for name in one.names() if name in directories]
    if blocked:
        raise StepFailed("pack", f"{blocked[0]} is a file of one package, a folder of another")
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        top = Path(scratch)
        write_skeleton(top / ENVIRONMENT)
        skeleton = list(top.rglob("*"))
        write_members(output, skeleton, top)
    directories -= {str(path.relative_to(top)) for path in skeleton}
    for name in sorted(directories):
        output.write(directory_header(name))
    for fragment in fragments:
        copy_members(output, fragment, hidden.get(fragment, set()))
    output.write(TAR_END)
    output.flush()


def hidden_names(fragments: list[Fragment]) -> dict[Fragment, set[str]]:
    """Paths that a later package owns as well, with the bytecode of what had
    been there."""
    owners: dict[str, Fragment] = {}
    hidden: dict[Fragment, set[str]] = {}
    for fragment in fragments:
        for name in fragment.names():
            before = owners.get(name)
            if before is not None:
                lost = {name}
                if name.endswith(".py"):
                    lost.add(importlib.util.cache_from_source(name))
                hidden.setdefault(before, set()).update(lost)
            owners[name] = fragment
    return hidden


def copy_members(output: IO[bytes], fragment: Fragment, hidden: set[str]) -> None:
    """Appends a fragment, without what is hidden."""
    with fragment.tar.open("rb") as content:
        if not hidden:
            shutil.copyfileobj(content, output, COPY_BYTES)
            return
        with tarfile.open(fileobj=content, mode="r:") as archive:
            kept = [member for member in archive.getmembers() if member.name not in hidden]
        for member in kept:
            content.seek(member.offset)
            end = member.offset_data + member.size + -member.size % tarfile.BLOCKSIZE
            output.write(content.read(end - member.offset))


# Fragments of a lock


def fill(build: Build, pins: list[Pin]) -> list[Pin]:
    """Sees to it that these packages' fragments are there; answers those that
    were made."""
    absent = [pin for pin in pins if not build.take(pin)]
    if pins:
        say(f"{len(pins) - len(absent)} of {len(pins)} packages are in the cache")
    if absent:
        with tempfile.TemporaryDirectory(dir=build.directory) as top:
            add_fragments(build, absent, Path(top))
    return absent


def add_fragments(build: Build, pins: list[Pin], top: Path) -> None:
    """Installs packages, each for itself, and packs them."""
    with build.clock.step("install"):
        packages = unpack_all(build, pins, top)
    with build.clock.step("compile"):
        if build.request.compile:
            compile_all(packages)
    with build.clock.step("pack"):
        build.watch.allow_all()
        for package in packages:
            build.watch.check("pack")
            write_fragment(build.fragment(package.pin), with_bytecode(package.files), package.top)


def covers(build: Build, held: list[Pin], added: list[Pin]) -> bool:
    """Whether packages may be laid on top of a candidate that holds others: only
    when no file of it would be replaced. One whose files aren't known counts as a
    clash."""
    if not all(build.take(pin) for pin in held):
        return False
    owned = frozenset().union(*(build.fragment(pin).names() for pin in held))
    return all(owned.isdisjoint(build.fragment(pin).names()) for pin in added)


def propose(build: Build, pins: Iterable[Pin]) -> str | None:
    """Leaves those of these packages' fragments that other builds may use for the host
    to have them published; answers what the proposal is called."""
    found = [(pin, published) for pin in pins if (published := build.published(pin))]
    if not found:
        return None
    place = Path(tempfile.mkdtemp(dir=CACHE / PROPOSALS, prefix="x"))
    for pin, published in found:
        build.fragment(pin).link_to(Fragment(place / published.tar.name))
    return place.name


# The modes


def build_environment(request: EnvironmentRequest, ca_bundle: str | None) -> dict[str, Any]:
    """Writes the environment's tar; answers the result."""
    with build_directory(request) as (directory, watch):
        build = Build(request, directory, tool_variables(directory, ca_bundle), watch)
        lock = request.lock
        if lock is None:
            with build.clock.step("resolve"):
                lock = resolve(build)
        pins = enforce_hashes(parse_lock(lock), asked_hashes(request.requirements))
        laid, made, parent = gather(build, pins)
        with build.clock.step("pack"):
            write_environment(sys.stdout.buffer, [build.fragment(pin) for pin in laid], directory)
        watch.check("pack")
        proposal = propose(build, made)
    return {
        "lock": lock_text(pins),
        "packages": [pin.package for pin in pins],
        "parent": parent,
        "proposal": proposal,
        "seconds": build.clock.seconds,
    }


def gather(build: Build, pins: list[Pin]) -> tuple[list[Pin], list[Pin], str | None]:
    """Makes the fragments that are needed and not there yet; answers the packages
    of the layer in order, those that were made, and the candidate that the layer
    goes on top of. What a candidate's packages were made from isn't known: none
    may hold a checked one."""
    packages = frozenset(pin.package for pin in pins if not pin.is_checked)
    candidate = choose_candidate(build.request.candidates, packages)
    held = [pin for pin in pins if candidate and pin.package in candidate.packages]
    needed = [pin for pin in pins if pin not in held]
    made = fill(build, needed)
    if candidate and covers(build, held, needed):
        say(f"{len(held)} packages are in {candidate.id} already")
        return needed, made, candidate.id
    return pins, made + fill(build, held), None


def publish(request: PublishRequest) -> dict[str, Any]:
    """Lets other builds use the fragments of a proposal; answers how many there were."""
    place, shared = CACHE / PROPOSALS / request.proposal, CACHE / FRAGMENTS
    proposed = [Fragment(tar) for tar in sorted(place.glob("*.tar"))]
    for fragment in proposed:
        fragment.move_to(Fragment(shared / fragment.tar.name))
    sync(shared)
    shutil.rmtree(place, ignore_errors=True)
    evict(request.cache_bytes)
    return {"published": len(proposed)}


def build_uv(request: UvRequest, ca_bundle: str | None) -> dict[str, Any]:
    """Writes a tar with uv, fetched by the pip that Debian ships as a wheel, and an
    empty environment."""
    clock = Clock()
    with build_directory(NOTHING) as (directory, watch):
        variables = tool_variables(directory, ca_bundle)
        with clock.step("install"):
            fetch_uv(request, directory, variables, watch)
        with clock.step("pack"):
            write_beginning(directory / "image", directory / "uv/bin/uv", own_interpreter())
    return {
        "uv": request.version,
        "python": own_interpreter().release,
        "seconds": clock.seconds,
    }


def write_beginning(top: Path, uv: Path, interpreter: Interpreter) -> None:
    """Writes the tar of what is below `top`, uv, and an empty environment."""
    binary = top / "usr/local/bin/uv"
    binary.parent.mkdir(parents=True)
    shutil.copy(uv, binary)
    write_skeleton(top / ENVIRONMENT, interpreter)
    output = sys.stdout.buffer
    write_members(output, (path for path in top.rglob("*") if path != top), top)
    output.write(TAR_END)
    output.flush()


def fetch_uv(request: UvRequest, directory: Path, variables: dict[str, str], watch: Watch) -> None:
    """Has pip unpack uv's wheel into `uv`."""
    wheel = next(PIP_WHEELS.glob("pip-*.whl"), None)
    if wheel is None:
        raise StepFailed("install", f"no wheel of pip in {PIP_WHEELS}")
    command = [PYTHON, str(wheel / "pip"), "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--no-cache-dir", "--only-binary", ":all:", "--target", str(directory / "uv")]
    command += ["--require-hashes"] if request.hashes else []
    requirements = directory / "uv.txt"
    hashes = (f" --hash={digest}" for digest in request.hashes)
    requirements.write_text(f"uv=={request.version}{''.join(hashes)}\n")
    run("install", [*command, "-r", str(requirements)], variables, directory, watch)


def build_python(request: PythonRequest, ca_bundle: str | None) -> dict[str, Any]:
    """Writes a tar with an interpreter that uv fetches, and all that an image of it
    begins with."""
    clock = Clock()
    with build_directory(NOTHING) as (directory, watch):
        variables = tool_variables(directory, ca_bundle)
        with clock.step("install"):
            root = fetch_python(request, directory, variables, watch)
        with clock.step("compile"):
            interpreter = settle_python(root, directory, variables, watch)
        with clock.step("pack"):
            write_beginning(directory / "image", Path(UV), interpreter)
    return {"python": interpreter.release, "seconds": clock.seconds}


def fetch_python(
    request: PythonRequest, directory: Path, variables: dict[str, str], watch: Watch
) -> Path:
    """Has uv fetch an interpreter and check its hash; answers where it is now."""
    fetched = directory / "interpreters"
    variables = variables | {"UV_PYTHON_DOWNLOADS": "manual"}
    command = [UV, "python", "install", "--no-bin", "--install-dir", str(fetched)]
    run("fetch", [*command, request.version], variables, directory, watch)
    found = [path for path in fetched.glob("cpython-*") if path.is_dir() and not path.is_symlink()]
    if len(found) != 1:
        raise StepFailed("fetch", f"uv has left {len(found)} interpreters")
    place = directory / "image" / INTERPRETER
    place.parent.mkdir(parents=True)
    found[0].rename(place)
    replace_text(place, str(found[0]), f"/{INTERPRETER}")
    return place


def replace_text(top: Path, old: str, new: str) -> None:
    """Replaces a path in what an interpreter says of itself: uv has written where it
    has put it."""
    for path in [*top.rglob("_sysconfigdata_*.py"), *top.rglob("*.pc"), *top.rglob("Makefile")]:
        if path.is_file() and not path.is_symlink() and old in (text := path.read_text()):
            path.write_text(text.replace(old, new))


def settle_python(
    root: Path, directory: Path, variables: dict[str, str], watch: Watch
) -> Interpreter:
    """Leaves out what no script needs, and compiles the rest where it is to be."""
    shutil.rmtree(root / "share", ignore_errors=True)
    for tests in root.glob("lib/python3.*/test"):
        shutil.rmtree(tests)
    for compiled in list(root.rglob("__pycache__")):
        shutil.rmtree(compiled)
    binary = root / "bin/python3"
    say_version = [str(binary), "-I", "-c", "import platform; print(platform.python_version())"]
    version = run("fetch", say_version, variables, directory, watch).strip()
    if VERSION.fullmatch(version) is None:
        raise StepFailed("fetch", f"the interpreter says that it is {version!a}")
    command = [str(binary), "-I", "-m", "compileall", "-q", "-j", "0"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", f"/{INTERPRETER}"]
    with suppress(CommandFailed):
        # Templates among the modules are not valid for any interpreter.
        run("compile", [*command, str(root / "lib")], variables, directory, watch)
    name = os.readlink(binary) if binary.is_symlink() else binary.name
    return Interpreter(f"/{INTERPRETER}/bin/{Path(name).name}", version)


# The volume


@contextmanager
def build_directory(request: EnvironmentRequest) -> Iterator[tuple[Path, Watch]]:
    """A directory on the volume, where fragments can be had without copying, and
    what holds it to its size. The volume is tidied up before and after."""
    for name in FORMER_PLACES:
        sweep(CACHE / name, FORMER_LIFE)
    for name in ("build", FRAGMENTS, PROPOSALS):
        (CACHE / name).mkdir(exist_ok=True)
    sweep(CACHE / PROPOSALS, PROPOSAL_LIFE)
    remove_dead_builds()
    evict(request.cache_bytes)
    path = Path(tempfile.mkdtemp(dir=CACHE / "build"))
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (path / "fragments").mkdir()
        (path / TAKEN).mkdir()
        # Code that runs while packages are built may write everywhere on the volume,
        # which is this build's own then.
        watch = Watch(CACHE if request.allow_sources else path, request.build_bytes)
        with watch.watching():
            yield path, watch
        evict(request.cache_bytes)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def limit_files(limit: int) -> None:
    """Keeps any one file of this process and its children from being larger."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def remove_dead_builds() -> None:
    """Removes what builds have left that were killed: nobody holds its lock."""
    for entry in list(os.scandir(CACHE / "build")):
        with suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime < BUILD_BEGINS:
                continue
            handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path, ignore_errors=True)
            finally:
                os.close(handle)


def sweep(directory: Path, life: float) -> None:
    """Removes what has not been touched for so many seconds."""
    if not directory.is_dir():
        return
    oldest = time.time() - life
    for entry in list(os.scandir(directory)):
        with suppress(FileNotFoundError):
            if entry.stat(follow_symlinks=False).st_mtime >= oldest:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def evict(limit: int) -> None:
    """Removes fragments that no build has used for long, and those used longest
    ago until the others and the proposals take no more than so many bytes. Builds that
    use one have it under a name of their own."""
    sweep(CACHE / FRAGMENTS, FRAGMENT_LIFE)
    found = []
    for tar in (CACHE / FRAGMENTS).glob("*.tar"):
        with suppress(FileNotFoundError):
            status = tar.stat()
            found.append((status.st_mtime, status.st_size, Fragment(tar)))
    total = sum(size for _, size, _ in found) + disk_usage(CACHE / PROPOSALS)
    for _, size, fragment in sorted(found, key=lambda it: it[:2]):
        if total <= limit:
            break
        fragment.tar.unlink(missing_ok=True)
        fragment.index.unlink(missing_ok=True)
        total -= size


def sync(path: Path) -> None:
    """Has the disk keep what a file, or a directory, is now."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_usage(directory: Path) -> int:
    """Bytes on the disk of a build's own files below a directory; they may be going.
    A file with several names counts in parts, once in all."""
    used = 0
    for parent, directories, names in os.walk(directory):
        if parent == str(directory) and TAKEN in directories:
            directories.remove(TAKEN)
        for name in names:
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(parent, name))
                used += status.st_blocks * 512 // status.st_nlink
    return used


# Requests


def typed(request: dict[str, Any], key: str, kind: type | tuple[type, ...], default: Any) -> Any:
    """A field of the request, checked."""
    value = request.get(key, default)
    if not isinstance(value, kind):
        raise MalformedRequest(f"{key}: unexpected {type(value).__name__}")
    return value


def parse_candidate(value: Any) -> Candidate:
    """One entry of `candidates`."""
    if not isinstance(value, dict):
        raise MalformedRequest("candidates: not an object")
    packages = typed(value, "packages", list, None)
    return Candidate(typed(value, "id", str, None), frozenset(map(str, packages)))


def parse_environment_request(request: dict[str, Any]) -> EnvironmentRequest:
    """The fields of `"mode": "environment"`."""
    return EnvironmentRequest(
        requirements=typed(request, "requirements", str, None),
        lock=typed(request, "lock", (str, type(None)), None),
        candidates=tuple(map(parse_candidate, typed(request, "candidates", list, []))),
        allow_sources=typed(request, "allow_sources", bool, False),
        compile=typed(request, "compile", bool, True),
        build_bytes=typed(request, "build_bytes", int, BUILD_BYTES),
        cache_bytes=typed(request, "cache_bytes", int, CACHE_BYTES),
    )


def parse_uv_request(request: dict[str, Any]) -> UvRequest:
    """The fields of `"mode": "uv"`."""
    hashes = typed(request, "hashes", list, [])
    if not all(isinstance(digest, str) and SHA256.fullmatch(digest) for digest in hashes):
        raise MalformedRequest("hashes: not all are sha256: and 64 hexadecimal digits")
    return UvRequest(typed(request, "version", str, None), tuple(hashes))


def parse_python_request(request: dict[str, Any]) -> PythonRequest:
    """The fields of `"mode": "python"`."""
    version = typed(request, "version", str, None)
    if RELEASE.fullmatch(version) is None:
        raise MalformedRequest(f"version: {version!a} is not like 3.13")
    return PythonRequest(version)


def parse_publish_request(request: dict[str, Any]) -> PublishRequest:
    """The fields of `"mode": "publish"`."""
    proposal = typed(request, "proposal", str, None)
    if PROPOSAL.fullmatch(proposal) is None:
        raise MalformedRequest(f"proposal: {proposal!a} is not the name of one")
    return PublishRequest(proposal, typed(request, "cache_bytes", int, CACHE_BYTES))


def answer(text: str) -> dict[str, Any]:
    """Does what a request asks for; answers the result."""
    try:
        request = json.loads(text)
    except ValueError as error:
        raise MalformedRequest(f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise MalformedRequest("not an object")
    ca_bundle = typed(request, "ca_bundle", (str, type(None)), None)
    match request.get("mode"):
        case "environment":
            return build_environment(parse_environment_request(request), ca_bundle)
        case "uv":
            return build_uv(parse_uv_request(request), ca_bundle)
        case "python":
            return build_python(parse_python_request(request), ca_bundle)
        case "publish":
            return publish(parse_publish_request(request))
        case other:
            known = "'environment', 'uv', 'python' or 'publish'"
            raise MalformedRequest(f"mode: {other!r} is not {known}")


def write_result(result: dict[str, Any]) -> None:
    """Leaves the result where it is read from."""
    (WORK / "result.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")


def stop(_signal: int, _frame: object) -> NoReturn:
    """TERM unwinds the stack, so that the build directory goes."""
    raise SystemExit(143)


def main() -> int:
    """Reads a request, one of

        {"mode": "environment", "requirements": "numpy\\npillow>=11",
         "lock": null, "candidates": [{"id": "...", "packages": ["numpy==2.5.5"]}],
         "allow_sources": false, "ca_bundle": null, "compile": true}

    or

        {"mode": "uv", "version": "0.13.9", "hashes": ["sha256:..."], "ca_bundle": null}

    or

        {"mode": "python", "version": "3.10", "ca_bundle": null}

    or, with a proposal that an environment's result has named,

        {"mode": "publish", "proposal": "x1234", "cache_bytes": 17179869184}

    and leaves {"lock", "packages", "parent", "proposal", "seconds"},
    {"python", "seconds"}, {"published"}, or {"failed": step, "detail": text}. Hashes in requirements are enforced; so
    are those of uv, if there are any.
    """
    signal.signal(signal.SIGTERM, stop)
    try:
        write_result(answer(sys.stdin.read()))
    except MalformedRequest as error:
        say(f"malformed request: {error}")
        write_result({"failed": "request", "detail": str(error)})
        return 2
    except StepFailed as error:
        if not isinstance(error, CommandFailed):
            say(f"{error.step} failed: {error}")
        write_result({"failed": error.step, "detail": str(error)})
        return 1
    except OSError as error:
        say(f"the build sandbox failed: {error}")
        write_result({"failed": "sandbox", "detail": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
