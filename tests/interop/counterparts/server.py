"""The TCP side that the peer and the tracker share: accept, frame, answer, with every switch that concerns it.

A server tells on stdout what happens (`accepted`, `request`, `pipelined`, `busy`, `closed`), so that a test can wait
for a moment instead of guessing when it comes.
"""

import socket
import threading

import habits as quirks
import protocol


class Server:
    """`answer` turns the bytes of a request and the asker's address into the bytes of an answer."""

    def __init__(self, habits, answer, listener):
        self.habits = habits
        self.answer = answer
        self.listener = listener
        self.busy = threading.Lock()
        self.neglected = []

    def run(self):
        while True:
            connection, source = self.listener.accept()
            quirks.say("accepted", f"{source[0]}:{source[1]}")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if "silent-while-busy" in self.habits and not self.busy.acquire(blocking=False):
                self.neglected.append(connection)
                quirks.say("busy", f"{source[0]}:{source[1]}")
            elif "one-connection" in self.habits:
                self.serve(connection, source)
            else:
                threading.Thread(target=self.serve, args=(connection, source), daemon=True).start()

    def serve(self, connection, source):
        try:
            self.converse(connection, source)
        except ConnectionError as error:
            if "dies-of-reset" in self.habits:
                quirks.die(3, error)
        except protocol.CutShort as error:
            if "dies-of-cut" in self.habits:
                quirks.die(4, error)
        except OSError:
            pass
        finally:
            connection.close()
            if "silent-while-busy" in self.habits:
                self.busy.release()
            quirks.say("closed", f"{source[0]}:{source[1]}")

    def converse(self, connection, source):
        if "close-on-accept" in self.habits:
            return
        if "reset-on-accept" in self.habits:
            quirks.reset(connection)
            return
        stream = protocol.Stream(connection, protocol.REQUEST_BYTES_MAX)
        is_open = True
        while is_open:
            request = self.receive(stream)
            if request is None:
                return
            is_open = self.respond(connection, source, request)

    def receive(self, stream):
        """The bytes of one request; None at the end of the stream; empty when it could not be framed."""
        if "recv-is-message" in self.habits:
            return stream.connection.recv(65536) or None
        try:
            request = stream.next_message()
        except protocol.Implausible:
            stream.buffer.clear()
            return b""
        if request is not None and (stream.buffer or quirks.has_bytes_waiting(stream.connection)):
            quirks.say("pipelined")
        return request

    def respond(self, connection, source, request):
        """Answer one request; tells whether the connection goes on."""
        quirks.say("request", request.hex())
        if "silent" in self.habits:
            return True
        if "reset" in self.habits:
            quirks.reset(connection)
            return False
        if "error" in self.habits:
            message = protocol.encode_error(int(self.habits["error"]))
        else:
            message = self.answer(request, source)
        if "vanish" in self.habits or "vanish-reset" in self.habits:
            connection.sendall(message[: len(message) // 2])
            if "vanish-reset" in self.habits:
                quirks.reset(connection)
            return False
        quirks.send(connection, message, self.habits)
        return True


def make_listener(ip, port, listening=True):
    """A TCP socket at the address; without `listening` the address is taken but refuses connections."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ip, port))
    if listening:
        listener.listen(128)
    return listener


def say_address(what, bound):
    ip, port = bound.getsockname()
    quirks.say(what, f"{ip}:{port}")
