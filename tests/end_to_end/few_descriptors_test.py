"""With few file descriptors there are fewer connections, and downloads go on, whoever wants them."""

import resource
import socket
import unittest

from interop.counterparts import protocol
from support import bencode
from support.course import some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE
from support.verbs import VerbCase, peer_of

FILES = 300
STRANGERS = 1100
PORT = 7001


def setUpModule():
    enter_fresh_network()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2 * STRANGERS + 200:
        raise unittest.SkipTest(f"{2 * STRANGERS} open connections are needed, {most} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def few(descriptors):
    """The prefix of a command that may have no more, whatever it asks for."""
    return ["prlimit", f"--nofile={descriptors}:{descriptors}"]


class FewCase(VerbCase):
    def setUp(self):
        super().setUp()
        files = {f"{number % 7}/{number}": some_bytes(5000 + number) for number in range(FILES)}
        self.box = bencode.write_files(self.here / "box", files)

    def assert_got(self):
        self.assert_same(self.there / "box", self.box)


class ManyFiles(FewCase):
    def test_more_files_than_descriptors(self):
        for allowed in (256, 64):
            with self.subTest(allowed=allowed), self.prefixed(few(allowed)):
                sharer = self.share(self.box, "--no-local")
                folder = self.there / str(allowed)
                folder.mkdir()
                self.got(sharer.shared["magnet"], *peer_of(sharer), cwd=folder)
                self.assert_same(folder / "box", self.box)


class Strangers(FewCase):
    def connect(self, address):
        """Course clients that ask for something once and then stay."""
        for _ in range(STRANGERS):
            try:
                connection = socket.create_connection(address, 10)
                self.addCleanup(connection.close)
                connection.sendall(protocol.encode_get_file_info())
            except ConnectionError:
                pass  # it has enough of them

    def test_they_do_not_end_a_download(self):
        sharer = self.share(self.box, "--no-local", "--limit-up", "300K")
        with self.prefixed(few(1024)):
            getter = self.get(sharer.shared["magnet"], *peer_of(sharer), "--port", str(PORT))
        wait_until(lambda: (self.there / ".box.shoal-part").exists(), "the download begins")
        self.connect(("127.0.0.1", PORT))
        self.assertTrue(getter.is_running, getter.story())
        self.assert_exit(getter, DONE)
        self.assert_got()

    def test_they_do_not_keep_others_from_a_share(self):
        with self.prefixed(few(1024)):
            sharer = self.share(self.box)
        for what in ("address", "tracker"):
            self.connect(("127.0.0.1", int(sharer.shared[what].rpartition(":")[2])))
        self.got("box")
        self.assert_got()


if __name__ == "__main__":
    unittest.main()
