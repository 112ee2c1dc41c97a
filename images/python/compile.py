"""Compiles the modules of a bundle: reads their sources as a tar, and prints their bytecode as
one, each under the name at which the interpreter looks for it.

A source that can't be compiled is left out: it may be for another version, or no module at
all. Nothing of the sources is run.
"""

import importlib._bootstrap_external as bootstrap
import io
import sys
import tarfile

# Time of a bundle's files: bytecode is good for a source with this time and its size.
TIME = 315532800


def bytecode(source, path):
    """The content of a module's file of bytecode; None if there can't be any."""
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        return bootstrap._code_to_timestamp_pyc(code, TIME, len(source))
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None


def main():
    sources = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
    compiled = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT)
    for member in sources:
        source = sources.extractfile(member)
        if source is None:
            continue
        path = "/" + member.name
        content = bytecode(source.read(), path)
        if content is not None:
            entry = tarfile.TarInfo(bootstrap.cache_from_source(path)[1:])
            entry.size = len(content)
            compiled.addfile(entry, io.BytesIO(content))
    compiled.close()


if __name__ == "__main__":
    main()
