"""Step 3 on networks of several hosts: a client that knows nothing finds a tracker and everybody it tells of."""

import signal
import time
import unittest

from support.cases import expanded, for_each, named, themselves
from support.course import some_bytes
from support.events import events, wait_event
from support.lan import Host, Switch
from support.network import enter_fresh_network
from support.shoal import DONE, INCOMPLETE, NOTHING_FOUND
from support.split_course import LAYOUTS, Client, SplitCase

DISCOVERY_PORT = 9000  # each test has networks of its own


def setUpModule():
    enter_fresh_network()


class NetworkCase(SplitCase):
    def setUp(self):
        super().setUp()
        self.course = self.split(some_bytes(29_500), "1000")

    def where(self, step):
        return ()

    def start_peers(self, host, bind="0.0.0.0"):
        with self.prefixed(host.prefix):
            return {name: self.shoal_peer(self.course, name, bind=bind) for name in ("alice", "bob")}

    def start_tracker(self, host, *arguments, bind="0.0.0.0"):
        with self.prefixed(host.prefix):
            return self.shoal_tracker(self.course, *arguments, bind=bind, discovery_port=DISCOVERY_PORT)

    def configure(self, ip):
        """peers.ini says one address for everybody, whatever they listen on."""
        for name, (_, port) in list(self.course.addresses.items()):
            self.course.set_address(name, (ip, port))

    def start_client(self, host, *arguments, layout="course"):
        client = Client(self, self.course, step=3, layout=layout)
        with self.prefixed(host.prefix):
            client.start("--json", *arguments)
        return client

    def sources(self, client):
        """The addresses that gave something."""
        given = [event for event in events(client.process, "piece") if event["status"] == "verified"]
        return {event["source"].split(":")[0] for event in given}


@expanded
class OneHost(NetworkCase):
    @for_each(**themselves(*LAYOUTS))
    def test_loopback_is_enough(self, layout):
        host = Host(self)
        self.start_peers(host, "127.0.0.1")
        self.start_tracker(host, bind="127.0.0.1")
        client = self.start_client(host, layout=layout)
        client.assert_done()
        self.assertEqual(self.sources(client), {"127.0.0.1"})

    @for_each(own="10.1.0.1", everywhere="0.0.0.0", loopback="127.0.0.1")
    def test_everything_on_a_host_of_a_network(self, configured):
        host = Host(self)
        Switch(self).connect(host, "10.1.0.1")
        self.start_peers(host)
        self.configure(configured)
        self.start_tracker(host)
        self.start_client(host).assert_done()

    def test_no_tracker_is_told_within_seconds(self):
        host = Host(self)
        Switch(self).connect(host, "10.1.0.1")
        begun = time.monotonic()
        client = self.start_client(host)
        self.assert_exit(client.process, NOTHING_FOUND)
        self.assertLess(time.monotonic() - begun, 8)
        message = events(client.process)[-1]["message"]
        for word in ("127.0.0.1", "10.1.0.1", str(DISCOVERY_PORT), "--tracker"):
            self.assertIn(word, message)

    def test_no_network_at_all_is_told_at_once(self):
        host = Host(self)
        host.run("ip", "link", "set", "lo", "down")
        client = self.start_client(host)
        self.assert_exit(client.process, NOTHING_FOUND)


@expanded
class TwoHosts(NetworkCase):
    """A network without a default route."""

    def setUp(self):
        super().setUp()
        self.switch = Switch(self)
        self.here, self.there = Host(self), Host(self)
        self.switch.connect(self.here, "10.1.0.1")
        self.switch.connect(self.there, "10.1.0.2")

    @for_each(own="10.1.0.1", everywhere="0.0.0.0", loopback="127.0.0.1")
    def test_whatever_is_configured_an_asker_elsewhere_gets_through(self, configured):
        self.start_peers(self.here)
        self.configure(configured)
        self.start_tracker(self.here)
        clients = [self.start_client(self.there, layout=layout) for layout in LAYOUTS]
        for client in clients:
            client.assert_done()
            self.assertEqual(self.sources(client), {"10.1.0.1"})
            self.assertEqual(events(client.process, "tracker_chosen")[0]["tracker"].split(":")[0], "10.1.0.1")

    def test_peers_may_be_on_other_hosts_than_the_tracker(self):
        third = Host(self)
        self.switch.connect(third, "10.1.0.3")
        for host, name, ip in ((self.here, "alice", "10.1.0.1"), (third, "bob", "10.1.0.3")):
            with self.prefixed(host.prefix):
                peer = self.shoal_peer(self.course, name, bind="0.0.0.0")
            self.course.set_address(name, (ip, peer.wait_address()[1]))
        self.start_tracker(third)
        client = self.start_client(self.there)
        client.assert_done()
        self.assertEqual(self.sources(client), {"10.1.0.1", "10.1.0.3"})

    @for_each(name=("--name", "kraken"), nameless=("--name", ""), split=("--split-replies",))
    def test_a_tracker_that_answers_otherwise_is_found(self, arguments):
        self.start_peers(self.here)
        self.configure("10.1.0.1")
        self.start_tracker(self.here, *arguments)
        client = self.start_client(self.there)
        client.assert_done()
        found = events(client.process, "tracker_found")
        self.assertEqual([event["name"] for event in found], [arguments[1] if len(arguments) > 1 else "tracker"])


@expanded
class TwoCards(NetworkCase):
    """The client's first card leads where nobody answers."""

    def setUp(self):
        super().setUp()
        dead_end, network = Switch(self), Switch(self)
        self.host, self.stranger, self.server = Host(self), Host(self), Host(self)
        dead_end.connect(self.host, "10.1.0.1")
        dead_end.connect(self.stranger, "10.1.0.2")
        network.connect(self.host, "10.2.0.1")
        network.connect(self.server, "10.2.0.2")
        self.start_peers(self.server)
        self.configure("0.0.0.0")
        self.start_tracker(self.server)

    @for_each(without_a_default_route=None, default_through_the_dead_end="10.1.0.2", default_there="10.2.0.2")
    def test_the_tracker_is_found_through_the_second(self, gateway):
        if gateway is not None:
            self.host.run("ip", "route", "add", "default", "via", gateway)
        client = self.start_client(self.host)
        client.assert_done()
        self.assertEqual(self.sources(client), {"10.2.0.2"})

    def test_bind_names_the_card(self):
        good = self.start_client(self.host, "--bind", "10.2.0.1")
        good.assert_done()
        bad = self.start_client(self.host, "--bind", "10.1.0.1", layout="output")
        self.assert_exit(bad.process, NOTHING_FOUND)

    def test_a_tracker_on_both_networks_is_found_by_whoever_asks(self):
        self.start_tracker(self.host, "--name", "middle")
        for host, ip in ((self.stranger, "10.1.0.1"), (self.server, "10.2.0.1"), (self.host, "127.0.0.1")):
            client = self.start_client(host, layout="output")
            self.assertIn(client.process.wait(), (DONE, INCOMPLETE))  # the stranger cannot reach the peers
            named_middle = [event for event in events(client.process, "tracker_found") if event["name"] == "middle"]
            self.assertIn(ip, {event["tracker"].split(":")[0] for event in named_middle})


@expanded
class ThreeTrackers(NetworkCase):
    """The first to answer is of no use."""

    def setUp(self):
        super().setUp()
        switch = Switch(self)
        self.hosts = [Host(self) for _ in range(3)]
        self.client_host = Host(self)
        for number, host in enumerate([*self.hosts, self.client_host], 1):
            switch.connect(host, f"10.1.0.{number}")
        self.start_peers(self.hosts[2])
        self.configure("10.1.0.3")
        self.others = []

    def start_trackers(self, quirk=None):
        """A first one, with the quirk of a counterpart or Shoal's own, and two more that have to wait."""
        if quirk is None:
            first = self.start_tracker(self.hosts[0])
        else:
            with self.prefixed(self.hosts[0].prefix):
                first = self.python_tracker(self.course, (quirk,), bind="0.0.0.0", discovery_port=DISCOVERY_PORT)
        self.others = [self.start_tracker(host) for host in self.hosts[1:]]
        for other in self.others:
            other.signal(signal.SIGSTOP)
        return first

    def let_the_others_answer(self, client):
        """The first one has answered; from here on the others do, too."""
        wait_event(client.process, "tracker_found")
        for other in self.others:
            other.signal(signal.SIGCONT)

    def tearDown(self):
        for other in self.others:
            other.signal(signal.SIGCONT)

    def assert_another_was_used(self, client, timeout=30):
        client.assert_done(timeout)
        chosen = [event["tracker"].split(":")[0] for event in events(client.process, "tracker_chosen")]
        self.assertEqual(chosen[0], "10.1.0.1")
        failed = {event["tracker"].split(":")[0] for event in events(client.process, "tracker_failed")}
        self.assertEqual(failed, {"10.1.0.1"})

    @for_each(
        **named(
            *("refuse", "reset-on-accept", "vanish", "error=1"),
            *("nobody", "only-dead-peers", "lying-length=4294967295", "count-overrun", "filename=.."),
        )
    )
    def test_a_first_one_that_lies_or_fails_is_passed_over(self, quirk):
        self.start_trackers(*quirk)
        client = self.start_client(self.client_host)
        self.let_the_others_answer(client)
        self.assert_another_was_used(client)

    def test_a_first_one_that_hangs_is_passed_over(self):
        """It accepts, and never says a word."""
        self.start_trackers("silent")
        client = self.start_client(self.client_host, "--stall-timeout", "1", "--answer-timeout", "1")
        self.let_the_others_answer(client)
        self.assert_another_was_used(client, timeout=45)

    def test_a_first_one_that_dies_is_passed_over(self):
        first = self.start_trackers("late-tcp")  # it answers, and would listen a second later
        client = self.start_client(self.client_host)
        self.let_the_others_answer(client)
        first.signal(signal.SIGKILL)
        self.assert_another_was_used(client)

    def test_all_three_are_well(self):
        self.start_trackers()
        client = self.start_client(self.client_host)
        self.let_the_others_answer(client)
        client.assert_done()
        self.assertEqual(len(events(client.process, "tracker_chosen")), 1)


if __name__ == "__main__":
    unittest.main()
