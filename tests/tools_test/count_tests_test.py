"""What `./test` says of tests that were skipped: ctest with the property that tests/CMakeLists.txt gives the Python
tests, and tools/count_tests."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PASSES = "    def test_passes(self): pass"
FAILS = r'    def test_fails(self): self.fail("\nOK (skipped=1)\n")'
SKIPS = '    @unittest.skip("curl isn\'t installed")\n    def test_skips(self): pass'
SKIPS_ALL = 'def setUpModule(): raise unittest.SkipTest("run as root")'


class CountTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.entries = ""

    def add(self, name, *methods, first=""):
        lines = ["import unittest", first, "class Test(unittest.TestCase):", *methods, "unittest.main()", ""]
        (self.root / f"{name}.py").write_text("\n".join(lines))
        self.add_command(name, sys.executable, self.root / f"{name}.py", "-v")
        pattern = re.search(r"^set\(some_skipped (.*)\)$", (ROOT / "tests/CMakeLists.txt").read_text(), re.MULTILINE)[1]
        self.entries += f"set_tests_properties({name} PROPERTIES SKIP_REGULAR_EXPRESSION {pattern})\n"

    def add_command(self, name, *command):
        self.entries += f"add_test({name} " + " ".join(f'"{word}"' for word in command) + ")\n"

    def counted(self):
        (self.root / "CTestTestfile.cmake").write_text(self.entries)
        report = self.root / "report.xml"
        subprocess.run(["ctest", "--test-dir", self.root, "--output-junit", report], capture_output=True)
        told = subprocess.run([ROOT / "tools/count_tests", report], capture_output=True, text=True)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        return told.stdout.splitlines()

    def test_counts_each_script_as_what_became_of_it_and_says_why_it_skips(self):
        self.add("passing", PASSES)
        self.add("failing", PASSES, FAILS)
        self.add("skipping", PASSES, SKIPS)
        self.add("skipping_all", PASSES, first=SKIPS_ALL)
        self.assertEqual(self.counted(), ["1 1 2", "skipping: curl isn't installed", "skipping_all: run as root"])

    def test_counts_a_script_as_failed_that_also_skips(self):
        self.add("both", FAILS, SKIPS)
        self.assertEqual(self.counted(), ["0 1 0"])

    def test_says_why_a_test_of_a_program_skips(self):
        self.add_command("program", "printf", r"[ RUN      ] A.B\\na_test.cpp:7: Skipped\\nmay not mount\\n")
        self.entries += 'set_tests_properties(program PROPERTIES SKIP_REGULAR_EXPRESSION ": Skipped")\n'
        self.assertEqual(self.counted(), ["0 0 1", "program: may not mount"])

    def test_counts_a_test_as_failed_whose_program_is_missing(self):
        self.add_command("missing", self.root / "nothing")
        self.assertEqual(self.counted(), ["0 1 0"])


if __name__ == "__main__":
    unittest.main()
