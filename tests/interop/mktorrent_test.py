"""A torrent made by mktorrent and one made by `shoal make` are the same in their info dictionary."""

import os
import shutil
import unittest

from support import bencode
from support.shoal import DONE, ShoalCase, program


def setUpModule():
    if shutil.which("mktorrent") is None:
        raise unittest.SkipTest("the program mktorrent is not installed")


class Mktorrent(ShoalCase):
    def run_program(self, *command):
        self.assert_exit(self.start(command, cwd=self.root), DONE)

    def info_of(self, name):
        """The info dictionary as it stands in the file."""
        content = (self.root / name).read_bytes()
        info = bencode.encode(bencode.decode(content)["info"])
        self.assertIn(b"4:info" + info, content)
        return info

    def assert_same(self, path, exponent, private=False):
        options = ["-p"] if private else []
        theirs = ["mktorrent", "-a", "http://tracker/", "-l", str(exponent), "-o", "theirs.torrent"]
        (self.root / "theirs.torrent").unlink(missing_ok=True)
        self.run_program(*theirs, *options, path)
        ours = [program(), "make", path, "--output", "ours.torrent", "--force", "--piece-size", str(1 << exponent)]
        self.run_program(*ours, *(["--private"] if private else []))
        self.assertEqual(self.info_of("ours.torrent"), self.info_of("theirs.torrent"))

    def test_files_of_sizes_around_a_piece(self):
        for size in (0, 1, (1 << 15) - 1, 1 << 15, (1 << 15) + 1, 5 << 15, 1_000_003):
            with self.subTest(size=size):
                (self.root / "file.bin").write_bytes(os.urandom(size))
                self.assert_same("file.bin", 15)

    def test_piece_sizes(self):
        (self.root / "file.bin").write_bytes(os.urandom(9_999_999))
        for exponent in (15, 16, 17, 19, 22, 24, 28):
            with self.subTest(exponent=exponent):
                self.assert_same("file.bin", exponent)

    def test_a_folder(self):
        bencode.write_files(self.root / "box", bencode.plain_files())
        for exponent in (15, 18):
            self.assert_same("box", exponent)
        self.assert_same("box/", 15)

    def test_a_private_torrent(self):
        bencode.write_files(self.root / "box", bencode.plain_files())
        self.assert_same("box", 16, private=True)

    def test_paths_whose_order_depends_on_how_they_are_compared(self):
        names = ["a", "a b", "a!", "a-", "a.", "a.txt", "a0", "A", "aa", "a~", "ä", "Ä", "_", "~", "-", "["]
        files = {}
        for name in names:
            files[f"{name}/file"] = name.encode()
            files[f"{name}.file"] = name.encode()
        bencode.write_files(self.root / "box", files)
        self.assert_same("box", 15)

    def test_many_small_files_in_a_piece_and_a_big_one_over_many(self):
        files = {f"small/{number}": os.urandom(number * 7 % 501) for number in range(600)}
        files["big"] = os.urandom(3_000_001)
        bencode.write_files(self.root / "box", files)
        self.assert_same("box", 15)


if __name__ == "__main__":
    unittest.main()
