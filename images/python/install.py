"""The installer of Python environments.

It runs as the script of a build sandbox (read-only root, nobody's rights, a
network, one volume at /cache that all builds share) and turns requirements
into the layer of an image:

    stdin               one JSON request, see `main`
    stdout              a tar, nothing else: opt/env/..., or usr/local/bin/uv
    stderr              uv's and pip's own words, and lines on what goes on
    /work/result.json   what was installed, or which step failed
    exit code           0; 1 when a step failed; 2 when the request is malformed

A wheel is unpacked, compiled to bytecode and packed once per volume: the
outcome is kept as a *fragment*, a piece of a tar without its end, under a key
of the pin with its hashes. An environment is the skeleton of a virtual
environment and one fragment per package, laid end to end in the order of
their names; where two packages own the same path, the later one wins, as it
does when they are installed one after the other. A fragment is kept only when
its content can depend on nothing but the wheel: not when it was built from
source, has no hash, or was unpacked together with a package that owns one of
its paths.

It must never write an index's URL, a credential or the CA bundle into the
tar, and never leave a build directory behind.
"""

import csv
import hashlib
import importlib.util
import json
import os
import platform
import py_compile
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn

PYTHON = "/usr/bin/python3"
PIP_WHEELS = Path("/usr/share/python-wheels")
WORK = Path("/work")
CACHE = Path("/cache")
ENVIRONMENT = "opt/env"

# Part of every fragment's key: a new number forgets all fragments.
FRAGMENT_FORMAT = 2
FRAGMENT_LIFE = 30 * 86400.0
BUILD_LIFE = 3600.0

# One time for all files, so that equal content makes equal layers; 1980,
# because zip archives made from them can't say anything earlier.
MTIME = 315532800
TAR_END = bytes(2 * tarfile.BLOCKSIZE)
COPY_BYTES = 1 << 20

# What uv has downloaded is of little use once there are fragments of it.
UV_CACHE_BYTES = 4 << 30
UV_CACHE_CHECKED_EVERY = 3600.0

# Half of the time that compiling takes goes into these, and nobody runs them.
NOT_COMPILED = frozenset({"test", "tests"})
COMPILE_JOBS_AT_MOST = 8

# What installers write down about where a package came from. It can hold the
# URL of an index, with credentials.
PROVENANCE = frozenset({"direct_url.json", "uv_build.json", "uv_cache.json"})

PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*])?\s*==\s*(?P<version>[^\s;\\]+)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HASH = re.compile(r"--hash=(\S+)")
HASHES_AT_END = re.compile(r"(?:\s+--hash=[a-z0-9]+:[0-9a-f]+)+\s*$")
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


@dataclass(frozen=True)
class UvRequest:
    """`"mode": "uv"`."""

    version: str
    hashes: tuple[str, ...]


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

    def mark_used(self) -> bool:
        """Says whether the fragment is there, and keeps it from being swept."""
        try:
            os.utime(self.tar)
        except FileNotFoundError:
            return False
        return True


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


@dataclass(frozen=True)
class Build:
    """An environment that is being built."""

    request: EnvironmentRequest
    directory: Path
    variables: dict[str, str]
    clock: Clock = field(default_factory=Clock)

    @property
    def sources_flag(self) -> list[str]:
        """Keeps uv from running any package's own code."""
        return [] if self.request.allow_sources else ["--only-binary", ":all:"]

    def private_fragment(self, pin: Pin) -> Fragment:
        """A place for a fragment that goes with the build."""
        return Fragment(self.directory / "fragments" / f"{pin.name}.tar")

    def fragment(self, pin: Pin) -> Fragment:
        """Where a package's fragment is or will be: on the volume when other
        builds may use it, with this build otherwise."""
        key = None if self.request.allow_sources else fragment_key(pin, self.request.compile)
        if key is None:
            return self.private_fragment(pin)
        return Fragment(CACHE / "fragments" / f"{key}.tar")


def say(text: str) -> None:
    """One line for the build's log."""
    print(f"gantry: {text}", file=sys.stderr, flush=True)


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


def fragment_key(pin: Pin, compiled: bool) -> str | None:
    """The name of a package's fragment, where its pin says all about it."""
    if pin.version is None or not pin.hashes:
        return None
    parts = (
        FRAGMENT_FORMAT,
        platform.machine(),
        platform.python_version(),
        compiled,
        pin.package,
        *pin.hashes,
    )
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


# Running uv and pip


def run(step: str, command: list[str], variables: dict[str, str], cwd: Path = WORK) -> str:
    """Runs a command whose words go to stderr; answers its stdout."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=variables,
        cwd=cwd,
        check=False,
    )
    program = Path(command[0]).name
    if done.returncode < 0:
        raise StepFailed(step, f"signal {-done.returncode} ended {program}")
    if done.returncode > 0:
        raise CommandFailed(step, f"{program} ended with {done.returncode}")
    return done.stdout.decode()


def tool_variables(directory: Path, ca_bundle: str | None) -> dict[str, str]:
    """The environment variables of uv and pip: ours, and such that they write
    to the volume alone."""
    variables = dict(os.environ)
    variables |= {
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "NO_COLOR": "1",
        "UV_CACHE_DIR": str(CACHE / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    if ca_bundle is not None:
        path = directory / "ca.pem"
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
    return run("resolve", command, build.variables, build.directory)


def install(build: Build, pins: Iterable[Pin], top: Path) -> Path:
    """Unpacks exactly these packages into a fresh tree; answers its root."""
    tree = top / ENVIRONMENT
    write_skeleton(tree)
    missing = top / "missing.txt"
    missing.write_text(options_text(build.request.requirements) + lock_text(pins))
    command = ["uv", "pip", "install", "--python", str(tree), "--no-deps"]
    command += [*build.sources_flag, "-r", str(missing)]
    run("install", command, build.variables)
    return tree


def options_text(requirements: str) -> str:
    """The lines that say where packages are: a lock has none."""
    lines = requirements.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("-"))


# The tree of a virtual environment


def write_skeleton(tree: Path) -> None:
    """A virtual environment without packages. It is relocatable, because it is
    filled in one place and used in another."""
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tree / "bin").mkdir(parents=True)
    (tree / "lib" / library / "site-packages").mkdir(parents=True)
    (tree / "lib64").symlink_to("lib")
    (tree / "bin" / "python").symlink_to(PYTHON)
    (tree / "bin" / "python3").symlink_to("python")
    (tree / "bin" / library).symlink_to("python")
    (tree / "pyvenv.cfg").write_text(
        f"home = {Path(PYTHON).parent}\n"
        f"version = {platform.python_version()}\n"
        "include-system-site-packages = false\n"
        "relocatable = true\n"
    )


def site_packages(tree: Path) -> Path:
    """Where packages are."""
    return next((tree / "lib").glob("python*/site-packages"))


def installed_records(tree: Path) -> dict[str, Path]:
    """The RECORD of each package in the tree, by the package's name."""
    return {
        normalise(info.name.removesuffix(".dist-info").rpartition("-")[0]): info / "RECORD"
        for info in site_packages(tree).glob("*.dist-info")
    }


def recorded_files(tree: Path, record: Path) -> list[Path]:
    """The regular files that a package put into the tree, bytecode left out."""
    site = record.parent.parent
    with record.open(newline="") as rows:
        names = [row[0] for row in csv.reader(rows) if row]
    paths = {Path(os.path.normpath(site / name)) for name in names}
    return sorted(path for path in paths if is_packed(tree, path))


def is_packed(tree: Path, path: Path) -> bool:
    """Whether a recorded path belongs into an image."""
    if not path.is_relative_to(tree):
        raise StepFailed("install", f"a package records a file outside of the environment: {path}")
    kept = path.name not in PROVENANCE and "__pycache__" not in path.parts
    return kept and path.is_file() and not path.is_symlink()


def drop_provenance(record: Path) -> None:
    """Removes the files that say where a package came from, also from its
    RECORD. The file is replaced, because it may be a hard link into uv's cache."""
    lines = record.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.split(",")[0].rpartition("/")[2] not in PROVENANCE]
    if len(kept) != len(lines):
        record.unlink()
        record.write_text("".join(kept))


# Bytecode


def is_compiled(path: Path, tree: Path) -> bool:
    """Whether a file gets bytecode."""
    parents = path.relative_to(tree).parts[:-1]
    return path.suffix == ".py" and NOT_COMPILED.isdisjoint(parents)


def compile_files(paths: list[Path], tree: Path) -> None:
    """Compiles in as many processes as there are processors. They are forked
    by hand: pools need semaphores, which a sandbox without IPC lacks."""
    jobs = min(len(os.sched_getaffinity(0)), COMPILE_JOBS_AT_MOST)
    by_size = sorted(paths, key=lambda path: (-path.stat().st_size, path))
    children = [fork_compiler(by_size[job::jobs], tree) for job in range(jobs)]
    for child in children:
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise StepFailed("compile", f"a compiling process ended with status {status}")


def fork_compiler(paths: list[Path], tree: Path) -> int:
    """A child process that compiles these files; answers its process id."""
    child = os.fork()
    if child != 0:
        return child
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        for path in paths:
            compile_file(path, tree)
        os._exit(0)
    except OSError as error:
        say(f"can't write bytecode: {error}")
    finally:
        os._exit(1)


def compile_file(path: Path, tree: Path) -> None:
    """Writes bytecode that is never checked against its source: images don't
    change. A file that is not valid for this Python (a template, say) stays as
    it is, and fails where it is imported, if anywhere."""
    with suppress(py_compile.PyCompileError, ValueError, RecursionError):
        py_compile.compile(
            str(path),
            dfile=f"/{ENVIRONMENT}/{path.relative_to(tree)}",
            doraise=True,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def with_bytecode(paths: list[Path]) -> list[Path]:
    """The files and the bytecode that was made of them."""
    compiled = (Path(importlib.util.cache_from_source(str(p))) for p in paths if p.suffix == ".py")
    return sorted([*paths, *(path for path in compiled if path.is_file())])


# Tars


def with_parents(paths: Iterable[Path], top: Path) -> list[Path]:
    """The paths and all directories above them and below `top`, in order."""
    everything = set(paths)
    for path in tuple(everything):
        for parent in path.parents:
            if parent == top or parent in everything:
                break
            everything.add(parent)
    return sorted(everything)


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
    """Packs a package's files. The tar appears last and at once: who sees it
    sees all of it."""
    fragment.tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=top) as scratch:
        index, tar = Path(scratch, "index"), Path(scratch, "tar")
        index.write_text("".join(f"{path.relative_to(top)}\n" for path in paths))
        with tar.open("wb") as output:
            write_members(output, paths, top)
        index.replace(fragment.index)
        tar.replace(fragment.tar)


def write_environment(output: IO[bytes], fragments: Iterable[Fragment], directory: Path) -> None:
    """The whole tar: the skeleton, all directories, and the fragments. No path
    is named twice but one that two packages own: an engine that is to load the
    layer refuses those, and has to build it instead."""
    fragments = list(fragments)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        top = Path(scratch)
        write_skeleton(top / ENVIRONMENT)
        skeleton = list(top.rglob("*"))
        write_members(output, skeleton, top)
    directories = parent_directories(name for one in fragments for name in one.names())
    directories -= {str(path.relative_to(top)) for path in skeleton}
    for name in sorted(directories):
        output.write(directory_header(name))
    for fragment in fragments:
        with fragment.tar.open("rb") as content:
            shutil.copyfileobj(content, output, COPY_BYTES)
    output.write(TAR_END)
    output.flush()


# Fragments of a lock


def fill(build: Build, fragments: dict[Pin, Fragment], pins: list[Pin]) -> None:
    """Sees to it that these packages' fragments are there."""
    absent = [pin for pin in pins if not fragments[pin].mark_used()]
    if pins:
        say(f"{len(pins) - len(absent)} of {len(pins)} packages are in the cache")
    if absent:
        with tempfile.TemporaryDirectory(dir=build.directory) as top:
            add_fragments(build, fragments, absent, Path(top))


def add_fragments(build: Build, fragments: dict[Pin, Fragment], pins: list[Pin], top: Path) -> None:
    """Installs packages and leaves the fragment of each where it belongs."""
    with build.clock.step("install"):
        tree = install(build, pins, top)
        files = package_files(tree, pins)
    with build.clock.step("compile"):
        if build.request.compile:
            compile_files(compilable(files, tree), tree)
    with build.clock.step("pack"):
        shared = shared_paths(files)
        for pin, paths in files.items():
            if not shared.isdisjoint(paths):
                fragments[pin] = build.private_fragment(pin)
            write_fragment(fragments[pin], with_bytecode(paths), top)


def package_files(tree: Path, pins: list[Pin]) -> dict[Pin, list[Path]]:
    """The files of each package that was to be installed."""
    records = installed_records(tree)
    absent = [pin.package for pin in pins if pin.name not in records]
    if absent:
        raise StepFailed("install", f"in the lock but not installed: {', '.join(absent)}")
    for pin in pins:
        drop_provenance(records[pin.name])
    return {pin: recorded_files(tree, records[pin.name]) for pin in pins}


def compilable(files: dict[Pin, list[Path]], tree: Path) -> list[Path]:
    """Every file that gets bytecode, once."""
    every = {path for paths in files.values() for path in paths}
    return sorted(path for path in every if is_compiled(path, tree))


def shared_paths(files: dict[Pin, list[Path]]) -> frozenset[Path]:
    """Paths that more than one package owns."""
    owners = Counter(path for paths in files.values() for path in paths)
    return frozenset(path for path, count in owners.items() if count > 1)


def covers(candidate: Candidate, fragments: dict[Pin, Fragment]) -> bool:
    """Whether the rest may be laid on top of a candidate: only when no file of
    it would be replaced. A package whose files aren't known counts as a clash."""
    there = [f for pin, f in fragments.items() if pin.package in candidate.packages]
    added = [f for pin, f in fragments.items() if pin.package not in candidate.packages]
    try:
        owned = frozenset().union(*(fragment.names() for fragment in there))
        return all(owned.isdisjoint(fragment.names()) for fragment in added)
    except FileNotFoundError:
        return False


# The two modes


def build_environment(request: EnvironmentRequest, ca_bundle: str | None) -> dict[str, Any]:
    """Writes the environment's tar; answers the result."""
    with build_directory() as directory:
        build = Build(request, directory, tool_variables(directory, ca_bundle))
        bound_uv_cache(build.variables)
        lock = request.lock
        if lock is None:
            with build.clock.step("resolve"):
                lock = resolve(build)
        pins = enforce_hashes(parse_lock(lock), asked_hashes(request.requirements))
        fragments, parent = gather(build, pins)
        with build.clock.step("pack"):
            write_environment(sys.stdout.buffer, fragments, directory)
    return {
        "lock": lock_text(pins),
        "packages": [pin.package for pin in pins],
        "parent": parent,
        "seconds": build.clock.seconds,
    }


def gather(build: Build, pins: list[Pin]) -> tuple[list[Fragment], str | None]:
    """Makes the fragments that are needed and not there yet; answers those of
    the layer in order, and the candidate that the layer goes on top of. What a
    candidate's packages were made from isn't known: none may hold a checked one."""
    fragments = {pin: build.fragment(pin) for pin in pins}
    packages = frozenset(pin.package for pin in pins if not pin.is_checked)
    candidate = choose_candidate(build.request.candidates, packages)
    held = [pin for pin in pins if candidate and pin.package in candidate.packages]
    needed = [pin for pin in pins if pin not in held]
    fill(build, fragments, needed)
    if candidate and covers(candidate, fragments):
        say(f"{len(held)} packages are in {candidate.id} already")
        return [fragments[pin] for pin in needed], candidate.id
    fill(build, fragments, held)
    return [fragments[pin] for pin in pins], None


def build_uv(request: UvRequest, ca_bundle: str | None) -> dict[str, Any]:
    """Writes a tar with uv, fetched by the pip that Debian ships as a wheel."""
    clock = Clock()
    with build_directory() as directory:
        variables = tool_variables(directory, ca_bundle)
        with clock.step("install"):
            fetch_uv(request, directory, variables)
        with clock.step("pack"):
            binary = directory / "usr/local/bin/uv"
            binary.parent.mkdir(parents=True)
            (directory / "uv/bin/uv").rename(binary)
            write_members(sys.stdout.buffer, with_parents([binary], directory), directory)
            sys.stdout.buffer.write(TAR_END)
            sys.stdout.buffer.flush()
    return {"uv": request.version, "seconds": clock.seconds}


def fetch_uv(request: UvRequest, directory: Path, variables: dict[str, str]) -> None:
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
    run("install", [*command, "-r", str(requirements)], variables)


# The volume


@contextmanager
def build_directory() -> Iterator[Path]:
    """A directory on the volume, where hard links to uv's cache are possible."""
    sweep(CACHE / "build", BUILD_LIFE)
    sweep(CACHE / "fragments", FRAGMENT_LIFE)
    path = Path(tempfile.mkdtemp(dir=CACHE / "build"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(directory: Path, life: float) -> None:
    """Removes what has not been touched for so many seconds: what crashed
    builds left, and what no environment has used for long."""
    directory.mkdir(parents=True, exist_ok=True)
    oldest = time.time() - life
    for entry in list(os.scandir(directory)):
        try:
            if entry.stat(follow_symlinks=False).st_mtime >= oldest:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
        except FileNotFoundError:
            continue


def bound_uv_cache(variables: dict[str, str]) -> None:
    """Empties uv's cache when it is too large. uv does so only while no other
    uv works with it, and those that begin wait: if it is in use, it stays until
    the next look."""
    cache = CACHE / "uv"
    if not is_due(CACHE / "uv-checked", UV_CACHE_CHECKED_EVERY):
        return
    if disk_usage(cache) <= UV_CACHE_BYTES:
        return
    done = subprocess.run(
        ["uv", "cache", "clean", "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=variables | {"UV_LOCK_TIMEOUT": "2"},
        check=False,
    )
    outcome = "has been emptied" if done.returncode == 0 else "stays: it is in use"
    say(f"uv's cache has become too large and {outcome}")


def is_due(stamp: Path, every: float) -> bool:
    """Whether so many seconds have passed since it last was."""
    with suppress(FileNotFoundError):
        if time.time() - stamp.stat().st_mtime < every:
            return False
    stamp.touch()
    return True


def disk_usage(directory: Path) -> int:
    """Bytes on the disk of the files below a directory; they may be going."""
    used = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                used += os.lstat(os.path.join(parent, name)).st_blocks * 512
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
    )


def parse_uv_request(request: dict[str, Any]) -> UvRequest:
    """The fields of `"mode": "uv"`."""
    hashes = typed(request, "hashes", list, [])
    if not all(isinstance(digest, str) and SHA256.fullmatch(digest) for digest in hashes):
        raise MalformedRequest("hashes: not all are sha256: and 64 hexadecimal digits")
    return UvRequest(typed(request, "version", str, None), tuple(hashes))


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
        case other:
            raise MalformedRequest(f"mode: {other!r} is neither 'environment' nor 'uv'")


def write_result(result: dict[str, Any]) -> None:
    """Leaves the result where it is read from."""
    (WORK / "result.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")


def stop(_signal: int, _frame: object) -> NoReturn:
    """TERM unwinds the stack, so that the build directory goes."""
    raise SystemExit(143)


def main() -> int:
    """Reads a request, either

        {"mode": "environment", "requirements": "numpy\\npillow>=11",
         "lock": null, "candidates": [{"id": "...", "packages": ["numpy==2.5.5"]}],
         "allow_sources": false, "ca_bundle": null, "compile": true}

    or

        {"mode": "uv", "version": "0.13.9", "hashes": ["sha256:..."], "ca_bundle": null}

    and leaves {"lock", "packages", "parent", "seconds"}, {"seconds", "uv"}, or
    {"failed": step, "detail": text}. Hashes in requirements are enforced; so
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
