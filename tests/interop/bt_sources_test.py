"""A download that takes pieces from a course peer, a BitTorrent peer and a web server at once; none of them has all."""

import unittest

from support.cases import expanded, for_each
from support.course import Course, some_bytes
from support.events import events
from support.network import enter_fresh_network
from support.range_server import RangeServer
from support.shoal import at
from support.swarm_case import SwarmCase
from support.torrent_programs import Libtorrent, make_torrent

PIECE_BYTES = 32 << 10
COUNT = 64
# Who has which pieces: neighbours share some, and each has some that nobody else has.
COURSE, BITTORRENT, WEB = range(0, 30), range(20, 50), range(40, COUNT)


def setUpModule():
    enter_fresh_network()


@expanded
class ThreeKinds(SwarmCase):
    def setUp(self):
        super().setUp()
        self.content = some_bytes(COUNT * PIECE_BYTES)
        self.torrent = make_torrent(self, self.write("lecture.bin", self.content))

    def start_course_peer(self, kind):
        owners = [("alice",) if number in COURSE else () for number in range(COUNT)]
        course = Course(self.root / "course", self.content, PIECE_BYTES, owners=owners)
        return {"shoal": self.shoal_peer, "python": self.python_peer}[kind](course, "alice").wait_address()

    def start_bittorrent_peer(self):
        """It has a file with holes."""
        pieces = [self.content[number * PIECE_BYTES :][:PIECE_BYTES] for number in range(COUNT)]
        holes = b"".join(piece if n in BITTORRENT else bytes(PIECE_BYTES) for n, piece in enumerate(pieces))
        self.write("lecture.bin", holes, self.root / "libtorrent")
        peer = Libtorrent(self, self.lan.add_host(), self.torrent, self.root / "libtorrent")
        peer.wait_pieces(len(BITTORRENT))
        return peer

    @for_each(shoals="shoal", somebody_elses="python")
    def test_each_gives_what_the_others_lack(self, course_peer):
        course = at(self.start_course_peer(course_peer))
        bittorrent = self.start_bittorrent_peer()
        web = RangeServer(self, self.content, range(WEB.start * PIECE_BYTES, WEB.stop * PIECE_BYTES))
        process = self.got(
            *(self.torrent.path, "--no-local", "--json", "--peer", course, "--peer", bittorrent.address),
            *("--web-seed", web.url),
        )
        self.assert_same(self.there / "lecture.bin", self.here / "lecture.bin")
        by = {}
        for event in events(process, "piece"):
            if event["status"] == "verified":
                by.setdefault(event["source"], set()).add(event["piece"])
        self.assertLessEqual(set(COURSE) - set(BITTORRENT), by.pop(course))
        self.assertLessEqual(set(BITTORRENT) - set(COURSE) - set(WEB), by.pop(bittorrent.address))
        self.assertLessEqual(set(WEB) - set(BITTORRENT), by.pop(web.url))
        self.assertEqual(by, {})
        self.assertTrue(web.given)


if __name__ == "__main__":
    unittest.main()
