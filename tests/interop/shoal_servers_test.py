"""Shoal's peers and tracker against every habit of clients, in every step."""

import unittest

from support.cases import expanded, for_each, named
from support.course import Course, missing_chunks, some_bytes
from support.network import enter_fresh_network
from support.shoal import ShoalCase, at

HABITS = named(
    *("two-writes", "split-header", "reserved-noise", "recv-is-message", "bad-first", "connection-per-chunk"),
    *("half-close", "idle-connections", "pipelines", "floods", "resets", "stops-inside", "never-reads"),
)
TOGETHER = {
    "old": ("bad-first", "two-writes", "split-header", "recv-is-message"),
    "old_and_many": ("bad-first", "two-writes", "connection-per-chunk", "idle-connections"),
    "old_and_rude": ("split-header", "half-close", "resets", "stops-inside", "never-reads"),
}
CAREFUL = ("strict", "fragile")


def setUpModule():
    enter_fresh_network()


class ServersCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.course = Course(self.root / "course", some_bytes(9905), 1000)
        self.home = self.root / "home"
        self.peers = [self.shoal_peer(self.course, name) for name in ("alice", "bob")]

    def start_tracker(self, *arguments):
        self.tracker = self.shoal_tracker(self.course, *arguments)

    def download(self, step, *arguments, quirk=()):
        home = self.course.root if step == 1 else self.home
        client = self.python_client(step, home, *arguments, quirk=CAREFUL + tuple(quirk))
        self.assert_exit(client, 0)
        self.assertEqual(missing_chunks(self.course, home), [])
        self.assertEqual((home / "chunks" / "charlie" / self.course.name).read_bytes(), self.course.content)
        self.assert_alive(*self.processes[:-1])


@expanded
class Peers(ServersCase):
    @for_each(plain=(), **HABITS, **TOGETHER)
    def test_peers_serve_a_client(self, quirk):
        self.download(1, quirk=quirk)

    def test_an_owner_that_lost_a_chunk_says_so_and_the_other_serves_it(self):
        shared = [piece for piece, names in zip(self.course.pieces, self.course.owners) if len(names) == 2]
        for piece in shared:
            self.course.take_away("alice", piece)
        self.download(1)

    def test_many_clients_at_once(self):
        clients = []
        for number in range(10):
            quirk = list(HABITS.values())[number]
            name = f"charlie{number}"
            clients.append(self.python_client(1, self.course.root, "--name", name, quirk=CAREFUL + quirk))
        for number, client in enumerate(clients):
            self.assert_exit(client, 0)
            self.assertEqual(missing_chunks(self.course, self.course.root, f"charlie{number}"), [])


@expanded
class TrackerOverTcp(ServersCase):
    @for_each(plain=(), **HABITS, **TOGETHER)
    def test_the_tracker_serves_a_client(self, quirk):
        self.start_tracker()
        self.download(2, "--tracker", at(self.course.addresses["tracker"]), quirk=quirk)


@expanded
class TrackerOverUdp(ServersCase):
    def discover(self, *arguments, quirk=()):
        port = self.tracker.wait_address("discovery")[1]
        self.download(3, "--discovery-port", port, *arguments, quirk=quirk)

    @for_each(plain=(), **TOGETHER, **named("tracker-name", "bad-datagram-first"))
    def test_the_tracker_is_found(self, quirk):
        self.start_tracker()
        self.discover(quirk=quirk)

    @for_each(limited="255.255.255.255", directed="127.255.255.255")
    def test_the_tracker_is_found_by_one_datagram_to_one_address(self, address):
        self.start_tracker()
        quirk = ("one-address",) if address == "127.255.255.255" else ()
        self.discover("--discovery-address", address, quirk=quirk)

    @for_each(plain=(), **named("split-datagrams-only", "tracker-name"))
    def test_split_replies_suit_everybody(self, quirk):
        self.start_tracker("--split-replies")
        self.discover(quirk=quirk)

    def test_another_name_suits_most(self):
        self.start_tracker("--name", "kraken")
        self.discover()


if __name__ == "__main__":
    unittest.main()
