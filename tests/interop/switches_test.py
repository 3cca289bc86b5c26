"""Each switch of the counterparts does what it says. Needs no program under test.

A switch that does nothing would make every test that uses it pass for nothing, so each one is caught in the act here.
"""

import time
import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each, named
from support.course import Course, some_bytes
from support.network import enter_fresh_network
from support.shoal import ShoalCase, at
from support.talk import Datagrams, Talk

NOT_FOUND = protocol.encode_error(protocol.CHUNK_NOT_FOUND)
MALFORMED = protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT)
INVALID = protocol.encode_error(protocol.INVALID_REQUEST)
ABSENT = "00" * 20


def setUpModule():
    enter_fresh_network()


class SwitchCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.course = Course(self.root, some_bytes(1000), 100)
        self.wanted = self.course.hashes[0]
        self.chunk = protocol.encode_chunk(protocol.Chunk(bytes.fromhex(self.wanted), self.course.pieces[0]))

    def talk_to_peer(self, *quirk):
        self.peer = self.python_peer(self.course, "alice", quirk)
        return Talk(self, self.peer.wait_address())

    def talk_to_tracker(self, *quirk):
        self.tracker = self.python_tracker(self.course, quirk)
        return Talk(self, self.tracker.wait_address())


class PlainPeer(SwitchCase):
    def test_a_peer_answers_as_the_page_says_and_keeps_the_connection(self):
        talk = self.talk_to_peer()
        self.assertEqual(talk.ask_chunk(self.wanted), self.chunk)
        self.assertEqual(talk.ask_chunk(ABSENT), NOT_FOUND)
        self.assertEqual(talk.ask(protocol.encode_get_file_info()), INVALID)
        self.assertEqual(talk.ask(protocol.encode(99)), MALFORMED)
        self.assertEqual(talk.ask(b"\x01\x04\x00\x00\x07\x00\x00\x00" + b"junk"), MALFORMED)
        self.assertEqual(talk.ask_chunk(self.wanted), self.chunk)

    def test_a_peer_looks_into_its_directory_at_each_request(self):
        talk = self.talk_to_peer()
        self.course.take_away("alice", self.course.pieces[0])
        self.assertEqual(talk.ask_chunk(self.wanted), NOT_FOUND)
        self.course.give("alice", self.course.pieces[0])
        self.assertEqual(talk.ask_chunk(self.wanted), self.chunk)

    def test_a_peer_tells_of_requests_that_come_too_early(self):
        talk = self.talk_to_peer()
        talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)) * 2)
        self.assertEqual([talk.receive(), talk.receive()], [self.chunk] * 2)
        self.peer.wait_line("pipelined")


class PeerHabits(SwitchCase):
    def test_one_connection_makes_the_others_wait(self):
        first = self.talk_to_peer("one-connection")
        self.assertEqual(first.ask_chunk(self.wanted), self.chunk)
        second = Talk(self, self.peer.wait_address())
        second.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)))
        self.assertFalse(second.has_more())
        first.close()
        self.assertEqual(second.receive(), self.chunk)

    def test_recv_is_message_answers_two_requests_with_one_error(self):
        talk = self.talk_to_peer("recv-is-message")
        talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)) * 2)
        self.assertEqual(talk.receive(), MALFORMED)
        self.assertFalse(talk.has_more())
        self.assertEqual(talk.ask_chunk(self.wanted), self.chunk)

    def test_two_writes_and_split_header_arrive_in_pieces(self):
        both = ("two-writes", "split-header")
        for quirk, sizes in ((both[:1], [8]), (both[1:], [3]), (both, [3, 5])):
            talk = self.talk_to_peer(*quirk)
            talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)))
            self.assertEqual([len(talk.receive_once()) for _ in sizes], sizes)

    def test_slow_is_one_byte_per_second(self):
        talk = self.talk_to_peer("slow")
        talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)))
        start = time.monotonic()
        self.assertEqual(talk.receive_once() + talk.receive_once(), b"\x01\x05")
        self.assertGreater(time.monotonic() - start, 0.9)

    def test_reserved_padding_and_surplus_change_the_bytes_but_not_the_chunk(self):
        self.course.give("alice", b"odd")
        for quirk in ("reserved-noise", "dirty-padding", "surplus"):
            data = self.talk_to_peer(quirk).ask_chunk(protocol.sha1(b"odd").hex())
            with self.subTest(quirk):
                self.assertEqual(protocol.parse_body(protocol.decode(data)).content, b"odd")
                self.assertFalse(protocol.is_canonical(data))

    def test_bit_0_is_only_answered_by_a_peer_that_welcomes_pipelining(self):
        self.assertEqual(self.talk_to_peer().ask_chunk(self.wanted, reserved=1)[3], 0)
        talk = self.talk_to_peer("welcomes-pipelining")
        self.assertEqual([talk.ask_chunk(self.wanted, reserved=bit)[3] for bit in (1, 0)], [1, 0])


@expanded
class PeerFaults(SwitchCase):
    def test_refuse(self):
        with self.assertRaises(ConnectionRefusedError):
            self.talk_to_peer("refuse")

    def test_close_on_accept(self):
        self.assertIsNone(self.talk_to_peer("close-on-accept").receive())

    def test_vanish(self):
        talk = self.talk_to_peer("vanish")
        with self.assertRaises(protocol.CutShort):
            talk.ask_chunk(self.wanted)

    @for_each(**named("reset-on-accept", "reset", "vanish-reset"))
    def test_resets(self, quirk):
        talk = self.talk_to_peer(*quirk)
        with self.assertRaises(ConnectionError):
            talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)))
            talk.receive()

    def test_silent(self):
        talk = self.talk_to_peer("silent")
        talk.send(protocol.encode_get_chunk(bytes.fromhex(self.wanted)))
        self.peer.wait_line("request")
        self.assertFalse(talk.has_more())

    def test_not_found_and_error(self):
        self.assertEqual(self.talk_to_peer("not-found").ask_chunk(self.wanted), NOT_FOUND)
        self.assertEqual(self.talk_to_peer("error=1").ask_chunk(self.wanted), INVALID)

    def test_wrong_chunk_is_a_true_chunk_under_its_own_hash(self):
        chunk = protocol.parse_body(protocol.decode(self.talk_to_peer("wrong-chunk").ask_chunk(self.wanted)))
        self.assertNotEqual(chunk.chunk_hash.hex(), self.wanted)
        self.assertEqual(protocol.sha1(chunk.content), chunk.chunk_hash)

    def test_wrong_bytes_have_the_right_hash_field_and_length(self):
        chunk = protocol.parse_body(protocol.decode(self.talk_to_peer("wrong-bytes").ask_chunk(self.wanted)))
        self.assertEqual((chunk.chunk_hash.hex(), len(chunk.content)), (self.wanted, 100))
        self.assertNotEqual(protocol.sha1(chunk.content).hex(), self.wanted)

    def test_long_content_and_wrong_type(self):
        with self.assertRaises(protocol.Malformed):
            protocol.parse_body(protocol.decode(self.talk_to_peer("long-content").ask_chunk(self.wanted)))
        self.assertEqual(self.talk_to_peer("wrong-type").ask_chunk(self.wanted)[1], protocol.FILE_INFO)

    @for_each(zero="0", one="1", huge="4294967295", little="little-endian")
    def test_lying_length(self, value):
        talk = self.talk_to_peer(f"lying-length={value}")
        with self.assertRaises(protocol.Implausible):
            talk.ask_chunk(self.wanted)

    def test_dies_of_reset(self):
        talk = self.talk_to_peer("dies-of-reset")
        self.assertEqual(talk.ask_chunk(ABSENT), NOT_FOUND)
        talk.reset()
        self.assert_exit(self.peer, 3)

    def test_a_plain_peer_survives_a_reset(self):
        self.talk_to_peer().reset()
        self.peer.wait_line("closed")
        self.assert_alive(self.peer)

    def test_dies_of_cut(self):
        talk = self.talk_to_peer("dies-of-cut")
        talk.send(b"\x01\x04")
        talk.close()
        self.assert_exit(self.peer, 4)


@expanded
class Trackers(SwitchCase):
    def setUp(self):
        super().setUp()
        self.course.set_address("alice", ("127.0.0.1", 1111))
        self.course.set_address("bob", ("127.0.0.1", 2222))

    def file_info(self, *quirk, msg_type=protocol.FILE_INFO):
        data = self.talk_to_tracker(*quirk).ask(protocol.encode_get_file_info())
        message = protocol.decode(data)
        self.assertEqual(message.msg_type, msg_type)
        return protocol.parse_file_info(message.body)

    def test_a_tracker_answers_as_the_page_says_and_keeps_the_connection(self):
        talk = self.talk_to_tracker()
        data = talk.ask(protocol.encode_get_file_info())
        self.assertTrue(protocol.is_canonical(data))
        info = protocol.parse_body(protocol.decode(data))
        self.assertEqual([record.chunk_hash.hex() for record in info.chunks], self.course.hashes)
        self.assertEqual(info.chunks[4].peers, (("127.0.0.1", 1111), ("127.0.0.1", 2222)))
        self.assertEqual(talk.ask(protocol.encode_get_chunk(bytes(20))), INVALID)
        self.assertEqual(talk.ask(protocol.encode(7)), MALFORMED)
        self.assertEqual(talk.ask(protocol.encode_get_file_info()), data)

    def test_file_info_as_5(self):
        self.assertEqual(len(self.file_info("file-info-as-5", msg_type=protocol.CHUNK).chunks), 10)

    def test_who_is_listed(self):
        self.assertEqual(self.file_info("nobody").chunks[0].peers, ())
        self.assertEqual(self.file_info("repeat-peers").chunks[0].peers, (("127.0.0.1", 1111),) * 2)
        dead = self.file_info("only-dead-peers").chunks[0].peers
        with self.assertRaises(ConnectionRefusedError):
            Talk(self, dead[0])
        self.assertEqual(self.file_info("dead-peers").chunks[0].peers[1:], (("127.0.0.1", 1111),))

    @for_each(**named("count-overrun", "peers-overrun", "filename-overrun"))
    def test_overruns(self, quirk):
        data = self.talk_to_tracker(*quirk).ask(protocol.encode_get_file_info())
        with self.assertRaises(protocol.Malformed):
            protocol.parse_body(protocol.decode(data))

    def test_file_names(self):
        self.assertEqual(self.file_info("filename=../../x").filename, b"../../x")
        self.assertEqual(self.file_info("filename=").filename, b"")
        self.assertEqual(self.file_info("filename=caf\udce9").filename, b"caf\xe9")
        self.assertIn(b"\0", self.file_info("nul-filename").filename)
        self.assertEqual(len(self.file_info("long-filename").filename), 65535)

    def test_silent_while_busy_never_answers_the_second(self):
        first = self.talk_to_tracker("silent-while-busy")
        first.ask(protocol.encode_get_file_info())
        second = Talk(self, self.tracker.wait_address())
        self.tracker.wait_line("busy")
        second.send(protocol.encode_get_file_info())
        first.close()
        self.tracker.wait_line("closed")
        self.assertFalse(second.has_more())
        self.assertTrue(Talk(self, self.tracker.wait_address()).ask(protocol.encode_get_file_info()))


class Discovery(SwitchCase):
    def setUp(self):
        super().setUp()
        self.datagrams = Datagrams(self)

    def discover(self, *quirk, count=1, address="255.255.255.255", **options):
        tracker = self.python_tracker(self.course, quirk, **options)
        port = tracker.wait_address("discovery")[1]
        self.datagrams.send(protocol.encode_discover_tracker(), (address, port))
        self.info = protocol.TrackerInfo(*tracker.wait_address(), options.get("name", "tracker").encode())
        self.whole = protocol.encode_tracker_info(self.info)
        return [self.datagrams.receive()[0] for _ in range(count)]

    def test_broadcast_from_loopback_reaches_the_tracker(self):
        self.assertEqual(self.discover(), [self.whole])
        self.assertEqual(self.discover(address="127.255.255.255"), [self.whole])

    def test_every_tracker_on_the_port_hears_a_broadcast(self):
        first = self.python_tracker(self.course, name="first")
        port = first.wait_address("discovery")[1]
        found = self.discover(count=2, name="second", discovery_port=port)
        names = {protocol.parse_body(protocol.decode(data)).name for data in found}
        self.assertEqual(names, {b"first", b"second"})

    def test_bad_datagrams_get_errors_and_answers_get_silence(self):
        self.discover()
        address = ("127.0.0.1", self.processes[-1].wait_address("discovery")[1])
        self.assertEqual(self.datagrams.ask(b"", address), MALFORMED)
        self.assertEqual(self.datagrams.ask(self.whole + b"\0", address), MALFORMED)
        self.assertEqual(self.datagrams.ask(protocol.encode_get_file_info(), address), INVALID)
        self.datagrams.send(self.whole, address)
        self.datagrams.send(NOT_FOUND, address)
        with self.assertRaises(TimeoutError):
            self.datagrams.receive(0.2)

    def test_how_answers_are_cut_and_arranged(self):
        self.assertEqual(self.discover("split-datagrams", count=2), [self.whole[:8], self.whole[8:]])
        self.assertEqual(self.discover("whole-then-body", count=2), [self.whole, self.whole[8:]])
        self.assertEqual(self.discover("body-then-whole", count=2), [self.whole[8:], self.whole])
        self.assertEqual(self.discover("duplicate-answers", count=3), [self.whole] * 3)
        self.assertEqual(self.discover("discovery-noise", count=11)[-1], self.whole)
        self.assertEqual(self.discover("discovery-error"), [MALFORMED])
        with self.assertRaises(TimeoutError):
            self.datagrams.receive(0.1)

    def test_zero_address(self):
        found = protocol.parse_body(protocol.decode(self.discover("zero-address")[0]))
        self.assertEqual((found.ip, found.port), ("0.0.0.0", self.info.port))

    def test_late_tcp_listens_after_the_answer(self):
        tracker = self.python_tracker(self.course, ("late-tcp",))
        with self.assertRaises(ConnectionRefusedError):
            Talk(self, tracker.wait_address())
        self.datagrams.ask(protocol.encode_discover_tracker(), tracker.wait_address("discovery"))
        with self.assertRaises(ConnectionRefusedError):
            Talk(self, tracker.wait_address())
        client = self.python_client(2, self.root / "client", "--tracker", at(tracker.wait_address()))
        tracker.wait_line("request")
        client.stop()


if __name__ == "__main__":
    unittest.main()
