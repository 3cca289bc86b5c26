"""Scenes for tests of Shoal's client: servers with switches, a client in either layout, and what must come out.

In course layout the chunks lie in chunks/charlie of the client's directory; with --output the file itself appears.
A client of step 1 works in the course directory; one of step 2 or 3 in a directory of its own, where a step 3 client
finds configuration files that would lead it astray if it read them.
"""

from support.course import Course, missing_chunks, read_result_ini, some_bytes
from support.processes import END_TIMEOUT_S
from support.shoal import (
    DISK,
    DONE,
    INCOMPLETE,
    NOTHING_FOUND,
    REFUSED,
    TIMED_OUT,
    WRONG_HASH,
    ShoalCase,
    at,
)

LAYOUTS = ("course", "output")
IMPATIENT = ("--answer-timeout", "2", "--stall-timeout", "2")  # where a fault would be waited for
HASTY = ("--discovery-timeout", "1.5")  # where a better tracker would be waited for
GAVE_UP = (NOTHING_FOUND, INCOMPLETE, WRONG_HASH, DISK, TIMED_OUT, REFUSED)


class Scene:
    """One course directory, its servers, and the client that downloads from them."""

    def __init__(self, case, step, layout, course):
        self.case = case
        self.step = step
        self.layout = layout
        self.course = course
        base = course.root.parent
        self.home = course.root if step == 1 else base / "home"
        self.home.mkdir(exist_ok=True)
        self.target = base / "result" / "download.bin"
        self.target.parent.mkdir()
        self.tracker = None
        self.peers = []
        self.client = None

    def start_servers(self, alice=(), bob=(), tracker=()):
        self.peers = [self.case.python_peer(self.course, *peer) for peer in (("alice", alice), ("bob", bob))]
        if self.step > 1:
            self.tracker = self.case.python_tracker(self.course, tracker)

    def where(self):
        """The options that tell the client where to begin."""
        if self.step == 2:
            return ("--tracker", at(self.tracker.wait_address()))
        if self.step == 3:
            return ("--discovery-port", str(self.tracker.wait_address("discovery")[1]))
        return ()

    def start_client(self, *arguments):
        if self.step == 3:
            self.lead_astray()
        if self.layout == "output":
            arguments += ("--output", self.target)
        self.client = self.case.shoal_client(self.step, self.home, *self.where(), *arguments)

    def lead_astray(self):
        config = self.home / "config"
        config.mkdir(exist_ok=True)
        (config / "peers.ini").write_text("[tracker]\nip_address = 127.0.0.1\nport_number = 1\n")
        (config / "file.ini").write_text("[description]\nfilename = wrong\nchunks_count = 7\nnonsense\n")

    def servers(self):
        return self.peers + ([self.tracker] if self.tracker else [])

    def assert_done(self, timeout=END_TIMEOUT_S):
        self.case.assert_exit(self.client, DONE, timeout=timeout)
        if self.layout == "output":
            self.case.assertTrue(self.target.read_bytes() == self.course.content, "the file differs")
        else:
            self.case.assertEqual(missing_chunks(self.course, self.home), [])
            merged = self.home / "chunks" / "charlie" / self.course.name
            if merged.exists() or not self.course.pieces:
                self.case.assertTrue(merged.read_bytes() == self.course.content, "the merged file differs")
            if self.step > 1:
                self.assert_result_ini()

    def assert_result_ini(self):
        """Steps 2 and 3 leave an ini file that the course's scripts can merge with."""
        beside = self.home / "chunks" / "charlie"
        found = read_result_ini(beside)
        self.case.assertIsNotNone(found, f"one ini file in {beside}: {sorted(beside.iterdir())}")
        self.case.assertEqual([chunk_hash.lower() for chunk_hash in found[1]], self.course.hashes)

    def assert_gave_up(self, *codes, timeout=END_TIMEOUT_S):
        """The client ended in time, with one of the codes and a word about why."""
        self.case.assert_exit(self.client, *(codes or GAVE_UP), timeout=timeout)
        self.case.assertTrue(self.client.stderr.strip(), "nothing was said about the failure")


class ClientCase(ShoalCase):
    """`step` is set by each test file."""

    step = 1

    def scene(self, layout="course", step=None, **options):
        step = step or self.step
        options = {"content": some_bytes(11_903), "chunk_bytes": 1000} | options
        course = Course(self.root / f"{layout}-{step}" / "course", **options)
        return Scene(self, step, layout, course)

    def scenes(self, **options):
        """One scene per layout, so that both clients run at the same time."""
        return [self.scene(layout, **options) for layout in LAYOUTS]

    def download(self, alice=(), bob=(), tracker=()):
        """Both layouts against servers with switches; all must be well, and the servers alive."""
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(alice, bob, tracker)
            scene.start_client()
        for scene in scenes:
            scene.assert_done()
            self.assert_alive(*scene.servers())


# What existing peers do; none of it is wrong enough to lose a chunk over.
PEER_HABITS = (
    *("two-writes", "split-header", "reserved-noise", "one-connection", "recv-is-message"),
    *("dirty-padding", "surplus", "dies-of-reset", "dies-of-cut", "welcomes-pipelining"),
)

PEER_HABITS_TOGETHER = {
    "plain": (),
    "old": ("one-connection", "recv-is-message", "two-writes", "split-header", "dies-of-reset", "dies-of-cut"),
    "noisy": ("two-writes", "reserved-noise", "dirty-padding", "surplus", "dies-of-reset"),
}

# What makes a peer useless; another one has everything.
PEER_FAULTS = (
    *("refuse", "close-on-accept", "reset-on-accept", "silent", "reset", "vanish", "vanish-reset", "slow"),
    *("lying-length=0", "lying-length=1", "lying-length=4294967295", "lying-length=little-endian"),
    *("error=0", "error=1", "not-found", "wrong-chunk", "wrong-bytes", "long-content", "wrong-type"),
)

TRACKER_HABITS = (
    *("two-writes", "split-header", "reserved-noise", "one-connection", "recv-is-message", "dirty-padding"),
    *("surplus", "dies-of-reset", "dies-of-cut", "file-info-as-5", "repeat-peers", "dead-peers"),
)

TRACKER_HABITS_TOGETHER = {
    "plain": (),
    "old": (*PEER_HABITS_TOGETHER["old"], "file-info-as-5"),
    "noisy": (*PEER_HABITS_TOGETHER["noisy"], "file-info-as-5", "repeat-peers", "dead-peers"),
}

# What makes a tracker useless before a FILE_INFO arrived.
TRACKER_FAULTS = (
    *("refuse", "close-on-accept", "reset-on-accept", "silent", "reset", "vanish", "vanish-reset"),
    *("lying-length=0", "lying-length=1", "lying-length=4294967295", "lying-length=little-endian"),
    *("error=0", "error=1", "error=2", "count-overrun", "peers-overrun", "filename-overrun"),
)

HOSTILE_NAMES = (
    *("filename=../../x", "filename=/etc/shoal-interop-x", "filename=..", "filename=.", "filename="),
    *("filename=a/b", "filename=a\\b", "nul-filename", "long-filename"),
)
