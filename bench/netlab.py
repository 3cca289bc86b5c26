"""Hosts in network namespaces, joined by a bridge, with links shaped by `tc tbf`; used by the bench scripts, as root.

    with Lab() as lab:
        client, alice = lab.add_host("client"), lab.add_host("alice", uplink_mbit=100)
        lab.wait_until_reachable()
        rates = goodput(client, [alice])
        with alice.inside():
            ...  # sockets made and processes started here live on alice

Addresses are 10.83.0.1, 10.83.0.2, ... in the order of add_host; sysctls are what the kernel gives a new namespace. At
the end, however it comes, what still runs in the namespaces is killed and they are gone.
"""
import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BURST_KIB = 32  # what a link sends at once after idling: 2.6 ms worth at 100 Mbit/s
QUEUE_MS = 50
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    return subprocess.run(["ip", *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def enter_namespace(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    def __init__(self, name, namespace, address=None, uplink_mbit=None):
        self.name = name
        self.namespace = namespace
        self.address = address
        self.uplink_mbit = uplink_mbit
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self):
        """Moves the calling thread there, and back again; a child process is where the thread was that started it."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace}") as there:
            enter_namespace(there.fileno())
            try:
                yield self
            finally:
                enter_namespace(home.fileno())

    def bytes_sent(self):
        """What the uplink has sent since it was made, as the shaper counts it: with the headers of each frame."""
        out = subprocess.run(["tc", "-n", self.namespace, "-s", "-j", "qdisc", "show", "dev", "eth0"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)[0]["bytes"]

    def open_counters(self):
        with self.inside():
            return Counters(open("/proc/thread-self/net/dev"))

    def remove(self):
        """Ends what runs here, and the namespace."""
        for pid in map(int, ip("netns", "pids", self.namespace).split()):
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        ip("netns", "del", self.namespace)


class Counters:
    """A cheap way to read often what eth0 has sent, from anywhere."""

    def __init__(self, file):
        self.file = file

    def bytes_sent(self):
        self.file.seek(0)
        line = next(line for line in self.file if line.strip().startswith("eth0:"))
        return int(line.split(":")[1].split()[8])


class Lab:
    def __enter__(self):
        if os.geteuid() != 0:
            sys.exit("network namespaces need root: run this with sudo")
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, lambda number, _: sys.exit(128 + number))
        self.tag = f"shoal-{os.getpid()}"
        self.everything = []  # the switch, then the hosts
        self.switch = None
        return self

    def __exit__(self, *_):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for host in reversed(self.everything):
            with contextlib.suppress(subprocess.CalledProcessError):
                host.remove()
        signal.signal(signal.SIGINT, before)

    def add_lonely_host(self, name):
        """A host with nothing but its loopback."""
        self.everything.append(Host(name, f"{self.tag}-{name}"))
        return self.everything[-1]

    def add_host(self, name, uplink_mbit=None, downlink_mbit=None):
        """A host on the bridge; what it sends and what is sent to it is shaped when a rate is given."""
        if self.switch is None:
            self.switch = self.add_lonely_host("switch")
            self.hosts = []
            ip("-n", self.switch.namespace, "link", "add", "name", "bridge", "type", "bridge")
            ip("-n", self.switch.namespace, "link", "set", "bridge", "up")
        number = len(self.hosts) + 1
        host = Host(name, f"{self.tag}-{name}", f"10.83.0.{number}", uplink_mbit)
        self.everything.append(host)
        self.hosts.append(host)
        ip("-n", self.switch.namespace, "link", "add", "name", f"port{number}", "type", "veth",
           "peer", "name", "eth0", "netns", host.namespace)
        ip("-n", self.switch.namespace, "link", "set", f"port{number}", "master", "bridge", "up")
        ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "brd", "+", "dev", "eth0")
        ip("-n", host.namespace, "link", "set", "eth0", "up")
        shape(host.namespace, "eth0", uplink_mbit)
        shape(self.switch.namespace, f"port{number}", downlink_mbit)
        return host

    def wait_until_reachable(self, seconds=10):
        """A link takes a moment to come up. A refused connection is an answer."""
        deadline = time.monotonic() + seconds
        first, *others = self.hosts
        with first.inside():
            for host in others:
                while not answers(host.address):
                    if time.monotonic() > deadline:
                        sys.exit(f"{host.name} is not reachable from {first.name}")


def shape(namespace, device, mbit):
    """Bounds what a device sends."""
    if mbit:
        subprocess.run(["tc", "-n", namespace, "qdisc", "add", "dev", device, "root", "tbf", "rate", f"{mbit}mbit",
                        "burst", f"{BURST_KIB}kb", "latency", f"{QUEUE_MS}ms"], check=True)


def answers(address):
    with socket.socket() as probe:
        probe.settimeout(0.05)
        try:
            probe.connect((address, 1))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True


def send_for_ever(listener):
    """Sends zeros with sendfile to whoever connects, until they leave."""
    with listener, tempfile.TemporaryFile() as file:
        connection, _ = listener.accept()
        file.truncate(1 << 20)
        with connection, contextlib.suppress(ConnectionError):
            while True:
                os.sendfile(connection.fileno(), file.fileno(), 0, 1 << 20)


def goodput(receiver, senders, seconds=2.0, warmup=0.5):
    """Bytes per second of TCP payload from each of the senders, all sending at once, after their warm-up."""
    threads = []
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        counts = []
        for host in senders:
            with host.inside():
                listener = socket.create_server((host.address, 0))
            threads.append(threading.Thread(target=send_for_ever, args=(listener,), daemon=True))
            threads[-1].start()
            with receiver.inside():
                connection = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
            connection.setblocking(False)
            counts.append(Count())
            selector.register(connection, selectors.EVENT_READ, counts[-1])
        buffer = bytearray(256 << 10)
        begin = time.monotonic()
        while (now := time.monotonic()) < begin + warmup + seconds:
            for key, _ in selector.select(timeout=0.1):
                key.data.add(key.fileobj.recv_into(buffer), now >= begin + warmup)
    for thread in threads:
        thread.join()
    return [count.rate() for count in counts]


class Count:
    """Bytes between the first arrival after the warm-up and the last one."""

    def __init__(self):
        self.first = self.last = None
        self.bytes = 0

    def add(self, count, is_warm):
        if not is_warm:
            return
        self.last = time.monotonic()
        if self.first is None:
            self.first = self.last
        else:
            self.bytes += count

    def rate(self):
        return self.bytes / (self.last - self.first)
