"""aria2, Transmission and libtorrent take from Shoal and give to it, when a tracker is all that brings them together:
Shoal's, over HTTP and over UDP, or by a torrent of its own, and opentracker."""

import unittest

from support.network import enter_fresh_network
from support.swarm_case import TRACKER_PORT, Pair, SwarmCase, assert_all_taken, make_pairs
from support.torrent_programs import OPENTRACKER_PORT, OpenTracker


def setUpModule():
    enter_fresh_network()


class ByTracker(SwarmCase):
    def setUp(self):
        super().setUp()
        self.tracker_host = self.lan.add_host()
        self.shoal_host = self.lan.add_host()

    def make_pairs(self, port):
        """Over each protocol, each program in both directions."""
        urls = [f"{scheme}://{self.tracker_host.ip}:{port}/announce" for scheme in ("http", "udp")]
        return [pair for url in urls for pair in make_pairs(self, url)]

    def assert_all_find_each_other(self, pairs, tracker):
        for pair in pairs:
            if pair.shoal_gives:
                pair.start_shoal(self.shoal_host, "--no-local")
            else:
                pair.start_program()
        for pair in pairs:
            self.wait_announced(tracker, pair.torrent.info_hash)
            if pair.shoal_gives:
                pair.start_program()
            else:
                pair.start_shoal(self.shoal_host, "--no-local")
        assert_all_taken(self, pairs)

    def test_through_shoals(self):
        pairs = self.make_pairs(TRACKER_PORT)
        self.assert_all_find_each_other(pairs, self.tracker_on(self.tracker_host))

    def test_through_opentracker(self):
        pairs = self.make_pairs(OPENTRACKER_PORT)
        tracker = OpenTracker(self, self.tracker_host, *(pair.torrent for pair in pairs))
        self.assert_all_find_each_other(pairs, tracker.address)

    def test_with_the_torrents_that_shoals_tracker_hands_out(self):
        """Those that fetch a .torrent by its URL; they know of nobody but who it names."""
        pairs = [Pair(self, name, shoal_gives=True) for name in ("aria2", "transmission")]
        for pair in pairs:
            pair.shoal = self.share_on(self.shoal_host, pair.given)
            pair.start_program(f"http://{self.shoal_host.ip}:{TRACKER_PORT}/shares/{pair.given.name}.torrent")
        assert_all_taken(self, pairs)


if __name__ == "__main__":
    unittest.main()
