"""What the bench scripts share: a course directory, the roles as processes, their peak memory, and a table of ratios."""
import os
import random
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("SHOAL_BUILD", ROOT / "build" / "release"))
SHOAL = BUILD / "shoal"
MIB = 1 << 20


def need(path):
    if not Path(path).exists():
        sys.exit(f"{path} is missing: build it first (cmake --preset release && cmake --build --preset release)")


def make_file(path, size, seed=1):
    """A file of random bytes; kept when it is there already with the right size."""
    path = Path(path)
    if path.exists() and path.stat().st_size == size:
        return path
    block = random.Random(seed).randbytes(8 * MIB)
    with open(path, "wb") as file:
        done = 0
        while done < size:
            # Each block differs in its first bytes, so that no two chunks are equal.
            part = (done.to_bytes(8, "big") + block[8:])[: size - done]
            for begin in range(0, len(part), 64 * 1024):
                file.write((done + begin).to_bytes(8, "big")[: len(part) - begin])
                file.write(part[begin + 8 : begin + 64 * 1024])
            done += len(part)
    return path


def free_port(address="127.0.0.1", kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def write_peers_ini(folder, endpoints):
    """endpoints: {"tracker": (ip, port), "alice": (ip, port), ...}"""
    text = "".join(f"[{name}]\nip_address = {ip}\nport_number = {port}\n\n" for name, (ip, port) in endpoints.items())
    config = Path(folder) / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "peers.ini").write_text(text)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


class Role:
    """A server process; ready when it has printed its address. `prefix` runs it elsewhere (ip netns exec NAME)."""

    def __init__(self, *arguments, prefix=(), cwd=None):
        command = [*prefix, str(SHOAL), "course", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=cwd)
        self.line = self.process.stdout.readline().strip()
        if not self.line.startswith("listening "):
            self.stop()
            sys.exit(f"{' '.join(command)} did not start: {self.line!r}")

    def peak_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()


def timed(*command, prefix=(), cwd=None):
    """Runs a command; gives its seconds and its peak memory in MiB."""
    words = [*prefix, *map(str, command)]
    begin = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=cwd)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}: {error.strip()}")
    return seconds, usage.ru_maxrss / 1024


def median(values):
    return statistics.median(values)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
