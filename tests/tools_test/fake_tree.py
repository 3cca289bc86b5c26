"""A small project in a temporary folder that the tools find nothing wrong with, for tests to break in one place."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

CMAKE = "shoal_module(base OpenSSL::Crypto)\nshoal_module(course base)\nshoal_module(swarm course)\n"


class FakeTree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.write("src/CMakeLists.txt", CMAKE)
        self.write("src/base/bytes.hpp", "// Bytes.\n#pragma once\n#include <vector>\n")
        self.write("src/course/messages.hpp", '// Messages.\n#pragma once\n#include "base/bytes.hpp"\n')
        self.write("src/swarm/picker.cpp", '#include "base/bytes.hpp"\n#include "course/messages.hpp"\n')
        self.write("sim/world.cpp", '#include "swarm/picker.hpp"\n#include "sim/world.hpp"\n')

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run_tool(self, name, *arguments):
        command = [sys.executable, TOOLS / name, "--root", self.root, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def assert_kept(self, name, *arguments):
        done = self.run_tool(name, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def assert_broken(self, says, name, *arguments):
        """The tool fails and one of its lines begins with `says`."""
        done = self.run_tool(name, *arguments)
        self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)
        self.assertTrue(any(line.startswith(says) for line in done.stdout.splitlines()), done.stdout)
