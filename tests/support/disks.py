"""A small disk of the test's own: a tmpfs in a mount namespace that nobody else sees.

The kernel removes it with the last process in the namespace. `prefix` before a command runs it there; `path` is where
that command finds the disk, `seen` where the test looks into it.
"""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

NOBODY = 65534


class SmallDisk:
    def __init__(self, case, size_bytes):
        for tool in ("unshare", "nsenter", "mount"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"the program {tool} is needed")
        if os.getuid() != 0:
            raise unittest.SkipTest("mounting needs root")
        self.path = case.root / "disk"
        self.path.mkdir()
        script = 'mount -t tmpfs -o size="$1",mode=755 none "$2" && echo mounted && exec sleep infinity'
        holder = case.start(["unshare", "--mount", "sh", "-c", script, "sh", str(size_bytes), self.path])
        holder.wait_line("mounted")
        self.prefix = ["nsenter", "--target", str(holder.pid), "--mount", "--root", "--"]
        self.seen = Path(f"/proc/{holder.pid}/root{self.path}")

    def remount(self, options):
        command = [*self.prefix, "mount", "-o", f"remount,{options}", self.path]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def free_bytes(self):
        status = os.statvfs(self.seen)
        return status.f_bavail * status.f_frsize

    def fill(self, left_bytes):
        """Leave only so much room; `make_room` takes it back."""
        (self.seen / "ballast").write_bytes(bytes(max(0, self.free_bytes() - left_bytes)))

    def make_room(self):
        (self.seen / "ballast").unlink()


def as_nobody():
    """A prefix that runs a command as a user without rights: root could read and write everything."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        raise unittest.SkipTest("setpriv and root are needed to become another user")
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--"]
