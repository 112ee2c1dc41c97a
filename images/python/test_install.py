"""Tests of the installer's pure parts: `python3 -m unittest`."""

import base64
import hashlib
import importlib.util
import io
import json
import os
import resource
import sys
import tarfile
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import install
from install import (
    Build,
    Candidate,
    CommandFailed,
    EnvironmentRequest,
    Fragment,
    MalformedRequest,
    Pin,
    StepFailed,
    Unpacked,
    Watch,
)

LIBRARY = f"python{sys.version_info.major}.{sys.version_info.minor}"

LOCK = """\
charset-normalizer==3.5.2 \\
    --hash=sha256:bb \\
    --hash=sha256:aa
# a comment
Zope.Interface==8.0 --hash=sha256:cc

numpy==2.5.5
tool @ https://packages.example/tool-1.0-py3-none-any.whl \\
    --hash=sha256:dd
"""


@contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def pin(name: str) -> Pin:
    return install.parse_pin(f"{name}==1 --hash=sha256:{name}")


def build(top: Path, request: EnvironmentRequest | None = None) -> Build:
    for name in ("fragments", install.TAKEN):
        (top / "mine" / name).mkdir(parents=True)
    return Build(request or Keys.REQUEST, top / "mine", {}, Watch(top, 1 << 30))


@contextmanager
def volume() -> Iterator[Path]:
    """A volume in the place of /cache."""
    with directory() as top, mock.patch.object(install, "CACHE", top):
        yield top


def write_published(builder: Build, one: Pin, names: str = "", content: str = "") -> Fragment:
    published = builder.published(one)
    assert published is not None
    write(published.index, names)
    write(published.tar, content)
    return published


def make_old(path: Path) -> None:
    days_ago = time.time() - 10 * 86400
    os.utime(path, (days_ago, days_ago))


def fragment(top: Path, name: str, files: dict[str, str]) -> Fragment:
    """A package with these files below opt/env."""
    made = Fragment(top / f"{name}.tar")
    paths = [write(top / name / "opt/env" / path, text) for path, text in files.items()]
    install.write_fragment(made, paths, top / name)
    return made


def environment(top: Path, fragments: list[Fragment]) -> list[tarfile.TarInfo]:
    output = io.BytesIO()
    install.write_environment(output, fragments, top)
    return read_tar(output.getvalue())


def record_row(text: str, name: str = "sha256") -> str:
    digest = hashlib.new(name, text.encode()).digest()
    return f"{name}={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{len(text)}"


def read_tar(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content + install.TAR_END)) as archive:
        return archive.getmembers()


class Locks(unittest.TestCase):
    def test_pins_come_in_the_order_of_their_names(self) -> None:
        names = [pin.name for pin in install.parse_lock(LOCK)]
        self.assertEqual(names, ["charset-normalizer", "numpy", "tool", "zope-interface"])

    def test_a_pin_keeps_its_text_and_its_hashes(self) -> None:
        first = install.parse_lock(LOCK)[0]
        self.assertEqual(first.hashes, ("sha256:aa", "sha256:bb"))
        self.assertEqual(first.text.count("\n"), 2)

    def test_packages_are_named_by_version_or_by_url(self) -> None:
        packages = [pin.package for pin in install.parse_lock(LOCK)]
        self.assertIn("zope-interface==8.0", packages)
        self.assertIn("tool @ https://packages.example/tool-1.0-py3-none-any.whl", packages)

    def test_extras_and_markers_are_no_part_of_a_version(self) -> None:
        parsed = install.parse_pin("requests[socks]==2.34.2 ; python_version > '3'")
        self.assertEqual(parsed.package, "requests==2.34.2")

    def test_an_empty_lock_has_no_pins(self) -> None:
        self.assertEqual(install.parse_lock("\n# nothing\n"), [])

    def test_options_are_refused(self) -> None:
        with self.assertRaises(MalformedRequest):
            install.parse_lock("--index-url https://packages.example/simple\nsix==1.17.0\n")


class AskedHashes(unittest.TestCase):
    def pins(self, requirements: str, lock: str = LOCK) -> dict[str, Pin]:
        asked = install.asked_hashes(requirements)
        return {pin.name: pin for pin in install.enforce_hashes(install.parse_lock(lock), asked)}

    def test_they_are_found_after_versions_extras_and_markers(self) -> None:
        asked = install.asked_hashes(
            "--index-url https://packages.example/simple\n"
            "a==1 --hash=sha256:aa --hash=sha256:bb\n"
            "b[x,y]>=1,<2 ; python_version < '4' and extra == \"c d\" --hash=sha512:cc\n"
            "c @ https://packages.example/c.whl --hash=sha256:dd\n"
            "Zope.Interface==8.0 --hash=sha256:ee\n"
            "without\n"
        )
        expected = {
            "a": {"sha256:aa", "sha256:bb"},
            "b": {"sha512:cc"},
            "c": {"sha256:dd"},
            "zope-interface": {"sha256:ee"},
        }
        self.assertEqual(asked, expected)

    def test_what_a_marker_or_a_url_quotes_is_no_hash(self) -> None:
        asked = install.asked_hashes(
            'a ; extra == "x --hash=sha256:aa"\n'
            'b ; "x --hash=sha256:aa" == extra\n'
            "c @ https://packages.example/c--hash=sha256:aa\n"
            'd ; extra == "x --hash=sha256:aa" --hash=sha256:bb\n'
        )
        self.assertEqual(asked, {"d": {"sha256:bb"}})

    def test_a_package_may_stand_on_several_lines(self) -> None:
        asked = install.asked_hashes(
            "a==1 ; python_version < '3' --hash=sha256:aa\n"
            "a==2 ; python_version >= '3' --hash=sha256:bb\n"
            "a[x]\n"
        )
        self.assertEqual(asked, {"a": {"sha256:aa", "sha256:bb"}})

    def test_a_pin_keeps_only_those_that_were_asked_for(self) -> None:
        pins = self.pins("charset-normalizer --hash=sha256:bb --hash=sha256:00\nnumpy")
        checked = pins.pop("charset-normalizer")
        self.assertEqual(checked.hashes, ("sha256:bb",))
        self.assertEqual(checked.text, "charset-normalizer==3.5.2 \\\n    --hash=sha256:bb")
        self.assertTrue(checked.is_checked)
        before = [pin for pin in install.parse_lock(LOCK) if pin.name != checked.name]
        self.assertEqual(list(pins.values()), before)

    def test_markers_stay_in_a_pin(self) -> None:
        lock = "six==1.0 ; python_version > '3' \\\n    --hash=sha256:aa --hash=sha256:bb\n"
        pins = self.pins("six --hash=sha256:aa", lock)
        expected = "six==1.0 ; python_version > '3' \\\n    --hash=sha256:aa"
        self.assertEqual(pins["six"].text, expected)
        self.assertEqual(install.parse_pin(expected).hashes, ("sha256:aa",))

    def test_they_change_the_key(self) -> None:
        keys = {
            install.fragment_key(self.pins(requirements)["charset-normalizer"], Keys.REQUEST, {})
            for requirements in ("", "charset-normalizer --hash=sha256:bb")
        }
        self.assertEqual(len(keys), 2)

    def test_other_hashes_than_the_indexs_fail_and_name_the_package(self) -> None:
        with self.assertRaises(StepFailed) as raised:
            self.pins("zope-interface --hash=sha256:00\nnumpy")
        self.assertEqual(raised.exception.step, "resolve")
        expected = "zope-interface==8.0: none of its hashes is the index's"
        self.assertEqual(str(raised.exception), expected)

    def test_those_that_the_index_can_not_confirm_are_left_to_uv(self) -> None:
        pins = self.pins("numpy --hash=sha256:aa\nzope-interface --hash=sha512:bb")
        self.assertEqual(pins["numpy"].hashes, ("sha256:aa",))
        self.assertEqual(pins["zope-interface"].hashes, ("sha512:bb",))


class Keys(unittest.TestCase):
    REQUEST = EnvironmentRequest("", None, (), allow_sources=False, compile=True)

    def key(self, text: str, variables: dict[str, str] | None = None, **other: Any) -> str | None:
        request = replace(self.REQUEST, **other)
        return install.fragment_key(install.parse_pin(text), request, variables or {})

    def test_the_order_of_hashes_does_not_matter(self) -> None:
        one = self.key("six==1.17.0 --hash=sha256:a --hash=sha256:b")
        self.assertEqual(one, self.key("six==1.17.0 \\\n --hash=sha256:b \\\n --hash=sha256:a"))

    def test_versions_hashes_and_bytecode_do(self) -> None:
        texts = [f"six=={v} --hash=sha256:{h}" for v in "12" for h in "ab"]
        keys = {self.key(text, compile=flag) for text in texts for flag in (True, False)}
        self.assertEqual(len(keys), 8)

    def test_what_has_no_good_hash_or_no_version_has_no_key(self) -> None:
        for text in (
            "six==1.17.0",
            "six @ https://packages.example/six.whl --hash=sha256:a",
            "six==1.17.0 --hash=md5:a",
            "six==1.17.0 --hash=sha256:a --hash=md5:a",
        ):
            self.assertIsNone(self.key(text))

    def test_builds_share_only_what_they_have_from_the_same_indexes(self) -> None:
        six = "six==1.17.0 --hash=sha256:a"
        keys = [
            self.key(six),
            self.key(six, {"UV_INDEX": "https://a.example/simple"}),
            self.key(six, {"UV_INDEX": "https://b.example/simple"}),
            self.key(six, {"UV_INDEX_STRATEGY": "unsafe-best-match"}),
            self.key(six, requirements="--index-url https://a.example/simple\nsix"),
            self.key(six, requirements="--find-links https://a.example/simple\nsix"),
        ]
        self.assertEqual(len(set(keys)), len(keys))

    def test_other_requirements_credentials_and_places_of_builds_do_not_matter(self) -> None:
        six = "six==1.17.0 --hash=sha256:a"
        self.assertEqual(self.key(six), self.key(six, requirements="six\nnumpy"))
        self.assertEqual(self.key(six), self.key(six, install.tool_settings(Path("/x"))))
        one, other = ({"UV_INDEX": f"https://{it}a.example"} for it in ("me:old@", "me:new@"))
        self.assertEqual(self.key(six, one), self.key(six, other))

    def test_a_ca_bundle_matters_and_its_place_does_not(self) -> None:
        keys = []
        for bundle in ("one", "one", "other", None):
            with directory() as top:
                variables = install.tool_variables(top, bundle)
                keys.append(self.key("six==1.17.0 --hash=sha256:a", variables))
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(len(set(keys)), 3)

    def test_packages_built_from_source_are_not_published(self) -> None:
        for allow_sources in (True, False):
            request = replace(self.REQUEST, allow_sources=allow_sources)
            with directory() as top:
                published = build(top, request).published(pin("six"))
            self.assertEqual(published is None, allow_sources)


class Candidates(unittest.TestCase):
    def test_the_largest_subset_is_chosen(self) -> None:
        small = Candidate("small", frozenset({"a==1"}))
        large = Candidate("large", frozenset({"a==1", "b==1"}))
        chosen = install.choose_candidate([small, large], frozenset({"a==1", "b==1", "c==1"}))
        self.assertEqual(chosen, large)

    def test_other_versions_more_packages_and_nothing_are_of_no_use(self) -> None:
        candidates = [
            Candidate("other version", frozenset({"a==2"})),
            Candidate("more", frozenset({"a==1", "z==1"})),
            Candidate("nothing", frozenset()),
        ]
        self.assertIsNone(install.choose_candidate(candidates, frozenset({"a==1"})))

    def test_the_first_of_equals_is_chosen(self) -> None:
        candidates = [Candidate("one", frozenset({"a==1"})), Candidate("two", frozenset({"a==1"}))]
        chosen = install.choose_candidate(candidates, frozenset({"a==1"}))
        self.assertEqual(chosen, candidates[0])

    def test_a_checked_package_is_taken_from_no_candidate(self) -> None:
        for is_checked, parent in ((False, "x"), (True, None)):
            with volume() as top:
                request = replace(Keys.REQUEST, candidates=(Candidate("x", frozenset({"a==1"})),))
                builder, checked = build(top, request), replace(pin("a"), is_checked=is_checked)
                write_published(builder, checked)
                with redirect_stderr(io.StringIO()):
                    self.assertEqual(install.gather(builder, [checked])[2], parent)

    def test_a_layer_on_top_may_not_replace_files(self) -> None:
        for added, expected in (
            ("opt/env/b.py\n", True),
            ("opt/env/b.py\nopt/env/bin/run\n", False),
        ):
            with volume() as top:
                builder = build(top)
                write_published(builder, pin("a"), "opt/env/a.py\nopt/env/bin/run\n")
                write(builder.fragment(pin("b")).index, added)
                self.assertEqual(install.covers(builder, [pin("a")], [pin("b")]), expected)

    def test_a_candidate_with_unknown_files_is_of_no_use(self) -> None:
        with volume() as top:
            builder = build(top)
            write(builder.fragment(pin("b")).index, "opt/env/b.py\n")
            self.assertFalse(install.covers(builder, [pin("a")], [pin("b")]))


class Trees(unittest.TestCase):
    def test_tests_get_no_bytecode(self) -> None:
        tree = Path("/tree")
        names = ("a.py", "pkg/testing/b.py", "pkg/tests.py", "pkg/tests/c.py", "test/d.py", "e.so")
        compiled = [name for name in names if install.is_compiled(tree / name, tree)]
        self.assertEqual(compiled, ["a.py", "pkg/testing/b.py", "pkg/tests.py"])

    def test_where_the_tree_is_does_not_matter(self) -> None:
        self.assertTrue(install.is_compiled(Path("/tests/tree/a.py"), Path("/tests/tree")))

    def test_bytecode_speaks_of_the_final_place_and_is_never_checked(self) -> None:
        with directory() as tree:
            source = write(tree / "opt/env/lib/a.py", "def f(): pass\n")
            broken = write(tree / "opt/env/lib/template.py", "{{ name }} =\n")
            install.compile_all([Unpacked(pin("a"), tree, [source, broken])])
            paths = install.with_bytecode([source, broken])
            self.assertEqual(len(paths), 3)
            content = paths[0].read_bytes()
            self.assertEqual(content[4:8], b"\1\0\0\0")
            self.assertIn(b"/opt/env/lib/a.py", content)
            self.assertNotIn(str(tree).encode(), content)


class Wheels(unittest.TestCase):
    """What one package may leave in a tree."""

    def owned(self, files: dict[str, str], rows: dict[str, str | None] | None = None) -> list[str]:
        """The files that `tool` owns, below the tree, when it wrote these, below
        site-packages. `rows` are what its RECORD says otherwise than the truth."""
        with directory() as tree:
            install.write_skeleton(tree)
            skeleton = install.states(tree)
            site = install.site_packages(tree)
            info = "Some_Tool-1.0.dist-info"
            files = {f"{info}/METADATA": "Name: some-tool", **files}
            recorded: dict[str, str | None] = {
                name: record_row(text) for name, text in files.items()
            }
            recorded |= {f"{info}/RECORD": ",", **(rows or {})}
            for name, text in files.items():
                write(site / name, text)
            lines = [f'"{name}",{row}\n' for name, row in recorded.items() if row is not None]
            write(site / info / "RECORD", "".join(lines))
            tool = install.parse_pin("some.tool==1.0")
            owned = install.owned_files(tree, tool, skeleton)
            return [str(path.relative_to(tree)) for path in owned]

    def refused(self, files: dict[str, str], rows: dict[str, str | None] | None = None) -> str:
        with self.assertRaises(StepFailed) as raised:
            self.owned(files, rows)
        self.assertEqual(raised.exception.step, "install")
        return str(raised.exception)

    def test_it_owns_what_its_record_says_wherever_that_is(self) -> None:
        owned = self.owned({"tool.py": "x", "../../../bin/tool": "x", "../../../share/a/b.c": "x"})
        site = f"lib/{LIBRARY}/site-packages"
        expected = [
            f"{site}/{it}"
            for it in (
                "Some_Tool-1.0.dist-info/METADATA",
                "Some_Tool-1.0.dist-info/RECORD",
                "tool.py",
            )
        ]
        self.assertEqual(owned, ["bin/tool", *expected, "share/a/b.c"])

    def test_bytecode_that_it_ships_is_left_out(self) -> None:
        names = ("__pycache__/tool.cpython-313.pyc", "tool.pyc", "a/__PYCACHE__/b", "a/b.PYO")
        owned = self.owned({"tool.py": "x", **dict.fromkeys(names, "evil")})
        self.assertEqual(
            [it for it in owned if "Some_Tool" not in it], [f"lib/{LIBRARY}/site-packages/tool.py"]
        )

    def test_where_it_came_from_is_left_out(self) -> None:
        info = "Some_Tool-1.0.dist-info"
        for name in install.PROVENANCE:
            owned = self.owned({f"{info}/{name}": "https://user:secret@packages.example/"})
            self.assertEqual([it for it in owned if name in it], [])

    def test_what_its_record_does_not_list_is_refused(self) -> None:
        self.assertIn("does not list 'evil.py'", self.refused({"evil.py": "x"}, {"evil.py": None}))
        # As uv lists it.
        self.assertIn("does not list 'evil.py'", self.refused({"evil.py": "x"}, {"evil.py": ",1"}))

    def test_other_content_than_its_record_says_is_refused(self) -> None:
        for row in (record_row("other"), "md5=x,1", "sha256=,1", "x,1"):
            self.assertIn(
                "some-tool==1.0 can't be used", self.refused({"a.py": "x"}, {"a.py": row})
            )

    def test_all_usual_hashes_do(self) -> None:
        names = ("sha256", "sha384", "sha512")
        files = dict.fromkeys(names, "x")
        owned = self.owned(files, {name: record_row("x", name) for name in names})
        self.assertEqual(len(owned), 5)

    def test_a_row_without_a_hash_is_refused(self) -> None:
        for name in ("a.py", "RECORD", "a/RECORD.jws", "victim/RECORD.p7s", "../../../bin/RECORD"):
            for row in (",", ",1", ""):
                refused = self.refused({name: "x"}, {name: row})
                self.assertIn("some-tool==1.0 can't be used: its RECORD ", refused, (name, row))

    def test_signatures_of_its_record_need_no_hash(self) -> None:
        info = "Some_Tool-1.0.dist-info"
        signatures = [f"{info}/RECORD.jws", f"{info}/RECORD.p7s"]
        owned = self.owned(dict.fromkeys(signatures, "x"), dict.fromkeys(signatures, ","))
        self.assertEqual(len(owned), 4)

    def test_a_name_through_a_link_is_not_the_files_own(self) -> None:
        victim = f"lib64/{LIBRARY}/site-packages/victim/__init__.py"
        refused = self.refused({f"../../../{victim}": "evil"})
        self.assertIn("does not list '__init__.py'", refused)

    def test_what_every_environment_has_is_not_replaced(self) -> None:
        self.assertIn("replaces pyvenv.cfg", self.refused({"../../../pyvenv.cfg": "home = /x"}))

    def test_what_passes_for_a_part_of_every_environment_is_refused(self) -> None:
        for name in ("LIB64/a", "Lib/a", "bin/PYTHON3", "\uff42in/python", "PyVenv.cfg"):
            self.assertIn("beside", self.refused({f"../../../{name}": "x"}), name)

    def test_another_packages_metadata_is_refused(self) -> None:
        for name in (
            "victim-1.0.dist-info/RECORD",
            "Victim-1.0.DIST-INFO/METADATA",
            "victim.egg-info/PKG-INFO",
            "victim-1.0-py3.13.egg-info",
        ):
            self.assertIn("another package's", self.refused({name: "Name: victim"}), name)
        self.assertEqual(len(self.owned({"some_tool.egg-info/PKG-INFO": "x"})), 3)

    def test_odd_names_are_refused(self) -> None:
        for name in ("a\nb.py", "a\\b.py", "a\x7f", "a\x9b31m", ".wh.os.py", "a/.wh..wh..opq"):
            self.assertIn("some-tool==1.0 can't be used", self.refused({name: "x"}), ascii(name))
        self.assertEqual(len(self.owned({"d\u00e9j\u00e0 vu.txt": "x"})), 3)

    def test_a_record_that_can_not_be_read_is_refused(self) -> None:
        with directory() as tree:
            install.write_skeleton(tree)
            skeleton = install.states(tree)
            info = install.site_packages(tree) / "tool-1.dist-info"
            info.mkdir()
            for content in (None, b"\xff,,\n", b"a\0,,\n", b"x" * 200_000 + b",,\n"):
                if content is not None:
                    (info / "RECORD").write_bytes(content)
                with self.assertRaisesRegex(StepFailed, "RECORD"):
                    install.owned_files(tree, install.parse_pin("tool==1"), skeleton)

    def test_links_are_refused(self) -> None:
        with directory() as tree:
            install.write_skeleton(tree)
            skeleton = install.states(tree)
            info = install.site_packages(tree) / "tool-1.dist-info"
            write(info / "RECORD", "../../../out,,\ntool-1.dist-info/RECORD,,\n")
            (tree / "out").symlink_to("/etc")
            with self.assertRaisesRegex(StepFailed, "'out' is not a file"):
                install.owned_files(tree, install.parse_pin("tool==1"), skeleton)


class Tars(unittest.TestCase):
    def test_members_are_roots_sorted_and_without_time_or_special_bits(self) -> None:
        with directory() as top:
            write(top / "opt/env/b", "b" * 700).chmod(0o6600)
            write(top / "opt/env/bin/a").chmod(0o4711)
            (top / "opt/env/link").symlink_to("b")
            output = io.BytesIO()
            install.write_members(output, [*(top / "opt/env").rglob("*")], top)
        members = read_tar(output.getvalue())
        modes = {member.name: member.mode for member in members}
        self.assertEqual(list(modes), sorted(modes))
        self.assertEqual(modes["opt/env/b"], 0o644)
        self.assertEqual(modes["opt/env/bin/a"], 0o755)
        owners = {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members}
        self.assertEqual(owners, {(0, 0, "", "", install.MTIME)})
        self.assertEqual(members[-1].linkname, "b")

    def test_hard_links_are_packed_as_files(self) -> None:
        with directory() as top:
            os.link(write(top / "a", "content"), top / "b")
            output = io.BytesIO()
            install.write_members(output, [top / "a", top / "b"], top)
        self.assertTrue(all(member.isreg() for member in read_tar(output.getvalue())))

    def test_fragments_laid_end_to_end_are_one_tar(self) -> None:
        with directory() as top:
            packages = ("a", "long" * 40, "b")
            fragments = [fragment(top, name, {f"lib/{name}": ""}) for name in packages]
            self.assertEqual(fragments[0].names(), {"opt/env/lib/a"})
            members = environment(top, fragments)
        names = [member.name for member in members]
        self.assertIn("opt/env/pyvenv.cfg", names)
        self.assertEqual(names[-1], "opt/env/lib/b")
        self.assertIn("opt/env/lib/" + "long" * 40, names)
        self.assertEqual(len(names), len(set(names)))

    def test_of_two_packages_the_later_one_wins_once(self) -> None:
        with directory() as top:
            cache = importlib.util.cache_from_source("lib/x.py")
            first = {"lib/x.py": "first", cache: "first", "lib/only.py": "é" * 300, "z" * 120: "a"}
            fragments = [
                fragment(top, "a", first),
                fragment(top, "b", {"lib/x.py": "second", "z" * 120: "b" * 600}),
            ]
            members = environment(top, fragments)
        contents = {it.name: it.size for it in members if it.isreg()}
        self.assertEqual(len(members), len({it.name for it in members}))
        self.assertEqual(contents["opt/env/lib/x.py"], 6)
        self.assertEqual(contents["opt/env/" + "z" * 120], 600)
        self.assertEqual(contents["opt/env/lib/only.py"], 600)
        self.assertNotIn(f"opt/env/{cache}", contents)

    def test_a_file_can_not_be_anothers_folder(self) -> None:
        with directory() as top:
            fragments = [fragment(top, "a", {"x": ""}), fragment(top, "b", {"x/y": ""})]
            with self.assertRaisesRegex(StepFailed, "opt/env/x is a file of one package"):
                environment(top, fragments)

    def test_every_directory_above_is_there_once(self) -> None:
        directories = install.parent_directories(["a/b/c.py", "a/b/d.py", "a/b-c/d", "top.py"])
        self.assertEqual(directories, {"a", "a/b", "a/b-c"})
        member = read_tar(install.directory_header("a/b"))[0]
        self.assertTrue(member.isdir())
        self.assertEqual((member.name, member.mode, member.mtime), ("a/b", 0o755, install.MTIME))


class Options(unittest.TestCase):
    def test_options_are_the_lines_that_name_no_package(self) -> None:
        text = "--index-url https://index.example\nsix --hash=sha256:00\n-f https://x.example\n"
        expected = "--index-url https://index.example\n-f https://x.example\n"
        self.assertEqual(install.options_text(text), expected)


class Volume(unittest.TestCase):
    def test_only_what_is_old_is_swept(self) -> None:
        with directory() as top:
            old, young = write(top / "old/file").parent, write(top / "young/file").parent
            make_old(old)
            install.sweep(top, 3600)
            self.assertEqual(list(top.iterdir()), [young])
            install.sweep(top / "absent", 3600)

    def test_what_dead_builds_left_goes_and_the_living_stay(self) -> None:
        with volume() as top, install.build_directory(Keys.REQUEST) as (living, _):
            dead, begun = top / "build/dead", top / "build/begun"
            write(dead / "a/b")
            begun.mkdir()
            make_old(dead)
            make_old(living)
            install.remove_dead_builds()
            self.assertEqual({*(top / "build").iterdir()}, {living, begun})

    def propose(self, *names: str) -> str | None:
        """What a build proposes that has made packages called `a` and `b`."""
        with install.build_directory(Keys.REQUEST) as (path, watch):
            builder = Build(Keys.REQUEST, path, {}, watch)
            for name in ("a", "b"):
                write(builder.fragment(pin(name)).index, f"opt/env/{name}.py\n")
                write(builder.fragment(pin(name)).tar, "tar")
            return install.propose(builder, [pin(name) for name in names])

    def is_there(self, name: str) -> bool:
        """Whether another build finds a package."""
        with install.build_directory(Keys.REQUEST) as (path, watch):
            return Build(Keys.REQUEST, path, {}, watch).take(pin(name))

    def publish(self, proposal: str | None, cache_bytes: int = 1 << 30) -> int:
        request = json.dumps(
            {"mode": "publish", "proposal": proposal, "cache_bytes": cache_bytes}
        )
        return install.answer(request)["published"]

    def test_a_build_leaves_nothing_but_what_it_proposes(self) -> None:
        with volume() as top:
            proposal = self.propose("a")
            self.assertEqual(list((top / "build").iterdir()), [])
            self.assertEqual([it.name for it in (top / install.PROPOSALS).iterdir()], [proposal])
            self.assertFalse(self.is_there("a"))
            self.assertEqual(self.publish(proposal), 1)
            self.assertEqual(list((top / install.PROPOSALS).iterdir()), [])
            self.assertEqual([self.is_there("a"), self.is_there("b")], [True, False])

    def test_what_is_there_already_is_replaced(self) -> None:
        with volume():
            proposals = [self.propose("a"), self.propose("a", "b")]
            self.assertEqual([self.publish(it) for it in proposals], [1, 2])
            self.assertTrue(self.is_there("a") and self.is_there("b"))

    def test_what_nobody_else_may_use_is_not_proposed(self) -> None:
        with volume() as top:
            self.assertIsNone(self.propose())
            (top / "mine").mkdir()
            builder = Build(replace(Keys.REQUEST, allow_sources=True), top, {}, Watch(top, 1))
            self.assertIsNone(install.propose(builder, [pin("a")]))

    def test_a_proposal_that_nobody_confirms_goes(self) -> None:
        with volume() as top:
            proposal = self.propose("a")
            assert proposal is not None
            make_old(top / install.PROPOSALS / proposal)
            self.assertFalse(self.is_there("a"))
            self.assertEqual(list((top / install.PROPOSALS).iterdir()), [])
            self.assertEqual(self.publish(proposal), 0)

    def test_proposals_count_as_fragments_do(self) -> None:
        with volume() as top:
            self.publish(self.propose("a"))
            write(top / install.PROPOSALS / "other/x.tar", "x" * 10_000)
            self.assertEqual(self.publish(self.propose("b"), cache_bytes=10_000), 1)
            self.assertEqual([self.is_there("a"), self.is_there("b")], [False, False])

    def test_files_are_on_the_disk_before_they_have_their_names(self) -> None:
        with volume() as top:
            proposal, synced = self.propose("a"), []
            real = os.fsync

            def fsync(handle: int) -> None:
                shared = {it.suffix for it in (top / install.FRAGMENTS).iterdir()}
                synced.append((Path(os.readlink(f"/proc/self/fd/{handle}")).suffix, shared))
                real(handle)

            with mock.patch.object(os, "fsync", fsync):
                self.publish(proposal)
            expected = [(".txt", set()), (".tar", {".txt"}), ("", {".txt", ".tar"})]
            self.assertEqual(synced, expected)

    def test_fragments_of_former_formats_are_not_read_and_go(self) -> None:
        with volume() as top:
            for name in ("fragments/x.tar", "uv/archive-v0/x"):
                write(top / name)
                make_old((top / name).parent if "archive" in name else top / name)
            with install.build_directory(Keys.REQUEST):
                pass
            self.assertEqual([*(top / "fragments").iterdir(), *(top / "uv").iterdir()], [])

    def test_what_was_used_longest_ago_is_evicted_but_not_from_who_uses_it(self) -> None:
        with volume() as top:
            builder, pins = build(top), [pin(name) for name in "abc"]
            published = [write_published(builder, one, content="x" * 1000) for one in pins]
            self.assertTrue(builder.take(pins[2]))
            for age, one in enumerate(published):
                os.utime(one.tar, (time.time() - age, time.time() - age))
            install.evict(2500)
            self.assertEqual([one.tar.exists() for one in published], [True, True, False])
            self.assertTrue(builder.fragment(pins[2]).tar.exists())
            install.evict(0)
            self.assertEqual(list((top / install.FRAGMENTS).iterdir()), [])

    def test_the_files_at_all_depths_use_the_disk_once(self) -> None:
        with directory() as top:
            self.assertEqual(install.disk_usage(top / "absent"), 0)
            write(top / "a", "x" * 10_000)
            os.link(write(top / "b/c/d", "x" * 10_000), top / "e")
            self.assertGreaterEqual(install.disk_usage(top), 20_000)
            self.assertLess(install.disk_usage(top), 30_000)
            write(top / install.TAKEN / "x.tar", "x" * 100_000)
            self.assertLess(install.disk_usage(top), 30_000)


class Commands(unittest.TestCase):
    def run_shell(self, script: str, limit: int = 1 << 30) -> StepFailed:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        with directory() as top, self.assertRaises(StepFailed) as raised:
            watch = Watch(top, limit)
            with watch.watching(), redirect_stderr(io.StringIO()) as said:
                install.run("install", ["/bin/sh", "-c", script], {}, top, watch)
        self.said = said.getvalue()
        return raised.exception

    def test_one_that_failed_has_said_why(self) -> None:
        error = self.run_shell("echo no >&2; exit 3")
        self.assertIsInstance(error, CommandFailed)
        self.assertEqual((str(error), self.said), ("sh ended with 3", "no\n"))

    def test_one_that_was_killed_has_not(self) -> None:
        error = self.run_shell("kill -9 $$")
        self.assertNotIsInstance(error, CommandFailed)
        self.assertEqual(str(error), "signal 9 ended sh")

    def test_one_that_takes_too_much_disk_is_ended(self) -> None:
        many = "i=0; while :; do i=$((i+1)); head -c 100000 /dev/zero >$i; done"
        error = self.run_shell(many, limit=10 << 20)
        self.assertEqual(
            str(error), "the packages take more than 5 MiB of disk, half of what a build may take"
        )

    def test_no_file_is_larger_than_a_build(self) -> None:
        error = self.run_shell("head -c 20000000 /dev/zero >x; kill -XFSZ $$", limit=10 << 20)
        self.assertEqual(
            str(error), "the packages take more than 5 MiB of disk, half of what a build may take"
        )


class Interpreters(unittest.TestCase):
    """What is done with an interpreter that uv has fetched."""

    def test_an_environment_leads_to_the_interpreter_that_it_is_for(self) -> None:
        with directory() as tree:
            install.write_skeleton(tree, install.Interpreter("/opt/python/bin/python3.10", "3.10.9"))
            self.assertEqual(os.readlink(tree / "bin/python"), "/opt/python/bin/python3.10")
            self.assertEqual(os.readlink(tree / "bin/python3.10"), "python")
            self.assertEqual(install.site_packages(tree), tree / "lib/python3.10/site-packages")
            settings = (tree / "pyvenv.cfg").read_text()
            self.assertIn("home = /opt/python/bin\nversion = 3.10.9\n", settings)

    def test_what_it_says_of_itself_is_true_in_the_image(self) -> None:
        with directory() as top:
            told = top / "lib/python3.10/_sysconfigdata__linux_.py"
            told.parent.mkdir(parents=True)
            told.write_text(f"build_time_vars = {{'prefix': '{top}', 'X': '{top}/lib'}}")
            (top / "lib/Makefile").symlink_to(told)
            install.replace_text(top, str(top), "/opt/python")
            expected = "build_time_vars = {'prefix': '/opt/python', 'X': '/opt/python/lib'}"
            self.assertEqual(told.read_text(), expected)

    def test_wheels_for_another_abi_are_other_fragments(self) -> None:
        pin = install.parse_pin("six==1.0 --hash=sha256:aa")
        request = EnvironmentRequest("six", None, (), False, True)
        keys = set()
        for abi in ("cpython-313-x86_64-linux-gnu", "cpython-313t-x86_64-linux-gnu"):
            with mock.patch.object(install.sysconfig, "get_config_var", return_value=abi):
                keys.add(install.fragment_key(pin, request, {}))
        self.assertEqual(len(keys), 2)


class MissingWheels(unittest.TestCase):
    def test_the_versions_that_have_a_wheel_are_said(self) -> None:
        wheels = {("six", "3.13"), ("numpy==1.24.0", "3.10"), ("numpy==1.24.0", "3.11")}
        request = EnvironmentRequest("six\nnumpy==1.24.0\n", None, (), False, True)
        build = mock.Mock(request=request)
        own = install.Interpreter("/usr/bin/python3.13", "3.13.5")
        said = io.StringIO()
        with (
            mock.patch.object(install, "has_wheel", lambda _, line, it: (line, it) in wheels),
            mock.patch.object(install, "own_interpreter", return_value=own),
            redirect_stderr(said),
        ):
            install.say_missing_wheels(build)
        expected = "numpy==1.24.0 has no wheel for Python 3.13; it has wheels for 3.10, 3.11\n"
        self.assertEqual(said.getvalue(), f"gantry: resolve failed: {expected}")


class Requests(unittest.TestCase):
    def test_what_is_left_out_has_a_default(self) -> None:
        request = install.parse_environment_request({"requirements": "six"})
        self.assertEqual(request, EnvironmentRequest("six", None, (), False, True))
        self.assertEqual((request.build_bytes, request.cache_bytes), (16 << 30, 16 << 30))

    def test_wrong_requests_are_malformed(self) -> None:
        for text in (
            "",
            "[]",
            "{}",
            '{"mode": "other"}',
            '{"mode": "uv"}',
            '{"mode": "uv", "version": "1", "hashes": "sha256:00"}',
            '{"mode": "uv", "version": "1", "hashes": ["sha256:00"]}',
            '{"mode": "python"}',
            '{"mode": "python", "version": "3.10; id"}',
            '{"mode": "python", "version": "3.10.1"}',
            '{"mode": "publish"}',
            '{"mode": "publish", "proposal": ""}',
            '{"mode": "publish", "proposal": ".."}',
            '{"mode": "publish", "proposal": "a/b"}',
            '{"mode": "publish", "proposal": "a", "cache_bytes": "1"}',
            '{"mode": "environment"}',
            '{"mode": "environment", "requirements": "", "lock": 1}',
            '{"mode": "environment", "requirements": "", "candidates": [{"id": "x"}]}',
            '{"mode": "environment", "requirements": "", "candidates": [1]}',
        ):
            with self.subTest(text), self.assertRaises(MalformedRequest):
                install.answer(text)


if __name__ == "__main__":
    unittest.main()
