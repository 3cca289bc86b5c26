"""Two hosts: what tracker and client say and choose when the other side is not on this machine.

Two network namespaces joined by a cable, each with its own loopback and no default route.
"""

import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each, named
from support.course import Course, missing_chunks, some_bytes
from support.network import SecondHost, enter_fresh_network
from support.shoal import DONE, ShoalCase, at
from support.talk import Datagrams


def setUpModule():
    enter_fresh_network()


class TwoHostsCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.host = SecondHost(self)
        self.course = Course(self.root / "course", some_bytes(9905), 1000)
        self.home = self.root / "home"
        self.home.mkdir()

    def configure(self, ip):
        """Everybody listens everywhere, and peers.ini says one address for all."""
        for name in ("alice", "bob", "tracker"):
            self.course.set_address(name, (ip, self.course.addresses[name][1]))

    def assert_downloaded(self, client):
        self.assert_exit(client, DONE)
        self.assertEqual(missing_chunks(self.course, self.home), [])


@expanded
class ShoalTracker(TwoHostsCase):
    def start_servers(self, configured):
        for name in ("alice", "bob"):
            self.shoal_peer(self.course, name, bind="0.0.0.0")
        self.configure(configured)
        self.tracker = self.shoal_tracker(self.course, bind="0.0.0.0")
        self.discovery_port = self.tracker.wait_address("discovery")[1]
        self.tcp_port = self.tracker.wait_address()[1]

    @for_each(loopback="127.0.0.1", unspecified="0.0.0.0", own=SecondHost.HERE)
    def test_a_client_on_another_host_is_told_addresses_it_can_reach(self, configured):
        self.start_servers(configured)
        options = ("--bind", self.host.THERE, "--discovery-port", self.discovery_port)
        with self.prefixed(self.host.prefix):
            client = self.python_client(3, self.home, *options, quirk=("strict", "fragile"))
        self.assertEqual(client.wait_line("tracker"), f"{self.host.HERE}:{self.tcp_port} tracker")
        self.assert_downloaded(client)

    def test_discovery_through_the_interface_is_answered_with_its_address(self):
        self.start_servers("0.0.0.0")
        for ip in ("127.0.0.1", self.host.HERE):
            everybody = ("255.255.255.255", self.discovery_port)
            answer = Datagrams(self, ip).ask(protocol.encode_discover_tracker(), everybody)
            info = protocol.parse_body(protocol.decode(answer))
            self.assertEqual((info.ip, info.port), (ip, self.tcp_port))


@expanded
class ShoalClient(TwoHostsCase):
    def start_servers(self, quirk=()):
        for name in ("alice", "bob"):
            self.python_peer(self.course, name, bind="0.0.0.0")
        self.tracker = self.python_tracker(self.course, quirk, bind="0.0.0.0")
        self.configure(self.host.HERE)

    def start_client(self, step, *arguments):
        with self.prefixed(self.host.prefix):
            return self.shoal_client(step, self.home, *arguments)

    @for_each(plain=(), **named("zero-address", "loopback-address", "split-datagrams", "discovery-noise", "late-tcp"))
    def test_a_tracker_on_another_host_is_found_and_reached(self, quirk):
        self.start_servers(quirk)
        client = self.start_client(3, "--discovery-port", self.tracker.wait_address("discovery")[1])
        self.assert_downloaded(client)
        sources = {line.split(":")[0] for line in self.tracker.lines("datagram")}
        self.assertEqual(sources, {self.host.THERE})

    def test_a_tracker_that_is_known_needs_no_discovery(self):
        self.start_servers(("discovery-silent",))
        client = self.start_client(2, "--tracker", at((self.host.HERE, self.tracker.wait_address()[1])))
        self.assert_downloaded(client)
        self.assertEqual(self.tracker.lines("datagram"), [])


if __name__ == "__main__":
    unittest.main()
