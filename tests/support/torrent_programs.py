"""BitTorrent programs that nobody here wrote, each as a process on a host of its own with a folder of its own.

`Aria2`, `Transmission` and `Libtorrent` are hosts of one swarm: they take what is not in their folder and give what
is. They have in common

    program = Aria2(case, host, what, folder, local=True)   what: a Torrent, or a magnet link
    program.wait_ready()                                    it has begun to take part
    program.wait_complete()                                 everything is there, by its own account
    program.peers()                                         the addresses it is connected to

and the switches `local` (local peer discovery), `exchange` (peer exchange), `limit_down`, `limit_up` (bytes per
second), and `peers` (addresses to begin with; libtorrent alone). The rest is as the programs come, so they try
encryption and uTP first. Who is not installed is skipped.
"""

import base64
import json
import os
import shutil
import subprocess
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from support import bencode
from support.processes import READY_TIMEOUT_S, wait_until

COMPLETE_TIMEOUT_S = 40.0
DEBIAN_PYTHON = "/usr/bin/python3"
OPENTRACKER_PORT = 6969


def need(program, package):
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{program} is not installed (Debian package {package})")
    return program


def need_libtorrent():
    try:
        done = subprocess.run([DEBIAN_PYTHON, "-c", "import libtorrent"], capture_output=True, timeout=20)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode != 0:
        raise unittest.SkipTest("libtorrent is not installed (Debian package python3-libtorrent)")


class Torrent:
    """A .torrent file."""

    def __init__(self, path):
        self.path = Path(path)
        self.fields = bencode.decode(self.path.read_bytes())
        self.info_hash = bencode.info_hash(self.fields)
        self.announce = self.fields.get("announce", b"").decode()

    def without_tracker(self):
        """The same in a file that names none."""
        fields = {key: value for key, value in self.fields.items() if not key.startswith("announce")}
        path = self.path.with_suffix(".plain.torrent")
        path.write_bytes(bencode.encode(fields))
        return Torrent(path)


def make_torrent(case, path, tracker=None, name="made.torrent"):
    """A .torrent file by mktorrent, with pieces of 32 KiB."""
    need("mktorrent", "mktorrent")
    output = case.root / name
    # it insists on one
    command = ["mktorrent", "-l", "15", "-a", tracker or "http://nobody/", "-o", output, path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"mktorrent: {done.stdout}{done.stderr}")
    torrent = Torrent(output)
    return torrent if tracker else torrent.without_tracker()


def _what(what):
    return what if isinstance(what, str) else str(what.path)


class _Program:
    """What the three have in common."""

    def __init__(self, case, host, what, folder):
        self.case = case
        self.host = host
        self.what = what
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.home = case.root / f"home-{host.ip}-{type(self).__name__.lower()}"
        self.home.mkdir(exist_ok=True)

    def start(self, command):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C"}
        with self.case.prefixed(self.host.prefix):
            self.process = self.case.start(command, cwd=self.home, env=environment)

    def wait(self, condition, what, timeout):
        """Poll for what the program says of itself; fails at once when it ended."""

        def poll():
            if not self.process.is_running:
                raise AssertionError(f"ended\n{self.process.story()}")
            return condition()

        try:
            return wait_until(poll, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.case.stories()}") from None


class Aria2(_Program):
    PORT = 6881
    RPC_PORT = 6800

    def __init__(self, case, host, what, folder, **switches):
        need("aria2c", "aria2")
        super().__init__(case, host, what, folder)
        self.start(["aria2c", *self._options(**switches), _what(what)])

    def _options(self, local=False, exchange=False, limit_down=0, limit_up=0):
        options = {
            "dir": self.folder,
            "listen-port": self.PORT,
            # also what switches UDP trackers on; it knows nobody to begin with
            "enable-dht": "true",
            "dht-file-path": self.home / "dht.dat",
            "dht-listen-port": 6881,
            "bt-enable-lpd": str(local).lower(),
            "bt-lpd-interface": self.host.ip,  # it finds none by itself where no route leads everywhere
            "enable-peer-exchange": str(exchange).lower(),
            "max-overall-download-limit": limit_down,
            "max-overall-upload-limit": limit_up,
            "check-integrity": "true",
            "seed-ratio": "0.0",  # gives until it is ended
            "file-allocation": "none",
            "allow-overwrite": "true",
            "enable-rpc": "true",
            "rpc-listen-all": "true",
            "rpc-listen-port": self.RPC_PORT,
            "summary-interval": 1,
            "console-log-level": "notice",
        }
        return ["--no-conf", "--disable-ipv6", *(f"--{name}={value}" for name, value in options.items())]

    def _ask(self, method, *parameters):
        """An answer of its JSON-RPC; nothing while it does not listen yet."""
        question = {"jsonrpc": "2.0", "id": "1", "method": f"aria2.{method}", "params": parameters}
        try:
            answer = _post(f"http://{self.host.ip}:{self.RPC_PORT}/jsonrpc", question)
        except OSError:
            return None
        return answer["result"]

    def _downloads(self):
        return self._ask("tellActive", ["gid", "seeder", "bittorrent"]) or []

    def wait_ready(self):
        """It has begun to take part."""
        self.wait(self._downloads, "aria2 begins", READY_TIMEOUT_S)

    def wait_complete(self, timeout=COMPLETE_TIMEOUT_S):
        def is_complete():
            return any(
                one.get("seeder") == "true" and "info" in one["bittorrent"]  # a magnet link's metadata comes first
                for one in self._downloads()
            )

        self.wait(is_complete, "aria2 has everything", timeout)

    def peers(self):
        found = (self._ask("getPeers", one["gid"]) or [] for one in self._downloads())
        return {peer["ip"] for peers in found for peer in peers}


class Transmission(_Program):
    PORT = 51413
    RPC_PORT = 9091

    def __init__(self, case, host, what, folder, **switches):
        need("transmission-daemon", "transmission-daemon")
        super().__init__(case, host, what, folder)
        settings = self._settings(**switches)
        (self.home / "settings.json").write_text(json.dumps(settings))
        host.join_multicast()
        self.start(["transmission-daemon", "--foreground", "--config-dir", self.home, "--log-info"])
        self._session = ""
        self._add()

    def _settings(self, local=False, exchange=False, limit_down=0, limit_up=0):
        return {
            "download-dir": str(self.folder),
            "dht-enabled": False,
            "lpd-enabled": local,
            "pex-enabled": exchange,
            "peer-port": self.PORT,
            "port-forwarding-enabled": False,
            "rpc-bind-address": "0.0.0.0",
            "rpc-whitelist-enabled": False,
            "rpc-host-whitelist-enabled": False,
            "rpc-authentication-required": False,
            "speed-limit-down-enabled": bool(limit_down),
            "speed-limit-down": limit_down // 1000,
            "speed-limit-up-enabled": bool(limit_up),
            "speed-limit-up": limit_up // 1000,
        }

    def _ask(self, method, **arguments):
        """An answer of its RPC; nothing while it does not listen yet."""
        url = f"http://{self.host.ip}:{self.RPC_PORT}/transmission/rpc"
        question = {"method": method, "arguments": arguments}
        try:
            answer = _post(url, question, {"X-Transmission-Session-Id": self._session})
        except urllib.error.HTTPError as error:
            self._session = error.headers.get("X-Transmission-Session-Id", "")
            return None
        except OSError:
            return None
        if answer["result"] != "success":
            raise AssertionError(f"transmission says to {method}: {answer['result']}")
        return answer["arguments"]

    def _add(self):
        if isinstance(self.what, str):
            what = {"filename": self.what}
        else:
            what = {"metainfo": base64.b64encode(self.what.path.read_bytes()).decode()}
        self.wait(lambda: self._ask("torrent-add", **what), "transmission takes the torrent", READY_TIMEOUT_S)

    def _state(self, *fields):
        answer = self._ask("torrent-get", fields=list(fields))
        return answer["torrents"][0] if answer and answer["torrents"] else None

    def wait_ready(self):
        """It has begun to take part."""
        self.wait(lambda: (self._state("status") or {}).get("status", 0) > 2, "transmission begins", READY_TIMEOUT_S)

    def wait_complete(self, timeout=COMPLETE_TIMEOUT_S):
        def is_complete():
            state = self._state("metadataPercentComplete", "leftUntilDone", "haveValid", "totalSize")
            return (
                state
                and state["metadataPercentComplete"] == 1
                and state["leftUntilDone"] == 0
                and state["haveValid"] == state["totalSize"]
            )

        self.wait(is_complete, "transmission has everything", timeout)

    def peers(self):
        state = self._state("peers")
        return {peer["address"] for peer in state["peers"]} if state else set()


class Libtorrent(_Program):
    PORT = 6881

    def __init__(self, case, host, what, folder, **switches):
        need_libtorrent()
        super().__init__(case, host, what, folder)
        program = Path(__file__).parent / "libtorrent_host.py"
        self.start([DEBIAN_PYTHON, program, _what(what), "--folder", self.folder, *self._options(**switches)])
        self.process.wait_line("listening")

    @staticmethod
    def _options(local=False, exchange=False, limit_down=0, limit_up=0, peers=()):
        options = ["--limit-down", limit_down, "--limit-up", limit_up]
        options += ["--local"] * local + ["--exchange"] * exchange
        for peer in peers:
            options += ["--peer", peer]
        return options

    @property
    def address(self):
        return f"{self.host.ip}:{self.PORT}"

    def wait_ready(self):
        """It has begun to take part."""
        self.process.wait_line("has")

    def wait_pieces(self, count):
        """It has looked through its folder."""
        has = lambda: count in map(int, self.process.lines("has"))  # noqa: E731
        self.wait(has, f"libtorrent has {count} pieces", READY_TIMEOUT_S)

    def wait_complete(self, timeout=COMPLETE_TIMEOUT_S):
        self.wait(lambda: self.process.lines("done"), "libtorrent has everything", timeout)

    def peers(self):
        return {address.rpartition(":")[0] for address in self.process.lines("peer")}


PROGRAMS = {"aria2": Aria2, "transmission": Transmission, "libtorrent": Libtorrent}


class OpenTracker:
    """Serves the torrents it was told of, over HTTP and UDP on one port."""

    def __init__(self, case, host, *torrents):
        need("opentracker", "opentracker")
        folder = case.root / f"opentracker-{host.ip}"
        folder.mkdir()
        folder.chmod(0o755)
        case.root.chmod(0o755)
        allowed = folder / "allowed.txt"
        allowed.write_text("".join(f"{torrent.info_hash}\n" for torrent in torrents))
        allowed.chmod(0o644)
        self.address = f"{host.ip}:{OPENTRACKER_PORT}"
        with case.prefixed(host.prefix):
            self.process = case.start(
                ["opentracker", "-i", host.ip, "-p", OPENTRACKER_PORT, "-P", OPENTRACKER_PORT]
                + ["-d", folder, "-w", allowed.name]  # it looks for the file when it is shut in the folder
            )


def scrape(address, info_hash):
    """(those who have everything, the others) by a tracker's account; nothing while it does not answer."""
    escaped = "".join(f"%{info_hash[at:at + 2]}" for at in range(0, 40, 2))
    try:
        with urllib.request.urlopen(f"http://{address}/scrape?info_hash={escaped}", timeout=5) as answer:
            answer = bencode.decode(answer.read())
    except OSError:
        return None
    counts = next(iter(answer["files"].values()), {"complete": 0, "incomplete": 0})
    return counts["complete"], counts["incomplete"]


def _post(url, question, headers=None):
    request = urllib.request.Request(url, json.dumps(question).encode(), headers or {})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())
