"""Speak the course protocol by hand with a server under test."""

import socket
import struct

from interop.counterparts import protocol

ANSWER_TIMEOUT_S = 8.0


class Talk:
    """One TCP connection of a test; closed when the test ends."""

    def __init__(self, case, address):
        self.connection = socket.create_connection(address, ANSWER_TIMEOUT_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case.addCleanup(self.connection.close)
        self.stream = protocol.Stream(self.connection)

    def send(self, data):
        self.connection.sendall(data)

    def receive(self, timeout=ANSWER_TIMEOUT_S):
        """The bytes of the next message; None at the end of the stream."""
        return self.stream.next_message(timeout)

    def receive_once(self):
        """What a single recv() returns."""
        self.connection.settimeout(ANSWER_TIMEOUT_S)
        return self.connection.recv(1 << 20)

    def ask(self, request):
        self.send(request)
        return self.receive()

    def ask_chunk(self, chunk_hash, reserved=0):
        return self.ask(protocol.encode_get_chunk(bytes.fromhex(chunk_hash), reserved))

    def shut_sending(self):
        self.connection.shutdown(socket.SHUT_WR)

    def close(self):
        self.connection.close()

    def reset(self):
        """Close with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def has_more(self, timeout=0.2):
        """Whether anything else arrives within the time; the end of the stream does not count."""
        if self.stream.buffer:
            return True
        self.connection.settimeout(timeout)
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False


class Datagrams:
    """One UDP socket of a test, bound to a local address."""

    def __init__(self, case, ip="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind((ip, 0))

    def send(self, data, address):
        self.socket.sendto(data, address)

    def receive(self, timeout=ANSWER_TIMEOUT_S):
        """(datagram, source); raises TimeoutError."""
        self.socket.settimeout(timeout)
        return self.socket.recvfrom(65536)

    def ask(self, data, address):
        self.send(data, address)
        return self.receive()[0]
