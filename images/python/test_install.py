"""Tests of the installer's pure parts: `python3 -m unittest`."""

import io
import os
import tarfile
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path

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
)

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
            install.fragment_key(self.pins(requirements)["charset-normalizer"], True)
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
    def test_the_order_of_hashes_does_not_matter(self) -> None:
        one = install.parse_pin("six==1.17.0 --hash=sha256:a --hash=sha256:b")
        other = install.parse_pin("six==1.17.0 \\\n    --hash=sha256:b \\\n    --hash=sha256:a")
        self.assertEqual(install.fragment_key(one, True), install.fragment_key(other, True))

    def test_versions_hashes_and_bytecode_do(self) -> None:
        pins = [install.parse_pin(f"six=={v} --hash=sha256:{h}") for v in "12" for h in "ab"]
        keys = {install.fragment_key(pin, flag) for pin in pins for flag in (True, False)}
        self.assertEqual(len(keys), 8)

    def test_what_has_no_hash_or_no_version_has_no_key(self) -> None:
        for text in ("six==1.17.0", "six @ https://packages.example/six.whl --hash=sha256:a"):
            self.assertIsNone(install.fragment_key(install.parse_pin(text), True))

    def test_packages_built_from_source_stay_in_the_build(self) -> None:
        request = EnvironmentRequest("", None, (), allow_sources=True, compile=True)
        fragment = Build(request, Path("/cache/build/x"), {}).fragment(pin("six"))
        self.assertEqual(fragment.tar, Path("/cache/build/x/fragments/six.tar"))


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
        candidates = (Candidate("x", frozenset({"a==1"})),)
        request = EnvironmentRequest("", None, candidates, allow_sources=True, compile=True)
        with directory() as top:
            build = Build(request, top, {})
            for is_checked, parent in ((False, "x"), (True, None)):
                checked = replace(pin("a"), is_checked=is_checked)
                fragment = build.fragment(checked)
                write(fragment.tar)
                write(fragment.index)
                with redirect_stderr(io.StringIO()):
                    self.assertEqual(install.gather(build, [checked])[1], parent)

    def test_a_layer_on_top_may_not_replace_files(self) -> None:
        candidate = Candidate("x", frozenset({"a==1"}))
        with directory() as top:
            there, added = Fragment(top / "a.tar"), Fragment(top / "b.tar")
            fragments = {pin("a"): there, pin("b"): added}
            write(there.index, "opt/env/a.py\nopt/env/bin/run\n")
            write(added.index, "opt/env/b.py\n")
            self.assertTrue(install.covers(candidate, fragments))
            write(added.index, "opt/env/b.py\nopt/env/bin/run\n")
            self.assertFalse(install.covers(candidate, fragments))

    def test_a_candidate_with_unknown_files_is_of_no_use(self) -> None:
        candidate = Candidate("x", frozenset({"a==1"}))
        with directory() as top:
            fragments = {pin("a"): Fragment(top / "a.tar"), pin("b"): Fragment(top / "b.tar")}
            write(fragments[pin("b")].index, "opt/env/b.py\n")
            self.assertFalse(install.covers(candidate, fragments))


class Trees(unittest.TestCase):
    def test_tests_get_no_bytecode(self) -> None:
        tree = Path("/tree")
        names = ("a.py", "pkg/testing/b.py", "pkg/tests.py", "pkg/tests/c.py", "test/d.py", "e.so")
        compiled = [name for name in names if install.is_compiled(tree / name, tree)]
        self.assertEqual(compiled, ["a.py", "pkg/testing/b.py", "pkg/tests.py"])

    def test_where_the_tree_is_does_not_matter(self) -> None:
        self.assertTrue(install.is_compiled(Path("/tests/tree/a.py"), Path("/tests/tree")))

    def test_a_package_owns_what_its_record_says_without_provenance(self) -> None:
        with directory() as tree:
            install.write_skeleton(tree)
            site = install.site_packages(tree)
            record = write(
                site / "Some_Tool-1.0.dist-info/RECORD",
                "tool.py,sha256=x,1\n"
                "__pycache__/tool.cpython-313.pyc,,\n"
                "../../../bin/tool,sha256=x,1\n"
                "Some_Tool-1.0.dist-info/direct_url.json,sha256=x,1\n"
                "Some_Tool-1.0.dist-info/RECORD,,\n",
            )
            for name in ("tool.py", "__pycache__/tool.cpython-313.pyc"):
                write(site / name)
            write(tree / "bin/tool")
            write(record.parent / "direct_url.json", "https://user:secret@packages.example/")
            self.assertEqual(install.installed_records(tree), {"some-tool": record})
            install.drop_provenance(record)
            files = install.recorded_files(tree, record)
            self.assertEqual(files, [tree / "bin/tool", record, site / "tool.py"])
            self.assertNotIn("direct_url", record.read_text())

    def test_a_record_can_not_name_files_outside(self) -> None:
        with directory() as tree:
            install.write_skeleton(tree / "env")
            site = install.site_packages(tree / "env")
            record = write(site / "x-1.dist-info/RECORD", "../../../../../etc/passwd,,\n")
            with self.assertRaises(StepFailed):
                install.recorded_files(tree / "env", record)

    def test_paths_of_two_packages_are_shared(self) -> None:
        both = Path("/tree/ns/__init__.py")
        files = {pin("a"): [Path("/tree/ns/a.py"), both], pin("b"): [both]}
        self.assertEqual(install.shared_paths(files), frozenset({both}))

    def test_bytecode_speaks_of_the_final_place_and_is_never_checked(self) -> None:
        with directory() as tree:
            source = write(tree / "lib/a.py", "def f(): pass\n")
            broken = write(tree / "lib/template.py", "{{ name }} =\n")
            install.compile_files([source, broken], tree)
            paths = install.with_bytecode([source, broken])
            self.assertEqual(len(paths), 3)
            content = paths[0].read_bytes()
            self.assertEqual(content[4:8], b"\1\0\0\0")
            self.assertIn(b"/opt/env/lib/a.py", content)
            self.assertNotIn(str(tree).encode(), content)


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
            output = io.BytesIO()
            fragments = []
            for name in ("a", "long" * 40, "b"):
                build = top / f"build-{name}"
                fragment = Fragment(top / "cache" / f"{name}.tar")
                install.write_fragment(fragment, [write(build / "opt/env/lib" / name)], build)
                fragments.append(fragment)
            self.assertEqual(fragments[0].names(), {"opt/env/lib/a"})
            install.write_environment(output, fragments, top)
        names = [member.name for member in read_tar(output.getvalue())]
        self.assertIn("opt/env/pyvenv.cfg", names)
        self.assertEqual(names[-1], "opt/env/lib/b")
        self.assertIn("opt/env/lib/" + "long" * 40, names)
        self.assertEqual(len(names), len(set(names)))

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
            hours_ago = time.time() - 2 * install.BUILD_LIFE
            os.utime(old, (hours_ago, hours_ago))
            install.sweep(top, install.BUILD_LIFE)
            self.assertEqual(list(top.iterdir()), [young])

    def test_a_stamp_keeps_things_from_being_done_too_often(self) -> None:
        with directory() as top:
            self.assertTrue(install.is_due(top / "stamp", 100))
            self.assertFalse(install.is_due(top / "stamp", 100))
            os.utime(top / "stamp", (0, 0))
            self.assertTrue(install.is_due(top / "stamp", 100))
            self.assertFalse(install.is_due(top / "stamp", 100))

    def test_the_files_at_all_depths_use_the_disk(self) -> None:
        with directory() as top:
            self.assertEqual(install.disk_usage(top / "absent"), 0)
            write(top / "a", "x" * 10_000)
            write(top / "b/c/d", "x" * 10_000)
            self.assertGreaterEqual(install.disk_usage(top), 20_000)
            self.assertLess(install.disk_usage(top), 1_000_000)


class Commands(unittest.TestCase):
    def run_shell(self, script: str) -> StepFailed:
        with directory() as top, self.assertRaises(StepFailed) as raised:
            install.run("install", ["/bin/sh", "-c", script], {}, top)
        return raised.exception

    def test_one_that_failed_has_said_why(self) -> None:
        error = self.run_shell("exit 3")
        self.assertIsInstance(error, CommandFailed)
        self.assertEqual(str(error), "sh ended with 3")

    def test_one_that_was_killed_has_not(self) -> None:
        error = self.run_shell("kill -9 $$")
        self.assertNotIsInstance(error, CommandFailed)
        self.assertEqual(str(error), "signal 9 ended sh")


class Requests(unittest.TestCase):
    def test_what_is_left_out_has_a_default(self) -> None:
        request = install.parse_environment_request({"requirements": "six"})
        self.assertEqual(request, EnvironmentRequest("six", None, (), False, True))

    def test_wrong_requests_are_malformed(self) -> None:
        for text in (
            "",
            "[]",
            "{}",
            '{"mode": "other"}',
            '{"mode": "uv"}',
            '{"mode": "uv", "version": "1", "hashes": "sha256:00"}',
            '{"mode": "uv", "version": "1", "hashes": ["sha256:00"]}',
            '{"mode": "environment"}',
            '{"mode": "environment", "requirements": "", "lock": 1}',
            '{"mode": "environment", "requirements": "", "candidates": [{"id": "x"}]}',
            '{"mode": "environment", "requirements": "", "candidates": [1]}',
        ):
            with self.subTest(text), self.assertRaises(MalformedRequest):
                install.answer(text)


if __name__ == "__main__":
    unittest.main()
