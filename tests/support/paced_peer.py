"""A peer inside the test: answers GET_CHUNK at a pace, remembers what it was asked.

What it serves is a dictionary of hash -> content. It never pipelines.
"""

import socket
import threading

from interop.counterparts import protocol

SLICE_BYTES = 4096


class PacedPeer:
    def __init__(self, case, chunks, rate_bytes_per_s=None):
        self.chunks = chunks
        self.rate_bytes_per_s = rate_bytes_per_s
        self.asked = []  # hashes, in the order of the requests
        self._lock = threading.Lock()
        self._is_ended = threading.Event()
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        case.addCleanup(self.stop)
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self._is_ended.set()
        # shutdown wakes a thread that is blocked in the socket; close alone does not
        for one in (self._listener, *self._connections):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def take_asked(self):
        """What was asked since the last call."""
        with self._lock:
            asked, self.asked = self.asked, []
        return asked

    def _run(self):
        while not self._is_ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = protocol.Stream(connection)
        try:
            while request := stream.next_message():
                chunk_hash = protocol.parse_body(protocol.decode(request))
                with self._lock:
                    self.asked.append(chunk_hash.hex())
                self._send(connection, self._answer(chunk_hash))
        except (OSError, protocol.CutShort, protocol.Malformed):
            pass
        connection.close()

    def _answer(self, chunk_hash):
        content = self.chunks.get(chunk_hash.hex())
        if content is None:
            return protocol.encode_error(protocol.CHUNK_NOT_FOUND)
        return protocol.encode_chunk(protocol.Chunk(chunk_hash, content))

    def _send(self, connection, message):
        rate_bytes_per_s = self.rate_bytes_per_s
        if rate_bytes_per_s is None:
            connection.sendall(message)
            return
        for at in range(0, len(message), SLICE_BYTES):
            part = message[at : at + SLICE_BYTES]
            connection.sendall(part)
            if self._is_ended.wait(len(part) / rate_bytes_per_s):
                return
