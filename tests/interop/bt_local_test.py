"""aria2, Transmission and libtorrent take from Shoal and give to it, when local peer discovery is all that brings them
together: the torrents name no tracker, and nobody knows an address. Whoever comes second has to find the first."""

import unittest

from support.network import enter_fresh_network
from support.swarm_case import SwarmCase, assert_all_taken, make_pairs


def setUpModule():
    enter_fresh_network()


class ByLocalDiscovery(SwarmCase):
    def setUp(self):
        super().setUp()
        self.pairs = make_pairs(self)
        # One for each share: their own trackers would bring Shoal's hosts together otherwise.
        self.hosts = {pair: self.lan.add_host() for pair in self.pairs}

    def start_shoal(self, pair):
        pair.start_shoal(self.hosts[pair])

    def test_givers_first(self):
        for pair in self.pairs:
            if pair.shoal_gives:
                self.start_shoal(pair)
            else:
                pair.start_program(local=True)
                pair.program.wait_complete()
        for pair in self.pairs:
            if pair.shoal_gives:
                pair.start_program(local=True)
            else:
                self.start_shoal(pair)
        assert_all_taken(self, self.pairs)

    def test_takers_first(self):
        for pair in self.pairs:
            if pair.shoal_gives:
                pair.start_program(local=True)
                pair.program.wait_ready()
            else:
                self.start_shoal(pair)
        for pair in self.pairs:
            if pair.shoal_gives:
                self.start_shoal(pair)
            else:
                pair.start_program(local=True)
        assert_all_taken(self, self.pairs)


if __name__ == "__main__":
    unittest.main()
