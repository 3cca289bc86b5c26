"""Start the roles of the program under test, and of the Python counterparts.

The environment variable SHOAL names the program.
"""

import os
import sys
from pathlib import Path

from support.processes import ProcessCase

COUNTERPARTS = Path(__file__).resolve().parent.parent / "interop" / "counterparts"

# Exit codes of the program.
(DONE, INTERNAL_ERROR, USAGE, NOTHING_FOUND, INCOMPLETE, WRONG_HASH, DISK, TIMED_OUT, REFUSED) = range(9)
INTERRUPTED = 130


def program():
    path = os.environ.get("SHOAL")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("the environment variable SHOAL must name the program to test")
    return str(Path(path).resolve())


def quirks(names):
    """The options that turn switches on."""
    return [option for name in names for option in ("--quirk", name)]


class ShoalCase(ProcessCase):
    """A test that starts roles; each of these returns the running process."""

    def shoal(self, *arguments, cwd=None):
        return self.start([program(), "course", *arguments], cwd=cwd)

    def shoal_peer(self, course, name, *arguments, bind="127.0.0.1"):
        """A peer; its address is written into the course's peers.ini."""
        peer = self.shoal("peer", name, "--dir", course.root, "--bind", bind, "--port", "0", *arguments)
        course.set_address(name, peer.wait_address())
        return peer

    def shoal_tracker(self, course, *arguments, bind="127.0.0.1", discovery_port=0):
        tracker = self.shoal(
            *("tracker", "--dir", course.root, "--bind", bind, "--port", "0"),
            *("--discovery-port", str(discovery_port), *arguments),
        )
        tracker.wait_line("discovery")
        course.set_address("tracker", tracker.wait_address())
        return tracker

    def shoal_client(self, step, directory, *arguments):
        return self.shoal("client", "--step", str(step), "--dir", directory, *arguments)

    def counterpart(self, role, *arguments, quirk=()):
        return self.start([sys.executable, COUNTERPARTS / f"{role}.py", *arguments, *quirks(quirk)])

    def python_peer(self, course, name, quirk=(), bind="127.0.0.1"):
        peer = self.counterpart(
            *("peer", "--dir", course.root, "--name", name, "--bind", bind, "--port", "0"), quirk=quirk
        )
        course.set_address(name, peer.wait_address())
        return peer

    def python_tracker(self, course, quirk=(), name="tracker", bind="127.0.0.1", discovery_port=0):
        tracker = self.counterpart(
            *("tracker", "--dir", course.root, "--bind", bind, "--port", "0"),
            *("--discovery-port", discovery_port, "--name", name),
            quirk=quirk,
        )
        tracker.wait_line("discovery")
        course.set_address("tracker", tracker.wait_address())
        return tracker

    def python_client(self, step, directory, *arguments, quirk=()):
        return self.counterpart("client", "--step", str(step), "--dir", directory, *arguments, quirk=quirk)


def at(address):
    """An address as an option takes it."""
    return f"{address[0]}:{address[1]}"
