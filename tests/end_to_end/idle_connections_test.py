"""Thousands of idle connections to a peer and to a tracker: others are served as if they were not there."""

import re
import resource
import socket
import unittest
from pathlib import Path

from interop.counterparts import protocol
from support.course import some_bytes
from support.network import enter_fresh_network
from support.split_course import STEPS, Client, SplitCase

IDLE = 5000
MEMORY_KIB_MAX = 32 * 1024
MIB = 1 << 20


def setUpModule():
    enter_fresh_network()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2 * IDLE + 200:
        raise unittest.SkipTest(f"{2 * IDLE} open connections are needed, {most} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def memory_kib_max(process):
    """The most memory a process ever had."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1])


class IdleConnections(SplitCase):
    def setUp(self):
        super().setUp()
        self.course = self.split(some_bytes(24 * MIB), "512K")
        # A server raises its own limit as far as it may.
        with self.prefixed(["prlimit", "--nofile=1024:"]):
            self.peers = self.start_servers(self.course)

    def connect(self, address, count):
        """Open connections; every tenth stops inside a request."""
        opened = []
        for number in range(count):
            connection = socket.create_connection(address, 10)
            self.addCleanup(connection.close)
            if number % 10 == 0:
                connection.sendall(protocol.encode_get_file_info()[: number // 10 % 8])
            opened.append(connection)
        return opened

    def assert_small(self):
        for server in (*self.peers.values(), self.tracker):
            self.assertLess(memory_kib_max(server), MEMORY_KIB_MAX, server.story())

    def test_5000_to_a_peer_and_to_a_tracker(self):
        idle = self.connect(self.course.addresses["alice"], IDLE)
        asked = self.connect(self.course.addresses["tracker"], IDLE)
        clients = [Client(self, self.course, step) for step in STEPS]
        for client in clients:
            client.start()
        for client in clients:
            client.assert_done(60)
        self.assert_small()
        self.assert_alive(*self.peers.values(), self.tracker)

        # The idle ones were not forgotten.
        for connection in idle[1::1000]:
            stream = protocol.Stream(connection)
            connection.sendall(protocol.encode_get_chunk(bytes.fromhex(self.course.hashes[0])))
            self.assertEqual(stream.next_message(10)[1], protocol.CHUNK)
        for connection in asked[1::1000]:
            connection.sendall(protocol.encode_get_file_info())
            self.assertEqual(protocol.Stream(connection).next_message(10)[1], protocol.FILE_INFO)

    def test_connections_that_come_and_go_leave_nothing_behind(self):
        for _ in range(20):
            for connection in self.connect(self.course.addresses["alice"], 200):
                connection.close()
            for connection in self.connect(self.course.addresses["tracker"], 200):
                connection.close()
        client = Client(self, self.course, 2)
        client.start()
        client.assert_done()
        self.assert_small()
        for server in (self.peers["alice"], self.tracker):
            self.assertLess(len(list(Path(f"/proc/{server.pid}/fd").iterdir())), 100)


if __name__ == "__main__":
    unittest.main()
