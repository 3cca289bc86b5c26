"""Disks that are full, read-only, unreadable or hold something else than expected; and two clients in one place."""

import os
import shutil
import signal
import unittest

from support.cases import expanded, for_each, themselves
from support.course import Course, some_bytes
from support.disks import NOBODY, SmallDisk, as_nobody
from support.events import events, verified_pieces, wait_event
from support.gate import close_gates
from support.network import enter_fresh_network
from support.paced_peer import PacedPeer
from support.shoal import DISK, DONE
from support.split_course import LAYOUTS, Client, SplitCase

CHUNK = 64 << 10
MIB = 1 << 20


def setUpModule():
    enter_fresh_network()


def spoil(root, path, how):
    """Put something else in a file's place; what a link points to lies in `root`."""
    content = path.read_bytes() if path.exists() else some_bytes(1000)
    path.unlink(missing_ok=True)
    if how == "link":
        (root / "outside").write_bytes(b"precious")
        path.symlink_to(root / "outside")
    elif how == "dangling":
        path.symlink_to(root / "nowhere")
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "secret":
        path.symlink_to("/etc/passwd")
    else:
        spoilt = {"empty": b"", "truncated": content[:-1], "longer": content + b"x", "wrong": content[::-1]}
        path.write_bytes(spoilt[how])


class DiskCase(SplitCase):
    def start_course(self, content, chunk_bytes=CHUNK):
        self.course = self.split(content, str(chunk_bytes))
        self.peers = self.start_servers(self.course)

    def client_in(self, directory, layout, *arguments):
        """A client of step 2 that works in a directory."""
        output = ("--output", directory / "download.bin") if layout == "output" else ()
        return self.shoal_client(2, directory, *self.where(2), *output, *arguments)

    def result_in(self, directory, layout):
        return directory / ("download.bin" if layout == "output" else f"chunks/charlie/{self.course.name}")

    def assert_disk_error(self, process, *words):
        self.assert_exit(process, DISK)
        for word in words:
            self.assertIn(word, process.stderr)
        self.assertEqual(process.stdout, [])


@expanded
class Full(DiskCase):
    """The result is 3 MiB; course layout needs that twice."""

    def setUp(self):
        super().setUp()
        self.start_course(some_bytes(3 * MIB))
        self.disk = SmallDisk(self, 10 * MIB)

    def download(self, layout, *arguments):
        with self.prefixed(self.disk.prefix):
            return self.client_in(self.disk.path, layout, *arguments)

    @for_each(
        course_nothing=("course", 0),
        course_in_the_middle=("course", 3 * MIB // 2),
        course_no_room_to_merge=("course", 4 * MIB),
        output_nothing=("output", 0),
        output_in_the_middle=("output", 3 * MIB // 2),
        output_at_the_end=("output", 3 * MIB - CHUNK),
    )
    def test_it_is_told_and_the_next_run_goes_on(self, case):
        layout, room_bytes = case
        self.disk.fill(room_bytes)
        process = self.download(layout)
        self.assert_disk_error(process, "No space left on device", str(self.disk.path))
        result = self.result_in(self.disk.seen, layout)
        self.assertFalse(result.exists())
        self.disk.make_room()
        again = self.download(layout, "--json")
        self.assert_exit(again, DONE)
        self.assertTrue(result.read_bytes() == self.course.content)
        held = events(again, "manifest")[0]["held"]
        if room_bytes > MIB:
            self.assertGreater(held, 0, "nothing of the first run was kept")
        self.assertEqual(len(verified_pieces(again)), len(self.course.hashes) - held)

    @for_each(**themselves(*LAYOUTS))
    def test_a_disk_that_is_read_only(self, layout):
        self.disk.remount("ro")
        self.assert_disk_error(self.download(layout), "Read-only file system")
        self.disk.remount("rw")
        self.assert_exit(self.download(layout), DONE)

    def test_merge_and_split_tell_it_too(self):
        self.assert_exit(self.download("course"), DONE)
        shutil.copytree(self.course.root / "files", self.disk.seen / "files")
        self.disk.fill(MIB)
        result = self.result_in(self.disk.seen, "course")
        before = result.read_bytes()
        with self.prefixed(self.disk.prefix):
            merge = self.shoal("merge", "--dir", self.disk.path)
            self.assert_disk_error(merge, "No space left on device")
            source = self.disk.path / "files" / self.course.name
            split = self.shoal("split", source, "--dir", self.disk.path)
            self.assert_disk_error(split, "No space left on device")
        self.assertEqual(result.read_bytes(), before, "the old result is gone")
        self.assertFalse((self.disk.seen / "config" / "file.ini").exists(), "a file is shared that is not all there")


@expanded
class Unwritable(DiskCase):
    def setUp(self):
        super().setUp()
        self.start_course(some_bytes(3000), 1000)
        self.root.chmod(0o755)  # so that another user gets this far
        self.place = self.root / "place"
        self.place.mkdir()

    @for_each(**themselves(*LAYOUTS))
    def test_a_folder_of_somebody_else(self, layout):
        with self.prefixed(as_nobody()):
            self.assert_disk_error(self.client_in(self.place, layout), "Permission denied", str(self.place))
        os.chown(self.place, NOBODY, NOBODY)
        with self.prefixed(as_nobody()):
            self.assert_exit(self.client_in(self.place, layout), DONE)

    def test_the_output_is_a_folder(self):
        (self.place / "download.bin").mkdir()
        self.assert_disk_error(self.client_in(self.place, "output"), "download.bin", "folder")
        self.assertEqual(list(self.place.rglob("*")), [self.place / "download.bin"])

    def test_the_output_is_in_no_folder(self):
        self.assert_disk_error(self.client_in(self.place / "nowhere", "output"), "nowhere")

    def test_the_output_is_a_link(self):
        (self.place / "download.bin").symlink_to(self.root / "precious")
        (self.root / "precious").write_bytes(b"precious")
        self.assert_disk_error(self.client_in(self.place, "output"), "symbolic link")
        self.assertEqual((self.root / "precious").read_bytes(), b"precious")

    def test_a_folder_stands_where_the_result_belongs(self):
        self.result_in(self.place, "course").mkdir(parents=True)
        self.assert_disk_error(self.client_in(self.place, "course"), self.course.name)

    def test_a_file_stands_where_the_folder_belongs(self):
        (self.place / "chunks").write_bytes(b"")
        self.assert_disk_error(self.client_in(self.place, "course"), "chunks")


@expanded
class Leftovers(DiskCase):
    def setUp(self):
        super().setUp()
        self.start_course(some_bytes(9500), 1000)
        self.folder = self.root / "home" / "chunks" / "charlie"
        self.folder.mkdir(parents=True)

    @for_each(**themselves("empty", "truncated", "longer", "wrong", "link", "dangling", "pipe"))
    def test_chunks_and_results_that_are_wrong_are_replaced(self, how):
        for chunk_hash in self.course.hashes[::3]:
            spoil(self.root, self.folder / f"{chunk_hash}.bin", how)
        spoil(self.root, self.folder / self.course.name, how)
        spoil(self.root, self.folder / ".shoal-0.part", how)
        self.assert_exit(self.client_in(self.root / "home", "course"), DONE)
        for number, chunk_hash in enumerate(self.course.hashes):
            piece = self.course.content[number * 1000 : (number + 1) * 1000]
            path = self.folder / f"{chunk_hash}.bin"
            self.assertFalse(path.is_symlink())
            self.assertEqual(path.read_bytes(), piece)
        result = self.result_in(self.root / "home", "course")
        self.assertFalse(result.is_symlink())
        self.assertEqual(result.read_bytes(), self.course.content)
        self.assertEqual(list(self.folder.glob(".shoal*")), [])
        if how == "link":
            self.assertEqual((self.root / "outside").read_bytes(), b"precious")
        self.assertFalse((self.root / "nowhere").exists())

    def test_a_folder_in_a_chunks_place_is_told(self):
        (self.folder / f"{self.course.hashes[2]}.bin").mkdir()
        self.assert_disk_error(self.client_in(self.root / "home", "course"), self.course.hashes[2])

    @for_each(**themselves("empty", "truncated", "longer", "wrong"))
    def test_an_output_that_is_something_else_is_replaced(self, how):
        place = self.root / "place"
        place.mkdir()
        result = self.result_in(place, "output")
        result.write_bytes(self.course.content)
        spoil(self.root, result, how)
        self.assert_exit(self.client_in(place, "output"), DONE)
        self.assertEqual(result.read_bytes(), self.course.content)


@expanded
class InterruptedOutput(DiskCase):
    """What a killed client left beside its output counts only as far as it is right."""

    def setUp(self):
        super().setUp()
        self.course = Course(self.root / "course", some_bytes(19_500), 1000)
        chunks = dict(zip(self.course.hashes, self.course.pieces))
        self.peers = [PacedPeer(self, chunks) for _ in range(2)]
        for peer, name in zip(self.peers, ("alice", "bob")):
            self.course.set_address(name, peer.address)

    def run_client(self, rate_bytes_per_s=None):
        for peer in self.peers:
            peer.rate_bytes_per_s = rate_bytes_per_s
        client = Client(self, self.course, layout="output")
        client.start("--json")
        return client

    @for_each(**themselves("empty", "truncated", "longer", "wrong", "link", "pipe"))
    def test_leftovers_that_are_spoilt_are_no_use_and_no_harm(self, how):
        for spoilt in (("part",), ("journal",), ("part", "journal", "side", "whole")):
            client = self.run_client(rate_bytes_per_s=20_000)
            wait_event(client.process, "piece", 3, status="verified")
            client.process.signal(signal.SIGKILL)
            client.process.wait()
            self.assertFalse(client.target.exists())
            for name in spoilt:
                spoil(self.root, client.folder / f".{self.course.name}.shoal-{name}", how)
            self.run_client().assert_done()
            if how == "link":
                self.assertEqual((self.root / "outside").read_bytes(), b"precious")
            client.target.unlink()


@expanded
class PeerDisks(DiskCase):
    """One peer's copy of every shared chunk is of no use; the other's is."""

    def setUp(self):
        super().setUp()
        self.root.chmod(0o755)
        self.course = self.split(some_bytes(29_000), "1000")
        self.shared = self.course.numbers_of("alice", "bob")

    def make_useless(self, path, how):
        if how == "unreadable":
            path.chmod(0)
        elif how == "link_out":  # the right bytes, but not its own
            path.rename(self.root / path.name)
            path.symlink_to(self.root / path.name)
        else:
            spoil(self.root, path, how)

    @for_each(
        **themselves("folder", "link_out", "secret", "pipe", "unreadable", "empty", "truncated", "longer", "wrong")
    )
    def test_the_other_peers_copy_is_used(self, how):
        for number in self.shared:
            self.make_useless(self.course.chunk_path("alice", self.course.hashes[number]), how)
        with self.prefixed(as_nobody()):
            peers = {name: self.shoal_peer(self.course, name) for name in ("alice", "bob")}
        clients = [Client(self, self.course, layout=layout) for layout in LAYOUTS]
        for client in clients:
            client.start("--json")
        for client in clients:
            client.assert_done()
            givers = {}
            for event in events(client.process, "piece"):
                self.assertNotEqual(event["status"], "mismatched", "a peer sent what it should have checked")
                if event["status"] == "verified":
                    givers[event["piece"]] = event["source"]
            bob = "{}:{}".format(*self.course.addresses["bob"])
            self.assertEqual({givers[number] for number in self.shared}, {bob})
        self.assert_alive(*peers.values())


@expanded
class TwoClients(DiskCase):
    @for_each(**themselves(*LAYOUTS))
    def test_the_second_says_that_the_first_is_there(self, layout):
        self.course = self.split(some_bytes(20 * CHUNK), str(CHUNK))
        names = ("alice", "bob")
        for name in names:
            self.shoal_peer(self.course, name)
        gates = close_gates(self, self.course, names, requests=2)
        self.tracker = self.shoal_tracker(self.course)
        place = self.root / "place"
        place.mkdir()
        first = self.client_in(place, layout, "--json")
        wait_event(first, "piece", status="verified")
        second = self.client_in(place, layout)
        self.assert_disk_error(second, "in use by another command")
        for gate in gates:
            gate.open()
        self.assert_exit(first, DONE)
        self.assertTrue(self.result_in(place, layout).read_bytes() == self.course.content)
        self.assert_exit(self.client_in(place, layout), DONE)

    def test_two_clients_side_by_side_do_not_mind_each_other(self):
        self.start_course(some_bytes(50 * CHUNK))
        clients = [Client(self, self.course, name=name) for name in ("charlie", "dora")]
        clients += [Client(self, self.course, layout="output", name=name) for name in ("emil", "fay")]
        for client in clients:
            client.start()
        for client in clients:
            client.assert_done()


if __name__ == "__main__":
    unittest.main()
