"""Shoal's peer, spoken to by hand: answers, framing, disk and connections."""

import resource
import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each
from support.course import Course, some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import ShoalCase
from support.talk import Talk

NOT_FOUND = protocol.encode_error(protocol.CHUNK_NOT_FOUND)
MALFORMED = protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT)
INVALID = protocol.encode_error(protocol.INVALID_REQUEST)
ABSENT = "00" * 20
IDLE_CONNECTIONS = 1500


def setUpModule():
    enter_fresh_network()


def chunk_message(content):
    return protocol.encode_chunk(protocol.Chunk(protocol.sha1(content), content))


class PeerCase(ShoalCase):
    def setUp(self):
        super().setUp()
        self.course = Course(self.root, some_bytes(1003), 100)
        self.piece = self.course.pieces[0]
        self.request = protocol.encode_get_chunk(protocol.sha1(self.piece))
        self.chunk = chunk_message(self.piece)
        self.peer = self.shoal_peer(self.course, "alice")
        self.address = self.course.addresses["alice"]

    def talk(self):
        return Talk(self, self.address)

    def assert_serves(self, talk=None):
        self.assertEqual((talk or self.talk()).ask(self.request), self.chunk)


@expanded
class Answers(PeerCase):
    def test_every_own_chunk_is_served_on_one_connection(self):
        talk = self.talk()
        for piece, owners in zip(self.course.pieces, self.course.owners):
            answer = chunk_message(piece) if "alice" in owners else NOT_FOUND
            self.assertEqual(talk.ask(protocol.encode_get_chunk(protocol.sha1(piece))), answer)

    def test_a_chunk_removed_a_moment_ago_is_not_found_and_one_added_is_served(self):
        talk = self.talk()
        self.assert_serves(talk)
        self.course.take_away("alice", self.piece)
        self.assertEqual(talk.ask(self.request), NOT_FOUND)
        self.course.give("alice", self.piece, b"new")
        self.assert_serves(talk)
        self.assertEqual(talk.ask_chunk(protocol.sha1(b"new").hex()), chunk_message(b"new"))

    @for_each(
        discover_tracker=protocol.encode_discover_tracker(),
        get_file_info=protocol.encode_get_file_info(),
        error=NOT_FOUND,
        tracker_info=protocol.encode_tracker_info(protocol.TrackerInfo("127.0.0.1", 8000, b"tracker")),
    )
    def test_anything_but_get_chunk_is_an_invalid_request(self, request):
        talk = self.talk()
        self.assertEqual(talk.ask(request), INVALID)
        self.assert_serves(talk)

    def test_the_reserved_field_is_ignored_and_answered_by_0(self):
        for reserved in (0, 0xFFFE, 0x8000):
            self.assertEqual(self.talk().ask_chunk(self.course.hashes[0], reserved), self.chunk)

    def test_an_offer_to_pipeline_is_taken_or_ignored_and_ends_with_the_request(self):
        talk = self.talk()
        self.assertIn(talk.ask_chunk(self.course.hashes[0], 1)[2:4], (b"\0\0", b"\0\1"))
        self.assert_serves(talk)


@expanded
class Framing(PeerCase):
    def test_a_request_may_come_byte_by_byte(self):
        talk = self.talk()
        for at in range(len(self.request)):
            talk.send(self.request[at : at + 1])
        self.assertEqual(talk.receive(), self.chunk)

    def test_a_request_may_be_cut_anywhere_and_the_next_be_glued_to_it(self):
        talk = self.talk()
        for cut in range(1, len(self.request)):
            talk.send(self.request + self.request[:cut])
            self.assertEqual(talk.receive(), self.chunk)
            talk.send(self.request[cut:])
            self.assertEqual(talk.receive(), self.chunk)

    def test_requests_in_one_write_are_answered_one_by_one(self):
        talk = self.talk()
        talk.send(self.request + protocol.encode_get_chunk(bytes(20)) + self.request)
        self.assertEqual([talk.receive() for _ in range(3)], [self.chunk, NOT_FOUND, self.chunk])

    @for_each(
        zero=b"\x01\x04\x00\x00\x00\x00\x00\x00",
        one=b"\x01\x04\x00\x00\x00\x00\x00\x01",
        huge=b"\x01\x04\x00\x00\xff\xff\xff\xff",
        little_endian=b"\x01\x04\x00\x00\x07\x00\x00\x00",
        with_more=b"\x01\x04\x00\x00\x07\x00\x00\x00" + b"\x01\x04" * 50,
        noise=b"\xee" * 50,
    )
    def test_what_cannot_be_framed_is_one_error_and_a_fresh_start(self, data):
        talk = self.talk()
        for _ in range(3):
            self.assertEqual(talk.ask(data), MALFORMED)
            self.assertFalse(talk.has_more(0.05))
            self.assert_serves(talk)

    @for_each(
        bad_version=b"\x02\x04\x00\x00\x00\x00\x00\x07" + bytes(20),
        version_0=b"\x00\x04\x00\x00\x00\x00\x00\x02",
        unknown_type=b"\x01\x07\x00\x00\x00\x00\x00\x07" + bytes(20),
        type_255=b"\x01\xff\x00\x00\x00\x00\x00\x02",
        no_hash=b"\x01\x04\x00\x00\x00\x00\x00\x02",
        short_hash=b"\x01\x04\x00\x00\x00\x00\x00\x06" + bytes(16),
    )
    def test_a_bad_message_is_consumed_and_answered_by_one_error(self, data):
        talk = self.talk()
        talk.send(data + self.request)
        self.assertEqual([talk.receive(), talk.receive()], [MALFORMED, self.chunk])
        self.assertEqual(talk.ask(data), MALFORMED)
        self.assert_serves(talk)


class Disk(PeerCase):
    def path(self):
        return self.course.chunk_path("alice", self.piece)

    def test_a_chunk_that_does_not_match_its_name_is_never_served(self):
        talk = self.talk()
        self.assert_serves(talk)
        for spoilt in (self.piece[:-1], self.piece + b"\0", b"", b"\xff" + self.piece[1:]):
            replacement = self.path().with_suffix(".new")
            replacement.write_bytes(spoilt)
            replacement.rename(self.path())
            self.assertEqual(talk.ask(self.request), NOT_FOUND)
        self.course.take_away("alice", self.piece)
        self.course.give("alice", self.piece)
        self.assert_serves(talk)

    def test_a_disk_that_cannot_be_read_means_not_found(self):
        talk = self.talk()
        self.course.take_away("alice", self.piece)
        self.path().mkdir()
        self.assertEqual(talk.ask(self.request), NOT_FOUND)
        self.path().rmdir()
        self.path().symlink_to(self.root / "nowhere")
        self.assertEqual(talk.ask(self.request), NOT_FOUND)

    def test_a_chunk_of_0_bytes_is_a_message_of_32(self):
        self.course.give("alice", b"")
        answer = self.talk().ask_chunk(protocol.sha1(b"").hex())
        self.assertEqual((len(answer), answer), (32, chunk_message(b"")))

    def test_chunks_of_any_size_are_served(self):
        talk = self.talk()
        for size in (1, 2, 3, 4, 65535, 1 << 20, (5 << 20) + 3):
            content = some_bytes(size, seed=size)
            self.course.give("alice", content)
            with self.subTest(size=size):
                self.assertTrue(talk.ask_chunk(protocol.sha1(content).hex()) == chunk_message(content))


class Sending(PeerCase):
    def test_a_small_answer_arrives_whole_in_one_recv(self):
        talk = self.talk()
        for _ in range(50):
            talk.send(self.request)
            self.assertEqual(talk.receive_once(), self.chunk)
            talk.send(protocol.encode_get_chunk(bytes(20)))
            self.assertEqual(talk.receive_once(), NOT_FOUND)

    def test_nothing_comes_unasked(self):
        talk = self.talk()
        self.assertFalse(talk.has_more())
        self.assert_serves(talk)
        self.assertFalse(talk.has_more())


class Connections(PeerCase):
    def test_a_half_closed_connection_gets_its_answer_and_then_the_end(self):
        talk = self.talk()
        talk.send(self.request)
        talk.shut_sending()
        self.assertEqual(talk.receive(), self.chunk)
        self.assertIsNone(talk.receive())

    def test_resets_and_requests_cut_short_disturb_nobody(self):
        bystander = self.talk()
        self.assert_serves(bystander)
        for count in (0, 1, 8, 13, 28):
            for end in (Talk.reset, Talk.close, Talk.shut_sending):
                talk = self.talk()
                talk.send(self.request[:count])
                end(talk)
        self.assert_serves(bystander)
        self.assert_serves()
        self.assert_alive(self.peer)

    def test_who_never_reads_keeps_nobody_waiting(self):
        content = some_bytes(4 << 20)
        self.course.give("alice", content)
        for _ in range(8):
            self.talk().send(protocol.encode_get_chunk(protocol.sha1(content)) * 4)
        for _ in range(5):
            self.assert_serves()

    def test_many_idle_connections_stay_open(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * IDLE_CONNECTIONS
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"only {hard} open files are permitted")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        idle = [self.talk() for _ in range(IDLE_CONNECTIONS)]
        self.assert_serves()
        for talk in idle[:: IDLE_CONNECTIONS // 10] + idle[-1:]:
            self.assert_serves(talk)

    def test_a_connection_per_request(self):
        for _ in range(200):
            talk = self.talk()
            self.assert_serves(talk)
            talk.close()


class Configuration(ShoalCase):
    """In a network of its own any port is free."""

    def test_a_peer_takes_its_address_from_its_own_section(self):
        course = Course(self.root, b"abcdef", 2, owners=[("carol",)] * 3)
        (self.root / "config" / "peers.ini").write_bytes(
            b"\xef\xbb\xbf# peers\r\n[carol]\r\nip_address: 127.0.0.1\r\nport_number = 47113 \r\n; the end"
        )
        (self.root / "config" / "file.ini").unlink()
        peer = self.shoal("peer", "carol", cwd=self.root)
        self.assertEqual(peer.wait_address(), ("127.0.0.1", 47113))
        self.assertEqual(Talk(self, ("127.0.0.1", 47113)).ask_chunk(course.hashes[1]), chunk_message(b"cd"))

    def test_the_address_is_the_first_line_and_true(self):
        course = Course(self.root, b"abcdef", 2)
        peer = self.shoal_peer(course, "bob")
        self.assertEqual(peer.stdout[0], "listening {}:{}".format(*course.addresses["bob"]))
        wait_until(lambda: Talk(self, course.addresses["bob"]), "the peer accepts")


if __name__ == "__main__":
    unittest.main()
