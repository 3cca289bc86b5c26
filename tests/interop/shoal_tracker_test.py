"""Shoal's tracker, spoken to by hand, over TCP and UDP."""

import unittest

from interop.codec_test import GOLDEN
from interop.counterparts import protocol
from support.cases import expanded, for_each
from support.course import Course, hello_course, some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import ShoalCase
from support.talk import Datagrams, Talk

MALFORMED = GOLDEN["error"][:8] + bytes(4)
INVALID = GOLDEN["error"][:8] + b"\0\1\0\0"
ASK = GOLDEN["get_file_info"]
DISCOVER = GOLDEN["discover_tracker"]


def setUpModule():
    enter_fresh_network()


class TrackerCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.course = Course(self.root, some_bytes(1003), 100)

    def start_peers(self, *names):
        """Listed peers must accept connections, or a careful tracker would not list them."""
        for name in names or ("alice", "bob"):
            self.python_peer(self.course, name)

    def start_tracker(self, *arguments, **options):
        self.tracker = self.shoal_tracker(self.course, *arguments, **options)
        self.address = self.course.addresses["tracker"]
        self.discovery = self.tracker.wait_address("discovery")

    def talk(self):
        return Talk(self, self.address)

    def file_info(self):
        data = self.talk().ask(ASK)
        self.assertTrue(protocol.is_canonical(data), data.hex())
        return protocol.parse_body(protocol.decode(data))


class Golden(ShoalCase):
    """In a network of its own the ports of the page are free."""

    def setUp(self):
        super().setUp()
        course = hello_course(self.root)
        for name in ("alice", "bob"):
            self.counterpart("peer", "--dir", course.root, "--name", name).wait_line("listening")
        tracker = self.shoal("tracker", cwd=course.root)
        self.assertEqual(tracker.wait_address(), ("127.0.0.1", 8000))
        self.assertEqual(tracker.wait_address("discovery")[1], 9000)

    def test_the_tracker_sends_the_bytes_of_the_page(self):
        self.assertEqual(Talk(self, ("127.0.0.1", 8000)).ask(ASK), GOLDEN["file_info"])
        for address in ("127.0.0.1", "255.255.255.255", "127.255.255.255"):
            self.assertEqual(Datagrams(self).ask(DISCOVER, (address, 9000)), GOLDEN["tracker_info"])


@expanded
class Answers(TrackerCase):
    def setUp(self):
        super().setUp()
        self.start_peers()
        self.start_tracker()

    def test_file_info_says_who_owns_what(self):
        info = self.file_info()
        self.assertEqual(info.filename, b"lecture.bin")
        self.assertEqual([record.chunk_hash.hex() for record in info.chunks], self.course.hashes)
        for record, owners in zip(info.chunks, self.course.owners):
            self.assertEqual(record.peers, tuple(self.course.addresses[owner] for owner in owners))

    def test_it_arrives_whole_in_one_recv(self):
        talk = self.talk()
        for _ in range(20):
            talk.send(ASK)
            self.assertTrue(protocol.is_canonical(talk.receive_once()))
        self.assertFalse(talk.has_more())

    @for_each(
        discover_tracker=DISCOVER, get_chunk=GOLDEN["get_chunk"], error=GOLDEN["error"], info=GOLDEN["tracker_info"]
    )
    def test_anything_but_get_file_info_is_an_invalid_request(self, request):
        talk = self.talk()
        self.assertEqual(talk.ask(request), INVALID)
        self.assertEqual(talk.ask(ASK)[1], protocol.FILE_INFO)

    @for_each(
        zero=b"\x01\x02\x00\x00\x00\x00\x00\x00",
        one=b"\x01\x02\x00\x00\x00\x00\x00\x01",
        huge=b"\x01\x02\x00\x00\xff\xff\xff\xff",
        little_endian=b"\x01\x02\x00\x00\x02\x00\x00\x00",
        with_more=b"\x01\x02\x00\x00\x02\x00\x00\x00" + b"\x01\x02" * 50,
    )
    def test_what_cannot_be_framed_is_one_error_and_a_fresh_start(self, data):
        talk = self.talk()
        for _ in range(3):
            self.assertEqual(talk.ask(data), MALFORMED)
            self.assertFalse(talk.has_more(0.05))
            self.assertEqual(talk.ask(ASK)[1], protocol.FILE_INFO)

    @for_each(bad_version=b"\x02" + ASK[1:], unknown_type=b"\x01\x07" + ASK[2:], type_255=b"\x01\xff" + ASK[2:])
    def test_a_bad_message_is_consumed_and_answered_by_one_error(self, data):
        talk = self.talk()
        talk.send(data + ASK)
        self.assertEqual(talk.receive(), MALFORMED)
        self.assertEqual(talk.receive()[1], protocol.FILE_INFO)

    def test_requests_may_come_in_any_pieces(self):
        talk = self.talk()
        for cut in range(1, len(ASK)):
            talk.send(ASK + ASK[:cut])
            self.assertEqual(talk.receive()[1], protocol.FILE_INFO)
            talk.send(ASK[cut:])
            self.assertEqual(talk.receive()[1], protocol.FILE_INFO)

    def test_the_reserved_field_is_answered_by_0(self):
        self.assertTrue(protocol.is_canonical(self.talk().ask(protocol.encode_get_file_info(0xFFFC))))

    def test_a_half_closed_connection_gets_its_answer_and_then_the_end(self):
        talk = self.talk()
        talk.send(ASK)
        talk.shut_sending()
        self.assertEqual(talk.receive()[1], protocol.FILE_INFO)
        self.assertIsNone(talk.receive())

    def test_resets_and_idle_connections_disturb_nobody(self):
        idle = [self.talk() for _ in range(50)]
        for count in (0, 1, 4, 8):
            for end in (Talk.reset, Talk.close):
                talk = self.talk()
                talk.send(ASK[:count])
                end(talk)
        self.file_info()
        self.assertEqual(idle[0].ask(ASK)[1], protocol.FILE_INFO)
        self.assert_alive(self.tracker)


class Lists(TrackerCase):
    def test_a_dead_peer_is_not_listed_for_what_others_have(self):
        self.course.set_address("alice", self.python_peer(self.course, "alice", ("refuse",)).wait_address())
        self.start_peers("bob")
        self.start_tracker()
        bob = (self.course.addresses["bob"],)

        def common_are_bobs():
            info = self.file_info()
            self.assertTrue(all(record.peers for record in info.chunks), "a chunk with 0 peers")
            common = [record for record, names in zip(info.chunks, self.course.owners) if len(names) == 2]
            return all(record.peers == bob for record in common)

        wait_until(common_are_bobs, "the dead peer left the lists", timeout=15)

    def test_nobody_is_sent_to_0_0_0_0(self):
        self.start_peers()
        self.course.set_address("alice", ("0.0.0.0", self.course.addresses["alice"][1]))
        self.start_tracker(bind="0.0.0.0")
        self.address = ("127.0.0.1", self.address[1])
        alice = ("127.0.0.1", self.course.addresses["alice"][1])
        self.assertEqual(self.file_info().chunks[0].peers, (alice,))
        info = protocol.TrackerInfo(*self.address, b"tracker")
        self.assertEqual(
            Datagrams(self).ask(DISCOVER, ("255.255.255.255", self.discovery[1])), protocol.encode_tracker_info(info)
        )

    def test_other_peers_repeated_chunks_and_odd_names_are_normal(self):
        name = "100%d café.bin"
        pieces = [b"same", b"other", b"same", b""]
        owners = [("alice",), ("alice", "carol-2"), ("carol-2",), ("alice",)]
        self.course = Course(self.root / "odd", None, 0, name, owners, pieces)
        self.start_peers("alice", "carol-2")
        self.start_tracker()
        info = self.file_info()
        self.assertEqual(info.filename, name.encode())
        self.assertEqual([record.chunk_hash.hex() for record in info.chunks], self.course.hashes)
        expected = [tuple(self.course.addresses[one] for one in names) for names in owners]
        self.assertEqual([record.peers for record in info.chunks], expected)

    def test_an_empty_file_has_no_chunks(self):
        self.course = Course(self.root / "empty", b"", 10, "empty.txt")
        self.start_tracker()
        self.assertEqual(self.file_info(), protocol.FileInfo(b"empty.txt", ()))


@expanded
class Discovery(TrackerCase):
    def setUp(self):
        super().setUp()
        self.datagrams = Datagrams(self)

    def expected(self, name=b"tracker"):
        return protocol.encode_tracker_info(protocol.TrackerInfo(*self.address, name))

    @for_each(
        empty=b"",
        short=DISCOVER[:5],
        long=DISCOVER + bytes(4),
        lying=DISCOVER[:7] + b"\x09",
        huge=DISCOVER[:4] + b"\xff\xff\xff\xff",
        little_endian=DISCOVER[:4] + DISCOVER[4:][::-1],
        bad_version=b"\x02" + DISCOVER[1:],
        unknown_type=b"\x01\x07" + DISCOVER[2:],
        big=bytes(60000),
    )
    def test_a_bad_datagram_is_an_error_and_does_not_influence_the_next(self, data):
        self.start_tracker()
        for _ in range(3):
            self.assertEqual(self.datagrams.ask(data, self.discovery_address()), MALFORMED)
            self.assertEqual(self.datagrams.ask(DISCOVER, self.discovery_address()), self.expected())

    def discovery_address(self):
        return ("127.0.0.1", self.discovery[1])

    def test_other_requests_are_invalid(self):
        self.start_tracker()
        for data in (ASK, GOLDEN["get_chunk"]):
            self.assertEqual(self.datagrams.ask(data, self.discovery_address()), INVALID)

    def test_answers_are_met_with_silence(self):
        self.start_tracker()
        for data in (GOLDEN["tracker_info"], GOLDEN["error"], MALFORMED, INVALID):
            self.datagrams.send(data, self.discovery_address())
        self.assertEqual(self.datagrams.ask(DISCOVER, self.discovery_address()), self.expected())

    def test_tcp_listens_before_discovery_is_answered(self):
        self.start_tracker()
        info = protocol.parse_body(protocol.decode(self.datagrams.ask(DISCOVER, self.discovery_address())))
        Talk(self, (info.ip, info.port))

    def test_the_name_is_configurable(self):
        self.start_tracker("--name", "kraken")
        self.assertEqual(self.datagrams.ask(DISCOVER, self.discovery_address()), self.expected(b"kraken"))

    def test_split_replies_are_the_whole_and_then_the_body(self):
        self.start_tracker("--split-replies")
        self.datagrams.send(DISCOVER, self.discovery_address())
        found = [self.datagrams.receive()[0] for _ in range(2)]
        self.assertEqual(found, [self.expected(), self.expected()[8:]])

    def test_without_split_replies_there_is_one_datagram(self):
        self.start_tracker()
        self.datagrams.ask(DISCOVER, self.discovery_address())
        with self.assertRaises(TimeoutError):
            self.datagrams.receive(0.3)

    def test_two_trackers_share_the_discovery_port(self):
        self.start_tracker("--name", "one")
        first = self.expected(b"one")
        port = self.discovery[1]
        self.course = Course(self.root / "second", some_bytes(10), 5)
        self.start_tracker("--name", "two", discovery_port=port)
        self.datagrams.send(DISCOVER, ("255.255.255.255", port))
        found = {self.datagrams.receive()[0] for _ in range(2)}
        self.assertEqual(found, {first, self.expected(b"two")})


if __name__ == "__main__":
    unittest.main()
