"""Runs one module of CPython's own tests, whose name is its argument, and leaves what
became of each test in `out/outcomes`, a line of JSON for each.

It is the same script in a sandbox and in a plain container. What it imports here is
what a waiting interpreter has imported before it is called.
"""

import asyncio
import concurrent.futures
import importlib
import importlib.util
import io
import json
import logging
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref

# Characters of a reason: the last line says what went wrong.
MAX_REASON = 300


class Outcomes(unittest.TestResult):
    """Tells each outcome at once: a test may end the process."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.own = os.getpid()

    def tell(self, test, outcome, reason=""):
        # Tests fork, and some of the children come back here.
        if os.getpid() == self.own:
            line = {"test": test.id(), "outcome": outcome, "reason": reason[-MAX_REASON:]}
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def startTest(self, test):
        super().startTest(test)
        # Whoever finds no end knows by this what hangs, or ends the process.
        self.tell(test, "began")

    def fail(self, test, error):
        lines = self._exc_info_to_string(error, test).strip().splitlines()
        self.tell(test, "failed", lines[-1] if lines else "")

    def addSuccess(self, test):
        self.tell(test, "passed")

    def addError(self, test, error):
        self.fail(test, error)

    def addFailure(self, test, error):
        self.fail(test, error)

    def addSubTest(self, test, subtest, error):
        if error:
            self.fail(test, error)

    def addSkip(self, test, reason):
        self.tell(test, "skipped", reason)

    def addExpectedFailure(self, test, error):
        self.tell(test, "passed")

    def addUnexpectedSuccess(self, test):
        self.tell(test, "failed", "unexpected success")


# What regrtest has by default is nothing that needs a network, a screen or hours. A module
# whose network is loopback may have it.
RESOURCES = {"test_socketserver": ["network"]}


def main():
    from test import support

    module = sys.argv.pop(1)
    support.use_resources = RESOURCES.get(module, [])
    support.verbose = False
    os.makedirs("out", exist_ok=True)
    with open("out/outcomes", "w") as file:
        # Whatever a test does with the outputs is not looked at.
        tests = loaded(module)
        tests.run(Outcomes(file))
        file.write(json.dumps({"test": module, "outcome": "ended", "reason": ""}) + "\n")


def loaded(module):
    """A module's tests. What does not load is a test that fails and has the module's
    name, and one that has nothing for this platform is one that is skipped."""
    loader = unittest.TestLoader()
    try:
        importlib.import_module(f"test.{module}")
        return loader.loadTestsFromName(f"test.{module}")
    except unittest.SkipTest as skip:
        reason = str(skip)
        return NotLoaded(module, lambda test: test.skipTest(reason))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return NotLoaded(module, lambda test: test.fail(reason))


class NotLoaded(unittest.TestCase):
    """Stands for a module that could not be loaded."""

    def __init__(self, module, tell):
        super().__init__("tell_why")
        self.module, self.tell = module, tell

    def id(self):
        return self.module

    def tell_why(self):
        self.tell(self)


if __name__ == "__main__":
    main()
