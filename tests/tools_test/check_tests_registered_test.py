import json
import unittest

from tools_test.fake_tree import FakeTree

SOURCE = "tests/unit/swarm/picker_test.cpp"
SCRIPT = "tests/end_to_end/course_test.py"
FUZZ = "tests/fuzz/header_fuzz.cpp"


class CheckTestsRegistered(FakeTree):
    """The build folder is written by hand, so that no compiler is needed: ctest only reads CTestTestfile.cmake."""

    def setUp(self):
        super().setUp()
        self.write(SOURCE, "TEST(Picker, TakesScarceFirst) {}\n")
        self.write(SCRIPT, "")
        self.write(FUZZ, "")
        self.build(programs={SOURCE: "swarm_tests", FUZZ: "header_fuzz"},
                   tests={"swarm.Picker.TakesScarceFirst": "build/swarm_tests", "fuzz_corpus.header_fuzz": "build/header_fuzz",
                          "end_to_end.course_test": f"python3 {SCRIPT}"})

    def build(self, programs=None, tests=None, disabled=()):
        self.programs = self.programs if programs is None else programs
        self.tests = self.tests if tests is None else tests
        self.write("build/compile_commands.json", json.dumps([
            {"directory": str(self.root / "build"), "file": str(self.root / source), "command": "c++",
             "output": f"tests/CMakeFiles/{program}.dir/{source}.o"} for source, program in self.programs.items()]))
        lines = []
        for name, command in self.tests.items():
            words = " ".join(f'"{self.root / word if "/" in word else word}"' for word in command.split())
            lines.append(f'add_test("{name}" {words})')
            lines += [f'set_tests_properties("{name}" PROPERTIES DISABLED TRUE)'] if name in disabled else []
            for word in command.split():
                if word.startswith("build/"):
                    self.write(word, "")
                    (self.root / word).chmod(0o755)
        self.write("build/CTestTestfile.cmake", "\n".join(lines) + "\n")

    def without(self, table, *keys):
        return {key: value for key, value in table.items() if key not in keys}

    def check(self, says=None):
        arguments = ("check_tests_registered", self.root / "build")
        self.assert_broken(says, *arguments) if says else self.assert_kept(*arguments)

    def test_keeps_quiet_when_every_test_runs(self):
        self.check()

    def test_fails_for_a_test_file_that_no_program_is_built_from(self):
        self.write("tests/unit/swarm/forgotten_test.cpp", "")
        self.check("tests/unit/swarm/forgotten_test.cpp: no program is built from it")

    def test_fails_for_a_program_that_ctest_does_not_run(self):
        self.build(tests=self.without(self.tests, "swarm.Picker.TakesScarceFirst"))
        self.check(f"{SOURCE}: ctest does not run swarm_tests")

    def test_fails_for_a_script_that_ctest_does_not_run(self):
        self.build(tests=self.without(self.tests, "end_to_end.course_test"))
        self.check(f"{SCRIPT}: no ctest entry runs it")

    def test_fails_for_a_fuzz_target_whose_corpus_is_not_replayed(self):
        self.build(tests=self.without(self.tests, "fuzz_corpus.header_fuzz"))
        self.check(f"{FUZZ}: ctest does not run header_fuzz")

    def test_fails_for_a_test_that_the_program_does_not_have(self):
        self.write(SOURCE, "TEST(Picker, TakesScarceFirst) {}\n#if 0\nTEST(Picker, IsSwitchedOff) {}\n#endif\n")
        self.check(f"{SOURCE}:3: ctest does not know Picker.IsSwitchedOff")

    def test_fails_for_a_disabled_test(self):
        self.write(SOURCE, "TEST(Picker, DISABLED_TakesScarceFirst) {}\n")
        self.build(disabled=["swarm.Picker.TakesScarceFirst"])
        self.check(f"{SOURCE}:1: Picker.TakesScarceFirst is disabled")

    def test_finds_the_sources_of_several_that_are_compiled_as_one(self):
        unit = "build/Unity/unity_0_cxx.cxx"
        self.write(unit, f'/* made by CMake */\n\n#include "{self.root / SOURCE}"\n')
        self.build(programs={unit: "swarm_tests", FUZZ: "header_fuzz"})
        self.check()

    def test_fails_for_a_test_that_a_page_names_and_nobody_wrote(self):
        self.write("docs/faults.md", "| lies | `Picker.TakesScarceFirst`, `Picker.*`, `header_fuzz` |\n| dies | `Picker.Dies` |\n")
        self.check("docs/faults.md:2: there is no test Picker.Dies")
        self.write("docs/faults.md", "`test_it`")
        self.check("docs/faults.md:1: there is no test test_it")
        self.write(SCRIPT, "class It(Case):\n    def test_it(self):\n        pass\n")
        self.check()


if __name__ == "__main__":
    unittest.main()
