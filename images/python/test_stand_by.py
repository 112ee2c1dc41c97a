"""A script that an interpreter has waited for can't tell: each is run from scratch and
by one that stands by, and all that can be seen is compared."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).parent / "stand_by"

# With a sitecustomize of its own, as Debian's has, and without; each once.
INTERPRETERS = sorted({
    os.path.realpath(path) for path in (sys.executable, "/usr/bin/python3") if os.path.exists(path)
})

# Modules that the scripts below import.
MODULES = {
    "plain": "value = 1",
    "reads": "import os\nvalue = os.environ.get('EXECUTION_ID')",
    "reads_other": "import os\nvalue = os.getenv('HOME'), 'LANG' in os.environ",
    "lists": "import os\nvalue = dict(os.environ)",
    "writes": "print('hello')",
    "sets": "import os\nos.environ['SET_BY_IMPORT'] = '1'\nos.environ.pop('SCRIPT_NAME')",
    "exits": "import sys\nsys.exit(9)",
    "at_exit": "import atexit\natexit.register(print, 'module')",
    "starts": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
    "opens": "file = open(__file__)",
    "has_main": "import __main__\nvalue = hasattr(__main__, '__file__')",
    "flushes": "file = open('left', 'w')\nfile.write('buffered')",
    "says_goodbye": "class Late:\n def __del__(self): print('module deleted')\nlate = Late()",
    "keeps": "things = []",
    "suspended": "def f():\n try: yield\n finally: print('generator')\nit = f()\nnext(it)",
    "copies": "import os\nvalue = os.environ.copy()",
    "keeps_a_copy_of_all": "import os\nclass Kept: pass\nKept.all = value = {**os.environ}",
    "searches": "import os\nvalue = {k: v for k, v in os.environ.items() if k.startswith('SCRIPT_')}",
    "searches_names": "import os\nvalue = [name for name in os.environ if 'SCRIPT' in name]",
    "sorts": "import os\nvalue = [k for k, _ in sorted(os.environ.items())], len(os.environ)",
    "asks_whether": "import os\nvalue = 'EXECUTION_ID' in os.environ, os.getenv('LANG')",
    "asks_for_job": "import os\nvalue = 'JOB_ID', os.getenv('JOB_ID')",
    "reloads": """
        import os
        class Reloader:
            def update(self):
                new = {}
                for name, value in os.environ.items():
                    if name.startswith("SCRIPT_"):
                        new[name] = value
                self.old = dict(new)
        value = Reloader()
        value.update()
        value = value.old
        """,
    "warns": "import warnings\nwarnings.warn('hello')",
    "warns_its_importer": "import warnings\nwarnings.warn('hello', stacklevel=2)",
    "warns_beyond": "import warnings\nwarnings.warn('hello', stacklevel=3)",
    "writes_to_both": "import os, sys\nos.write(1, b'hello')\nprint('there', file=sys.stderr)",
    "has_callback": """
        import weakref
        class Thing: pass
        thing = Thing()
        thing.self = thing
        reference = weakref.ref(thing, lambda _: print("gone"))
        """,
    "holds_main": "import __main__",
    "holds_names": "import sys\nnames = sys.modules['__main__'].__dict__",
    "package/__init__": "",
    "package/part": "value = 'part'",
}

# Modules whose objects do something when they are asked for their class, their truth
# or an attribute, with nobody there who asks.
LAZY = {
    "lazy_class": """
        class Lazy:
            @property
            def __class__(self): print("evaluated", flush=True); raise RuntimeError
        lazy = Lazy()
        """,
    "lazy_attribute": """
        class Lazy:
            def __getattribute__(self, name): print("evaluated", flush=True); raise RuntimeError
            def __eq__(self, other): raise RuntimeError
            def __bool__(self): raise RuntimeError
            __hash__ = None
        lazy = Lazy()
        """,
    "lazy_settings": """
        class Settings:
            def __getattr__(self, name): raise RuntimeError("settings are not configured")
            @property
            def __class__(self): return self.wrapped.__class__
        settings = [Settings()]
        """,
    "dead_proxy": """
        import weakref
        class Thing: pass
        proxies = [weakref.proxy(Thing()), weakref.proxy(Thing)]
        """,
    "lazy_metaclass": """
        class Meta(type):
            def __getattribute__(cls, name): print("evaluated", flush=True); raise RuntimeError
            def __instancecheck__(cls, thing): raise RuntimeError
            def __subclasscheck__(cls, kind): raise RuntimeError
            def __eq__(cls, other): raise RuntimeError
            __hash__ = None
        thing = Meta("Thing", (), {})()
        """,
    "virtual_file": """
        import io
        class Registered: pass
        io.IOBase.register(Registered)
        thing = Registered()
        class File(io.IOBase):
            @classmethod
            def __subclasshook__(cls, kind): print("evaluated", flush=True); return True
        """,
    "named_generator": """
        class generator:
            def __getattr__(self, name): print("evaluated", flush=True); raise RuntimeError
        thing = generator()
        """,
    "lazy_module": """
        import sys, types
        class Lazy(types.ModuleType):
            def __getattr__(self, name): raise RuntimeError("loaded")
        sys.modules["lazy_module.part"] = Lazy("lazy_module.part")
        """,
}

# What of a package may depend on a value that is different each time, whatever it
# catches.
USES = [
    "len(os.environ['EXECUTION_ID'])",
    "kept = 'in ' + os.environ['EXECUTION_ID']",
    "kept = f'{os.environ[\"EXECUTION_ID\"]}'",
    "kept = '%s' % os.environ['EXECUTION_ID']",
    "kept = str(dict(os.environ))",
    "kept = repr(os.environ)",
    "kept = ' '.join(os.environ.values())",
    "kept = tuple(os.environ.items())",
    "kept = list(os.environ.values())",
    "kept = [os.environ.get('EXECUTION_ID')]",
    "kept = os.environ.get('EXECUTION_ID') or 'none'",
    "kept = hash(frozenset(os.environ.items()))",
    "kept = isinstance(os.environ['EXECUTION_ID'], str)",
    "kept = max(os.environ.values())",
    "kept = os.environ['EXECUTION_ID'].encode()",
    "import subprocess; subprocess.run(['true'], env=dict(os.environ))",
    "import copy; kept = copy.deepcopy(dict(os.environ))",
    "import copy; kept = copy.deepcopy(os.environ)",
    "class Kept: value = os.environ.get('EXECUTION_ID')",
    "kept = type('Kept', (), {})(); kept.value = os.environ.get('EXECUTION_ID')",
    "kept = os.environb[b'EXECUTION_ID']",
    "os.environ['EXECUTION_ID'] = 'other'",
    "os.environ.pop('EXECUTION_ID')",
    "os.environ.setdefault('JOB_ID', 'other')",
    "os.environ.clear()",
    "kept = int(os.environ['EXECUTION_ID'])",
    "kept = os.fsencode(os.environ['EXECUTION_ID'])",
    "kept = os.environ.get('EXECUTION_ID') in ('', 'x')",
]

# What is written in C refuses what is no string.
REFUSED = [
    "import json; kept = json.dumps(dict(os.environ))",
    "import re; kept = re.match('x', os.environ['EXECUTION_ID'])",
    "kept = ' '.join(dict(os.environ).values())",
    "kept = int(os.environ['EXECUTION_ID'], 16)",
]

# Objects of a script's own classes, there and back again.
SHOTS = """
    import collections, concurrent.futures, dataclasses, enum, multiprocessing, pickle

    class Shot:
        def __init__(self, n): self.n = n
        class Take:
            n = 4
        def grade(self): return Shot(self.n * self.n)

    class Colour(enum.Enum):
        RED = 1

    class Late(Exception):
        pass

    @dataclasses.dataclass
    class Frame:
        n: int

    Point = collections.namedtuple("Point", "x y")

    def grade(n): return Shot(n * n)
    def take(n): return Shot.Take()
    def colour(n): return Colour.RED
    def frame(n): return Frame(n)
    def point(n): return Point(n, n)
    def late(n): raise Late(n)
    def function(n): return grade
    def kind(n): return Shot
    def put(queue, pipe):
        queue.put(Shot(5))
        pipe.send(Frame(6))

    def main():
        context = multiprocessing.get_context("METHOD")
        with context.Pool(1) as pool:
            print([shot.n for shot in pool.map(grade, [1, 2, 3])] == [1, 4, 9])
            print(type(pool.apply(take, [1])) is Shot.Take, pool.apply(colour, [1]) is Colour.RED)
            print(pool.apply(frame, [3]) == Frame(3), type(pool.apply(point, [3])) is Point)
            print(pool.apply(function, [1]) is grade, pool.apply(kind, [1]) is Shot)
            try:
                pool.apply(late, [1])
            except Late as error:
                print(type(error) is Late)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
            print(executor.submit(Shot(3).grade).result().n == 9)
        queue, (here, there) = context.Queue(), context.Pipe()
        process = context.Process(target=put, args=[queue, there])
        process.start()
        print(type(queue.get()) is Shot, type(here.recv()) is Frame)
        process.join()
        with context.Manager() as manager:
            shots = manager.list([Shot(7)])
            print(type(shots[0]) is Shot)

    if __name__ == "__main__":
        main()
    """

# Something that reads stdin.
READ = """
    import asyncio, json, os, select, stat, subprocess, sys
    async def by_loop():
        reader = asyncio.StreamReader()
        make = lambda: asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(make, sys.stdin)
        return await reader.read()
    print({})
    """

VARIABLES = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nowhere",
    "LANG": "C.UTF-8",
    "EXECUTION_ID": "",
    "SCRIPT_NAME": "name",
    "JOB_ID": "",
    "GANTRY_INPUTS": "",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


# Said by who has searched the environment.
SEARCHED = "ready JOB_ID GANTRY_INPUTS"


def fields(*values):
    return b"".join(b"%d\n%s" % (len(value), value) for value in map(os.fsencode, values))


def restore_defaults():
    """As gantry-init does. Whoever runs these tests may ignore some, as a shell does
    for what runs in the background."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)


def without(mapping, name):
    return {key: value for key, value in mapping.items() if key != name}


def memory_file(content=b""):
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class Bench:
    """A folder with a script, the modules beside the standard library, and an
    interpreter."""

    def __init__(self, folder, interpreter, source):
        self.folder = pathlib.Path(folder)
        self.interpreter = interpreter
        self.source = textwrap.dedent(source).lstrip("\n")
        self.script = self.folder / "run" / "script.py"
        self.work = self.folder / "work"

    def variables(self, more):
        variables = {**VARIABLES, "EXECUTION_ID": "e-1", **more}
        for name in ("JOB_ID", "GANTRY_INPUTS"):
            variables = variables if name in more else without(variables, name)
        return variables

    def begin(self):
        for folder in (self.script.parent, self.work):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def end(self, process, stdin):
        said = process.communicate(stdin, timeout=60)
        out, err = (re.sub(rb"0x[0-9a-f]{6,}", b"0x", it) for it in said)
        left = sorted((path.name, path.read_bytes()) for path in self.work.iterdir())
        return process.returncode, out.decode(), err.decode(), left

    def from_scratch(self, args, stdin, more):
        self.begin()
        self.script.write_text(self.source)
        words = [self.interpreter, str(self.script), *args]
        return self.end(self.start(words, self.variables(more), ()), stdin)

    def standing_by(self, args, stdin, more, modules=None):
        """What it says when it has got ready, and what became of the script."""
        self.begin()
        self.script.write_text(self.source)
        ours, theirs = socket.socketpair()
        names = () if modules is None else modules
        is_listed = "0" if modules is None else "1"
        preparation = memory_file(fields(str(self.script), self.source, is_listed, *names))
        request = memory_file()
        passed = (theirs.fileno(), preparation, request)
        first = {
            **VARIABLES,
            "PYTHONPATH": str(HERE),
            "GANTRY_STAND_BY": ",".join(map(str, passed)),
        }
        words = [self.interpreter, str(self.script)]
        process = self.start(words, first, passed)
        os.close(preparation)
        theirs.close()
        said = ours.makefile().readline().strip()
        if not said.startswith("ready"):
            os.close(request)
            process.communicate(timeout=60)
            ours.close()
            return said, None
        words += args
        variables = [f"{name}={value}" for name, value in self.variables(more).items()]
        os.write(request, fields(str(self.work), str(len(words)), *words, *variables))
        os.close(request)
        ours.send(b"g")
        ended = self.end(process, stdin)
        ours.close()
        return said, ended

    def start(self, words, variables, passed):
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            cwd=self.work,
            pass_fds=passed,
            preexec_fn=restore_defaults,
        )


class StandBy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        library = pathlib.Path(cls.folder.name) / "library"
        for name, content in {**MODULES, **LAZY}.items():
            path = library / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        # Where an environment has its packages: a folder that the interpreter finds
        # by itself.
        cls.interpreters = []
        for number, interpreter in enumerate(INTERPRETERS):
            venv = pathlib.Path(cls.folder.name) / f"venv-{number}"
            made = subprocess.run(
                [interpreter, "-m", "venv", "--without-pip", venv], capture_output=True
            )
            assert made.returncode == 0, made
            (packages,) = venv.glob("lib/python*/site-packages")
            (packages / "library.pth").write_text(str(library))
            cls.interpreters.append(str(venv / "bin" / "python"))

    def compare(self, source, args=(), stdin=b"", more=None, modules=None, said="ready"):
        """Runs it both ways; answers with what became of it."""
        for interpreter in self.interpreters:
            bench = Bench(self.folder.name, interpreter, source)
            cold = bench.from_scratch(list(args), stdin, more or {})
            with self.subTest(interpreter=interpreter):
                answer, warm = bench.standing_by(list(args), stdin, more or {}, modules)
                self.assertIn(said, answer)
                if answer.startswith("ready"):
                    self.assertEqual(warm, cold)
        return cold

    def test_the_script_finds_its_names(self):
        code, out, err, _ = self.compare(
            """
            '''doc'''
            import sys
            print(sys.argv, sys.orig_argv, __name__, __file__, __doc__, __spec__, __package__)
            print(sys.path, sys.flags, sys.executable, sys.prefix, sys.warnoptions)
            print(sorted(globals()), sorted(sys.modules), sys.modules["__main__"])
            print(sorted(sys.path_importer_cache), sys.meta_path, sys.path_hooks)
            print(sys.getrecursionlimit(), sys.excepthook, sys.displayhook, sys.gettrace())
            """,
            args=["a b", "", "--flag", "ü"],
        )
        self.assertEqual((code, err), (0, ""))
        self.assertIn("'a b', '', '--flag', 'ü'", out)

    def test_the_environment_is_that_of_the_request(self):
        source = """
            import os, subprocess
            print(list(os.environ.items()), type(os.environ), os.environb[b"EXECUTION_ID"])
            print(subprocess.run(["env"], capture_output=True, text=True).stdout)
            print(os.getcwd(), os.listdir("."), os.getenv("JOB_ID"), len(os.environ))
            os.environ["NEW"] = "1"
            del os.environ["HOME"]
            print(os.popen("echo $NEW $HOME $EXECUTION_ID").read())
            """
        _, out, _, _ = self.compare(source)
        self.assertNotIn("JOB_ID", out)
        self.assertNotIn("GANTRY", out)
        self.assertNotIn("PYTHONPATH", out)
        _, out, _, _ = self.compare(source, more={"JOB_ID": "j-1"})
        self.assertIn("('JOB_ID', 'j-1')", out)
        _, out, _, _ = self.compare(source, more={"GANTRY_INPUTS": "/work/in/list"})
        self.assertIn("('GANTRY_INPUTS', '/work/in/list')", out)

    def test_nothing_else_is_open(self):
        self.compare(
            """
            import os
            print(sorted(os.listdir("/proc/self/fd")), os.getpgid(0) == os.getpid())
            print([os.get_inheritable(fd) for fd in range(3)])
            """
        )

    def test_stdin_is_there_as_a_whole(self):
        for read in (
            "sys.stdin.read()",
            "sys.stdin.buffer.read()",
            "sys.stdin.readline(), sys.stdin.readlines()",
            "open(0).read()",
            "os.read(0, 4), stat.S_ISFIFO(os.fstat(0).st_mode), sys.stdin.seekable()",
            "select.select([0], [], [])[0], asyncio.run(by_loop())",
            "json.load(sys.stdin)",
            "sys.stdin.isatty(), sys.stdin.encoding, sys.stdin.fileno()",
            "sys.stdin.buffer.raw.readall(), sys.stdin.buffer.peek()",
            "subprocess.check_output('cat')",
        ):
            source = READ.format(read)
            code, _, err, _ = self.compare(source, stdin=b'["\xc3\xbc",\n1]')
            self.assertEqual((code, err), (0, ""), read)

    def test_output_goes_out_at_once_and_in_order(self):
        _, out, err, _ = self.compare(
            """
            import os, sys
            print("a", end="")
            os.write(1, b"b")
            sys.stdout.buffer.write(b"c")
            os.write(1, b"d")
            print("e", file=sys.stderr, end="")
            print(sys.stdout.line_buffering, sys.stdout.write_through, sys.stdout.encoding)
            print(sys.stderr.errors, sys.stdout.errors, sys.stdout.buffer)
            os.abort()
            """
        )
        self.assertTrue(out.startswith("abcd"), out)
        self.assertEqual(err, "e")

    def test_a_traceback_is_the_same(self):
        code, _, err, _ = self.compare(
            """
            import json
            def inner(value):
                return json.loads(value)
            def outer():
                try:
                    inner("{")
                except ValueError as error:
                    raise RuntimeError("outer") from error
            outer()
            """
        )
        self.assertEqual(code, 1)
        self.assertEqual(err.count('script.py", line'), 4)
        self.assertNotIn("sitecustomize", err)

    def test_it_ends_as_it_wants_to(self):
        for end, code in (
            ("sys.exit(3)", 3),
            ("sys.exit('text')", 1),
            ("sys.exit()", 0),
            ("os._exit(4)", 4),
            ("os.kill(os.getpid(), 15)", -15),
            ("os.kill(os.getpid(), signal.SIGINT)", -2),
            ("os.abort()", -6),
            ("signal.raise_signal(signal.SIGPIPE)", 0),
            ("os.kill(os.getpid(), 9)", -9),
            ("raise KeyboardInterrupt", -2),
            ("raise SystemExit(257)", 1),
        ):
            source = f"import os, signal, sys\nprint('x')\n{end}\n"
            self.assertEqual(self.compare(source)[0], code, end)

    def test_what_is_to_happen_at_exit_happens_in_its_order(self):
        _, out, _, _ = self.compare(
            """
            import atexit, at_exit, threading
            atexit.register(print, "script")
            class Late:
                def __del__(self):
                    print("deleted")
            late = Late()
            thread = threading.Thread(target=print, args=["thread"])
            thread.start()
            thread.join()
            """
        )
        self.assertEqual(out, "thread\nscript\nmodule\ndeleted\n")

    def test_what_is_freed_at_the_end_is_freed(self):
        late = "class Late:\n def __del__(self): print('deleted')\n"
        for source, seen in (
            ("import keeps\n" + late + "keeps.things.append(Late())", "deleted"),
            (late + "late = Late()\nlate.self = late", "deleted"),
            ("import keeps\n" + late + "class More(Late): pass\nkeeps.more = More()", "deleted"),
            ("import says_goodbye", "module deleted"),
            ("import suspended", "generator"),
            ("import sys\nsys.stdout = open(1, 'w', closefd=False)\nprint('x', end='')", "x"),
            ("import builtins\n" + late + "builtins.late = Late()", "deleted"),
        ):
            self.assertIn(seen, self.compare(source)[1], source)
        for source in (
            "import flushes",
            "import keeps\nkeeps.things.append(open('left', 'w'))\nkeeps.things[0].write('buffered')",
            "file = open('left', 'w')\nfile.write('buffered')",
        ):
            self.assertEqual(self.compare(source)[3], [("left", b"buffered")], source)

    def test_the_collector_finds_what_the_script_makes(self):
        self.compare(
            """
            import gc, weakref, json
            class Node:
                pass
            node = Node()
            node.self = node
            gone = weakref.ref(node)
            del node
            gc.collect()
            print(gone(), gc.isenabled(), gc.get_threshold(), gc.garbage, gc.callbacks)
            """
        )

    def test_signals_are_as_ever(self):
        self.compare(
            """
            import signal
            for number in sorted(signal.valid_signals()):
                print(number, signal.getsignal(number))
            print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
            print(open("/proc/self/status").read().split("SigBlk")[1].split("Cap")[0])
            """
        )

    def test_sources_are_found(self):
        self.compare(
            """
            import inspect, linecache, __main__, importlib
            def function():
                return 1
            print(inspect.getsource(function), linecache.getline(__file__, 2))
            print(__main__.__file__, importlib.import_module("__main__") is __main__)
            print(inspect.stack()[0].filename, len(inspect.stack()))
            """
        )

    def test_processes_of_its_own_find_what_they_need(self):
        _, out, _, _ = self.compare(
            """
            import multiprocessing, subprocess, sys
            def square(number):
                return number * number
            if __name__ == "__main__":
                for method in ("fork", "spawn", "forkserver"):
                    with multiprocessing.get_context(method).Pool(2) as pool:
                        print(method, pool.map(square, range(3)), flush=True)
                code = "import sys; print(sys.path, 'sitecustomize' in sys.modules)"
                print(subprocess.check_output([sys.executable, "-c", code]))
            """
        )
        self.assertEqual(out.count("[0, 1, 4]"), 3)

    def test_objects_come_back_from_processes_of_its_own(self):
        """By every way that there is, of every kind that pickle takes by its name."""
        for method in ("spawn", "forkserver", "fork"):
            code, out, err, _ = self.compare(SHOTS.replace("METHOD", method))
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(out.count("True"), 12, out)

    def test_modules_of_the_environment_are_there(self):
        _, out, _, _ = self.compare(
            """
            from __future__ import annotations
            import plain as other, sys
            import has_main
            from package import part
            from package.part import value as named
            import reads_other
            print(other.value, part.value, named, reads_other.value, has_main.value, "plain" in sys.modules)
            print(sorted(sys.modules), annotations)
            """
        )
        self.assertIn("1 part part", out)

    def test_what_imports_do_stays_done(self):
        _, out, _, _ = self.compare(
            """
            import sets, starts, opens, os, threading
            print(list(os.environ.items()), os.popen("env").read())
            print(threading.active_count(), opens.file.read())
            """
        )
        self.assertIn("SET_BY_IMPORT", out)

    def test_what_differs_each_time_is_filled_in_where_it_is_kept(self):
        for module in ("reads", "lists", "copies", "keeps_a_copy_of_all"):
            source = f"import {module}\nprint({module}.value)"
            self.assertIn("e-1", self.compare(source)[1], module)
        _, out, _, _ = self.compare("from reads import value\nprint(value, type(value))")
        self.assertEqual(out, "e-1 <class 'str'>\n")

    def test_who_searches_the_environment_is_ready(self):
        """As tqdm, numba and Django do."""
        for module in ("searches", "searches_names", "reloads", "asks_whether", "sorts"):
            source = f"import {module}, os\nprint({module}.value, list(os.environ.items()))"
            for interpreter in self.interpreters:
                bench = Bench(self.folder.name, interpreter, source)
                said, warm = bench.standing_by([], b"", {})
                # It has not seen the variables that only some executions have.
                self.assertEqual(said, SEARCHED if module != "asks_whether" else "ready")
                self.assertEqual(warm, bench.from_scratch([], b"", {}))
        self.assertIn("JOB_ID", self.compare("import asks_for_job\nprint(asks_for_job.value)")[1])

    def test_who_uses_what_differs_each_time_is_not_ready(self):
        library = pathlib.Path(self.folder.name) / "library"
        module = "import os\ntry:\n {}\nexcept Exception: pass"
        used = "what it imports uses the value of EXECUTION_ID"
        for number, use in enumerate(USES + REFUSED):
            is_seen = use in USES
            (library / f"uses_{number}.py").write_text(module.format(use) if is_seen else "import os;" + use)
            bench = Bench(self.folder.name, self.interpreters[number % len(self.interpreters)], f"import uses_{number}")
            said, _ = bench.standing_by([], b"", {})
            self.assertIn(said[:9], (used[:9],) if is_seen else (used[:9], "TypeError"), use)

    def test_what_imports_write_and_warn_of_is_the_same(self):
        for module in ("writes", "warns", "warns_its_importer", "writes_to_both"):
            code, out, err, _ = self.compare(f"\n'doc'\nimport sys\nimport {module}\nprint(1)")
            self.assertEqual((code, "hello" in out + err), (0, True), module)
        _, _, err, _ = self.compare("import sys\n\nimport warns_its_importer as other\nimport warns_its_importer")
        self.assertIn("script.py:3: UserWarning: hello\n  import warns_its_importer as other\n", err)
        self.assertEqual(err.count("hello"), 1)
        self.compare("import warns_its_importer\nprint(sorted(globals()), __warningregistry__)")
        self.compare("x = '\\d'\nimport plain\n", said="ready")
        self.compare("import warns_beyond", said="warns of whoever imports it")

    def test_objects_of_packages_are_not_asked_for_anything(self):
        """Those of Django, celery, werkzeug and wrapt evaluate themselves, dead proxies
        raise, and others may do anything."""
        for module in LAZY:
            for more in ("", f"{module}.rows = open('left', 'w')\n{module}.rows.write('a,b')\n"):
                source = f"import {module}\n{more}print({module}.__name__)"
                for interpreter in self.interpreters:
                    bench = Bench(self.folder.name, interpreter, source)
                    cold = bench.from_scratch([], b"", {})
                    self.assertEqual(cold[:3], (0, f"{module}\n", ""), module)
                    self.assertEqual(cold[3], [("left", b"a,b")] if more else [])
                    with self.subTest(module=module, interpreter=interpreter):
                        said, warm = bench.standing_by([], b"", {})
                        self.assertEqual((said, warm), ("ready", cold))

    def test_why_the_end_takes_longer_is_said(self):
        for source, why in (
            ("import says_goodbye", "effect when it is freed"),
            ("import has_callback", "effect when it is freed"),
            ("import holds_main", "holds __main__"),
            ("import holds_names", "holds __main__"),
            ("import gc\nprint(gc.get_freeze_count())", "the collector is used"),
            ("import plain\ndef f():\n import gc\n print(len(gc.get_referrers(plain)))\nf()", "collector"),
        ):
            self.compare(source, said="ready: ")
            self.compare(source, said=why)

    def test_imports_that_can_not_be_made_ready_are_said(self):
        for source, said in (
            ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
            ("import exits", "SystemExit: 9"),
            ("import plain.not_there", "not a package"),
            ("import script", "would be the script itself"),
            ("x = (", "SyntaxError"),
            ("import os\x00", "null bytes"),
        ):
            self.compare(source, said=said)

    def test_only_imports_before_all_else_are_made_ready(self):
        code, out, _, _ = self.compare(
            """
            '''doc'''
            import sys
            LIMIT = 1
            def function(argument, *rest, option=None):
                import not_there
            import plain
            sys.modules["not_there"] = plain
            import not_there
            print(not_there.value)
            """
        )
        # A default is evaluated: from there on, nothing is imported before its time.
        self.assertEqual((code, out), (0, "1\n"))
        for before in ("def f(x=print('late')): pass", "class A: pass", "if 1: pass", "x: int = 1"):
            code, _, _, _ = self.compare(f"import sys\n{before}\nimport plain\n")
            self.assertEqual(code, 0)

    def test_modules_can_be_listed(self):
        source = """
            import sys
            sys.stdout.write(str("plain" in sys.modules))
            """
        bench = Bench(self.folder.name, self.interpreters[0], source)
        said, ended = bench.standing_by([], b"", {}, ["plain", "package.part"])
        self.assertEqual((said, ended[:3]), ("ready", (0, "True", "")))
        said, ended = bench.standing_by([], b"", {}, [])
        self.assertEqual((said, ended[:3]), ("ready", (0, "False", "")))
        said, _ = bench.standing_by([], b"", {}, ["not_there"])
        self.assertIn("not_there", said)

    def test_chance_is_not_shared(self):
        source = "import random, uuid\nprint(hash('x'), random.random(), uuid.uuid4())"
        bench = Bench(self.folder.name, self.interpreters[0], source)
        seen = {bench.standing_by([], b"", {})[1][1] for _ in range(5)}
        self.assertEqual(len(seen), 5)

    def test_without_a_request_it_ends(self):
        bench = Bench(self.folder.name, self.interpreters[0], "print('never')")
        bench.begin()
        ours, theirs = socket.socketpair()
        files = memory_file(fields(str(bench.script), "", "0")), memory_file()
        passed = (theirs.fileno(), *files)
        first = {"PYTHONPATH": str(HERE), "GANTRY_STAND_BY": ",".join(map(str, passed))}
        words = [self.interpreters[0], str(bench.script)]
        process = bench.start(words, first, passed)
        theirs.close()
        self.assertEqual(ours.recv(100), b"ready\n")
        ours.close()
        self.assertEqual(process.communicate(timeout=60), (b"", b""))
        for descriptor in files:
            os.close(descriptor)


if __name__ == "__main__":
    unittest.main()
