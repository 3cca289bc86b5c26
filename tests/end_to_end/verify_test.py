"""`shoal verify` and `shoal inspect`: what they find, what they show, and what they refuse."""

import os
import unittest

from support import bencode
from support.bencode import PIECE
from support.cases import expanded, for_each
from support.events import events
from support.shoal import DONE, USAGE, WRONG_HASH, ShoalCase, program

HASH = "6eeb0da37aa5a48d0e4a4b244865ea86c56d34e7"


def make_torrent(files, name="box", **info):
    """The torrent of {path: content}, in pieces of 16 KiB."""
    listed = [{"length": len(content), "path": path.split("/")} for path, content in files.items()]
    pieces = bencode.piece_hashes(b"".join(files.values()), PIECE)
    return bencode.encode({"info": {"files": listed, "name": name, "piece length": PIECE, "pieces": pieces} | info})


class TorrentCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.files = bencode.plain_files()
        self.box = bencode.write_files(self.root / "box", self.files)
        self.torrent = self.write("box.torrent", make_torrent(self.files))

    def write(self, name, content):
        (self.root / name).write_bytes(content)
        return self.root / name

    def run_shoal(self, *arguments, wants=DONE):
        process = self.start([program(), *arguments], cwd=self.root)
        self.assert_exit(process, wants)
        return process

    def verify(self, *arguments, wants=DONE):
        return self.run_shoal("verify", self.torrent, *arguments, wants=wants)

    def wrong(self, *arguments):
        """{path: state} of what verify complains of, and the runs of wrong pieces."""
        process = self.verify("--json", *arguments, wants=WRONG_HASH)
        (end,) = events(process, "verified")
        self.assertFalse(end["is_right"])
        return {event["path"]: event["state"] for event in events(process, "file")}, end["wrong_pieces"]

    def pieces_of(self, path):
        """The first and last piece of a file."""
        paths = list(self.files)
        begin = sum(len(self.files[before]) for before in paths[: paths.index(path)])
        return begin // PIECE, (begin + len(self.files[path]) - 1) // PIECE


class Verify(TorrentCase):
    def test_what_is_right(self):
        for path in ((), (".",), (self.box,), (self.root,)):
            process = self.verify(*path)
            self.assertRegex(process.stdout[0], r"box: right, .* in \d+\.\d\d s$")
            self.assertEqual(process.stderr, "")

    def test_more_files_are_no_fault(self):
        (self.box / "more").write_text("x")
        self.verify()

    def test_a_single_file(self):
        content = os.urandom(3 * PIECE)
        info = {"length": len(content), "name": "film", "piece length": PIECE}
        pieces = bencode.piece_hashes(content, PIECE)
        self.torrent = self.write("film.torrent", bencode.encode({"info": info | {"pieces": pieces}}))
        film = self.write("film", content)
        renamed = self.write("other-name", content)
        for path in ((), (film,), (self.root,), (renamed,)):
            self.verify(*path)
        film.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        self.assertEqual(self.wrong(), ({"film": "wrong_bytes"}, [[2, 2]]))

    def test_a_folder_that_holds_one_of_its_name(self):
        files = {"box/a": b"inner", "b": b"outer"}
        bencode.write_files(self.root / "in" / "box", files)
        self.torrent = self.write("nested.torrent", make_torrent(files))
        self.verify("in")
        self.verify("in/box")

    def test_a_wrong_byte(self):
        with open(self.box / "Z/deep/er/z", "r+b") as file:
            file.seek(50_000)
            file.write(bytes([self.files["Z/deep/er/z"][50_000] ^ 255]))
        first, last = self.pieces_of("Z/deep/er/z")
        states, runs = self.wrong()
        self.assertEqual(states, {"Z/deep/er/z": "wrong_bytes"})
        self.assertEqual(len(runs), 1)
        self.assertEqual(runs[0][0], runs[0][1])
        self.assertTrue(first <= runs[0][0] <= last)
        process = self.verify(wants=WRONG_HASH)
        self.assertRegex(process.stdout[0], r"^wrong bytes +Z/deep/er/z: 1 of its \d pieces$")
        self.assertRegex(process.stdout[1], rf"^pieces +{runs[0][0]}$")
        self.assertIn("1 file and 1 piece are wrong or missing", process.stderr)

    def test_missing_files(self):
        for path in ("b", ".hidden", "a.c"):
            (self.box / path).unlink()
        states, runs = self.wrong()
        self.assertEqual({path for path, state in states.items() if state == "missing"}, {"b", ".hidden", "a.c"})
        # Their neighbours share pieces with them, which nobody can check.
        self.assertEqual(set(states.values()), {"missing", "unsure"})
        self.assertEqual(runs[0], list(self.pieces_of("b")))

    def test_sizes(self):
        with open(self.box / "b", "ab") as file:
            file.write(b"more")
        os.truncate(self.box / "ä ö/ü", 10)
        states, _ = self.wrong()
        self.assertEqual(states["b"], "wrong_size")
        self.assertEqual(states["ä ö/ü"], "wrong_size")
        self.assertIn("wrong size   b: 49173 of 49169 bytes\n", "\n".join(self.verify(wants=WRONG_HASH).stdout) + "\n")

    def test_something_else_in_its_place(self):
        (self.box / "b").unlink()
        (self.box / "b").mkdir()
        (self.box / "a.c").unlink()
        os.mkfifo(self.box / "a.c")
        (self.box / "a/x").rename(self.root / "x")
        (self.box / "a/x").symlink_to(self.root / "x")
        states, _ = self.wrong()
        for path in ("b", "a.c", "a/x"):
            self.assertEqual(states[path], "wrong_kind")

    def test_nothing_at_all(self):
        process = self.verify("nowhere", wants=WRONG_HASH)
        self.assertEqual(process.stdout, [])
        self.assertIn("nowhere is not there", process.stderr)

    def test_what_make_made(self):
        (self.box / "a/x").chmod(0o755)
        (self.box / "link").symlink_to("a")
        self.run_shoal("make", "box", "--output", "made.torrent", "--piece-size", "32K")
        self.torrent = self.root / "made.torrent"
        self.verify()
        (self.box / "link").unlink()
        (self.box / "link").symlink_to("b")
        self.assertEqual(self.wrong(), ({"link": "wrong_link"}, []))


class Inspect(TorrentCase):
    def test_a_torrent(self):
        self.torrent = self.write("seeded.torrent", bencode.encode(bencode.decode(self.torrent.read_bytes()) | {
            "announce": "http://x/announce", "comment": "hello \x1b[31mred", "creation date": 1_700_000_000,
            "created by": "somebody", "url-list": "http://seed/"}))
        process = self.run_shoal("inspect", self.torrent)
        shown = "\n".join(process.stdout)
        info_hash = bencode.info_hash(bencode.decode(self.torrent.read_bytes()))
        for words in (info_hash, "http://x/announce", "http://seed/", "2023-11-14 22:13:20 UTC by somebody", "7 files",
                      "49169  b", "magnet:?xt=urn:btih:", "16.0 KiB"):
            self.assertIn(words, shown)
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("private", shown)

    def test_json(self):
        (event,) = events(self.run_shoal("inspect", "--json", self.torrent))
        self.assertEqual(event["event"], "torrent")
        self.assertEqual([file["path"] for file in event["files"]], list(self.files))
        self.assertEqual(event["bytes"], sum(map(len, self.files.values())))
        self.assertEqual((event["trackers"], event["web_seeds"], event["private"]), ([], [], False))

    def test_links_padding_and_executable_files(self):
        files = [
            {"length": 3, "path": ["run"], "attr": "x"},
            {"length": PIECE - 3, "path": [".pad", "1"], "attr": "p"},
            {"length": 0, "path": ["link"], "attr": "l", "symlink path": ["run"]},
        ]
        info = {"files": files, "name": "d", "piece length": PIECE, "pieces": b"h" * 20}
        torrent = self.write("d.torrent", bencode.encode({"info": info}))
        shown = "\n".join(self.run_shoal("inspect", torrent).stdout)
        self.assertIn("run (executable)", shown)
        self.assertIn("link -> run", shown)
        self.assertNotIn(".pad", shown)
        self.assertIn("2 files", shown)
        (event,) = events(self.run_shoal("inspect", "--json", torrent))
        self.assertEqual([file.get("padding", False) for file in event["files"]], [False, True, False])

    def test_warnings(self):
        torrent = self.write("case.torrent", make_torrent({"A": b"", "a": b""}))
        self.assertIn("case of letters", self.run_shoal("inspect", torrent).stderr)
        (event,) = events(self.run_shoal("inspect", "--json", torrent))
        self.assertEqual(len(event["warnings"]), 1)

    def test_a_magnet_link(self):
        link = f"magnet:?xt=urn:btih:{HASH}&dn=a+name&tr=udp%3A%2F%2Fx%3A1&x.pe=1.2.3.4:5"
        shown = "\n".join(self.run_shoal("inspect", link).stdout)
        for words in (HASH, "a name", "udp://x:1", "1.2.3.4:5"):
            self.assertIn(words, shown)
        (event,) = events(self.run_shoal("inspect", "--json", link))
        self.assertEqual(event["event"], "magnet")
        self.assertEqual((event["info_hash"], event["peers"]), (HASH, ["1.2.3.4:5"]))


def folder_of(*paths, **more):
    files = [{"length": 0, "path": list(path)} for path in paths]
    return {"files": files, "name": "d", "piece length": PIECE, "pieces": b""} | more


def file_of(**more):
    return {"length": 1, "name": "f", "piece length": PIECE, "pieces": b"h" * 20} | more


@expanded
class HostileTorrents(TorrentCase):
    """Neither verify nor inspect takes them, and both say why in one line."""

    def assert_refused(self, content, words):
        torrent = self.write("evil.torrent", content)
        for command in ("inspect", "verify"):
            process = self.run_shoal(command, torrent, wants=USAGE)
            self.assertEqual(process.stdout, [])
            self.assertEqual(process.stderr.count("\n"), 1)
            self.assertIn(words, process.stderr)
            self.assertNotIn("\x1b", process.stderr)

    @for_each(
        absolute=(folder_of(["/etc/passwd"]), "could lead out"),
        rooted=(folder_of(["", "etc", "passwd"]), "could lead out"),
        up=(folder_of(["..", "x"]), "could lead out"),
        up_inside=(folder_of(["a", "..", "..", "x"]), "could lead out"),
        over_long=(folder_of(["x" * 256]), "could lead out"),
        over_deep=(folder_of(["x"] * 2000), "could lead out"),
        no_path=(folder_of([]), "could lead out"),
        escape=(folder_of(["\x1b[31m/"]), "could lead out"),
        name=(folder_of(["a"], name="../d"), "could lead out"),
        twice=(folder_of(["a"], ["b"], ["a"]), "claim one place"),
        below_a_file=(folder_of(["a", "b"], ["a"]), "claim one place"),
        no_files=(folder_of(), "no files"),
        few_hashes=(file_of(length=PIECE + 1), "1 hashes for 2 pieces"),
        many_hashes=(file_of(pieces=b"h" * 40), "2 hashes for 1 pieces"),
        odd_hashes=(file_of(pieces=b"h" * 21), "21 bytes of hashes"),
        negative=(file_of(length=-1), "negative"),
        overflow=(file_of(length=(1 << 63) - 1), "too big"),
        no_piece_length=(file_of(**{"piece length": 0}), "piece length"),
        huge_pieces=(file_of(**{"piece length": 1 << 40}), "piece length"),
        version_2=({"name": "f", "piece length": PIECE, "meta version": 2, "file tree": {}}, "version 2"),
    )
    def test_info(self, case):
        info, words = case
        self.assert_refused(bencode.encode({"info": info}), words)

    @for_each(
        html=(b"<html></html>", "evil.torrent: cannot be used: it is not a .torrent file\n"),
        empty=(b"", "ends inside"),
        no_value=(b"d4:info<html>", "begins no value"),
        deep=(b"d4:info" + b"l" * 100_000, "too deeply"),
        huge_string=(b"d4:info99999999999999:x", "ends inside"),
        repeated=(b"d1:ai1e1:ai2ee", "there twice"),
        repeated_unsorted=(b"d4:infode1:ai1e4:infodee", "there twice"),
        many=(b"d4:infol" + b"0:" * 3_000_000 + b"ee", "too many values"),
        no_info=(b"d8:announce1:xe", "lacks a key: info"),
    )
    def test_bytes(self, case):
        self.assert_refused(*case)

    def test_every_prefix_of_a_torrent(self):
        whole = make_torrent({"a": b"12", "b": b"3"})
        for size in range(0, len(whole), 7):
            self.assert_refused(whole[:size], "ends inside")

    def test_what_never_ends(self):
        process = self.run_shoal("inspect", "/dev/zero", wants=USAGE)
        self.assertIn("too big", process.stderr)

    def test_folders_and_nothing(self):
        self.assertIn("it is a folder", self.run_shoal("inspect", ".", wants=USAGE).stderr)
        self.assertIn("No such file", self.run_shoal("verify", "nothing", wants=USAGE).stderr)

    def test_urls(self):
        for command in ("inspect", "verify"):
            process = self.run_shoal(command, "http://127.0.0.1/x.torrent", wants=USAGE)
            self.assertIn("only files are read here", process.stderr)
            self.assertIn("shoal get http://127.0.0.1/x.torrent", process.stderr)

    @for_each(
        none=("magnet:?dn=x", "names no torrent"),
        short=("magnet:?xt=urn:btih:abc", "neither 40"),
        two=(f"magnet:?xt=urn:btih:{HASH}&xt=urn:btih:{'0' * 40}", "two different"),
        escape=(f"magnet:?xt=urn:btih:{HASH}&xt=%zz", "hexadecimal"),
        version_2=("magnet:?xt=urn:btmh:1220" + "0" * 64, "version 2"),
    )
    def test_magnet_links(self, case):
        link, words = case
        self.assertIn(words, self.run_shoal("inspect", link, wants=USAGE).stderr)


if __name__ == "__main__":
    unittest.main()
