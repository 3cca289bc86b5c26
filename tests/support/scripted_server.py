"""A TCP server inside the test that does to each connection what a function says.

`act(connection)` runs in a thread of its own for every connection that is accepted; the connection is closed behind it.
"""

import socket
import threading


class ScriptedServer:
    def __init__(self, case, act):
        self.act = act
        self.accepted = 0
        self.is_ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        case.addCleanup(self.stop)
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self.is_ended.set()
        try:
            # wakes the thread that is blocked in accept; close alone does not
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self.act(connection)
            except OSError:
                pass
