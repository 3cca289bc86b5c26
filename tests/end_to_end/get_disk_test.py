"""What happens to a download while it is under way: the disk gets full, its files are cut, removed or replaced."""

import os
import shutil
import signal
import unittest

from support import bencode
from support.cases import expanded, for_each
from support.course import some_bytes
from support.disks import SmallDisk
from support.events import events, verified_pieces, wait_event
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DISK, DONE, INTERRUPTED
from support.verbs import MIB, VerbCase, leftovers

FULL_TIMEOUT_S = 20.0  # there is another look every five seconds
CHANGED = "was (removed|changed|cut short) during the download; run the command again"


def setUpModule():
    enter_fresh_network()


class DiskCase(VerbCase):
    def offer(self, kind="file"):
        if kind == "file":
            self.shared = self.write("disk.img", some_bytes(3 * MIB))
        else:
            files = {"big": some_bytes(2 * MIB), "small": some_bytes(40_000, 2), "sub/other": some_bytes(MIB, 3)}
            self.shared = bencode.write_files(self.here / "box", files)
        sharer = self.share(self.shared, "--no-local")
        self.what = (sharer.shared["magnet"], "--no-local")
        self.part = self.there / f".{self.shared.name}.shoal-part"
        self.journal = self.there / f".{self.shared.name}.shoal-journal"

    def assert_right(self, folder=None):
        self.assert_same((folder or self.there) / self.shared.name, self.shared)


@expanded
class Full(DiskCase):
    def setUp(self):
        super().setUp()
        self.offer()
        self.disk = SmallDisk(self, 8 * MIB)

    def begin(self, *arguments):
        with self.prefixed(self.disk.prefix):
            return self.get(*self.what, "--output", f"{self.disk.path}/", *arguments)

    @for_each(nothing=0, half=3 * MIB // 2)
    def test_it_waits_for_room(self, room_bytes):
        self.disk.fill(room_bytes)
        process = self.begin("--json")
        wait_until(lambda: any("waiting for room" in note["text"] for note in events(process, "note")), "it is told")
        note = next(note["text"] for note in events(process, "note") if "waiting for room" in note["text"])
        for word in ("No space left on device", str(self.disk.path)):
            self.assertIn(word, note)
        self.disk.make_room()
        self.assert_exit(process, DONE, timeout=FULL_TIMEOUT_S)
        self.assert_right(self.disk.seen)
        told = [note["text"] for note in events(process, "note")]
        self.assertEqual(len([text for text in told if "waiting for room" in text]), 1, told)
        if room_bytes > 0:
            self.assertTrue(any("there is room on the disk again" in text for text in told), told)
        self.assertEqual(len(set(verified_pieces(process))), len(verified_pieces(process)))

    def test_nobody_guesses_when_it_will_be_done_while_it_waits(self):
        self.disk.fill(3 * MIB // 2)
        process = self.begin()

        def progress():
            told = process.stderr.partition("waiting for room")[2].splitlines()
            return [line for line in told if " pieces  " in line]

        wait_until(lambda: len(progress()) > 1, "it says how far it is", FULL_TIMEOUT_S)
        self.assertNotIn("left", progress()[-1])

    def test_it_can_be_ended_while_it_waits(self):
        self.disk.fill(MIB)
        process = self.begin("--limit-down", "1M")
        wait_until(lambda: "waiting for room" in process.stderr, "it is told")
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)
        self.disk.make_room()
        again = self.begin("--json")
        self.assert_exit(again, DONE)
        self.assertGreater(events(again, "manifest")[0]["held"], 0)
        self.assert_right(self.disk.seen)

    def test_a_file_that_is_too_big_for_the_file_system(self):
        """Which no waiting changes; a limit of the shell stands for that of the file system."""
        limited = ["env", "--ignore-signal=XFSZ", "prlimit", f"--fsize={2 * MIB}"]
        with self.prefixed([*limited, *self.disk.prefix]):
            process = self.get(*self.what, "--output", f"{self.disk.path}/")
        self.assert_exit(process, DISK)
        for word in ("File too large", "choose another place"):
            self.assertIn(word, process.stderr)

    def test_a_disk_that_is_read_only(self):
        self.disk.remount("ro")
        process = self.begin()
        self.assert_exit(process, DISK)
        self.assertIn("Read-only file system", process.stderr)


def cut(path):
    os.truncate(path, 5_000)


def empty(path):
    os.truncate(path, 0)


def remove(path):
    path.unlink()


def replace(path):
    other = path.with_name("other")
    other.write_bytes(b"x" * 100)
    other.rename(path)


def put_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


@expanded
class Meddled(DiskCase):
    def run_until_half(self):
        process = self.get(*self.what, "--json", "--limit-down", "2M")
        pieces = wait_event(process, "manifest")["pieces"]
        wait_event(process, "piece", pieces // 3, status="verified")
        return process

    @for_each(cut=cut, empty=empty, remove=remove, replace=replace, link=put_link)
    def test_a_file_under_way(self, how):
        """It is found out at the next write, at the latest at the end; nothing wrong gets the name of the whole."""
        self.offer()
        self.check(how, self.part)

    @for_each(empty=empty, remove=remove)
    def test_a_file_of_a_folder_under_way(self, how):
        self.offer("folder")
        self.check(how, self.part / "big")

    @for_each(cut=cut, remove=remove)
    def test_a_file_that_was_complete(self, how):
        self.offer("folder")
        process = self.get(*self.what, "--json", "--limit-down", "2M", "--sequential")
        wait_until(lambda: (self.part / "sub" / "other").exists(), "the last file has begun")
        how(self.part / "small")
        self.assert_told(process)
        self.assert_next_is_right()

    def check(self, how, path):
        process = self.run_until_half()
        how(path)
        self.assert_told(process)
        self.assert_next_is_right()

    def assert_told(self, process, words=CHANGED):
        self.assert_exit(process, DISK)
        message = events(process, "finished")[-1]["message"]
        self.assertRegex(message, words)
        self.assertFalse((self.there / self.shared.name).exists())

    def assert_next_is_right(self):
        again = self.get(*self.what)
        # A link in a file's place is not ours to remove.
        if again.wait() == DISK:
            self.assertIn("symbolic link", again.stderr)
            self.part.unlink()
            again = self.got(*self.what)
        self.assert_exit(again, DONE)
        self.assert_right()

    def test_the_whole_folder_removed(self):
        self.offer("folder")
        process = self.run_until_half()
        shutil.rmtree(self.part)
        self.assert_told(process, f"{CHANGED}|No such file")
        self.assertEqual(leftovers(self.there), [])
        self.assert_next_is_right()

    @for_each(removed=remove, emptied=empty, garbage=lambda path: path.write_bytes(b"garbage\n" * 1000))
    def test_the_journal_under_way(self, how):
        """Without it nothing is known, but what is there is looked at."""
        self.offer()
        process = self.run_until_half()
        how(self.journal)
        process.signal(signal.SIGKILL)
        process.wait()
        again = self.got(*self.what, "--json")
        self.assertGreater(events(again, "manifest")[0]["held"], 0)
        self.assert_right()

    def test_what_was_changed_between_two_runs_is_fetched_again(self):
        self.offer()
        process = self.run_until_half()
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)
        with open(self.part, "r+b") as part:
            part.write(bytes(MIB))
        again = self.got(*self.what, "--json")
        self.assertLess(events(again, "manifest")[0]["held"], len(verified_pieces(process)))
        self.assert_right()
        self.assertEqual(leftovers(self.there), [])


if __name__ == "__main__":
    unittest.main()
