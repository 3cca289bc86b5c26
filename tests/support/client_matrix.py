"""The tests of Shoal's client that are the same in several steps: every switch of peers, every switch of trackers.

A test file mixes one of these with ClientCase and sets `step`.
"""

from pathlib import Path

from support.cases import expanded, for_each, named
from support.client_case import (
    GAVE_UP,
    HASTY,
    HOSTILE_NAMES,
    IMPATIENT,
    PEER_FAULTS,
    PEER_HABITS,
    PEER_HABITS_TOGETHER,
    TRACKER_FAULTS,
    TRACKER_HABITS,
    TRACKER_HABITS_TOGETHER,
)
from support.course import missing_chunks
from support.shoal import DONE, INCOMPLETE, REFUSED
from support.talk import Talk


@expanded
class PeerMatrix:
    @for_each(**named(*PEER_HABITS), **PEER_HABITS_TOGETHER)
    def test_peers_of_the_habit_are_downloaded_from(self, quirk):
        self.download(alice=quirk, bob=quirk)

    @for_each(**named(*PEER_FAULTS))
    def test_a_peer_of_the_fault_is_made_up_for_by_another(self, quirk):
        """The other has everything, though it is not listed for everything."""
        scenes = self.scenes()
        for scene in scenes:
            scene.course.give_all("bob")
            scene.start_servers(alice=quirk)
            scene.start_client(*IMPATIENT)
        for scene in scenes:
            scene.assert_done()
            self.assert_alive(*scene.servers())


@expanded
class TrackerMatrix:
    @for_each(**named(*TRACKER_HABITS), **TRACKER_HABITS_TOGETHER)
    def test_a_tracker_of_the_habit_is_asked(self, quirk):
        self.download(tracker=quirk)

    def test_a_file_name_need_not_be_utf_8(self):
        self.download(tracker=("filename=caf\udce9.bin",))

    def test_the_tracker_is_left_at_once(self):
        """The download hangs on a silent peer while the tracker is free again."""
        scene = self.scene()
        scene.start_servers(alice=("silent",), bob=("silent",))
        scene.start_client()
        scene.peers[0].wait_line("request")
        scene.tracker.wait_line("closed")
        self.assertEqual(len(scene.tracker.lines("accepted")), 1)
        self.assertTrue(scene.client.is_running)

    def test_a_busy_tracker_that_stays_silent_is_tried_again(self):
        scene = self.scene()
        scene.start_servers(tracker=("silent-while-busy", "dies-of-reset"))
        visitor = Talk(self, scene.tracker.wait_address())
        scene.tracker.wait_line("accepted")
        scene.start_client()
        scene.tracker.wait_line("busy")
        visitor.close()
        scene.assert_done()
        self.assert_alive(scene.tracker)


@expanded
class HostileTrackerMatrix:
    def start_client(self, scene):
        scene.start_client(*(HASTY if scene.step == 3 else ()))

    @for_each(**named(*TRACKER_FAULTS))
    def test_a_tracker_of_the_fault_is_given_up(self, quirk):
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(tracker=quirk)
            self.start_client(scene)
        for scene in scenes:
            scene.assert_gave_up()

    @for_each(**named("nobody", "only-dead-peers"))
    def test_chunks_that_nobody_gives_are_reported(self, quirk):
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(tracker=quirk)
            self.start_client(scene)
        for scene in scenes:
            scene.assert_gave_up(INCOMPLETE, REFUSED)

    @for_each(**named(*HOSTILE_NAMES))
    def test_a_hostile_file_name_does_no_harm(self, quirk):
        """Refused, or stripped to a harmless name: either way nothing lands outside the client's own places."""
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(tracker=quirk)
        before = self.outside(scenes)
        for scene in scenes:
            self.start_client(scene)
        codes = [scene.client.wait() for scene in scenes]
        self.assertEqual(self.outside(scenes), before)
        for scene, code in zip(scenes, codes):
            self.assertIn(code, (DONE, *GAVE_UP), scene.client.story())
            if code == DONE and scene.layout == "course":
                self.assertEqual(missing_chunks(scene.course, scene.home), [])
            elif code == DONE:
                self.assertEqual(scene.target.read_bytes(), scene.course.content)

    def outside(self, scenes):
        """Everything near the clients that is not their own."""
        found = set(self.root.rglob("*")) | set(Path("/etc").glob("shoal-interop*"))
        for scene in scenes:
            own = (scene.home / "chunks" / "charlie", scene.home / "config", scene.target.parent)
            found = {path for path in found if not any(path.is_relative_to(one) for one in own)}
            found.discard(scene.home / "chunks")
        return found
