"""Hostile peers that nobody makes up for: the client ends soon, with the code that fits, and says what happened.

What another source makes up for, and every single switch of the counterparts, is tested in tests/interop.
"""

import struct
import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each
from support.client_case import LAYOUTS
from support.course import some_bytes
from support.fault_case import IMPATIENT, FaultCase
from support.network import enter_fresh_network
from support.scripted_server import ScriptedServer
from support.shoal import INCOMPLETE, WRONG_HASH


def setUpModule():
    enter_fresh_network()


@expanded
class Peers(FaultCase):
    """Both peers have the same fault."""

    step = 1

    @for_each(
        refuse=("refuse", INCOMPLETE, "refused the connection"),
        close_on_accept=("close-on-accept", INCOMPLETE, "did not give"),
        reset_on_accept=("reset-on-accept", INCOMPLETE, ""),
        silent=("silent", INCOMPLETE, "did not answer in time"),
        reset=("reset", INCOMPLETE, "did not give"),
        vanish=("vanish", INCOMPLETE, "did not give"),
        vanish_reset=("vanish-reset", INCOMPLETE, "did not give"),
        one_byte_per_second=("slow", INCOMPLETE, "stopped sending"),
        not_found=("not-found", INCOMPLETE, "did not give 0-11"),
        error=("error=1", INCOMPLETE, "did not give"),
        wrong_chunk=("wrong-chunk", WRONG_HASH, "wrong bytes"),
        wrong_bytes=("wrong-bytes", WRONG_HASH, "wrong bytes"),
        wrong_type=("wrong-type", INCOMPLETE, ""),
        long_content=("long-content", INCOMPLETE, ""),
        no_length=("lying-length=0", INCOMPLETE, ""),
        all_the_length=("lying-length=4294967295", INCOMPLETE, ""),
        little_endian=("lying-length=little-endian", INCOMPLETE, "impossible length"),
    )
    def test_nobody_makes_up_for_it(self, case):
        quirk, code, word = case
        scenes = self.scenes(content=some_bytes(11_903))
        for scene in scenes:
            scene.start_servers(alice=(quirk,), bob=(quirk,))
            scene.start_client(*IMPATIENT)
        for scene in scenes:
            self.assert_ends(scene, code, "12 could not be got: 0-11", word, "--peer")
            self.assert_alive(*scene.peers)

    def test_one_faulty_chunk_costs_only_that_chunk(self):
        for layout in LAYOUTS:
            scene = self.scene(layout)
            scene.start_servers()
            for name in scene.course.owners[4]:
                scene.course.chunk_path(name, scene.course.pieces[4]).write_bytes(b"something else")
            scene.start_client(*IMPATIENT)
            self.assert_ends(scene, WRONG_HASH, "1 could not be got: 4. ")
            scene.course.give(scene.course.owners[4][0], scene.course.pieces[4])
            scene.start_client("--json")
            scene.assert_done()
            asked = [line for line in scene.client.stdout if '"verified"' in line]
            self.assertEqual(len(asked), 1, "the others were kept")

    def test_a_chunk_over_the_limit_is_refused_before_it_comes(self):
        scene = self.scene(content=some_bytes(100_000), chunk_bytes=50_000)
        scene.start_servers()
        scene.start_client("--chunk-limit", "40K")
        self.assert_ends(scene, INCOMPLETE, "0-1")

    def scripted(self, *acts):
        """Alice and bob do this to every connection."""
        scene = self.scene(content=some_bytes(12_000))
        servers = [ScriptedServer(self, act) for act in acts]
        for name, server in zip(("alice", "bob"), servers):
            scene.course.set_address(name, server.address)
        return scene, servers

    @for_each(**{f"after_{cut}_bytes": cut for cut in (1, 7, 8, 20, 31, 32, 500, 1031)})
    def test_an_answer_that_ends_anywhere_inside(self, cut):
        """The connection is closed there each time; chunks are 1000 bytes, answers 1032."""
        scene = None

        def cut_short(connection):
            request = protocol.Stream(connection).next_message(10)
            asked = protocol.parse_body(protocol.decode(request))
            content = dict(zip(scene.course.hashes, scene.course.pieces))[asked.hex()]
            connection.sendall(protocol.encode_chunk(protocol.Chunk(asked, content))[:cut])

        scene, servers = self.scripted(cut_short, cut_short)
        scene.start_client(*IMPATIENT)
        self.assert_ends(scene, INCOMPLETE, "12 could not be got")
        self.assertTrue(all(server.accepted > 1 for server in servers), "a second try")

    def test_a_peer_that_sends_without_being_asked(self):
        flood = protocol.encode_chunk(protocol.Chunk(bytes(20), bytes(1000))) * 200
        scene, _ = self.scripted(*[lambda connection: connection.sendall(flood)] * 2)
        scene.start_client(*IMPATIENT)
        self.assert_ends(scene, WRONG_HASH, "wrong bytes")

    def test_a_peer_that_never_stops_sending(self):
        server = None

        def flood(connection):
            header = struct.pack("!BBHI", 1, protocol.CHUNK, 0, 1 << 20)
            connection.sendall(header)
            while not server.is_ended.is_set():
                connection.sendall(bytes(65536))

        scene, (server, _) = self.scripted(flood, flood)
        scene.start_client(*IMPATIENT)
        self.assert_ends(scene, INCOMPLETE, "impossible length")


if __name__ == "__main__":
    unittest.main()
