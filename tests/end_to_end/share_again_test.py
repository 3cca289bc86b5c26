"""`shoal share` of what was shared before."""

import os
import signal
import time
import unittest

from support.course import some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.verbs import MIB, VerbCase


def setUpModule():
    enter_fresh_network()


class SharedAgain(VerbCase):
    """What is the same as last time is not read again."""

    READS_MAX = 4 * MIB  # libraries and the like; the share has far more
    SETTLES_S = 10  # two seconds, on a machine that is not too busy

    def setUp(self):
        super().setUp()
        self.disk = self.here / "disk.img"
        self.disk.write_bytes(some_bytes(MIB))
        self.change(lambda: os.truncate(self.disk, 40 * MIB))

    def change(self, how):
        """And wait until times would tell of another change."""
        how()
        wait_until(lambda: time.time() - self.disk.stat().st_ctime > 2.1, "the file is not new", self.SETTLES_S)

    def shared(self, *options):
        """How many bytes were read, and the info-hash."""
        process = self.share(self.disk, "--no-local", *options)
        with open(f"/proc/{process.pid}/io") as io:
            bytes_read = int(io.readline().split()[1])
        process.signal(signal.SIGKILL)
        process.wait()
        return bytes_read, process.shared["info_hash"]

    def assert_hashed(self, *options):
        bytes_read, info_hash = self.shared(*options)
        self.assertGreater(bytes_read, 40 * MIB)
        return info_hash

    def test_it_is_not_hashed_again(self):
        info_hash = self.assert_hashed()
        bytes_read, again = self.shared()
        self.assertLess(bytes_read, self.READS_MAX)
        self.assertEqual(again, info_hash)
        self.assertEqual(self.assert_hashed("--rehash"), info_hash)
        self.assert_hashed("--piece-size", "1M")
        self.assertLess(self.shared()[0], self.READS_MAX)

    def test_it_is_hashed_again_when_it_changed(self):
        info_hash = self.assert_hashed()
        times = self.disk.stat()
        self.change(lambda: self.write_within(b"other"))
        os.utime(self.disk, ns=(times.st_atime_ns, times.st_mtime_ns))
        other = self.assert_hashed()
        self.assertNotEqual(other, info_hash)

    def test_what_is_new_is_hashed_again(self):
        """Its times may stay as they are with the next change."""
        self.write_within(b"a")
        self.assert_hashed()
        self.write_within(b"b")
        self.assert_hashed()

    def test_hashes_that_are_spoilt_are_not_believed(self):
        info_hash = self.assert_hashed()
        (kept,) = (self.root / "home/.cache/shoal/hashes").iterdir()
        content = bytearray(kept.read_bytes())
        content[30] ^= 1
        kept.write_bytes(content)
        self.assertEqual(self.assert_hashed(), info_hash)

    def write_within(self, content):
        with open(self.disk, "r+b") as file:
            file.seek(5000)
            file.write(content)


if __name__ == "__main__":
    unittest.main()
