"""What `shoal share` and `shoal get` show on a terminal while they run."""

import re
import shlex
import unittest

from support import bencode
from support.course import some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE, program
from support.verbs import VerbCase


def setUpModule():
    enter_fresh_network()


class OnATerminal(VerbCase):
    def setUp(self):
        super().setUp()
        files = {"a.iso": some_bytes(320_000), "b.txt": some_bytes(320_000, 2), "empty.txt": b""}
        self.box = bencode.write_files(self.here / "box", files)

    def on_a_terminal(self, *arguments):
        command = shlex.join(map(str, [program(), *arguments]))
        return self.start(["script", "--quiet", "--return", "--command", command, "/dev/null"], cwd=self.there)

    def test_progress_is_of_what_was_selected(self):
        what = (self.share(self.box, "--no-local").shared["magnet"], "--no-local")
        process = self.on_a_terminal("get", *what, "--select", "a.iso", "--limit-down", "200K")
        self.assert_exit(process, DONE)
        shown = "\n".join(process.stdout)
        self.assertIn("box: 20 of 40 pieces", shown)
        self.assertRegex(shown, r" \d+ of 20 pieces")

    def test_of_an_empty_file_nothing_has_to_come(self):
        what = (self.share(self.box, "--no-local").shared["magnet"], "--no-local")
        process = self.got(*what, "--select", "empty.txt", "--seed-for", "0.1s")
        self.assertIn("box: 0 of 40 pieces\n", process.stderr)
        self.assertIn("the selected files of box are complete", process.stderr)
        self.assertIn("every piece was already here", process.stderr)

    def test_a_sharer_shows_how_fast_it_gives(self):
        sharer = self.on_a_terminal("share", self.box, "--no-local", "--limit-up", "300K")
        link = sharer.wait_matching(lambda line: line.startswith("magnet:"), "magnet link").strip()
        self.got(link, "--no-local")
        shown = lambda: re.search(r"([1-9]\d*) KiB given, [1-9][\d.]* KiB/s now", "\n".join(sharer.stdout))
        wait_until(shown, "it says how much it has given, and how fast")


if __name__ == "__main__":
    unittest.main()
