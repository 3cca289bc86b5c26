"""Programs that speak BitTorrent, as givers and takers for swarm_speed: Shoal, aria2 and libtorrent.

Each is started with a .torrent file in a folder of its own, in the namespace of the calling thread; it learns of the
others from the torrent's tracker alone, and says itself when it has everything. The rivals are set up for speed: no
encryption, no uTP, no limits, nothing allocated in advance, and whatever their own makers advise for fast links.
"""
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from harness import SHOAL

DEBIAN_PYTHON = "/usr/bin/python3"
START_TIMEOUT_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def need_rivals():
    if shutil.which("aria2c") is None:
        sys.exit("aria2c is missing: install Debian's aria2")
    if subprocess.run([DEBIAN_PYTHON, "-c", "import libtorrent"], stderr=subprocess.DEVNULL).returncode != 0:
        sys.exit("libtorrent is missing: install Debian's python3-libtorrent")


class Program(threading.Thread):
    """A process, and a thread that notes when it says what is waited for."""

    complete_sign = "complete"

    def __init__(self, command, folder):
        super().__init__(daemon=True)
        folder.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
        self.command = [str(word) for word in command]
        self.completed = threading.Event()
        self.completed_at = self.cpu_at_completion = None
        self.said = []
        self.begin = time.monotonic()
        self.process = subprocess.Popen(self.command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.start()

    def run(self):
        for line in self.process.stdout:
            if self.completed_at is None and self.complete_sign in line:
                self.completed_at = time.monotonic()
                self.cpu_at_completion = self.cpu_seconds()
                self.completed.set()
            elif '"event":"piece"' not in line:
                self.said.append(line)
        self.completed.set()

    def wait_complete(self, timeout):
        """Until it has everything, by its own account; gives the seconds since its start."""
        self.completed.wait(timeout)
        if self.completed_at is None:
            sys.exit(f"{' '.join(self.command)} is not complete after {timeout} s: {''.join(self.said[-20:])}")
        return self.completed_at - self.begin

    def cpu_seconds(self):
        """Of all its threads, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def peak_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Shoal(Program):
    name = "shoal"

    @classmethod
    def give(cls, torrent, file, address, port):
        program = cls([SHOAL, "share", torrent, "--data", file, *cls.options(address, port)],
                      file.parent / "shoal-home", '"event":"shared"')
        program.wait_complete(START_TIMEOUT_S)
        return program

    @classmethod
    def take(cls, torrent, folder, address, port):
        return cls([SHOAL, "get", torrent, "--output", f"{folder}/", "--seed", *cls.options(address, port)], folder,
                   "is complete; giving")

    @staticmethod
    def options(address, port):
        return ["--bind", address, "--port", port, "--no-local", "--json"]

    def __init__(self, command, folder, complete_sign):
        self.complete_sign = complete_sign
        super().__init__(command, folder)

    def go(self):
        """It began when it was started."""


class Aria2(Program):
    name = "aria2"
    OPTIONS = {
        "seed-ratio": "0.0",  # gives until it is ended
        "file-allocation": "none",
        "disk-cache": "64M",
        "bt-max-peers": 0,
        "bt-request-peer-speed-limit": 0,
        "bt-min-crypto-level": "plain",
        "bt-enable-lpd": "false",
        "enable-dht": "false",
        "enable-peer-exchange": "false",
        "check-integrity": "true",
        "allow-overwrite": "true",
        "summary-interval": 0,
        "show-console-readout": "false",
    }

    @classmethod
    def give(cls, torrent, file, address, port):
        program = cls(cls.command_line(torrent, file.parent, address, port), file.parent / "aria2-home")
        program.wait_complete(START_TIMEOUT_S)
        return program

    @classmethod
    def take(cls, torrent, folder, address, port):
        return cls(cls.command_line(torrent, folder, address, port), folder)

    @classmethod
    def command_line(cls, torrent, folder, address, port):
        options = cls.OPTIONS | {
            "dir": folder,
            "listen-port": port,
            "interface": address,
            # What this runs says so on the same standard output.
            "on-bt-download-complete": Path(__file__).parent / "say_complete",
        }
        return ["aria2c", "--no-conf", "--disable-ipv6", *(f"--{name}={value}" for name, value in options.items()),
                torrent]

    def go(self):
        """It began when it was started."""


class Libtorrent(Program):
    """The library in Debian's Python, whose own start is not measured: a taker begins when it is told to go."""

    name = "libtorrent"

    @classmethod
    def give(cls, torrent, file, address, port):
        program = cls.take(torrent, file.parent, address, port)
        program.go()
        program.wait_complete(START_TIMEOUT_S)
        return program

    @classmethod
    def take(cls, torrent, folder, address, port):
        script = Path(__file__).parent / "libtorrent_peer.py"
        program = cls([DEBIAN_PYTHON, script, torrent, folder, f"{address}:{port}"], folder)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not any(line.startswith("ready") for line in program.said):
            if time.monotonic() > deadline or program.process.poll() is not None:
                sys.exit(f"libtorrent did not start: {''.join(program.said)}")
            time.sleep(0.005)
        return program

    def go(self):
        self.begin = time.monotonic()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


PROGRAMS = {program.name: program for program in (Shoal, Aria2, Libtorrent)}


class Tracker:
    """`shoal tracker` with nothing but the one torrent's peers."""

    def __init__(self, address, port, folder):
        folder.mkdir(parents=True)
        self.url = f"http://{address}:{port}/announce"
        self.process = subprocess.Popen(
            [str(SHOAL), "tracker", "--bind", address, "--port", str(port), "--state", str(folder), "--quiet"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not self.process.stdout.readline().startswith("listening "):
            sys.exit("shoal tracker did not start")

    def wait_for_giver(self, info_hash):
        """A taker that asks before the giver has announced itself would wait for the next round of announces."""
        escaped = "".join(f"%{info_hash[at:at + 2]}" for at in range(0, 40, 2))
        question = self.url.replace("/announce", f"/scrape?info_hash={escaped}")
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with urllib.request.urlopen(question, timeout=5) as answer:
                if b"8:completei1e" in answer.read():
                    return
            time.sleep(0.01)
        sys.exit("the giver did not announce itself")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
