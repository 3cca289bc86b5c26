"""The Python counterparts against each other: every habit of each side. Needs no program under test."""

import unittest

from support.cases import expanded, for_each, named
from support.course import Course, missing_chunks, some_bytes
from support.network import enter_fresh_network
from support.shoal import ShoalCase, at
from support.talk import Talk

SENDING = ("two-writes", "split-header", "reserved-noise")
ANSWERING = SENDING + ("one-connection", "recv-is-message", "dirty-padding", "surplus", "dies-of-reset", "dies-of-cut")
OLD_SERVER = ("one-connection", "two-writes", "split-header", "dies-of-reset", "dies-of-cut")


def setUpModule():
    enter_fresh_network()


class PairCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.course = Course(self.root / "course", some_bytes(9900), 1000)
        self.home = self.root / "home"

    def start_servers(self, peer=(), tracker=()):
        self.peers = [self.python_peer(self.course, name, peer) for name in ("alice", "bob")]
        self.tracker = self.python_tracker(self.course, tracker)

    def arguments(self, step):
        if step == 1:
            return ()
        if step == 2:
            return ("--tracker", at(self.tracker.wait_address()))
        return ("--discovery-port", self.tracker.wait_address("discovery")[1])

    def run_client(self, step, *quirk, code=0, more=()):
        home = self.course.root if step == 1 else self.home
        client = self.python_client(step, home, *self.arguments(step), *more, quirk=quirk)
        self.assert_exit(client, code)
        if code == 0:
            self.assertEqual(missing_chunks(self.course, home), [])
            self.assertEqual((home / "chunks" / "charlie" / self.course.name).read_bytes(), self.course.content)
        return client


@expanded
class Habits(PairCase):
    @for_each(plain=(), old=OLD_SERVER, **named(*ANSWERING))
    def test_peer(self, quirk):
        self.start_servers(peer=quirk)
        self.run_client(1, "fragile")
        self.assert_alive(*self.peers)

    @for_each(plain=(), old=OLD_SERVER, **named(*ANSWERING, "file-info-as-5", "dead-peers", "repeat-peers"))
    def test_tracker(self, quirk):
        self.start_servers(tracker=quirk)
        self.run_client(2)
        self.assert_alive(self.tracker)

    @for_each(
        **named(*SENDING, "bad-first", "connection-per-chunk", "half-close", "idle-connections"),
        **named("fragile", "strict", "pipelines", "resets", "stops-inside", "never-reads", "floods"),
        together=("bad-first", "two-writes", "split-header", "connection-per-chunk", "fragile", "strict"),
    )
    def test_client(self, quirk):
        self.start_servers()
        self.run_client(2, *quirk)

    @for_each(**named("split-datagrams", "whole-then-body", "late-tcp", "duplicate-answers", "discovery-noise"))
    def test_discovery(self, quirk):
        self.start_servers(tracker=quirk)
        more = ("split-datagrams-only",) if quirk == ("split-datagrams",) else ()
        self.run_client(3, *more)

    @for_each(**named("one-address", "tracker-name", "bad-datagram-first"))
    def test_discovering_client(self, quirk):
        self.start_servers()
        address = "127.255.255.255" if quirk == ("one-address",) else "255.255.255.255"
        self.run_client(3, *quirk, more=("--discovery-address", address))

    def test_pipelining_happens_between_two_that_speak_it(self):
        self.start_servers(peer=("welcomes-pipelining",))
        self.run_client(2, "pipelines")
        self.assertTrue(any(peer.lines("pipelined") for peer in self.peers))

    def test_no_pipelining_without_a_welcome(self):
        self.start_servers()
        self.run_client(2, "pipelines")
        self.assertFalse(any(peer.lines("pipelined") for peer in self.peers))

    def test_one_connection_per_peer(self):
        self.start_servers()
        self.run_client(1)
        self.assertEqual([len(peer.lines("accepted")) for peer in self.peers], [1, 1])

    def test_a_new_connection_for_every_chunk(self):
        self.start_servers()
        self.run_client(1, "connection-per-chunk")
        self.assertEqual(sum(len(peer.lines("accepted")) for peer in self.peers), 10)


@expanded
class HabitsBite(PairCase):
    """Where two habits cannot live together, they do not."""

    def test_a_flood_fails_where_one_recv_is_one_message(self):
        self.start_servers(peer=("recv-is-message",))
        self.run_client(1, "floods", "fragile", code=9)

    def test_a_reset_kills_who_dies_of_it(self):
        self.start_servers(peer=("dies-of-reset",))
        self.python_client(1, self.course.root, quirk=("resets",))
        self.assert_exit(self.peers[0], 3)

    def test_another_name_is_no_tracker_to_some(self):
        self.tracker = self.python_tracker(self.course, name="kraken")
        self.run_client(3, "tracker-name", code=3)

    def test_a_whole_answer_is_no_answer_to_who_reads_two_datagrams(self):
        self.start_servers()
        self.run_client(3, "split-datagrams-only", code=3)

    def test_two_datagrams_are_no_answer_to_who_reads_one(self):
        self.start_servers(tracker=("split-datagrams",))
        self.run_client(3, code=3)

    @for_each(error_0="error=0", error_1="error=1")
    def test_the_fragile_die_of_errors(self, quirk):
        self.start_servers(peer=(quirk,))
        self.run_client(1, "fragile", code=9)

    @for_each(**named("dirty-padding", "surplus", "reserved-noise"))
    def test_the_strict_die_of_what_is_merely_tolerated(self, quirk):
        self.start_servers(tracker=quirk)
        self.run_client(2, "strict", code=10)

    @for_each(wrong_chunk="wrong-chunk", wrong_bytes="wrong-bytes", not_found="not-found", vanish="vanish")
    def test_faulty_peers_leave_chunks_missing(self, quirk):
        self.start_servers(peer=(quirk,))
        self.run_client(1, code=4)

    def test_nobody_listed_means_missing(self):
        self.start_servers(tracker=("nobody",))
        self.run_client(2, code=4)

    def test_an_idle_connection_blocks_who_serves_one(self):
        self.start_servers(peer=("one-connection",))
        idle = Talk(self, self.peers[0].wait_address())
        client = self.python_client(1, self.course.root)
        self.peers[1].wait_line("closed")
        self.assertTrue(client.is_running)
        idle.close()
        self.assert_exit(client, 0)


if __name__ == "__main__":
    unittest.main()
