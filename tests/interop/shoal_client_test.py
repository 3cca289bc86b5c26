"""Shoal's client on its own terms: what it writes, what it asks for, how it resumes, how it fails."""

import shutil
import socket
import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each, named
from support.client_case import IMPATIENT, LAYOUTS, PEER_FAULTS, ClientCase
from support.course import missing_chunks, some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE, INCOMPLETE, NOTHING_FOUND, REFUSED, TIMED_OUT, WRONG_HASH


def setUpModule():
    enter_fresh_network()


class StepCase(ClientCase):
    def run_client(self, step, layout="course", **options):
        scene = self.scene(layout, step, **options)
        scene.start_servers()
        scene.start_client()
        scene.assert_done()
        return scene


@expanded
class Results(StepCase):
    def test_merge_and_check_follow_a_download(self):
        scene = self.run_client(1)
        for role in ("merge", "check"):
            self.assert_exit(self.shoal(role, "--dir", scene.home), DONE)
        merged = scene.home / "chunks" / "charlie" / scene.course.name
        self.assertEqual(merged.read_bytes(), scene.course.content)

    def test_check_tells_a_wrong_file(self):
        scene = self.run_client(1)
        self.assert_exit(self.shoal("merge", "--dir", scene.home), DONE)
        (scene.home / "files" / scene.course.name).write_bytes(b"another file")
        self.assert_exit(self.shoal("check", "--dir", scene.home), WRONG_HASH)

    def test_split_gives_the_counterparts_what_they_need(self):
        home = self.root / "split"
        shutil.copytree(self.scene().course.root / "files", home / "files")
        command = ("split", home / "files" / "lecture.bin", "--dir", home, "--chunk-size", "1000")
        self.assert_exit(self.shoal(*command), DONE)
        scene = self.scene("original")
        ours = (home / "config" / "file.ini").read_text()
        self.assertIn("4 = alice, bob", [line.strip() for line in ours.splitlines()])
        for name in ("alice", "bob"):
            expected = {path.name: path.read_bytes() for path in (scene.course.root / "chunks" / name).iterdir()}
            found = {path.name: path.read_bytes() for path in (home / "chunks" / name).iterdir()}
            self.assertEqual(found, expected)
        (home / "config" / "peers.ini").write_text((scene.course.root / "config" / "peers.ini").read_text())
        scene.course.root = home
        scene.start_servers()
        client = self.python_client(1, home)
        self.assert_exit(client, 0)

    def test_another_client_name_is_another_directory(self):
        scene = self.scene()
        scene.start_servers()
        scene.start_client("--name", "carol")
        self.assert_exit(scene.client, DONE)
        self.assertEqual(missing_chunks(scene.course, scene.home, "carol"), [])

    @for_each(
        empty={"content": b"", "chunk_bytes": 10},
        one_byte={"content": b"x", "chunk_bytes": 1 << 19},
        chunks_of_one_byte={"content": some_bytes(700), "chunk_bytes": 1},
        even={"content": some_bytes(1 << 20), "chunk_bytes": 1 << 18},
        big={"content": some_bytes((6 << 20) + 5), "chunk_bytes": 2 << 20},
        irregular={"pieces": [b"a" * 10, b"", b"b" * 3000, b"c", b"a" * 10, b"d" * 7]},
    )
    def test_files_of_every_shape(self, shape):
        scenes = [self.scene(layout, step, **shape) for layout in LAYOUTS for step in (1, 2, 3)]
        for scene in scenes:
            scene.start_servers()
            scene.start_client()
        for scene in scenes:
            scene.assert_done()

    def test_the_most_chunks_a_file_can_have(self):
        self.run_client(2, "output", content=some_bytes(65_535), chunk_bytes=1)


class Wire(StepCase):
    def requests(self, peer):
        return [bytes.fromhex(line) for line in peer.lines("request")]

    def test_one_connection_per_peer_for_the_whole_download(self):
        scene = self.run_client(1)
        self.assertEqual([len(peer.lines("accepted")) for peer in scene.peers], [1, 1])

    def test_every_request_is_exactly_a_get_chunk(self):
        for peer in self.run_client(1).peers:
            for request in self.requests(peer):
                is_exact = protocol.is_canonical(request, 0) or protocol.is_canonical(request, 1)
                self.assertTrue(is_exact, request.hex())

    def test_one_outstanding_request_without_a_welcome(self):
        for peer in self.run_client(1, content=some_bytes(100_000)).peers:
            self.assertEqual(peer.lines("pipelined"), [])

    def test_what_only_one_has_is_not_asked_of_the_other(self):
        scene = self.run_client(1)
        for peer, name in zip(scene.peers, ("alice", "bob")):
            own = {one for one, names in zip(scene.course.hashes, scene.course.owners) if name in names}
            self.assertLessEqual({request[8:].hex() for request in self.requests(peer)}, own)

    def test_discovery_is_the_8_bytes_from_a_loopback_address(self):
        scene = self.run_client(3)
        found = [line.split() for line in scene.tracker.lines("datagram")]
        self.assertTrue(found)
        for source, data in found:
            self.assertTrue(source.startswith("127.0.0.1:"), source)
            self.assertIn(bytes.fromhex(data), [protocol.encode_discover_tracker(bits) for bits in (0, 2)])


class Resuming(StepCase):
    def test_with_every_chunk_there_nobody_is_contacted(self):
        scene = self.run_client(1)
        for peer in scene.peers:
            peer.stop()
        before = [len(peer.lines("accepted")) for peer in scene.peers]
        again = self.shoal_client(1, scene.home)
        self.assert_exit(again, DONE)
        self.assertEqual([len(peer.lines("accepted")) for peer in scene.peers], before)

    def test_old_chunks_count_only_when_their_hash_is_right(self):
        scene = self.scene()
        course = scene.course
        for number, piece in enumerate(course.pieces):
            course.give("charlie", piece)
            if number % 3 == 0:
                course.chunk_path("charlie", piece).write_bytes(piece[:-1])
            if number % 3 == 1:
                course.take_away("charlie", piece)
        scene.start_servers()
        scene.start_client()
        scene.assert_done()
        asked = {line[16:] for peer in scene.peers for line in peer.lines("request")}
        self.assertEqual(asked, {one for number, one in enumerate(course.hashes) if number % 3 != 2})

    def test_nothing_temporary_is_left(self):
        scene = self.run_client(1)
        allowed = {f"{one}.bin" for one in scene.course.hashes} | {scene.course.name}
        found = {path.name for path in (scene.home / "chunks" / "charlie").iterdir() if path.suffix != ".ini"}
        self.assertLessEqual(found, allowed)


@expanded
class Failing(StepCase):
    @for_each(**named(*(quirk for quirk in PEER_FAULTS if quirk != "slow")))
    def test_what_only_a_faulty_peer_has_is_missing_in_the_end(self, quirk):
        scene = self.scene()
        scene.start_servers(alice=quirk)
        scene.start_client(*IMPATIENT)
        scene.assert_gave_up(INCOMPLETE, WRONG_HASH)
        for chunk_hash, names in zip(scene.course.hashes, scene.course.owners):
            is_missing = chunk_hash in missing_chunks(scene.course, scene.home)
            self.assertEqual(is_missing, names == ("alice",), names)

    def test_owners_may_be_wrong(self):
        """Every chunk lies with the peer that is not listed for it."""
        scene = self.scene()
        for piece, names in zip(scene.course.pieces, scene.course.owners):
            for name in names:
                scene.course.take_away(name, piece)
            scene.course.give("bob" if names == ("alice",) else "alice", piece)
        scene.start_servers()
        scene.start_client()
        scene.assert_done()

    def test_no_tracker_answers_a_broadcast(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("0.0.0.0", 0))
            client = self.shoal_client(3, self.root, "--discovery-port", str(silent.getsockname()[1]))
            self.assert_exit(client, NOTHING_FOUND)
            self.assertTrue(client.stderr.strip())

    def test_a_tracker_that_refuses_is_an_error_that_is_told(self):
        client = self.shoal_client(2, self.root, "--tracker", f"127.0.0.1:{free_port()}")
        self.assert_exit(client, NOTHING_FOUND, REFUSED, TIMED_OUT)
        self.assertTrue(client.stderr.strip())

    def test_a_tracker_may_begin_to_listen_late(self):
        scene = self.scene(step=2)
        scene.start_servers()
        port, before = free_port(), refused_attempts()
        client = self.shoal_client(2, scene.home, "--tracker", f"127.0.0.1:{port}")
        wait_until(lambda: refused_attempts() > before, "the client was refused once")
        self.counterpart(
            *("tracker", "--dir", scene.course.root, "--bind", "127.0.0.1", "--port", port, "--discovery-port", 0)
        ).wait_line("listening")
        self.assert_exit(client, DONE)
        self.assertEqual(missing_chunks(scene.course, scene.home), [])


def free_port():
    """A port nobody listens on; in a network of its own nobody else takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def refused_attempts():
    """How many connections were refused so far in this network."""
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("AttemptFails")])


if __name__ == "__main__":
    unittest.main()
