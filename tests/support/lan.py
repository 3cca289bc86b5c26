"""Hosts and switches out of network namespaces, for tests that called `enter_fresh_network`.

The test's own network holds the switches; each host is another namespace with a loopback and the cards it is given, and
no default route. Everything goes away with the processes that hold it.
"""

import shutil
import subprocess
import sys
import unittest

from support import network


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr}")


class Host:
    """`prefix` before a command runs it there."""

    def __init__(self, case):
        for tool in ("ip", "nsenter"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"the program {tool} is needed")
        holder = case.start([sys.executable, network.__file__])
        holder.wait_line("held")
        self.pid = holder.pid
        self.prefix = ["nsenter", "--target", str(holder.pid), "--net", "--"]
        self.cards = 0

    def run(self, *command):
        run(*self.prefix, *command)

    def join_multicast(self):
        """For programs that leave it to the routes where multicast goes."""
        self.run("ip", "route", "add", "224.0.0.0/4", "dev", "card1")


class Switch:
    """One network of 256 addresses: hosts with a card in it hear each other's broadcasts."""

    count = 0

    def __init__(self, case):
        Switch.count += 1
        self.name = f"switch{Switch.count}"
        self.ports = 0
        run("ip", "link", "add", self.name, "type", "bridge")
        case.addCleanup(run, "ip", "link", "delete", self.name)
        run("ip", "link", "set", self.name, "up")

    def connect(self, host, ip):
        """Give a host a card with an address."""
        host.cards += 1
        self.ports += 1
        port, card = f"{self.name}p{self.ports}", f"card{host.cards}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", card, "netns", str(host.pid))
        run("ip", "link", "set", port, "master", self.name, "up")
        host.run("ip", "address", "add", f"{ip}/24", "broadcast", "+", "dev", card)
        host.run("ip", "link", "set", card, "up")


class Lan:
    """A switch whose hosts are numbered from 1, and the test itself in it, at `here`.

    A host's address is in its `ip`. There is no route to anywhere else.
    """

    def __init__(self, case, network="10.79.0"):
        self.case = case
        self.network = network
        self.here = f"{network}.254"
        self.hosts = []
        self.switch = Switch(case)
        run("ip", "address", "add", f"{self.here}/24", "broadcast", "+", "dev", self.switch.name)

    def add_host(self):
        host = Host(self.case)
        self.hosts.append(host)
        host.ip = f"{self.network}.{len(self.hosts)}"
        self.switch.connect(host, host.ip)
        return host
