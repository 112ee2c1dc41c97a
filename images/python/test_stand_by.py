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

# With a sitecustomize of its own, as Debian's has, and without.
INTERPRETERS = sorted({os.path.realpath(sys.executable)} | {
    path for path in ["/usr/bin/python3"] if os.path.exists(path)
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
    "package/__init__": "",
    "package/part": "value = 'part'",
}

VARIABLES = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nowhere",
    "LANG": "C.UTF-8",
    "EXECUTION_ID": "",
    "SCRIPT_NAME": "name",
    "JOB_ID": "",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


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
        return variables if "JOB_ID" in more else without(variables, "JOB_ID")

    def begin(self):
        for folder in (self.script.parent, self.work):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def end(self, process):
        out, err = (
            re.sub(rb"0x[0-9a-f]{6,}", b"0x", said) for said in process.communicate(timeout=60)
        )
        left = sorted((path.name, path.read_bytes()) for path in self.work.iterdir())
        return process.returncode, out.decode(), err.decode(), left

    def from_scratch(self, args, stdin, more):
        self.begin()
        self.script.write_text(self.source)
        words = [self.interpreter, str(self.script), *args]
        return self.end(self.start(words, memory_file(stdin), self.variables(more), ()))

    def standing_by(self, args, stdin, more, modules=None):
        """What it says when it has got ready, and what became of the script."""
        self.begin()
        ours, theirs = socket.socketpair()
        names = () if modules is None else modules
        is_listed = "0" if modules is None else "1"
        preparation = memory_file(fields(str(self.script), self.source, is_listed, *names))
        request, its_stdin = memory_file(), memory_file()
        passed = (theirs.fileno(), preparation, request)
        first = {
            **VARIABLES,
            "PYTHONPATH": str(HERE),
            "GANTRY_STAND_BY": ",".join(map(str, passed)),
        }
        words = [self.interpreter, str(self.script)]
        process = self.start(words, its_stdin, first, passed)
        os.close(preparation)
        theirs.close()
        said = ours.makefile().readline().strip()
        if said != "ready":
            os.close(request)
            os.close(its_stdin)
            process.communicate(timeout=60)
            ours.close()
            return said, None
        self.script.write_text(self.source)
        os.write(its_stdin, stdin)
        os.lseek(its_stdin, 0, os.SEEK_SET)
        os.close(its_stdin)
        words += args
        variables = [f"{name}={value}" for name, value in self.variables(more).items()]
        os.write(request, fields(str(self.work), str(len(words)), *words, *variables))
        os.close(request)
        ours.send(b"g")
        ended = self.end(process)
        ours.close()
        return said, ended

    def start(self, words, stdin, variables, passed):
        process = subprocess.Popen(
            words,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            cwd=self.work,
            pass_fds=passed,
            preexec_fn=restore_defaults,
        )
        if not passed:
            os.close(stdin)
        return process


class StandBy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        library = pathlib.Path(cls.folder.name) / "library"
        for name, content in MODULES.items():
            path = library / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
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
                if answer == "ready":
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

    def test_other_variables_mean_a_start_from_scratch(self):
        code, out, _, _ = self.compare(
            """
            import os, sys, plain
            print(list(os.environ.items()), sys.argv, sorted(os.listdir("/proc/self/fd")))
            print(open("/proc/self/environ").read(), sorted(sys.modules), sys.path)
            import signal
            print(signal.getsignal(signal.SIGPIPE), sys.stdin.read())
            """,
            args=["x"],
            stdin=b"in",
            more={"OTHER": "1"},
        )
        self.assertEqual(code, 0)
        self.assertIn("OTHER=1", out)

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
            "os.read(0, 4), os.fstat(0).st_size, os.lseek(0, 0, 1), sys.stdin.seekable()",
            "json.load(sys.stdin)",
            "sys.stdin.isatty(), sys.stdin.encoding, sys.stdin.fileno(), sys.stdin.tell()",
            "sys.stdin.buffer.raw.readall(), sys.stdin.buffer.peek()",
            "subprocess.check_output('cat')",
        ):
            source = f"import json, os, subprocess, sys\nprint({read})\n"
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

    def test_who_reads_what_differs_starts_from_scratch(self):
        self.assertIn("e-1", self.compare("import reads\nprint(reads.value)")[1])
        self.assertIn("e-1", self.compare("import lists\nprint(lists.value)")[1])

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
        process = bench.start(words, subprocess.DEVNULL, first, passed)
        theirs.close()
        self.assertEqual(ours.recv(100), b"ready\n")
        ours.close()
        self.assertEqual(process.communicate(timeout=60), (b"", b""))
        for descriptor in files:
            os.close(descriptor)


if __name__ == "__main__":
    unittest.main()
