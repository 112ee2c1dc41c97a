#!/usr/bin/env python3
"""Writes the seeds anew. How they are read stands at the top of ../src/TARGET.rs."""

import gzip
import io
import json
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).parent
HELLO, PREPARED, LOADED, STARTED, STDOUT, STDERR = 16, 26, 25, 17, 18, 19
OUTPUT_FILE, ARTIFACT_BEGIN, ARTIFACT_DATA, EXIT, REFUSED = 20, 21, 22, 23, 24


def text(content):
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


# conversation

END = text({
    "end": {"code": 0}, "stopped": None, "duration_us": 1, "stdout_bytes": 2, "stderr_bytes": 1,
    "usage": {"cpu_us": 1, "peak_memory_bytes": 1, "oom_kills": 0},
    "output_file": None, "artifacts_skipped": [],
})


def frame(kind, content=b""):
    return bytes([kind, len(content)]) + content


def artifact(name, size):
    return frame(128, bytes([size]) + name.encode())


def conversation(*frames, limits=(10, 5, 2, 20)):
    return bytes(limits) + b"".join(frames)


BEGUN = (frame(LOADED), frame(STARTED))
LEFT = (frame(OUTPUT_FILE, b"{}"), artifact("a/b.txt", 3), frame(ARTIFACT_DATA, b"ab"),
        frame(ARTIFACT_DATA, b"c"), artifact("empty", 0))


# elf

def elf(kind=2, machine=62, interpreter=None, big=False, entry=0x400000):
    """A header of 64 bits, and a segment for the loader if there is one."""
    order = ">" if big else "<"
    count = 0 if interpreter is None else 1
    ident = b"\x7fELF\x02" + (b"\x02" if big else b"\x01") + b"\x01" + bytes(9)
    header = ident + struct.pack(
        order + "HHIQQQIHHHHHH", kind, machine, 1, entry, 64 if count else 0, 0, 0, 64, 56, count,
        64, 0, 0)
    if interpreter is None:
        return header
    path = interpreter.encode() + b"\0"
    segment = struct.pack(order + "IIQQQQQQ", 3, 4, 120, 0, 0, len(path), len(path), 1)
    return header + segment + path


# layer

def tar_entry(name, kind=b"0", target=b"", content=b"", prefix=b"", end=b""):
    """Checksums are put right by whoever reads it."""
    size = len(content)
    header = struct.pack(
        "<100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s", name, b"0000644", b"0000000", b"0000000",
        b"%011o" % size, b"00000000000", b"", kind, target, b"ustar\x0000", b"", b"", b"", b"",
        prefix, end)
    return header + content + bytes(-size % 512)


def record(key, value):
    """Of an extension (pax)."""
    content = b" " + key + b"=" + value + b"\n"
    return b"%d%b" % (len(content) + 2, content)


def extension(*records):
    return tar_entry(b"././@PaxHeader", b"x", content=b"".join(records))


PLACE = tar_entry(b"opt", b"5") + tar_entry(b"opt/env", b"5")
FILE = tar_entry(b"opt/env/a", content=b"hello")
STOLEN = tar_entry(b"etc/passwd")


# replay

def log(*frames, breaks=(), piece=4):
    """A container's whole output, a line feed behind each frame, as it is heard."""
    heard = bytes([piece, len(breaks)]) + b"".join(map(bytes, breaks))
    return heard + b"".join(whole(*frame) for frame in frames)


def whole(kind, content=b"", end=b"\n"):
    return b"G\x01" + bytes([kind, 0]) + struct.pack("<I", len(content)) + content + end


SAID = ((HELLO, b"{}"), (PREPARED, b"{}"), (LOADED,), (STARTED,), (STDOUT, b"a\nG\x01b"),
        (STDERR, b"!"), (OUTPUT_FILE, b"{}"), (ARTIFACT_BEGIN, text({"name": "a", "size": 3})),
        (ARTIFACT_DATA, b"abc"), (EXIT, END))

SHELL = {"name": "hello", "script_type": "shell", "source": "echo hello\n"}
# bundles

def zipped(*files):
    """A zip of names, modes and contents, the same each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, content in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


FILES = tar_entry(b"./main.py", content=b"import a") + tar_entry(b"./lib/a.py") + bytes(1024)

SEEDS = {
    "bundles": {
        "tar": FILES,
        "gzip": gzip.compress(FILES, mtime=0),
        "zip": zipped(("main.py", 0o100644, b"import a"), ("lib/a.py", 0o100755, b"")),
        "long-name": extension(record(b"path", b"d" * 200 + b"/f")) + tar_entry(b"f") + bytes(1024),
        "gnu-name": tar_entry(b"././@LongLink", b"L", content=b"d" * 200 + b"/f\0")
                    + tar_entry(b"f") + bytes(1024),
        "cut": FILES[:1536],
        "link": tar_entry(b"a", b"2", b"/etc/passwd") + bytes(1024),
        "astray": tar_entry(b"../a") + bytes(1024),
        "twins": tar_entry(b"a") + tar_entry(b"A") + bytes(1024),
        "zip-link": zipped(("a", 0o120777, b"/etc/passwd")),
    },
    "bodies": {
        "shell": text(SHELL),
        "python": text({
            "name": "all-of-it", "description": "é", "script_type": "python",
            "source_base64": "cHJpbnQoMSkK", "file_name": "it.py", "working_directory": "a/b",
            "requirements": "numpy==2.1.0\n", "system_packages": ["curl", "jq=1.6"],
            "argument_schema": {"type": "object"}, "output_schema": {}, "args": ["-v"],
            "env": {"NAME": "value"}, "output_file": "out.json", "timeout_secs": 1.5,
            "limits": {"cpus": 0.5, "memory_bytes": 268435456}, "network": "egress",
            "max_concurrency": 3, "warm": 1, "preload": ["json"], "runtime": "runsc",
            "python": "3.12", "sources": True, "exec": False, "env_allowed": ["MODE", "APP_*"],
            "warm_up": ["python3", "it.py", "--fill"], "is_enabled": False,
            "tags": ["colour", "film-3"]}),
        "environment-wrong": text({
            **SHELL, "python": "2.7", "sources": 1, "exec": "no", "env_allowed": ["A*B", "PATH"],
            "warm_up": ["", "\0"], "preload": ["a b"], "tags": ["Colour", "a", "a"]}),
        "mounts": text({**SHELL, "mounts": [{"source": "/etc", "target": "/data"}]}),
        "file": text({"name": "a", "script_type": "shell", "file_path": "/etc/passwd"}),
        "all-wrong": text({
            "name": "", "script_type": "shell", "source": "x\0", "args": ["\0"], "timeout_secs": -1,
            "env": {"PATH": "x"}, "working_directory": "../x", "limits": {"pids": 0}}),
        "twice": b'{"name": "a", "name": "b"}',
        "execution": text({
            "script": "hello", "input": {"n": 1.50}, "version": 1, "args": ["a"],
            "env": {"A": "1"}, "job_id": "j", "timeout_secs": 30, "priority": 1}),
        "execution-wrong": text({
            "script": 3, "args": ["\0"] * 200, "env": {"LD_PRELOAD": "x"}, "priority": 11}),
        "cut": b'{"script": "hello", "input": {"n":\n1,}',
    },
    "conversation": {
        "success": conversation(*BEGUN, frame(STDOUT, b"hi"), frame(STDERR, b"!"), *LEFT,
                                frame(EXIT, END)),
        "silent": conversation(*BEGUN, frame(EXIT, END), limits=(0, 255, 0, 0)),
        "refused": conversation(frame(REFUSED, text({"reason": "spawn", "detail": "no"}))),
        "late-refusal": conversation(
            *BEGUN, frame(REFUSED, text({"reason": "spawn", "detail": "no"}))),
        "too-much": conversation(*BEGUN, frame(STDOUT, b"0123456789"), frame(STDOUT, b"0")),
        "too-many": conversation(*BEGUN, *(artifact(name, 0) for name in "abc")),
        "astray": conversation(*BEGUN, artifact("../../etc/passwd", 1)),
        "artifact-cut": conversation(*BEGUN, artifact("a", 3), frame(EXIT, END)),
        "after-the-end": conversation(*BEGUN, frame(EXIT, END), frame(STDOUT, b"x")),
        "unreadable": conversation(*BEGUN, frame(ARTIFACT_BEGIN, b'{"name":"a","size":-1}')),
    },
    "documents": {
        "object": b' {"a": [1, -2.5e3, "\\u00e4", null, true], "b": {}}\n',
        "numbers": b"[1e400, 123456789012345678901234567890, -0.0, 1.0, 0.1, 1e16]",
        "twice": b'{"a": 1, "a": {"b": 2}}',
        "half-a-character": b'"\\ud800"',
        "deep": b"[" * 128 + b"]" * 128,
        "too-deep": b"[" * 129 + b"]" * 129,
        "two": b"{} {}",
        "cut": b'{"a": 1,\n "b" 2}',
        "mark": b"\xef\xbb\xbf{}",
        "not-text": b'{"a": "\xff"}',
    },
    "elf": {
        "static": elf(),
        "dynamic": elf(kind=3, interpreter="/lib64/ld-linux-x86-64.so.2"),
        "arm": elf(machine=183),
        "musl": elf(kind=3, interpreter="/lib/ld-musl-x86_64.so.1"),
        "library": elf(kind=3, entry=0),
        "object": elf(kind=1),
        "big-endian": elf(big=True, machine=21),
        "cut": elf(interpreter="/lib64/ld-linux-x86-64.so.2")[:-20],
        "short": elf()[:20],
        "script": b"#!/bin/sh\necho hello\n",
    },
    "events": {
        "follow": b"\x04\xff: hi\n\nid: 1\nevent: stdout\ndata: hello\ndata:\n\n"
                  b"id: 2\nevent: end\nretry: 2000\ndata: {}\n\n",
        "line-ends": b"\x00\xff\xef\xbb\xbfdata: a\r\rdata:b\r\n\r\ndata\n\nunknown: x\n\n",
        "unfinished": b"\x10\xff" + b"id: 7\ndata: x\n",
        "too-long": b"\x03\x02data: " + b"x" * 40 + b"\n\n",
        "not-text": b"\x01\xffdata: \xff\xe2\x82\nid: a\0b\nretry: 99999999999999999999\n\n",
    },
    "layer": {
        "environment": PLACE + FILE + tar_entry(b"opt/env/bin/python", b"2", b"/usr/bin/python3")
                       + tar_entry(b"opt/env/lib64", b"2", b"lib"),
        "long-name": PLACE + extension(record(b"path", b"opt/env/" + b"a" * 84)) + FILE,
        "astray": PLACE + tar_entry(b"opt/env/../../etc/passwd"),
        "behind-a-link": PLACE + tar_entry(b"opt/env/x", b"2", b"lib") + tar_entry(b"opt/env/x/a"),
        "link-out": PLACE + tar_entry(b"opt/env/x", b"2", b"../.."),
        "hidden": PLACE + tar_entry(b"opt/env/a", b"5", content=STOLEN),
        "named-twice": PLACE + extension(record(b"path", b"opt/env/a"), record(b"path", b"etc/pw"))
                       + FILE,
        "holes": PLACE + extension(record(b"GNU.sparse.realsize", b"99999999999")) + FILE,
        "star": PLACE + tar_entry(b"a", prefix=b"opt/env" + b"/" * 122 + b"..x", end=bytes(8)
                                  + b"tar\0"),
        "compressed": tar_entry(b"\x1f\x8b\x08", prefix=b"opt/env"),
    },
    "output_order": {
        "in-turn": bytes([3, 5, 2, 2, 3, 3]) + b"outoe\xc3\xa4r",
        "stderr-first": bytes([3, 2, 255, 0, 1, 2]) + b"ab" + b"e",
        "damaged": bytes([4, 4, 1, 2, 0, 1, 9]) + b"abcd" + b"efgh",
        "too-far": bytes([2, 1, 0, 0xff, 0x7f]) + b"a" + b"b",
        "characters": bytes([4, 2, 3, 1, 2, 1, 2]) + b"\xe2\x82" + b"\xf0\x9f\x98\x80",
    },
    "replay": {
        "at-once": log(*SAID),
        "broken-often": log(*SAID, breaks=((0, 40), (9, 39), (200, 250), (3, 0))),
        "in-a-frame": log(*SAID, breaks=((255, 128), (255, 129))),
        "refused": log((HELLO, b"{}"), (REFUSED, text({"reason": "spawn", "detail": "no"})),
                       breaks=((1, 200),)),
        "line-feeds": log((HELLO, b"{}", b"\n\n\n"), *((kind, *rest, b"") if rest else (kind,)
                          for kind, *rest in SAID[1:])),
        "no-end": log(*SAID[:6], breaks=((5, 255),)),
        "cut": log(*SAID, breaks=((7, 100),))[:-9],
        "without-hello": log(*SAID[2:], breaks=((0, 30),)),
        "no-frame": log(*SAID[:4], breaks=((2, 255), (2, 10))) + b"H\n" + whole(STDOUT, b"x"),
        "too-long": log(*SAID[:4], breaks=((2, 200),)) + b"G\x01\x12\0\xf8\x3f\0\0",
    },
    "requirements": {
        "plain": b"\x00numpy==2.1.0\nRequests[socks, Security] >= 2.31,<3 # why\n\n# x\nb\n",
        "marker": b'\x00a ; python_version < "3.9" and (sys_platform == "linux" or extra == \'x\')\n',
        "hashes": b"\x00a==1 \\\n  --hash=sha256:" + b"0" * 64 + b" \\\n  --hash=sha256:" + b"F" * 64,
        "options": b"\x02--index-url https://example.org/simple\n--no-index\na\n",
        "urls": b"\x05a @ https://example.org/a-1.whl\nb @ git+https://example.org/b.git@v1 ; os_name == 'nt'\n",
        "url-refused": b"\x00a @ https://user:secret@example.org/a.whl",
        "option-refused": b"\x00-r other.txt",
        "astray": b"\x07../a",
        "syntax": b"\x00a=>1",
        "mark": b"\x00\xef\xbb\xbfa\r\nb~=1.0\r\n",
    },
    "schemas": {
        "object": b'{"type":"object","properties":{"n":{"type":"integer","minimum":0}},'
                  b'"required":["n"],"additionalProperties":false}\n{"n":1}\n{"n":-1,"m":2}\n[]',
        "all": b'{}\n1\n"x"\n{}',
        "pattern": b'{"type":"array","items":{"type":"string","pattern":"^(a+)+$","format":"date"},'
                   b'"uniqueItems":true}\n["aaaa"]\n["b","b"]',
        "references": b'{"$defs":{"t":{"type":"array","items":{"$ref":"#/$defs/t"}}},'
                      b'"$ref":"#/$defs/t"}\n[[],[[]]]\n[[1]]',
        "circle": b'{"$ref":"#"}\n1',
        "branches": b'{"anyOf":[{"const":1},{"enum":[2,3]},{"not":{"type":"number"}}]}\n1\n"a"\n4',
        "fetched": b'{"$ref":"https://example.org/schema.json"}\n1',
        "draft": b'{"$schema":"http://json-schema.org/draft-07/schema#","if":{"minimum":3},'
                 b'"then":{"multipleOf":2}}\n4\n5',
        "no-schema": b'{"type":"nothing"}\n1',
    },
}

for target, seeds in SEEDS.items():
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
