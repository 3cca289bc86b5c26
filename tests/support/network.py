"""A network of the test's own: discovery is heard by nobody else, and hears nobody else.

`enter_fresh_network` moves this process, and with it every program it starts later, into a new network namespace that
holds nothing but a loopback. The kernel removes the namespace with the last process in it, so nothing is left behind
however a test ends.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import unittest

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


def enter_fresh_network():
    """Called by setUpModule, while the process has one thread; skips the module where it is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) != 0:
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            why = os.strerror(ctypes.get_errno())
            raise unittest.SkipTest(f"a network namespace is needed: {why}; run as root")
        _map_to_root(user, group)
    bring_up("lo")


def _map_to_root(user, group):
    with open("/proc/self/setgroups", "w") as file:
        file.write("deny")
    for name, number in (("uid_map", user), ("gid_map", group)):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(f"0 {number} 1")


def bring_up(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = interface.encode().ljust(16, b"\0")
        flags = struct.unpack_from("H", fcntl.ioctl(control, _SIOCGIFFLAGS, name + bytes(24)), 16)[0]
        fcntl.ioctl(control, _SIOCSIFFLAGS, name + struct.pack("H", flags | _IFF_UP) + bytes(22))


class SecondHost:
    """Another network namespace, joined to this one by a cable: 10.77.0.1 is here, 10.77.0.2 there.

    It lives as long as the process that holds it. `prefix` before a command runs it there.
    """

    HERE, THERE = "10.77.0.1", "10.77.0.2"

    def __init__(self, case):
        for tool in ("ip", "nsenter"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"the program {tool} is needed")
        holder = case.start([sys.executable, __file__])
        holder.wait_line("held")
        self.prefix = ["nsenter", "--target", str(holder.pid), "--net", "--"]
        self._run("ip", "link", "add", "shoal-here", "type", "veth", "peer", "shoal-there", "netns", str(holder.pid))
        case.addCleanup(self._run, "ip", "link", "delete", "shoal-here")
        for prefix, interface, ip in (([], "shoal-here", self.HERE), (self.prefix, "shoal-there", self.THERE)):
            self._run(*prefix, "ip", "address", "add", f"{ip}/24", "broadcast", "+", "dev", interface)
            self._run(*prefix, "ip", "link", "set", interface, "up")

    def _run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")


def main():
    """Hold a network namespace of its own until ended."""
    enter_fresh_network()
    print("held", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
