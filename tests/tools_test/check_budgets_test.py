import unittest

from tools_test.fake_tree import FakeTree

FILE = "src/swarm/picker.cpp"
EXCEPTIONS = "tools/budget_exceptions.txt"


def function(lines, head="void Picker::pick()"):
    """A function of exactly that many lines."""
    return f"{head} {{\n" + "  work();\n" * (lines - 2) + "}\n"


class CheckBudgets(FakeTree):
    def test_allows_files_and_functions_up_to_their_budgets(self):
        self.write(FILE, function(69) + "// rest\n" * 430)
        self.assert_kept("check_budgets")

    def test_fails_when_a_file_outgrows_its_budget(self):
        self.write(FILE, "// line\n" * 500)
        self.assert_broken(f"{FILE}:1: lines is 500", "check_budgets")

    def test_fails_when_a_script_outgrows_its_budget(self):
        self.write("tests/end_to_end/big_test.py", "# line\n" * 500)
        self.assert_broken("tests/end_to_end/big_test.py:1: lines is 500", "check_budgets")

    def test_fails_when_a_function_outgrows_its_budget(self):
        self.write(FILE, "\n" + function(70))
        self.assert_broken(f"{FILE}:2: function:Picker::pick is 70", "check_budgets")

    def test_finds_functions_inside_namespaces_and_classes(self):
        self.write(FILE, "namespace shoal {\nclass Picker {\n public:\n" + function(70, "void pick() const") + "};\n}\n")
        self.assert_broken(f"{FILE}:4: function:pick is 70", "check_budgets")

    def test_measures_a_constructor_with_braces_in_its_member_list(self):
        self.write(FILE, function(70, "Picker::Picker(int a) : a_{a}, rest_(a), table_{1, 2}"))
        self.assert_broken(f"{FILE}:1: function:Picker::Picker is 70", "check_budgets")

    def test_counts_lambdas_as_part_of_their_function(self):
        self.write(FILE, "void pick() {\n  auto go = [](int a, int b, int c, int d, int e, int f) {\n"
                   + "    work();\n" * 40 + "  };\n}\n")
        self.assert_kept("check_budgets")

    def test_is_not_confused_by_braces_in_text(self):
        self.write(FILE, 'void pick() {\n  say("{{", \'{\', R"({)", 1\'000);  // {\n}\n' + function(10, "void more()") * 7)
        self.assert_kept("check_budgets")

    def test_names_a_long_test_by_its_requirement(self):
        self.write("tests/unit/swarm/picker_test.cpp", function(70, "TEST(Picker, TakesScarceFirst)"))
        self.assert_broken("tests/unit/swarm/picker_test.cpp:1: function:Picker.TakesScarceFirst is 70", "check_budgets")

    def test_fails_when_a_declaration_has_six_parameters(self):
        self.write(FILE, "int f(int a, int b, int c, int d, std::map<int, int> e);\n")
        self.assert_kept("check_budgets")
        self.write(FILE, "int f(int a, int b, int c, int d, std::map<int, int> e, int g = max(1, 2));\n")
        self.assert_broken(f"{FILE}:1: parameters:f is 6", "check_budgets")

    def test_accepts_a_recorded_exception_and_no_more(self):
        self.write(EXCEPTIONS, f"{FILE} lines 510\n")
        self.write(FILE, "// line\n" * 510)
        self.assert_kept("check_budgets")
        self.write(FILE, "// line\n" * 511)
        self.assert_broken(f"{FILE}:1: lines is 511, more than the 510", "check_budgets")

    def test_wants_a_shrunk_exception_recorded_and_a_needless_one_removed(self):
        self.write(EXCEPTIONS, f"{FILE} lines 510\n")
        self.write(FILE, "// line\n" * 505)
        self.assert_broken(f"{EXCEPTIONS}:1: {FILE} lines has shrunk to 505", "check_budgets")
        self.write(FILE, "// line\n")
        self.assert_broken(f"{EXCEPTIONS}:1: {FILE} lines is within its budget", "check_budgets")


if __name__ == "__main__":
    unittest.main()
