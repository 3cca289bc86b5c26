"""`shoal make`: the torrents it makes, what it says, and what it refuses."""

import os
import pty
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path

from support import bencode
from support.bencode import PIECE
from support.cases import expanded, for_each
from support.disks import SmallDisk, as_nobody
from support.events import events
from support.processes import wait_until
from support.shoal import DISK, DONE, INTERRUPTED, USAGE, WRONG_HASH, ShoalCase, program

ENDLESS = 1 << 40  # bytes of a file that nobody hashes within a test


class MakeCase(ShoalCase):
    def make(self, *arguments, wants=DONE):
        """Runs make in the test's folder; the ended process."""
        process = self.start([program(), "make", *arguments], cwd=self.root)
        self.assert_exit(process, wants)
        return process

    def made(self, path, *arguments):
        """The torrent that make writes."""
        self.make(path, "--output", "out.torrent", "--force", *arguments)
        return bencode.decode((self.root / "out.torrent").read_bytes())

    def box(self, files=None):
        return bencode.write_files(self.root / "box", files or bencode.plain_files())

    def refused(self, path, *arguments, words="", wants=USAGE):
        process = self.make(path, *arguments, wants=wants)
        self.assertEqual(process.stdout, [])
        self.assertEqual(process.stderr.count("\n"), 1, process.stderr)
        self.assertIn(words, process.stderr)
        return process


class Torrents(MakeCase):
    def test_a_file(self):
        content = os.urandom(5 * PIECE + 3)
        (self.root / "film.mkv").write_bytes(content)
        info = self.made("film.mkv", "--piece-size", "16K")["info"]
        wanted = {"length": len(content), "name": b"film.mkv", "piece length": PIECE}
        self.assertEqual(info, wanted | {"pieces": bencode.piece_hashes(content, PIECE)})

    def test_a_folder(self):
        files = bencode.plain_files()
        self.box(files)
        for piece_bytes in (PIECE, 1 << 18):
            info = self.made("box", "--piece-size", str(piece_bytes))["info"]
            # The order is of the bytes of the paths.
            paths = sorted(files, key=lambda path: path.encode())
            listed = ["/".join(part.decode() for part in file["path"]) for file in info["files"]]
            self.assertEqual(listed, paths)
            self.assertEqual([file["length"] for file in info["files"]], [len(files[path]) for path in paths])
            whole = b"".join(files[path] for path in paths)
            self.assertEqual(info["pieces"], bencode.piece_hashes(whole, piece_bytes))
            self.assertEqual(info["name"], b"box")
            self.assertEqual(set(info), {"files", "name", "piece length", "pieces"})

    def test_an_empty_file(self):
        (self.root / "empty").touch()
        info = self.made("empty")["info"]
        self.assertEqual((info["length"], info["pieces"]), (0, b""))

    def test_executable_files_and_links(self):
        box = self.box({"bin/run": b"#!/bin/sh\n", "notes/today": b"notes"})
        (box / "bin/run").chmod(0o755)
        (box / "latest").symlink_to("notes/today")
        (box / "notes/up").symlink_to("../bin")
        files = {b"/".join(file["path"]): file for file in self.made("box")["info"]["files"]}
        self.assertEqual(files[b"bin/run"]["attr"], b"x")
        self.assertNotIn("attr", files[b"notes/today"])
        link = {"attr": b"l", "length": 0, "path": [b"latest"], "symlink path": [b"notes", b"today"]}
        self.assertEqual(files[b"latest"], link)
        self.assertEqual(files[b"notes/up"]["symlink path"], [b"bin"])

    def test_times_when_they_are_asked_for(self):
        box = self.box({"a": b"a", "b/c": b"c"})
        os.utime(box / "a", (5, 1_000_000_000.7))
        without = self.made("box")["info"]
        self.assertFalse(any("mtime" in file for file in without["files"]))
        files = {b"/".join(file["path"]): file for file in self.made("box", "--times")["info"]["files"]}
        self.assertEqual(files[b"a"]["mtime"], 1_000_000_000)
        self.assertEqual(files[b"b/c"]["mtime"], int((box / "b" / "c").stat().st_mtime))

    def test_what_stands_around_the_info_dictionary(self):
        self.box()
        began = int(time.time())
        self.make(
            *("--output", "out.torrent", "--web-seed", "http://seed/a/", "--web-seed", "https://seed/b/"),
            *("--comment", "für dich", "--tracker", "http://one/announce", "--tracker", "two:8000"),
            *("--tracker", "udp://three:80", "box"),
        )
        torrent = bencode.decode((self.root / "out.torrent").read_bytes())
        self.assertEqual(torrent["announce"], b"http://one/announce")
        tiers = [[b"http://one/announce"], [b"http://two:8000/announce"], [b"udp://three:80"]]
        self.assertEqual(torrent["announce-list"], tiers)
        self.assertEqual(torrent["url-list"], [b"http://seed/a/", b"https://seed/b/"])
        self.assertEqual(torrent["comment"].decode(), "für dich")
        self.assertTrue(torrent["created by"].startswith(b"Shoal "))
        self.assertLessEqual(began, torrent["creation date"])
        self.assertLessEqual(torrent["creation date"], time.time())

    def test_without_trackers_there_are_no_keys_for_them(self):
        torrent = self.made(self.box())
        self.assertEqual(set(torrent), {"created by", "creation date", "info"})

    def test_a_private_torrent_is_another_one(self):
        self.box()
        public, private = self.made("box"), self.made("box", "--private")
        self.assertEqual(private["info"].pop("private"), 1)
        self.assertEqual(private["info"], public["info"])

    def test_a_thousand_pieces_where_the_file_allows(self):
        (self.root / "big").touch()
        os.truncate(self.root / "big", 100 << 20)
        info = self.made("big")["info"]
        self.assertEqual(info["piece length"], 64 << 10)
        self.assertEqual(len(info["pieces"]) // 20, 1600)

    def test_a_name_of_any_bytes(self):
        name = os.fsdecode(b"\xffodd\n")
        (self.root / name).write_bytes(b"x")
        self.assertEqual(self.made(name)["info"]["name"], b"\xffodd\n")

    def test_the_place_of_the_result(self):
        self.box()
        self.make("box")
        self.assertTrue((self.root / "box.torrent").is_file())
        (self.root / "deep").mkdir()
        self.make("box/", "--output", "deep/x.torrent")
        self.assertEqual(bencode.decode((self.root / "deep/x.torrent").read_bytes())["info"]["name"], b"box")
        self.assertEqual(os.listdir(self.root / "deep"), ["x.torrent"])


class Output(MakeCase):
    def test_the_info_hash_and_the_magnet_link_are_the_result(self):
        self.box()
        for quiet in ((), ("--quiet",)):
            process = self.make("box", "--force", "--tracker", "http://one/announce", *quiet)
            wanted = bencode.info_hash(bencode.decode((self.root / "box.torrent").read_bytes()))
            link = f"magnet:?xt=urn:btih:{wanted}&dn=box&tr=http%3A%2F%2Fone%2Fannounce"
            self.assertEqual(process.stdout, [wanted, link])
            self.assertEqual(process.stderr.count("\n"), 0 if quiet else 1)

    def test_json_is_one_event(self):
        (self.box() / "empty").mkdir()
        process = self.make("box", "--json", "--piece-size", "32K")
        (event,) = events(process)
        torrent = bencode.decode((self.root / "box.torrent").read_bytes())
        self.assertEqual(event["event"], "made")
        self.assertEqual(event["info_hash"], bencode.info_hash(torrent))
        self.assertEqual((event["path"], event["name"], event["files"]), ("box.torrent", "box", 7))
        self.assertEqual(event["bytes"], sum(file["length"] for file in torrent["info"]["files"]))
        self.assertEqual((event["piece_bytes"], event["pieces"]), (32 << 10, len(torrent["info"]["pieces"]) // 20))
        self.assertEqual(len(event["warnings"]), 1)
        self.assertEqual(process.stderr, "")

    def test_an_error_is_an_event_too(self):
        process = self.make("nothing", "--json", wants=USAGE)
        (event,) = events(process, "error")
        self.assertIn("nothing", event["message"])

    def test_warns_of_what_others_may_see_in_another_way(self):
        box = self.box({"Read": b"1", "read": b"2", os.fsdecode(b"\xff"): b"3"})
        (box / "empty").mkdir()
        stderr = self.make("box").stderr
        for words in ("case of letters", "not UTF-8", "1 empty folder was left out"):
            self.assertIn(words, stderr)

    def test_shows_progress_on_a_terminal(self):
        (self.root / "big").touch()
        os.truncate(self.root / "big", ENDLESS)
        mine, its = pty.openpty()
        self.addCleanup(os.close, mine)
        process = subprocess.Popen([program(), "make", "big"], cwd=self.root, stderr=its)
        os.close(its)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        shown = b""
        while b"left" not in shown:  # ends with an error when the program does
            shown += os.read(mine, 1 << 16)
        self.assertRegex(shown.decode(), r"hashing big: +\d+ %  .*/s, .* left")


@expanded
class Refusals(MakeCase):
    def test_what_is_not_there(self):
        self.refused("nothing", words="nothing: No such file or directory")

    def test_a_result_that_is_there_already_unless_forced(self):
        self.box()
        (self.root / "box.torrent").write_text("precious")
        self.refused("box", words="--force")
        self.assertEqual((self.root / "box.torrent").read_text(), "precious")
        self.make("box", "--force")
        self.assertNotEqual((self.root / "box.torrent").read_bytes(), b"precious")

    def test_a_result_within_what_is_shared(self):
        self.box()
        self.refused("box", "--output", "box/x.torrent", words="lies in the folder")
        self.refused("box", "--output", "box/a/x.torrent", words="lies in the folder")
        (self.root / "file").write_text("x")
        self.refused("file", "--output", "file", "--force", words="is what is to be shared")
        self.assertEqual((self.root / "file").read_text(), "x")
        self.refused("box", "--output", "box", "--force", words="a folder")

    @for_each(
        none="0", odd="100000", small="8K", huge="512M", words="big", negative="-1", empty_unit="16Q"
    )
    def test_piece_sizes(self, size):
        self.box()
        self.refused("box", f"--piece-size={size}", words="--piece-size")
        self.assertFalse((self.root / "box.torrent").exists())

    @for_each(word="foo", scheme="ftp://a", blank="http://a b", empty="", port="a:99999")
    def test_trackers(self, url):
        self.box()
        self.refused("box", "--tracker", url, words="--tracker")

    @for_each(word="foo", udp="udp://a", blank="http://a b")
    def test_web_seeds(self, url):
        self.box()
        self.refused("box", "--web-seed", url, words="--web-seed")

    def test_links_that_lead_out(self):
        box = self.box()
        for target in ("/etc/passwd", "../elsewhere", "nowhere", "."):
            (self.root / "elsewhere").touch()
            (box / "link").symlink_to(target)
            self.refused("box", words="box/link")
            (box / "link").unlink()

    def test_what_is_neither_file_nor_folder(self):
        box = self.box()
        os.mkfifo(box / "pipe")
        self.refused("box", words="box/pipe")
        (box / "pipe").unlink()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(box / "socket"))
            self.refused("box", words="box/socket")
        (box / "socket").unlink()
        self.refused("/dev/null", words="neither a file nor a folder")

    def test_all_that_is_in_the_way_at_once(self):
        box = self.box()
        os.mkfifo(box / "pipe")
        (box / "loop").symlink_to("loop")
        (box / "odd\n").symlink_to("nowhere")
        process = self.make("box", wants=USAGE)
        first, *rest = process.stderr.splitlines()
        self.assertEqual(first, "shoal: cannot share box: 3 things in it are in the way")
        self.assertEqual([line.partition(": ")[0] for line in rest], ["  box/loop", "  box/odd?", "  box/pipe"])
        (event,) = events(self.make("box", "--json", wants=USAGE), "error")
        for word in ("loop", "odd", "pipe"):
            self.assertIn(f"box/{word}", event["message"])

    def test_a_folder_without_files(self):
        (self.root / "box/empty").mkdir(parents=True)
        self.refused("box", words="no file in it")

    def test_a_file_that_may_not_be_read(self):
        box = self.box()
        (box / "secret").write_text("x")
        (box / "secret").chmod(0)
        self.root.chmod(0o777)
        with self.prefixed(as_nobody()):
            self.refused("box", words="box/secret: Permission denied")


class Faults(MakeCase):
    def test_a_full_disk(self):
        disk = SmallDisk(self, 1 << 20)
        (self.root / "big").touch()
        os.truncate(self.root / "big", 100 << 20)
        disk.fill(4096)
        with self.prefixed(disk.prefix):
            self.refused(self.root / "big", "--output", disk.path / "x.torrent", words="No space", wants=DISK)
        self.assertEqual(os.listdir(disk.seen), ["ballast"])

    def test_a_folder_that_is_not_there(self):
        self.refused(self.box(), "--output", "nowhere/x.torrent", words="nowhere", wants=DISK)

    def start_long(self):
        """A run that lasts: the file is big, though not on the disk."""
        (self.root / "big").touch()
        os.truncate(self.root / "big", ENDLESS)
        process = self.start([program(), "make", "big"], cwd=self.root)
        # It has read some of it.
        wait_until(lambda: self.bytes_read(process) > 100 << 20, "it reads the file")
        return process

    @staticmethod
    def bytes_read(process):
        fields = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
        return int(fields["rchar"])

    def test_a_file_that_changes_under_way(self):
        process = self.start_long()
        os.truncate(self.root / "big", 1 << 30)
        self.assert_exit(process, WRONG_HASH)
        self.assertIn("big", process.stderr)
        self.assertFalse((self.root / "big.torrent").exists())

    def test_ctrl_c(self):
        process = self.start_long()
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)
        self.assertEqual(process.stderr, "")
        self.assertEqual(os.listdir(self.root), ["big"])


if __name__ == "__main__":
    unittest.main()
