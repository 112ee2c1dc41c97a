"""Lets an interpreter wait for the script that it will run.

The interpreter is started with the script's path, as for any run, and imports this
module while it starts up, before it looks at the script: gantry-init puts this folder
first in PYTHONPATH. Here it imports what the script will import, says that it is
ready, and waits. At the request it takes over the arguments and the environment and
goes on, and all the rest is done by CPython as ever.

Whatever could make a difference that a script can see is said to gantry-init, which
then starts another interpreter from scratch. This module must never guess, write
anything, or leave a trace of itself. Objects of packages run code of their own when
they are asked for their class, an attribute or their truth: nothing here asks them.

Who is on the other end, and in which form, stands in `message.rs` of gantry-init.
Only modules are used that every start of CPython has loaded.
"""

import _io
import _warnings
import _weakref
import os
import posix
import sys

# How this interpreter came here.
NOT_THE_SCRIPTS = (b"GANTRY_STAND_BY", b"PYTHONPATH")

# Set for each execution, after the interpreter has been started: always, and for some.
ALWAYS_SET, SOMETIMES_SET = b"EXECUTION_ID", (b"JOB_ID", b"GANTRY_INPUTS")
DIFFERING = (ALWAYS_SET, *SOMETIMES_SET)

# Folder of the image with the files of a script that has many.
BUNDLE = "/opt/bundle/"

# Statements that have no effect but on the script's own names.
QUIET = frozenset(["FunctionDef", "AsyncFunctionDef"])

# Compile to a syntax tree only (ast.PyCF_ONLY_AST).
ONLY_AST = 0x400

# Callbacks of references that the interpreter has for abc and for threading.local.
TIDYING = frozenset(["_destroy", "_localdummy_destroyed", "clear_locals"])

# What a module has in its names when something has warned on one of its lines.
WARNED = "__warningregistry__"

# Bytes of the line in which this module explains itself.
MAX_REASON = 1000

Builtin = type(len)
Function = type(lambda: None)
Generator = type((lambda: (yield))())
Frame = type(sys._getframe())
Module = type(sys)

# The answers of the interpreter, whatever a class would answer itself.
ancestors_of = type.__dict__["__mro__"].__get__
members_of = type.__dict__["__dict__"].__get__
callback_of = _weakref.ref.__dict__["__callback__"].__get__


class Unfit(BaseException):
    """This interpreter can't serve the script. No `except Exception` of a package holds
    it up."""


class Environment:
    """The environment variables while the script's imports run. What differs each time
    is withheld: one variable has a placeholder for its value, the others, which only
    some executions have, are not there."""

    __slots__ = ("placeholder", "references", "holders", "plain", "is_used", "is_searched")

    def __init__(self):
        for name in NOT_THE_SCRIPTS:
            remove(name)
        self.placeholder = placeholder(self)
        self.references = self.count_references()
        self.holders = []
        self.is_used = self.is_searched = False
        # In the class itself, so that a copy of os.environ is what it would be.
        kind, watching = type(os.environ), self.watching()
        self.plain = {name: members_of(kind).get(name) for name in watching}
        for name, method in watching.items():
            setattr(kind, name, method)

    def watching(self):
        """The methods of os.environ and os.environb that are replaced meanwhile."""
        environment = self

        def __getitem__(self, key):
            name, value = self.encodekey(key), environment.plain["__getitem__"](self, key)
            if name in SOMETIMES_SET:
                environment.is_searched = True
                raise KeyError(key)
            if name != ALWAYS_SET:
                return value
            return environment.placeholder if self is os.environ else environment.use()

        def __setitem__(self, key, value):
            if self.encodekey(key) in DIFFERING:
                environment.use()
            environment.plain["__setitem__"](self, key, value)

        def __delitem__(self, key):
            if self.encodekey(key) in DIFFERING:
                environment.use()
            environment.plain["__delitem__"](self, key)

        def __iter__(self):
            environment.is_searched = True
            for key in environment.plain["__iter__"](self):
                if self.encodekey(key) not in SOMETIMES_SET:
                    yield key

        def __len__(self):
            environment.is_searched = True
            hidden = sum(name in self._data for name in SOMETIMES_SET)
            return environment.plain["__len__"](self) - hidden

        def use(self, *_arguments):
            environment.use()

        methods = (__getitem__, __setitem__, __delitem__, __iter__, __len__)
        watching = {method.__name__: method for method in methods}
        # What looks at the values without asking for them by their names.
        return watching | dict.fromkeys(("__reduce_ex__", "__repr__", "values"), use)

    def use(self):
        """Ends imports that depend on a value which is withheld."""
        self.is_used = True
        raise self.unfit()

    def unfit(self):
        return Unfit(f"what it imports uses the value of {ALWAYS_SET.decode()}")

    def count_references(self):
        return sys.getrefcount(self.placeholder)

    def find_holders(self, gc):
        """Finds what has kept the placeholder. A dictionary gets the value in its place
        at the request; anything else could not be told."""
        for holder in gc.get_referrers(self.placeholder):
            if type(holder) is dict and not is_of_class(gc, holder):
                names = [name for name, value in holder.items() if value is self.placeholder]
                self.holders += [(holder, name) for name in names if type(name) is str]
        if self.is_used or self.count_references() != self.references + len(self.holders):
            raise self.unfit()

    def become(self, wanted):
        """Takes over the variables of the request."""
        kind = type(os.environ)
        for name, method in self.plain.items():
            setattr(kind, name, method) if method else delattr(kind, name)
        for name in DIFFERING:
            if name in wanted:
                os.environb[name] = posix.environ[name] = wanted[name]
            else:
                remove(name)
        value = os.environ.get(ALWAYS_SET.decode())
        for holder, name in self.holders:
            holder[name] = value
        self.holders.clear()


def placeholder(environment):
    """An object in the place of a text that is not known yet. It can be kept and handed
    on; whoever looks at it ends the imports. It is no string, because what is written in
    C looks into strings without asking them."""

    def tell(*_arguments):
        environment.use()

    asked = set(dir(str)) - {"__class__", "__delattr__", "__doc__", "__init__", "__new__"}
    asked -= {"__init_subclass__", "__setattr__", "__subclasshook__"}
    asked |= {"__bool__", "__bytes__", "__float__", "__fspath__", "__index__", "__int__"}
    asked.add("__radd__")
    return type("str", (), {"__slots__": (), **dict.fromkeys(asked, tell)})()


def is_of_class(gc, members):
    return any(descends(type(holder), type) for holder in gc.get_referrers(members))


def remove(name):
    os.environb.pop(name, None)
    posix.environ.pop(name, None)


def borrowed(name):
    """A module that is built into the interpreter, without a trace of its import."""
    is_new = name not in sys.modules
    module = __import__(name)
    if is_new:
        del sys.modules[name]
    return module


def fields(descriptor):
    """What is in a file: each field as its length, a line feed and its bytes."""
    content, at = bytearray(), 0
    while piece := os.pread(descriptor, 1 << 20, len(content)):
        content += piece
    while at < len(content):
        end = content.index(b"\n", at)
        begin, at = end + 1, end + 1 + int(content[at:end])
        yield bytes(content[begin:at])


def parsed(source, path):
    """The script's syntax tree. What there is to warn of will be said when it runs."""
    filters = getattr(sys.modules.get("warnings"), "filters", _warnings.filters)
    filters.insert(0, ("ignore", None, Warning, None, 0))
    try:
        return compile(source, path, "exec", ONLY_AST, dont_inherit=True)
    finally:
        del filters[0]


def imports(tree):
    """The imports at the top of a script, each with the modules and the names that it
    binds. They end where the script begins to do something."""
    for statement in tree.body:
        kind = type(statement).__name__
        if kind == "Import":
            modules = [alias.name for alias in statement.names]
            bound = [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
            yield statement, modules, bound
        elif kind == "ImportFrom" and not statement.level:
            bound = [alias.asname or alias.name for alias in statement.names]
            yield statement, [statement.module], bound
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


def load(path, source):
    """Runs the script's imports as what they are, lines of the script: a module may look
    at them, or warn of them."""
    tree, names = parsed(source, path), sys.modules["__main__"].__dict__
    for statement, modules, bound in imports(tree):
        refuse_own_name(path, modules)
        line = type(tree)(body=[statement], type_ignores=[])
        before = dict(names)
        exec(compile(line, path, "exec", dont_inherit=True), names)
        if bound == ["*"]:
            bound = names.keys() - before.keys() - {WARNED}
        for name in bound:
            del names[name]
        names.update((name, before[name]) for name in bound if name in before)


def load_listed(path, modules):
    refuse_own_name(path, modules)
    for name in modules:
        __import__(name, {}, {}, (), 0)


def refuse_own_name(path, modules):
    own_name = os.path.basename(path).partition(".")[0]
    for name in modules:
        if name.partition(".")[0] == own_name:
            raise Unfit(f"{name} would be the script itself")


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


def folder_of(path):
    """The folder that the interpreter will put first in sys.path, if there are modules
    beside the script: that of a bundle's file, unless it is run as a module."""
    is_file = path.startswith(BUNDLE) and sys.orig_argv[-1] == path
    is_safe = getattr(sys.flags, "safe_path", False) or sys.flags.isolated
    return os.path.dirname(path) if is_file and not is_safe else None


def prepare(preparation, environment, end):
    """Imports what the script will import. Returns a remark about the end, if any.

    Raises Unfit if this can't be done ahead of the script."""
    path, source, is_listed, *modules = fields(preparation)
    path, modules = os.fsdecode(path), [os.fsdecode(name) for name in modules]
    # Modules look there for the script's name.
    sys.modules["__main__"].__file__ = path
    folder = folder_of(path)
    if folder is not None:
        sys.path.insert(0, folder)
    try:
        if is_listed == b"1":
            load_listed(path, modules)
        else:
            load(path, source)
        sys.stdout.flush()
        sys.stderr.flush()
        if folder is not None and sys.path.pop(0) != folder:
            raise Unfit("what it imports puts folders before the script's in sys.path")
    except BaseException as error:
        text = str(error) if type(error) is Unfit else f"{type(error).__name__}: {error}"
        raise (environment.unfit() if environment.is_used else Unfit(text)) from None
    finally:
        del sys.modules["__main__"].__file__
    if WARNED in globals():
        raise Unfit("what it imports warns of whoever imports it")
    gc = borrowed("gc")
    gc.collect()
    environment.find_holders(gc)
    return end.shorten(gc, source)


class End:
    """The end of the interpreter. It looks several times at all that there is, and most
    of that are modules: these are taken out of the collector's sight, and so not freed.
    Nobody can tell, unless something has an effect when it is freed, or uses the
    collector: then all is as ever."""

    def __init__(self):
        self.streams = {id(stream): stream for stream in standard_streams()}
        self.gc = None
        self.classes = []
        # Before all others, so that it runs after them.
        borrowed("atexit").register(self.check)

    def shorten(self, gc, source):
        """Takes what has been loaded out of sight. Returns why it does not."""
        try:
            if b"gc" in source or "gc" in sys.modules:
                return "the collector is used"
            things = gc.get_objects()
            if any(id(thing) not in self.streams for thing in with_effect(things)):
                return "something that is imported has an effect when it is freed"
            self.classes = ancestors_of_all(classes_of(things).values())
            del things
            if is_held(gc, sys.modules["__main__"]):
                return "something that is imported holds __main__"
            gc.freeze()
            self.gc = gc
            renew_main()
        except Exception as error:
            self.gc = None
            gc.unfreeze()
            return f"{type(error).__name__}: {error}"

    def check(self):
        """Has everything freed after all, if what the script has made may hang on what
        is out of sight. The last thing before the end."""
        gc = self.gc
        if gc is None:
            return
        try:
            is_noticed = with_effect(gc.get_objects()) or any(map(has_finalizer, self.classes))
        except Exception:
            is_noticed = True
        if is_noticed:
            gc.unfreeze()


def standard_streams():
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        while descends(type(stream), _io._IOBase):
            yield stream
            stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)


def with_effect(things):
    """Those of which somebody could notice that they are freed, or that they are not."""
    suspects = {number for number, kind in classes_of(things).items() if is_suspect(kind)}
    return [it for it in things if id(type(it)) in suspects and is_noticed(it)]


def is_suspect(kind):
    # A file's finalizer is no member, and a reference may have a callback.
    unlisted = (_io._IOBase, _weakref.ref)
    return any(map(has_finalizer, ancestors_of(kind))) or any(descends(kind, it) for it in unlisted)


def has_finalizer(kind):
    return "__del__" in members_of(kind)


def descends(kind, ancestor):
    # By identity: classes may compare themselves, too.
    return any(it is ancestor for it in ancestors_of(kind))


def is_noticed(thing):
    kind = type(thing)
    if kind is Generator:
        return thing.gi_frame is not None
    if descends(kind, _weakref.ref) and not any(map(has_finalizer, ancestors_of(kind))):
        return is_callback_noticed(callback_of(thing))
    return True


def is_callback_noticed(callback):
    """Callbacks of the interpreter and of its library tidy their registers, and finalizers
    have run when the interpreter ends."""
    weakref = sys.modules.get("weakref")
    finalize = weakref.__dict__.get("finalize") if type(weakref) is Module else None
    if callback is None or type(callback) is finalize:
        return False
    if type(callback) is Builtin:
        return callback.__name__ not in TIDYING
    place = callback.__code__.co_filename if type(callback) is Function else ""
    library = os.path.dirname(os.__file__) + "/"
    is_known = place.startswith((library, "<frozen importlib."))
    return not is_known or "-packages/" in place


def classes_of(things):
    """By their numbers: a class may not be able to be in a set."""
    return {id(kind): kind for kind in map(type, things)}


def ancestors_of_all(classes):
    ancestors = {id(it): it for kind in classes for it in ancestors_of(kind)}
    return [it for it in ancestors.values() if not has_finalizer(it)]


def is_held(gc, main):
    """Whether somebody has the module of the script or its names, and would not have
    those that take their place."""
    if type(main) is not Module or _weakref.getweakrefcount(main):
        return True
    holders = gc.get_referrers(main) + gc.get_referrers(main.__dict__)
    known = {id(sys.modules), id(main)}
    return any(
        id(it) not in known and not (type(it) is Frame and it.f_code.co_filename == __file__)
        for it in holders
    )


def renew_main():
    """Has a module with the same content take the place of __main__: the script's own
    names have to be freed. It goes by two names when multiprocessing is there."""
    main = sys.modules["__main__"]
    new = Module("__main__")
    new.__dict__.clear()
    new.__dict__.update(main.__dict__)
    for name in [name for name, module in sys.modules.items() if module is main]:
        sys.modules[name] = new


def take_over(request, environment):
    directory, count, *words = fields(request)
    os.chdir(directory)
    argv, variables = words[: int(count)], words[int(count) :]
    environment.become(dict(variable.split(b"=", 1) for variable in variables))
    words = [os.fsdecode(word) for word in argv]
    more = words[len(sys.orig_argv) :]
    sys.orig_argv += more
    sys.argv += more


def say(control, text):
    text = text[:MAX_REASON].encode("utf-8", "replace").replace(b"\n", b" ")
    os.write(control, text + b"\n")


def stand_by():
    control, preparation, request = map(int, os.environ["GANTRY_STAND_BY"].split(","))
    for descriptor in (control, preparation, request):
        os.set_inheritable(descriptor, False)
    end = End()
    has_real_one = import_the_real_one()
    environment = Environment()
    try:
        remark = prepare(preparation, environment, end)
    except Unfit as error:
        say(control, str(error))
        os._exit(0)
    never = [name.decode() for name in SOMETIMES_SET] if environment.is_searched else []
    say(control, " ".join(["ready", *never]) + (f": {remark}" if remark else ""))
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
