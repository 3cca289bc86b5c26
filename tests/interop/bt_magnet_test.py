"""A magnet link is all that somebody gets: what it stands for comes from those who have it. aria2, Transmission and
libtorrent with the link that `shoal share` prints, Shoal with links to what they give."""

import unittest
from urllib.parse import quote

from support.network import enter_fresh_network
from support.swarm_case import TRACKER_PORT, SwarmCase, assert_all_taken, make_pairs


def setUpModule():
    enter_fresh_network()


class ByMagnetLink(SwarmCase):
    def test_alone(self):
        """Shoal is the tracker of what it shares; of the others' torrents another is."""
        tracker_host, shoal_host = self.lan.add_host(), self.lan.add_host()
        url = f"http://{tracker_host.ip}:{TRACKER_PORT}/announce"
        pairs = make_pairs(self, url)
        tracker = self.tracker_on(tracker_host, "--discovery-port", 9001)
        for pair in pairs:
            if pair.shoal_gives:
                pair.shoal = self.share_on(shoal_host, pair.given)
                pair.start_program(pair.shoal.shared["magnet"])
            else:
                pair.start_program()
        for pair in pairs:
            if not pair.shoal_gives:
                self.wait_announced(tracker, pair.torrent.info_hash)
                link = f"magnet:?xt=urn:btih:{pair.torrent.info_hash}&tr={quote(url, safe='')}"
                pair.start_shoal(shoal_host, "--no-local", what=link)
        assert_all_taken(self, pairs)


if __name__ == "__main__":
    unittest.main()
