"""The comparison: what counts as a difference, and what is said of it."""

import json
import pathlib
import tempfile
import unittest
from unittest import mock

import run
import suite


def told(*lines):
    keys = ("test", "outcome", "reason")
    return "\n".join(json.dumps(dict(zip(keys, (*line, "")))) for line in lines).encode()


def outcomes(**tests):
    return {test: (outcome, "why") for test, outcome in tests.items()}


def everywhere(run_of_module, **others):
    return {way: [others.get(way, run_of_module)] for way in run.WAYS}


def compared(seen):
    return [(test, wrong) for test, _, wrong in run.compare("m", seen)]


class Comparison(unittest.TestCase):
    def test_what_agrees_is_no_difference(self):
        self.assertEqual(compared(everywhere(outcomes(a="passed", b="failed"))), [])

    def test_what_differs_is_found(self):
        here = outcomes(a="passed", b="failed")
        plain = outcomes(a="passed", b="passed")
        self.assertEqual(compared(everywhere(here, plain=plain)), [("b", "plain differs")])
        self.assertEqual(
            compared(everywhere(here, warm=plain)), [("b", "cold and warm differ")]
        )

    def test_what_agrees_in_one_of_its_runs_is_chance(self):
        seen = everywhere(outcomes(a="passed", b="passed"))
        seen["cold"].insert(0, outcomes(a="passed", b="failed"))
        self.assertEqual(compared(seen), [])

    def test_a_module_of_which_no_test_passes_is_wrong(self):
        for outcome in ("failed", "skipped"):
            self.assertEqual(compared(everywhere(outcomes(m=outcome))), [("m", run.NONE_PASSED)])
        self.assertEqual(compared(everywhere({})), [("m", run.NONE_PASSED)])

    def test_a_part_that_does_not_load_is_wrong(self):
        part = f"{run.NOT_LOADED}part"
        seen = everywhere(outcomes(a="passed", **{part: "failed"}))
        self.assertEqual(compared(seen), [(part, "it does not load")])

    def test_a_module_without_an_end_is_wrong_by_its_own_line_alone(self):
        cut = outcomes(a="passed", m=run.NO_END)
        whole = outcomes(a="passed", b="passed")
        self.assertEqual(compared(everywhere(whole, warm=cut)), [("m", "cold and warm differ")])
        self.assertEqual(compared(everywhere(cut)), [("m", "it has no end in any way")])

    def test_reasons_hold_for_all_but_cold_and_warm(self):
        here, plain = outcomes(a="passed", b="failed"), outcomes(a="passed", b="passed")
        with mock.patch.object(run, "reasons", return_value=[("b*", "reason")]):
            for way, why in (("plain", "reason"), ("warm", None)):
                results = {"m": {"seen": everywhere(here, **{way: plain})}}
                self.assertEqual([row[2] for row in run.judged(results)], [why])


class Outcomes(unittest.TestCase):
    def test_what_failed_once_has_failed(self):
        lines = told(("a", "began"), ("a", "failed"), ("a", "passed"), ("m", "ended"))
        self.assertEqual(run.parsed("m", lines, ""), {"a": ("failed", "")})

    def test_the_last_test_that_began_is_named_where_there_is_no_end(self):
        lines = told(("a", "began"), ("a", "passed"), ("b", "began")) + b'\n{"test": "c'
        found = run.parsed("m", lines, "exit code\n137")
        self.assertEqual(found["a"], ("passed", ""))
        self.assertEqual(
            found["m"], (run.NO_END, "the last test that began is b: exit code 137")
        )
        self.assertIn("is none: timeout", run.parsed("m", b"", "timeout")["m"][1])


class Loading(unittest.TestCase):
    def outcomes_of(self, module):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "outcomes"
            with open(path, "w") as file:
                suite.loaded(module).run(suite.Outcomes(file))
                file.write(told((module, "ended")).decode())
            return run.parsed(module, path.read_bytes(), "")

    def test_a_module_that_does_not_load_fails_by_its_name(self):
        outcome, why = self.outcomes_of("not_there")["not_there"]
        self.assertEqual((outcome, "ModuleNotFoundError" in why), ("failed", True))

    def test_a_module_for_another_platform_is_skipped_by_its_name(self):
        with mock.patch.object(
            suite.importlib, "import_module", side_effect=unittest.SkipTest("elsewhere")
        ):
            self.assertEqual(self.outcomes_of("m"), {"m": ("skipped", "elsewhere")})


if __name__ == "__main__":
    unittest.main()
