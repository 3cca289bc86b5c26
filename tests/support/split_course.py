"""Scenes of nothing but Shoal: a directory that `shoal course split` made, Shoal's peers and tracker, Shoal's clients.

`SplitCourse` is what the servers see. A client of step 1 works in the same directory, one of step 2 or 3 in a directory
of its own. Its result is looked for in course layout (chunks/NAME/) or where --output says.
"""

import configparser
import hashlib

from support.processes import END_TIMEOUT_S
from support.shoal import DONE, ShoalCase, at

LAYOUTS = ("course", "output")
STEPS = (1, 2, 3)


def read_ini(path):
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(path.read_text(encoding="utf-8"))
    return ini


class SplitCourse:
    """A course directory as split left it."""

    def __init__(self, root, content):
        self.root = root
        self.content = content
        self.file_ini = root / "config" / "file.ini"
        ini = read_ini(self.file_ini)
        count = int(ini["description"]["chunks_count"])
        self.name = ini["description"]["filename"]
        self.hashes = [ini["chunks"][str(number)] for number in range(count)]
        self.owners = [ini["chunks_peers"][str(number)].split(", ") for number in range(count)]
        peers = read_ini(self.peers_ini)
        self.addresses = {name: (peers[name]["ip_address"], peers[name]["port_number"]) for name in peers.sections()}

    @property
    def peers_ini(self):
        return self.root / "config" / "peers.ini"

    def set_address(self, name, address):
        self.addresses[name] = address
        lines = []
        for each, (ip, port) in self.addresses.items():
            lines += [f"[{each}]", f"ip_address = {ip}", f"port_number = {port}", ""]
        self.peers_ini.write_text("\n".join(lines))

    def set_owners(self, owners):
        """Rewrite who is listed for which chunk; nothing moves on disk."""
        head = self.file_ini.read_text().partition("[chunks_peers]")[0]
        lines = [f"{number} = {', '.join(names)}\n" for number, names in enumerate(owners)]
        self.file_ini.write_text(head + "[chunks_peers]\n" + "".join(lines))
        self.owners = owners

    def chunk_path(self, peer, chunk_hash):
        return self.root / "chunks" / peer / f"{chunk_hash}.bin"

    def numbers_of(self, *names):
        """The chunks that exactly these peers are listed for."""
        return [number for number, owners in enumerate(self.owners) if sorted(owners) == sorted(names)]


class Client:
    """One client of a course: where it works, and what it must make there."""

    def __init__(self, case, course, step=1, layout="course", name="charlie"):
        self.case = case
        self.course = course
        self.step = step
        self.layout = layout
        self.name = name
        base = course.root.parent
        label = f"{name}-{step}-{layout}"
        self.home = course.root if step == 1 else base / f"home-{label}"
        self.folder = self.home / "chunks" / name if layout == "course" else base / f"result-{label}"
        self.target = self.folder / course.name
        if step > 1:
            self.home.mkdir(exist_ok=True)
        if layout == "output":
            self.folder.mkdir(exist_ok=True)
        self.process = None

    def start(self, *arguments):
        if self.layout == "output":
            arguments += ("--output", self.target)
        if self.name != "charlie":
            arguments += ("--name", self.name)
        self.process = self.case.shoal_client(self.step, self.home, *self.case.where(self.step), *arguments)
        return self.process

    def assert_done(self, timeout=END_TIMEOUT_S):
        self.case.assert_exit(self.process, DONE, timeout=timeout)
        self.case.assertTrue(self.target.read_bytes() == self.course.content, f"{self.target} differs")
        self.case.assertEqual(self.unexpected_files(), [])

    def unexpected_files(self):
        expected = {self.course.name}
        if self.layout == "course":
            expected |= {f"{chunk_hash}.bin" for chunk_hash in self.course.hashes} | {"file.ini"}
        return sorted({path.name for path in self.folder.iterdir()} - expected)

    def held(self):
        """The chunks in course layout; one whose bytes do not match its name fails the test."""
        found = set()
        for path in self.folder.glob("?" * 40 + ".bin"):
            self.case.assertEqual(hashlib.sha1(path.read_bytes()).hexdigest(), path.stem, "half-written")
            found.add(path.stem)
        return found


class SplitCase(ShoalCase):
    """A test with one course directory at a time."""

    tracker = None

    def split(self, content, chunk_size, name="lecture.bin", peers=("alice", "bob"), where="course"):
        root = self.root / where
        original = root.parent / f"{where}-original" / name
        original.parent.mkdir(parents=True)
        original.write_bytes(content)
        command = ("split", original, "--dir", root, "--chunk-size", chunk_size, "--peers", ",".join(peers))
        self.assert_exit(self.shoal(*command), DONE, timeout=60)
        return SplitCourse(root, content)

    def start_servers(self, course, *peer_options):
        """All peers of a course and its tracker, on addresses of their own; the peers are returned by name."""
        names = [name for name in course.addresses if name != "tracker"]
        peers = {name: self.shoal_peer(course, name, *peer_options) for name in names}
        self.tracker = self.shoal_tracker(course)
        return peers

    def where(self, step):
        """The options that tell a client of a step where to begin."""
        if step == 2:
            return ("--tracker", at(self.tracker.wait_address()))
        if step == 3:
            return ("--discovery-port", str(self.tracker.wait_address("discovery")[1]))
        return ()

    def run_tool(self, *arguments, code=DONE):
        """merge, check or split; the ended program is returned."""
        process = self.shoal(*arguments)
        self.assert_exit(process, code)
        return process
