"""Lets an interpreter wait for the script that it will run.

The interpreter is started with the script's path, as for any run, and imports this
module while it starts up, before it looks at the script: gantry-init puts this folder
first in PYTHONPATH. Here it imports what the script will import, says that it is
ready, and waits. At the request it takes over the arguments and the environment and
goes on, and all the rest is done by CPython as ever.

What could make a difference that a script can see ends in a start from scratch: before
the request by saying why (the sandbox is given up), and after it by executing the same
interpreter anew. It must never guess, write anything, or leave a trace of itself.

Who is on the other end, and in which form, stands in `message.rs` of gantry-init.
Only modules are used that every start of CPython has loaded.
"""

import io
import os
import posix
import sys

# How this interpreter came here.
NOT_THE_SCRIPTS = (b"GANTRY_STAND_BY", b"PYTHONPATH")

# Set for each execution, after the interpreter has been started.
OURS = frozenset([b"EXECUTION_ID", b"JOB_ID"])

# Statements that have no effect but on the script's own names.
QUIET = frozenset(["FunctionDef", "AsyncFunctionDef"])

# Compile to a syntax tree only (ast.PyCF_ONLY_AST).
ONLY_AST = 0x400

MAX_REASON = 1000


class Unfit(Exception):
    """Nothing can be prepared for this script."""


class Environment:
    """The environment variables, and which of them somebody has looked at."""

    def __init__(self):
        for name in NOT_THE_SCRIPTS:
            remove(name)
        self.first = dict(posix.environ)
        self.seen = set()
        self.is_seen_as_a_whole = False
        self.plain = type(os.environ)
        watched = self.watching(self.plain)
        os.environ.__class__ = os.environb.__class__ = watched

    def watching(self, plain):
        environment = self

        class Watched(plain):
            def __getitem__(self, key):
                environment.seen.add(os.fsencode(key))
                return plain.__getitem__(self, key)

            def __iter__(self):
                environment.is_seen_as_a_whole = True
                return plain.__iter__(self)

            def __len__(self):
                environment.is_seen_as_a_whole = True
                return plain.__len__(self)

        return Watched

    def unwatch(self):
        os.environ.__class__ = os.environb.__class__ = self.plain

    def can_become(self, wanted):
        """Whether nothing can have met a value that is another one now. Modules of C
        may have looked at any, but not at those that differ each time."""
        names = self.first.keys() | wanted.keys()
        changed = {name for name in names if self.first.get(name) != wanted.get(name)}
        return changed <= OURS and not self.is_seen_as_a_whole and not changed & self.seen

    def become(self, wanted):
        for name in OURS:
            if name in wanted:
                os.environb[name] = posix.environ[name] = wanted[name]
            else:
                remove(name)


def remove(name):
    os.environb.pop(name, None)
    posix.environ.pop(name, None)


def fields(descriptor):
    """What is in a file: each field as its length, a line feed and its bytes."""
    content, at = bytearray(), 0
    while piece := os.pread(descriptor, 1 << 20, len(content)):
        content += piece
    while at < len(content):
        end = content.index(b"\n", at)
        begin, at = end + 1, end + 1 + int(content[at:end])
        yield bytes(content[begin:at])


def imports(source, path):
    """The imports at the top of a script, as arguments of __import__. They end where
    the script begins to do something."""
    tree = compile(source, path, "exec", ONLY_AST, dont_inherit=True)
    for statement in tree.body:
        kind = type(statement).__name__
        if kind == "Import":
            for alias in statement.names:
                yield alias.name, ()
        elif kind == "ImportFrom" and not statement.level:
            yield statement.module, tuple(alias.name for alias in statement.names)
        elif not is_quiet(statement, kind):
            return


def is_quiet(statement, kind):
    if kind in QUIET:
        # Defaults and annotations are evaluated, too: only those without any.
        arguments = statement.args
        every = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        every += [it for it in (arguments.vararg, arguments.kwarg) if it]
        is_plain = not any(it.annotation for it in every) and not statement.returns
        return is_plain and not (
            statement.decorator_list or arguments.defaults or any(arguments.kw_defaults)
        )
    if kind == "Assign":
        targets = {type(target).__name__ for target in statement.targets}
        return targets == {"Name"} and type(statement.value).__name__ == "Constant"
    return kind == "Expr" and type(statement.value).__name__ == "Constant"


def load(path, source, is_listed, modules):
    own_name = os.path.basename(path).partition(".")[0]
    wanted = [(name, ()) for name in modules] if is_listed else imports(source, path)
    for name, members in wanted:
        if name.partition(".")[0] == own_name:
            raise Unfit(f"{name} would be the script itself")
        __import__(name, {}, {}, members, 0)


def import_the_real_one():
    """Has this module's place taken by the one that it hides, if there is one."""
    here = os.path.dirname(__file__)
    sys.path[:] = [path for path in sys.path if path != here]
    sys.path_importer_cache.pop(here, None)
    this = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        # What the import system expects to find while it imports this.
        sys.modules["sitecustomize"] = this
        return False
    return True


def start_anew(argv, variables):
    """The interpreter as it would have been started without all this."""
    import _signal

    # Python ignores these, and what is ignored stays so.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    posix.execve(argv[0], argv, variables)


def prepare(preparation):
    path, source, is_listed, *modules = fields(preparation)
    path, modules = os.fsdecode(path), [os.fsdecode(name) for name in modules]
    main = sys.modules["__main__"]
    # Modules look there for the script's name.
    main.__file__ = path
    try:
        load(path, source, is_listed == b"1", modules)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        raise Unfit(text) from None
    finally:
        del main.__file__
    loaded = set(sys.modules)
    settle()
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def ends_with_effect(thing):
    """Whether somebody could notice that a thing is freed, or that it is not."""
    kind = type(thing)
    if kind.__name__ == "generator":
        return getattr(thing, "gi_suspended", True)
    return hasattr(kind, "__del__") or isinstance(thing, io.IOBase)


def standard_streams():
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        while stream is not None:
            yield id(stream)
            stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)


def settle():
    """Takes what has been loaded out of the collector's sight: at its end an
    interpreter looks several times at all that it has, and most of that are modules.
    They are not freed then. Nobody can tell, unless something has an effect when it is
    freed: then all is as ever."""
    import gc

    gc.collect()
    main, streams = sys.modules["__main__"], set(standard_streams())
    # Somebody who has it would not have the new one.
    for holder in gc.get_referrers(main):
        if holder is not sys.modules and type(holder).__name__ != "frame":
            return
    if any(ends_with_effect(it) and id(it) not in streams for it in gc.get_objects()):
        return
    gc.freeze()
    # The script's own names have to be freed.
    sys.modules["__main__"] = new = type(sys)("__main__")
    new.__dict__.clear()
    new.__dict__.update(main.__dict__)

    import atexit

    atexit.register(unsettle, gc)


def unsettle(gc):
    """The last thing before the end: what the script has made may hang on what is out
    of sight."""
    if any(map(ends_with_effect, gc.get_objects())):
        gc.unfreeze()


def take_over(request, environment):
    directory, count, *words = fields(request)
    os.chdir(directory)
    argv, variables = words[: int(count)], words[int(count) :]
    wanted = dict(variable.split(b"=", 1) for variable in variables)
    if not environment.can_become(wanted):
        start_anew(argv, wanted)
    environment.unwatch()
    environment.become(wanted)
    words = [os.fsdecode(word) for word in argv]
    more = words[len(sys.orig_argv) :]
    sys.orig_argv += more
    sys.argv += more


def stand_by():
    control, preparation, request = map(int, os.environ["GANTRY_STAND_BY"].split(","))
    for descriptor in (control, preparation, request):
        os.set_inheritable(descriptor, False)
    has_real_one = import_the_real_one()
    environment = Environment()
    try:
        prepare(preparation)
    except Unfit as error:
        text = str(error)[:MAX_REASON].encode("utf-8", "replace").replace(b"\n", b" ")
        os.write(control, text + b"\n")
        os._exit(0)
    os.write(control, b"ready\n")
    # Nobody is there any more, if there is nothing to read.
    if not os.read(control, 1):
        os._exit(0)
    take_over(request, environment)
    for descriptor in (control, preparation, request):
        os.close(descriptor)
    return has_real_one


if not stand_by():
    # As if this file were not there; `site` expects just this error.
    raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
