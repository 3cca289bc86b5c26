"""Chunks that vanish from a peer, before and during a download, and lists of owners that are wrong."""

import signal
import unittest

from support.cases import expanded, for_each, themselves
from support.course import some_bytes
from support.events import events, wait_event
from support.gate import close_gates
from support.network import enter_fresh_network
from support.shoal import INCOMPLETE
from support.split_course import LAYOUTS, STEPS, Client, SplitCase

OTHER = {"alice": "bob", "bob": "alice"}


def setUpModule():
    enter_fresh_network()


class RemovedCase(SplitCase):
    def take_away(self, course, name, numbers):
        for number in numbers:
            course.chunk_path(name, course.hashes[number]).unlink()

    def move(self, course, name, numbers):
        """From a peer's folder to the other's."""
        for number in numbers:
            chunk_hash = course.hashes[number]
            course.chunk_path(name, chunk_hash).rename(course.chunk_path(OTHER[name], chunk_hash))

    def refused(self, process):
        return {event["piece"] for event in events(process, "piece") if event["status"] == "refused"}

    def download_everywhere(self, course):
        """Every step in both layouts; the ended clients, which are right, are returned."""
        clients = [Client(self, course, step, layout) for step in STEPS for layout in LAYOUTS]
        for client in clients:
            client.start("--json")
        for client in clients:
            client.assert_done()
        return clients


@expanded
class Before(RemovedCase):
    def setUp(self):
        super().setUp()
        self.course = self.split(some_bytes(29_950), "1000")
        self.shared = self.course.numbers_of("alice", "bob")
        self.start_servers(self.course)

    @for_each(alice="alice", bob="bob")
    def test_a_shared_chunk_is_taken_from_the_other_peer(self, name):
        for count in (1, len(self.shared) - 1):
            self.take_away(self.course, name, self.shared[:count])
            del self.shared[:count]
            self.download_everywhere(self.course)
            self.forget_results()

    def test_shared_chunks_of_both_are_taken_from_the_other(self):
        self.take_away(self.course, "alice", self.shared[::2])
        self.take_away(self.course, "bob", self.shared[1::2])
        self.download_everywhere(self.course)

    def forget_results(self):
        for path in (self.course.root / "chunks" / "charlie").glob("*"):
            path.unlink()

    @for_each(alice="alice", bob="bob")
    def test_a_chunk_that_nobody_has_any_more_is_named(self, name):
        number = self.course.numbers_of(name)[1]
        self.take_away(self.course, name, [number])
        clients = [Client(self, self.course, step, layout) for step in STEPS for layout in LAYOUTS]
        for client in clients:
            client.start("--json")
        for client in clients:
            self.assert_exit(client.process, INCOMPLETE)
            self.assertEqual(events(client.process)[-1]["missing"], [number])
            self.assertFalse(client.target.exists())
        self.course.chunk_path(name, self.course.hashes[number]).write_bytes(
            self.course.content[number * 1000 : (number + 1) * 1000]
        )
        for client in clients:
            client.start("--json")
        for client in clients:
            client.assert_done()
            arrived = [event["piece"] for event in events(client.process, "piece") if event["status"] == "verified"]
            self.assertEqual(arrived, [number], "only what was missing is fetched")


@expanded
class WrongLists(RemovedCase):
    """What config/file.ini says of the owners, and what lies on disk, differ."""

    def setUp(self):
        super().setUp()
        self.course = self.split(some_bytes(29_950), "1000")

    @for_each(
        all_is_alices=[["alice"]] * 30,
        all_is_bobs=[["bob"]] * 30,
        all_is_eves=[["eve"]] * 30,
        nobody_has_some=[[]] * 15 + [["alice", "bob"]] * 15,
        swapped=[["bob"]] * 10 + [["alice", "bob"]] * 10 + [["alice"]] * 10,
        repeated=[["alice", "alice", "bob"]] * 30,
    )
    def test_lists_that_say_something_else_than_the_disks(self, owners):
        """Eve exists in peers.ini, and is not running; everybody known is asked in the end."""
        self.course.set_address("eve", ("127.0.0.1", 9))
        names = {name for listed in owners for name in listed}
        peers = {name: self.shoal_peer(self.course, name) for name in ("alice", "bob")}
        self.course.set_owners(owners)
        self.tracker = self.shoal_tracker(self.course)
        further = [option for name in peers if name not in names for option in ("--peer", self.at(name))]
        clients = [Client(self, self.course, step, layout) for step in STEPS for layout in LAYOUTS]
        for client in clients:
            client.start("--json", *further)
        for client in clients:
            client.assert_done(30)

    def at(self, name):
        return "{}:{}".format(*self.course.addresses[name])

    @for_each(alice="alice", bob="bob")
    def test_what_one_is_listed_for_lies_with_the_other(self, name):
        numbers = self.course.numbers_of(name)
        self.move(self.course, name, numbers)
        self.start_servers(self.course)
        for client in self.download_everywhere(self.course):
            self.assertEqual(self.refused(client.process) & set(numbers), set(numbers))

    def test_a_chunk_that_is_given_to_a_peer_later_is_found(self):
        """Nobody is listed for what bob brought along; alice lost hers after the tracker began."""
        self.start_servers(self.course)
        self.download_everywhere(self.course)
        self.move(self.course, "alice", self.course.numbers_of("alice"))
        fresh = Client(self, self.course, step=2, name="dora")
        fresh.start()
        fresh.assert_done()


@expanded
class During(RemovedCase):
    CHUNK_BYTES = 128 << 10

    def begin(self, layout, *peer_options):
        """A client that has its first chunks; its further requests wait at the gates in front of the peers."""
        self.course = self.split(some_bytes(150 * self.CHUNK_BYTES), str(self.CHUNK_BYTES))
        self.peers = self.start_servers(self.course, *peer_options)
        self.peer_addresses = {name: self.course.addresses[name] for name in self.peers}
        self.gates = close_gates(self, self.course, self.peers, requests=3)
        self.client = Client(self, self.course, layout=layout)
        process = self.client.start("--json")
        wait_event(process, "piece", status="verified")
        return process

    def go_on(self):
        for gate in self.gates:
            gate.open()
        self.client.assert_done()

    @for_each(
        course=("course",),
        output=("output",),
        one_at_a_time=("course", "--no-pipelining"),
    )
    def test_shared_chunks_that_vanish_change_nothing(self, case):
        process = self.begin(*case)
        shared = self.course.numbers_of("alice", "bob")
        self.take_away(self.course, "alice", shared[::2])
        self.take_away(self.course, "bob", shared[1::2])
        self.go_on()
        self.assertTrue(self.refused(process), "nobody noticed")

    @for_each(**themselves(*LAYOUTS))
    def test_own_chunks_that_move_to_the_other_change_nothing(self, layout):
        process = self.begin(layout)
        for name in ("alice", "bob"):
            self.move(self.course, name, self.course.numbers_of(name)[10:])
        self.go_on()
        self.assertTrue(self.refused(process), "nobody noticed")

    @for_each(**themselves(*LAYOUTS))
    def test_a_peer_that_is_killed_is_made_up_for(self, layout):
        self.begin(layout)
        for number in self.course.numbers_of("alice"):
            chunk_hash = self.course.hashes[number]
            copy = self.course.chunk_path("bob", chunk_hash)
            copy.write_bytes(self.course.chunk_path("alice", chunk_hash).read_bytes())
        self.kill("alice")
        self.go_on()

    def test_a_peer_that_starts_again_is_found_again(self):
        self.begin("course")
        ip, port = self.peer_addresses["alice"]
        self.kill("alice")
        again = self.shoal("peer", "alice", "--dir", self.course.root, "--bind", ip, "--port", str(port))
        again.wait_line("listening")
        self.go_on()

    def kill(self, name):
        self.peers[name].signal(signal.SIGKILL)
        self.peers[name].wait()


if __name__ == "__main__":
    unittest.main()
