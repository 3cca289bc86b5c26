"""A download that is ended at many moments: nothing half-written, nothing fetched twice, right in the end.

The moments are random; the first line names their seed, and SHOAL_TEST_SEED repeats it.
"""

import os
import random
import signal
import threading
import time
import unittest

from support.cases import expanded, for_each, themselves
from support.course import Course, some_bytes
from support.events import events, verified_pieces, wait_event
from support.paced_peer import PacedPeer
from support.processes import wait_until
from support.shoal import DONE, INTERRUPTED, ShoalCase
from support.split_course import LAYOUTS, Client

CHUNK_BYTES = 24 * 1024
CHUNKS = 40
MOMENTS = 20
RATE_BYTES_PER_S = 3_000_000
SEED = int(os.environ.get("SHOAL_TEST_SEED", time.time_ns() % 1_000_000))


def setUpModule():
    print(f"SHOAL_TEST_SEED={SEED}", flush=True)


class InterruptCase(ShoalCase):
    """One course that two paced peers serve, and one client after another in the same place."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)

    def where(self, _step):
        return ()

    def begin(self, name, layout):
        """A course and a client that nothing has been downloaded by."""
        # The first and the last chunk are equal: one arrival fills two places.
        content = some_bytes(CHUNK_BYTES * (CHUNKS - 1), self.rng.random())
        content += content[:CHUNK_BYTES]
        self.course = Course(self.root / name / "course", content, CHUNK_BYTES)
        chunks = dict(zip(self.course.hashes, self.course.pieces))
        self.peers = [PacedPeer(self, chunks, RATE_BYTES_PER_S) for _ in range(2)]
        for peer, peer_name in zip(self.peers, ("alice", "bob")):
            self.course.set_address(peer_name, peer.address)
        self.client = Client(self, self.course, layout=layout)
        self.known = set()  # hashes that were told to be verified

    def take_asked(self):
        return [one for peer in self.peers for one in peer.take_asked()]

    def run_until_a_moment(self, kind):
        """Run the client, and end it after some pieces and a little; tells whether it ended by itself."""
        process = self.client.start("--json")
        pieces = self.rng.randrange(0, 8)
        if pieces > 0 and len(self.known) + pieces < CHUNKS - 1:
            wait_event(process, "piece", pieces, status="verified")
        threading.Event().wait(self.rng.random() * 0.02)  # the moment is what varies
        process.signal(kind)
        code = self.assert_exit(process, INTERRUPTED, -kind, DONE)
        # Before it has told anything it may not have got around to minding signals.
        if kind == signal.SIGINT and process.stdout:
            self.assertIn(code, (INTERRUPTED, DONE), process.story())
        return code == DONE

    def judge(self, is_done):
        """What must hold after every end of the client."""
        process = self.client.process
        fresh = {self.course.hashes[number] for number in verified_pieces(process)}
        self.assertEqual(fresh & self.known, set(), "told twice to be verified")
        asked = set(self.take_asked())
        self.assertEqual(asked & self.known, set(), "fetched again")
        for manifest in events(process, "manifest"):
            self.assertGreaterEqual(manifest["held"], len(self.known))
        self.known |= fresh
        if self.client.target.exists():
            self.assertTrue(self.client.target.read_bytes() == self.course.content, "a wrong file under its final name")
        else:
            self.assertFalse(is_done)
        if self.client.layout == "course" and self.client.folder.exists():
            self.known |= self.client.held()  # what is there counts even when it was not told any more

    def finish(self):
        """The last run, undisturbed and as fast as it goes."""
        for peer in self.peers:
            peer.rate_bytes_per_s = None
        process = self.client.start("--json")
        self.client.assert_done()
        self.judge(True)
        self.assertEqual(events(process)[-1]["result"], "done")
        for peer in self.peers:
            peer.stop()


@expanded
class Interrupted(InterruptCase):
    @for_each(
        sigint_course=(signal.SIGINT, "course"),
        sigint_output=(signal.SIGINT, "output"),
        sigkill_course=(signal.SIGKILL, "course"),
        sigkill_output=(signal.SIGKILL, "output"),
    )
    def test_the_next_run_goes_on_from_there(self, case):
        kind, layout = case
        downloads = 0
        is_begun = False
        for _ in range(MOMENTS):
            if not is_begun:
                self.begin(f"download-{downloads}", layout)
                downloads += 1
            is_done = self.run_until_a_moment(kind)
            self.judge(is_done)
            is_begun = not is_done and len(self.known) < CHUNKS * 3 // 4
            if not is_begun:
                self.finish()
        if is_begun:
            self.finish()

    @for_each(**themselves(*LAYOUTS))
    def test_a_second_signal_ends_it_too(self, layout):
        self.begin("twice", layout)
        process = self.client.start("--json")
        wait_event(process, "piece", status="verified")
        process.signal(signal.SIGINT)
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED, -signal.SIGINT)
        self.judge(False)
        self.finish()

    @for_each(**themselves(*LAYOUTS))
    def test_the_user_is_told_how_to_go_on(self, layout):
        self.begin("told", layout)
        for peer in self.peers:
            peer.rate_bytes_per_s = 50_000
        process = self.client.start()
        wait_until(lambda: any(peer.asked for peer in self.peers), "a chunk was asked for")
        process.signal(signal.SIGTERM)
        self.assert_exit(process, INTERRUPTED)
        self.assertIn("run this again", process.stderr)
        self.assertEqual(process.stdout, [])


if __name__ == "__main__":
    unittest.main()
