"""`shoal tracker` as a process of its own: announces, shares, metrics, restarts, and clients of the worse kind."""

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import unittest
from pathlib import Path

from interop.counterparts import protocol
from support import bencode
from support.course import some_bytes
from support.processes import ProcessCase, wait_until
from support.shoal import DONE, program
from support.tracker_talk import Http, Udp, endpoints

IDLE = 2000
MEMORY_KIB_MAX = 48 * 1024
HASH = bytes(range(20))
NONSENSE = (
    b"GET\r\n\r\n",
    b"A" * 40_000,
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    b"PUT /shares/x.torrent HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nd8:ae",
    b"GET /announce?info_hash=%zz HTTP/1.1\r\nHost: t\r\n\r\n",
    b"\x16\x03\x01\x02\0" * 100,
    b"\x13BitTorrent protocol",
    bytes(100_000),
    some_bytes(100_000),
)


def peer(number, client=b"-XX0001-"):
    return client + b"%012d" % number


def torrent_of(name, content=b"", pieces=None):
    """A torrent file; the pieces of one that is never downloaded may be anything."""
    if pieces is None:
        pieces = bencode.piece_hashes(content, bencode.PIECE)
    size = len(content) or len(pieces) // 20 * bencode.PIECE
    info = {"length": size, "name": name, "piece length": bencode.PIECE, "pieces": pieces}
    return bencode.encode({"info": info}), bytes.fromhex(bencode.info_hash({"info": info}))


def memory_kib(process):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1])


class TrackerCase(ProcessCase):
    def start_tracker(self, *options):
        """The process; its address is self.address."""
        tracker = self.start(
            [program(), "tracker", "--bind", "127.0.0.1", "--port", "0", "--discovery-port", "0", *options]
        )
        tracker.wait_line("discovery")
        self.address = tracker.wait_address()
        return tracker

    def http(self):
        return Http(self, self.address)

    def naming_the_tracker(self, torrent):
        """A torrent without a tracker as this one gives it."""
        announce = f"http://{self.address[0]}:{self.address[1]}/announce"
        return b"d8:announce" + bencode.encode(announce) + torrent.removeprefix(b"d")

    def publish(self, name, **contents):
        torrent, info_hash = torrent_of(name, **contents)
        status, _ = self.http().ask("PUT", "/shares/any.torrent", torrent)
        self.assertEqual(status, 201)
        return torrent, info_hash


class Announces(TrackerCase):
    def test_http_and_udp_meet_in_one_swarm(self):
        self.start_tracker()
        http, udp = self.http(), Udp(self, self.address)
        first = http.announce(HASH, peer(1), 7001, 0, event="started")
        self.assertEqual((first["complete"], first["incomplete"], first["peers"]), (1, 0, b""))
        interval, leechers, seeds, peers = udp.announce(HASH, peer(2), 7002, 5, "started")
        self.assertEqual((interval, leechers, seeds), (first["interval"], 1, 1))
        self.assertEqual(peers, [("127.0.0.1", 7001)])
        self.assertEqual(endpoints(http.announce(HASH, peer(1), 7001, 0)["peers"]), [("127.0.0.1", 7002)])

        udp.announce(HASH, peer(2), 7002, 0, "completed")
        scraped = http.get("/scrape?info_hash=" + "".join(f"%{byte:02x}" for byte in HASH))
        self.assertEqual(scraped, b"d5:filesd20:" + HASH + b"d8:completei2e10:downloadedi1e10:incompletei0eeee")
        self.assertEqual(udp.scrape(HASH, bytes(20)), [(2, 1, 0), (0, 0, 0)])
        udp.announce(HASH, peer(2), 7002, 0, "stopped")
        self.assertEqual(udp.scrape(HASH), [(1, 1, 0)])

    def test_a_wrong_announce_is_told_what_is_wrong(self):
        self.start_tracker()
        http = self.http()
        self.assertIn(b"info_hash", bencode.decode(http.get("/announce?port=5"))["failure reason"])
        self.assertIn(b"port", http.announce(HASH, peer(1), 0, 0)["failure reason"])
        with self.assertRaisesRegex(AssertionError, "port"):
            Udp(self, self.address).announce(HASH, peer(1), 0, 0)

    def test_a_forged_connection_id_is_not_answered(self):
        self.start_tracker()
        udp = Udp(self, self.address)
        udp.connection += 1
        udp.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            udp.announce(HASH, peer(1), 7001, 0)

    def test_only_published_swarms_are_served_when_told_so(self):
        self.start_tracker("--only-published")
        self.assertIn("failure reason", self.http().announce(HASH, peer(1), 7001, 0))
        _, info_hash = self.publish("disk.img", content=b"some bytes")
        self.assertEqual(self.http().announce(info_hash, peer(1), 7001, 0)["complete"], 1)


class Shares(TrackerCase):
    def test_a_share_is_published_listed_given_and_taken_back(self):
        self.start_tracker()
        http = self.http()
        self.assertEqual(json.loads(http.get("/shares")), [])
        torrent, info_hash = self.publish("ä b.img", content=some_bytes(100_000))
        http.announce(info_hash, peer(1), 7001, 0)
        (share,) = json.loads(http.get("/shares"))
        self.assertEqual(
            [share[key] for key in ("name", "info_hash", "size", "files", "seeds", "leechers")],
            ["ä b.img", info_hash.hex(), 100_000, 1, 1, 0],
        )
        self.assertTrue(share["magnet"].startswith(f"magnet:?xt=urn:btih:{info_hash.hex()}&"), share["magnet"])
        given = self.naming_the_tracker(torrent)
        self.assertEqual(http.get("/shares/%C3%A4%20b.img.torrent"), given)
        self.assertEqual(http.get(f"/shares/{info_hash.hex()}.torrent"), given)
        self.assertEqual(http.ask("HEAD", f"/shares/{info_hash.hex()}.torrent"), (200, b""))
        self.assertEqual(bencode.info_hash(bencode.decode(given)), info_hash.hex())
        self.assertIn("ä b.img", http.get("/").decode())
        self.assertEqual(http.ask("DELETE", f"/shares/{info_hash.hex()}.torrent")[0], 200)
        self.assertEqual(http.ask("GET", "/shares/%C3%A4%20b.img.torrent")[0], 404)
        self.assertEqual(json.loads(http.get("/shares")), [])

    def test_a_big_torrent_is_sent_once_the_tracker_wants_it(self):
        self.start_tracker()
        torrent, info_hash = torrent_of("big", pieces=some_bytes(100_000 * 20))
        connection = socket.create_connection(self.address, 20)
        self.addCleanup(connection.close)
        head = f"PUT /shares/big.torrent HTTP/1.1\r\nHost: t\r\nContent-Length: {len(torrent)}\r\n"
        connection.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        self.assertEqual(connection.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(torrent)
        self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 201 "))
        given = self.http().get(f"/shares/{info_hash.hex()}.torrent")
        self.assertEqual(given, self.naming_the_tracker(torrent))

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_publishes_without_waiting(self):
        self.start_tracker()
        torrent, _ = torrent_of("big", pieces=some_bytes(100_000 * 20))
        (self.root / "big.torrent").write_bytes(torrent)
        url = f"http://{self.address[0]}:{self.address[1]}/shares/"
        command = ["curl", "--silent", "--verbose", "--fail", "-T", self.root / "big.torrent", url]
        said = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30).stderr
        self.assertIn(b"< HTTP/1.1 100 Continue", said, "curl waits a second for a tracker that says nothing")
        self.assertEqual(self.http().get("/shares/big.torrent"), self.naming_the_tracker(torrent))

    def test_what_is_no_torrent_is_refused(self):
        self.start_tracker()
        status, reason = self.http().ask("PUT", "/shares/x.torrent", b"junk")
        self.assertEqual(status, 400)
        self.assertGreater(len(reason), 10)

    def test_a_course_client_gets_the_newest_share_on_the_same_port(self):
        self.start_tracker()
        content = some_bytes(3 * bencode.PIECE)
        _, info_hash = self.publish("lecture.bin", content=content)
        with socket.socket() as owner:  # has to accept, or it is not named
            owner.bind(("127.0.0.1", 0))
            owner.listen()
            self.http().announce(info_hash, peer(1, b"-SH0100-"), owner.getsockname()[1], 0)
            with socket.create_connection(self.address, 20) as client:
                client.sendall(protocol.encode_get_file_info())
                message = protocol.Stream(client).next_message(20)
        self.assertEqual(message[1], protocol.FILE_INFO)
        self.assertIn(b"lecture.bin", message)
        for at in range(0, len(content), bencode.PIECE):
            piece_hash = bencode.piece_hashes(content[at : at + bencode.PIECE], bencode.PIECE)
            self.assertIn(piece_hash + b"\0\1\0\0", message, "one owner each")


class Watching(TrackerCase):
    def metrics(self, http):
        """{name: value}; the page has to be what Prometheus reads."""
        values, kinds = {}, {}
        for line in http.get("/metrics").decode().splitlines():
            if match := re.fullmatch(r"# HELP ([a-z_]+) \S.*", line):
                self.assertNotIn(match[1], kinds)
                continue
            if match := re.fullmatch(r"# TYPE ([a-z_]+) (gauge|counter)", line):
                kinds[match[1]] = match[2]
                continue
            match = re.fullmatch(r"([a-z_]+) (\d+)", line)
            self.assertTrue(match, line)
            self.assertEqual(kinds[match[1]] == "counter", match[1].endswith("_total"), line)
            values[match[1]] = int(match[2])
        self.assertEqual(values.keys(), kinds.keys())
        return {name.removeprefix("shoal_tracker_"): value for name, value in values.items()}

    def test_metrics_say_what_happened(self):
        self.start_tracker()
        http = self.http()
        http.announce(HASH, peer(1), 7001, 0)
        Udp(self, self.address).announce(HASH, peer(2), 7002, 5)
        http.announce(HASH, peer(3), 0, 5)
        self.publish("disk.img", content=b"some bytes")
        values = self.metrics(http)
        wanted = {"shares": 1, "swarms": 2, "seeds": 1, "leechers": 1, "announces_total": 3}
        wanted |= {"announces_refused_total": 1, "scrapes_total": 0, "course_connections": 0}
        self.assertEqual({name: values[name] for name in wanted}, wanted)
        self.assertGreaterEqual(values["http_connections"], 1)
        self.assertEqual(http.get("/healthz"), b"ok\n")


class Restarts(TrackerCase):
    def test_one_that_is_ended_goes_on_where_it_was(self):
        state = ("--state", self.root / "state")
        tracker = self.start_tracker(*state)
        torrent, info_hash = self.publish("disk.img", content=some_bytes(100_000))
        self.http().announce(info_hash, peer(1), 7001, 0)
        tracker.signal(15)
        self.assert_exit(tracker, DONE)
        self.start_tracker(*state)
        http = self.http()
        self.assertEqual(http.get("/shares/disk.img.torrent"), self.naming_the_tracker(torrent))
        self.assertEqual(endpoints(http.announce(info_hash, peer(2), 7002, 5)["peers"]), [("127.0.0.1", 7001)])

    def test_peers_of_yesterday_are_forgotten(self):
        state = ("--state", self.root / "state")
        tracker = self.start_tracker(*state)
        torrent, info_hash = self.publish("disk.img", content=some_bytes(100_000))
        self.http().announce(info_hash, peer(1), 7001, 0)
        tracker.signal(15)
        self.assert_exit(tracker, DONE)
        saved = self.root / "state" / "swarms"
        yesterday = saved.stat().st_mtime - 24 * 3600
        os.utime(saved, (yesterday, yesterday))
        self.start_tracker(*state)
        http = self.http()
        self.assertEqual(http.get("/shares/disk.img.torrent"), self.naming_the_tracker(torrent))
        self.assertEqual(http.announce(info_hash, peer(2), 7002, 5)["peers"], b"")

    def test_one_that_is_killed_has_its_shares(self):
        state = ("--state", self.root / "state")
        tracker = self.start_tracker(*state)
        torrent, info_hash = self.publish("disk.img", content=some_bytes(100_000))
        saved = self.root / "state" / "shares"
        wait_until(lambda: saved.is_file() and torrent in saved.read_bytes(), "the share is saved")
        tracker.signal(9)
        tracker.wait()
        self.start_tracker(*state)
        self.assertEqual(self.http().get("/shares/disk.img.torrent"), self.naming_the_tracker(torrent))

    def test_spoilt_state_is_told_of_and_left_behind(self):
        (self.root / "state").mkdir()
        (self.root / "state" / "shares").write_bytes(b"spoilt")
        tracker = self.start_tracker("--state", self.root / "state")
        self.publish("disk.img", content=b"some bytes")
        self.assertIn("cannot be read", tracker.stderr)


class BadClients(TrackerCase):
    def setUp(self):
        super().setUp()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most < IDLE + 200:
            self.skipTest(f"{IDLE} open connections are needed, {most} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def connect(self, data=b"", receive_bytes=0):
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(20)
        connection.connect(self.address)
        connection.sendall(data)
        return connection

    def test_those_who_do_not_read_disturb_nobody(self):
        tracker = self.start_tracker()
        torrent, info_hash = self.publish("big", pieces=some_bytes(250_000 * 20))
        before = memory_kib(tracker)
        request = f"GET /shares/{info_hash.hex()}.torrent HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        slow = [self.connect(request * 3, receive_bytes=4096) for _ in range(20)]
        trickling = [self.connect(b"PUT /shares/x.torrent HTTP/1.1\r\nHost: t\r\nContent-Le") for _ in range(100)]
        http = self.http()
        for number in range(100):
            self.assertIn("peers", http.announce(HASH, peer(number), 7000 + number, 5))
        self.assertEqual(http.get(f"/shares/{info_hash.hex()}.torrent"), self.naming_the_tracker(torrent))
        self.assertLess(memory_kib(tracker) - before, 16 * 1024, "they share one copy of the answer")
        received = b""
        while len(received) < 200_000:
            received += slow[0].recv(65536)
        self.assertIn(torrent[1:1000], received)
        self.assert_alive(tracker)
        self.assertEqual(len(trickling), 100)

    def test_2000_idle_connections_cost_little_and_are_not_forgotten(self):
        tracker = self.start_tracker()
        request = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
        idle = [self.connect(request if number % 2 else b"") for number in range(IDLE)]
        for connection in idle[1::2]:
            self.assertTrue(connection.recv(1000).endswith(b"ok\n"))
        self.assertIn("peers", self.http().announce(HASH, peer(1), 7001, 5))
        with socket.create_connection(self.address, 20) as client:
            client.sendall(protocol.encode_get_file_info())
            self.assertEqual(protocol.Stream(client).next_message(20)[1], protocol.FILE_INFO)
        self.assertLess(memory_kib(tracker), MEMORY_KIB_MAX)
        for connection in idle[1::400] + idle[::400]:
            connection.sendall(request)
            self.assertTrue(connection.recv(1000).endswith(b"ok\n"))

    def test_nonsense_of_all_kinds_ends_that_connection_at_most(self):
        tracker = self.start_tracker()
        for number, nonsense in enumerate(NONSENSE):
            connection = self.connect()
            try:
                connection.sendall(nonsense)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except ConnectionError:
                pass  # it may be let go before it has said everything
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.sendto(nonsense[:1000], self.address)
            self.assertEqual(self.http().get("/healthz"), b"ok\n", number)
        self.assert_alive(tracker)


if __name__ == "__main__":
    unittest.main()
