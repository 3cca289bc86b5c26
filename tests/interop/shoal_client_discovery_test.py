"""Shoal's client in step 3 against every way trackers answer discovery, in both layouts."""

import unittest

from support.cases import expanded, for_each, named
from support.client_case import TRACKER_FAULTS, ClientCase
from support.network import enter_fresh_network
from support.shoal import NOTHING_FOUND

ANSWERS = (
    *("split-datagrams", "whole-then-body", "body-then-whole", "late-tcp", "zero-address"),
    *("duplicate-answers", "discovery-noise", "surplus", "reserved-noise", "dirty-padding"),
)


def setUpModule():
    enter_fresh_network()


class DiscoveryCase(ClientCase):
    step = 3

    def add_tracker(self, scene, quirk=(), name="another"):
        """One more tracker that hears the same broadcasts."""
        port = scene.tracker.wait_address("discovery")[1]
        return self.python_tracker(scene.course, quirk, name=name, discovery_port=port)


@expanded
class Answers(DiscoveryCase):
    @for_each(
        **named(*ANSWERS),
        together=("split-datagrams", "late-tcp", "zero-address", "duplicate-answers", "discovery-noise"),
        old=("split-datagrams", "late-tcp", "one-connection", "recv-is-message", "two-writes", "dies-of-reset"),
    )
    def test_a_tracker_is_understood(self, quirk):
        self.download(tracker=quirk)

    @for_each(**named("discovery-silent", "discovery-error"))
    def test_no_answer_is_no_tracker(self, quirk):
        scene = self.scene()
        scene.start_servers(tracker=quirk)
        scene.start_client()
        scene.assert_gave_up(NOTHING_FOUND)

    @for_each(empty="", odd="caf\udce9", long="k" * 1000, other="kraken")
    def test_any_name_is_tolerated(self, name):
        scene = self.scene()
        scene.start_servers()
        scene.tracker.stop()
        scene.tracker = self.python_tracker(scene.course, name=name)
        scene.start_client()
        scene.assert_done()


@expanded
class SeveralTrackers(DiscoveryCase):
    @for_each(plain=(), **named(*TRACKER_FAULTS, "discovery-silent", "discovery-error"))
    def test_another_tracker_makes_up_for_a_faulty_one(self, quirk):
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(tracker=quirk)
            self.add_tracker(scene)
            scene.start_client()
        for scene in scenes:
            scene.assert_done()

    def test_the_faulty_may_be_the_newcomers(self):
        scene = self.scene()
        scene.start_servers()
        for quirk in ("refuse", "reset", "vanish", "error=0"):
            self.add_tracker(scene, (quirk,), name=quirk)
        scene.start_client()
        scene.assert_done()


if __name__ == "__main__":
    unittest.main()
