#!/usr/bin/env python3
"""Writes the seeds anew: a few valid conversations, and some invalid ones.

The first byte of a seed selects how the rest is read: see `stream` in ../src/lib.rs.
"""

import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
REQUEST, SCRIPT, STDIN, CANCEL, GO, PREPARE = range(1, 7)
(HELLO, STARTED, STDOUT, STDERR, OUTPUT_FILE, ARTIFACT_BEGIN, ARTIFACT_DATA, EXIT, REFUSED,
 LOADED, PREPARED) = range(16, 27)


def payload(content):
    if isinstance(content, bytes):
        return content
    return json.dumps(content, separators=(",", ":")).encode()


def frame(kind, content=b""):
    content = payload(content)
    return b"G\x01" + bytes([kind, 0]) + struct.pack("<I", len(content)) + content


def loose(kind, content=b""):
    content = payload(content)
    return bytes([kind]) + struct.pack("<H", len(content)) + content


def raw(*frames, piece=1):
    """A stream as it stands, read in pieces of so many bytes."""
    return bytes([(piece - 1) * 2]) + b"".join(frames)


def framed(*pairs, piece=1):
    """The same, with headers made by the target."""
    return bytes([(piece - 1) * 2 + 1]) + b"".join(loose(*pair) for pair in pairs)


def request(**changes):
    fields = {
        "launch": {"interpreted": {"interpreter": ["/bin/sh"], "file_name": "script.sh"}},
        "args": ["a b", ""], "env": [["NAME", "x=y"]], "working_directory": "/work",
        "script_bytes": 0, "stdin_bytes": 0, "timeout_ms": 1000, "grace_ms": 100,
        "stream_cap": 1000, "output_file": {"path": "./out.json", "cap": 10},
        "artifacts": {"count": 2, "bytes": 100}, "stay_ms": 0,
    }
    return {**fields, **changes}


def exit_with(**changes):
    fields = {
        "end": {"code": 0}, "stopped": None, "duration_us": 1500, "stdout_bytes": 6,
        "stderr_bytes": 3, "usage": {"cpu_us": 900, "peak_memory_bytes": 1048576, "oom_kills": 0},
        "output_file": "sent", "artifacts_skipped": [{"name": "b", "reason": "too_many"}],
    }
    return {**fields, **changes}


HELLO_FRAME = (HELLO, {"init": "0.1.0"})
PREPARATION = {
    "rehearsal": ["/bin/true"],
    "stand_by": {"launch": {"interpreted": {"interpreter": ["/usr/bin/python3"],
                                            "file_name": "script.py"}},
                 "working_directory": "/work", "env": [], "differing": ["ID"], "own_env": [],
                 "source": "import json", "modules": ["json"]},
}
SUCCESS = [
    HELLO_FRAME, (PREPARED, {"unfit": None}), (LOADED,), (STARTED,), (STDOUT, b"hello\n"),
    (STDERR, b"err"), (OUTPUT_FILE, b"{}"), (ARTIFACT_BEGIN, {"name": "a/b.txt", "size": 3}),
    (ARTIFACT_DATA, b"abc"), (EXIT, exit_with()),
]
WHOLE = [
    (PREPARE, PREPARATION), (REQUEST, request(script_bytes=8, stdin_bytes=2)),
    (SCRIPT, b"echo "), (SCRIPT, b"hi\n"), (STDIN, b"{}"), (GO,), (CANCEL,),
]
IN_IMAGE = {"in_image": {"command": ["/usr/bin/python3", "/opt/bundle/main.py"],
                         "path": "/opt/bundle/main.py"}}
BINARY = request(launch={"executable": {"name": "it"}}, script_bytes=4, output_file=None)

SEEDS = {
    "answers": {
        "success": raw(*(frame(*pair) for pair in SUCCESS), piece=4),
        "success-framed": framed(*SUCCESS, piece=128),
        "deadline": framed(HELLO_FRAME, (LOADED,), (STARTED,), (
            EXIT, exit_with(end={"signal": 9}, stopped="deadline",
                            output_file={"too_large": 11}, artifacts_skipped=[]))),
        "refused": framed(HELLO_FRAME, (
            REFUSED, {"reason": "not_found", "detail": "/usr/bin/x: No such file"})),
        "cut": raw(frame(*HELLO_FRAME), frame(STDOUT, b"0123456789")[:-6], piece=2),
        "too-long": raw(frame(*HELLO_FRAME), b"G\x01\x12\x00" + struct.pack("<I", 65537)),
        "other-version": raw(b"G\x02\x10\x00\x00\x00\x00\x00"),
        "garbage": raw(b"HTTP/1.1 200 OK\r\n\r\n", piece=17),
    },
    "requests": {
        "whole": raw(*(frame(*pair) for pair in WHOLE), piece=7),
        "whole-framed": framed(*WHOLE, piece=128),
        "binary": framed((REQUEST, BINARY), (SCRIPT, b"\x7fELF"), (GO,), piece=3),
        "cancelled": framed((REQUEST, BINARY), (CANCEL,), (SCRIPT, b"\x7fELF")),
        "in-image": framed((REQUEST, request(launch=IN_IMAGE)), (GO,)),
        "in-image-astray": framed((REQUEST, request(launch={"in_image": {
            "command": ["/bin/sh"], "path": "/opt/bundle/../sh"}})), (GO,)),
        "astray": framed((REQUEST, request(working_directory="/work/../etc"))),
        "too-much": framed((REQUEST, request(script_bytes=1)), (SCRIPT, b"22")),
        "out-of-order": framed((REQUEST, request(stdin_bytes=1, script_bytes=1)), (STDIN, b"1")),
        "too-early": framed((REQUEST, request(stdin_bytes=1)), (GO,)),
        "no-request": raw(frame(REQUEST, b'{"launch":'), piece=5),
        "too-long": raw(b"G\x01\x01\x00" + struct.pack("<I", 16 * 1024 * 1024 + 1)),
    },
    "ready_line": {
        "ready": b"\x01ready\n",
        "and-more": b"\xffready\nTraceback",
        "unended": b"\x00ready",
        "silent": b"\x00\n",
        "reason": "\x03it can’t be imported: ModuleNotFoundError\n".encode(),
        "not-text": b"\x0f\xff\xfe\x00\xe2\x80\n",
        "too-long": b"\x7f" + b"x" * 1023 + "é".encode() + b"\n",
    },
}

for target, seeds in SEEDS.items():
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
