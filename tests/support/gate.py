"""A gate between a client and a peer: the first bytes of what is asked pass, the rest waits until the gate opens.

What the peer has not read it cannot have answered, however fast the machine is: a test that changes something "in the
middle of a download" closes gates to know where that middle is. Answers pass always.
"""

import socket
import threading

from support.scripted_server import ScriptedServer

GET_CHUNK_BYTES = 28


def close_gates(case, course, names, requests):
    """A gate in front of each peer that lets some requests through; from now on peers.ini names the gates."""
    gates = []
    for name in names:
        ip, port = course.addresses[name]
        gates.append(Gate(case, (ip, int(port)), requests * GET_CHUNK_BYTES))
        course.set_address(name, gates[-1].address)
    return gates


class Gate:
    def __init__(self, case, target, let_through_bytes):
        self._target = target
        self._left_bytes = let_through_bytes
        self._is_open = threading.Event()
        self._server = ScriptedServer(case, self._pass)
        self.address = self._server.address
        case.addCleanup(self.open)

    def open(self):
        self._is_open.set()

    def _pass(self, asking):
        with socket.create_connection(self._target) as answering:
            back = threading.Thread(target=self._pass_answers, args=(answering, asking), daemon=True)
            back.start()
            self._pass_requests(asking, answering)
            back.join()

    def _pass_requests(self, asking, answering):
        try:
            while data := asking.recv(1 << 16):
                if not self._is_open.is_set():
                    passing, data = data[: self._left_bytes], data[self._left_bytes :]
                    self._left_bytes -= len(passing)
                    answering.sendall(passing)
                    if data:
                        self._is_open.wait()
                answering.sendall(data)
            answering.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _pass_answers(self, answering, asking):
        try:
            while data := answering.recv(1 << 16):
                asking.sendall(data)
        except OSError:
            pass
        finally:
            # wakes the other direction too: a peer that is gone is gone for the client
            _end(asking)


def _end(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
