"""`shoal share` on one side, `shoal get` on the other: all that can be asked for, and all that can be sent."""

import json
import os
import re
import signal
import unittest
import urllib.parse
import urllib.request
from select import poll

from support import bencode
from support.cases import expanded, for_each
from support.course import some_bytes
from support.events import events, wait_event
from support.network import enter_fresh_network
from support.processes import wait_until
from support.range_server import RangeServer
from support.shoal import DISK, DONE, INTERRUPTED, USAGE, program
from support.verbs import MIB, VerbCase, finished, leftovers, peer_of, tree

NAMES = {  # contents of a folder whose names are not all simple
    "plain.txt": b"plain\n",
    "empty": b"",
    "deep/er/empty too": b"",
    "deep/er/big": some_bytes(300_000),
    "ä ö/ü – 統.txt": some_bytes(20_000, 2),
    "100% & more?#+.txt": b"%41",
    "-dash": some_bytes(1, 3),
    "a'b\"c": b"quotes",
    "z" * 200: b"long",
}
NOBODY_HEARS = ("--discovery-port", "9001")


def setUpModule():
    enter_fresh_network()


class OneFile(VerbCase):
    sharing = ()

    def setUp(self):
        super().setUp()
        self.disk = self.write("disk.img", some_bytes(MIB + 17))
        self.sharer = self.share(self.disk, *self.sharing)
        self.what = (self.sharer.shared["magnet"], "--no-local")  # without looking for trackers first

    def torrent_url(self):
        return f"http://{self.sharer.shared['tracker']}/shares/disk.img.torrent"

    def torrent_file(self):
        with urllib.request.urlopen(self.torrent_url(), timeout=5) as answer:
            return self.write("some.torrent", answer.read(), self.there)


class ByWhat(OneFile):
    def test_it_is_got_by_whatever_leads_to_it(self):
        shared = self.sharer.shared
        self.get_all(
            nothing=(),
            name=("disk.img",),
            name_and_tracker=("disk.img", "--tracker", shared["tracker"]),
            name_and_url=("disk.img", "--tracker", f"http://{shared['tracker']}/announce", *NOBODY_HEARS),
            magnet_link=(shared["magnet"],),
            info_hash_alone=("magnet:?xt=urn:btih:" + shared["info_hash"],),
            torrent_file=(self.torrent_file(),),
            url_of_a_torrent=(self.torrent_url(),),
        )

    def test_nobody_needs_to_be_looked_for(self):
        self.get_all(
            magnet_link=(self.sharer.shared["magnet"], "--no-local"),
            url_of_a_torrent=(self.torrent_url(), "--no-local"),
            info_hash_and_peer=("magnet:?xt=urn:btih:" + self.sharer.shared["info_hash"], *peer_of(self.sharer)),
            torrent_file_and_peer=(self.torrent_file(), *peer_of(self.sharer)),
        )

    def get_all(self, **ways):
        """At the same time, each to a folder of its own."""
        running = {}
        for way, what in ways.items():
            (self.there / way).mkdir()
            running[way] = self.get(*what, cwd=self.there / way)
        for way, process in running.items():
            with self.subTest(way):
                self.assert_exit(process, DONE)
                self.assertEqual(process.stdout, ["./disk.img"])
                self.assert_same(self.there / way / "disk.img", self.disk)

    def test_what_is_there_is_not_fetched_again(self):
        self.got()
        again = self.got("--json")
        self.assertEqual(events(again, "manifest")[0]["held"], self.sharer.shared["pieces"])
        self.assertEqual(events(again, "piece"), [])
        self.assert_same(self.there / "disk.img", self.disk)

    def test_a_torrent_file_of_any_name(self):
        self.torrent_file().rename(self.there / "description")
        for n, what in enumerate(("description", "./description")):
            self.got(what, *peer_of(self.sharer), "--output", f"{n}.img")
            self.assert_same(self.there / f"{n}.img", self.disk)

    def test_a_file_of_the_name_is_not_in_the_way(self):
        for _ in range(2):
            self.got("disk.img")
            self.assert_same(self.there / "disk.img", self.disk)

    def test_a_torrent_that_somebody_else_made(self):
        """--data says where its files lie; the name there is not the torrent's."""
        content = self.disk.read_bytes()
        info = {"length": len(content), "name": "other.img", "piece length": 1 << 15}
        torrent = bencode.encode({"info": info | {"pieces": bencode.piece_hashes(content, 1 << 15)}})
        path = self.write("other.torrent", torrent)
        self.share(path, "--data", self.disk)
        self.got("other.img")
        self.assert_same(self.there / "other.img", self.disk)

    def test_who_shares_a_torrent_file_hears_of_data(self):
        sharer = self.verb("share", self.torrent_file())
        wait_until(lambda: "Ctrl-C ends it" in sharer.stderr, "it says everything")
        self.assertRegex(sharer.stderr, "some.torrent itself.*--data")


class WithWebSeeds(OneFile):
    sharing = ("--web-seed", "http://127.0.0.1:1/a", "--web-seed", "http://127.0.0.1:1/b")

    def test_they_are_known_to_whoever_asks_the_tracker(self):
        torrent = bencode.decode(self.torrent_file().read_bytes())
        self.assertEqual(torrent["url-list"], [b"http://127.0.0.1:1/a", b"http://127.0.0.1:1/b"])
        link = urllib.parse.parse_qs(self.sharer.shared["magnet"].partition("?")[2])
        self.assertEqual(link["ws"], ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"])

    def test_one_is_named_among_those_who_gave(self):
        server = RangeServer(self, self.disk.read_bytes())
        process = self.got(self.torrent_file(), "--no-local", "--web-seed", server.url)
        self.assert_same(self.there / "disk.img", self.disk)
        self.assertRegex(process.stderr, rf"\n  {re.escape(server.url)} +\d+ pieces? ")

    def test_what_cannot_be_one_is_told(self):
        process = self.verb("share", self.disk, "--web-seed", "ftp://127.0.0.1/a")
        self.assert_exit(process, USAGE)
        self.assertIn("--web-seed ftp://127.0.0.1/a", process.stderr)


@expanded
class Contents(VerbCase):
    def exchange(self, path):
        sharer = self.share(path, "--no-local")
        self.got(sharer.shared["magnet"], "--no-local")
        self.assert_same(self.there / path.name, path)

    def test_a_folder_keeps_what_is_in_it(self):
        box = bencode.write_files(self.here / "box – 1", NAMES)
        (box / "run.sh").write_text("#!/bin/sh\n")
        (box / "run.sh").chmod(0o755)
        (box / "deep" / "link").symlink_to("../plain.txt")
        (box / "up").symlink_to("deep/er/big")
        self.exchange(box)

    def test_a_folder_keeps_the_times_of_its_files(self):
        """And so it is the same share when whoever has got it gives it, too."""
        box = bencode.write_files(self.here / "box", NAMES)
        os.utime(box / "plain.txt", (5, 1_000_000_000.7))
        sharer = self.share(box, "--no-local")
        self.got(sharer.shared["magnet"], "--no-local")
        self.assertEqual((self.there / "box" / "plain.txt").stat().st_mtime, 1_000_000_000)
        again = self.share(self.there / "box", "--no-local")
        self.assertEqual(again.shared["info_hash"], sharer.shared["info_hash"])

    def test_a_file_is_the_same_share_whenever_it_was_made(self):
        disks = [self.write(f"{n}/disk.img", some_bytes(50_000)) for n in range(2)]
        os.utime(disks[0], (5, 1_000_000_000))
        first, second = (self.share(disk, "--no-local").shared["info_hash"] for disk in disks)
        self.assertEqual(first, second)

    def test_times_that_a_torrent_says_are_kept(self):
        box = bencode.write_files(self.here / "box", NAMES)
        os.utime(box / "plain.txt", (5, 1_000_000_000))
        torrent = self.root / "box.torrent"
        self.assert_exit(self.start([program(), "make", box, "--output", torrent, "--times"]), DONE)
        sharer = self.share(torrent, "--data", box, "--no-local")
        self.got(torrent, "--no-local", *peer_of(sharer))
        self.assert_same(self.there / "box", box)
        self.assertEqual((self.there / "box" / "plain.txt").stat().st_mtime, 1_000_000_000)

    @for_each(empty=b"", one_byte=b"x", a_piece=bytes(1 << 14), equal_pieces=bytes(3 * MIB), odd=some_bytes(70_001))
    def test_a_file_of_any_size(self, content):
        self.exchange(self.write("file", content))

    @for_each(
        odd=".ä ö – 統?a#b&c+d 100%2541", long="n" * 255, like_a_torrent="x.torrent",
    )
    def test_a_file_of_any_name(self, name):
        """By its name, so that the tracker has to understand it, too."""
        path = self.write(name, b"content of " + name.encode())
        self.share(path)
        self.got(name)
        self.assert_same(self.there / name, path)

    def test_many_small_files(self):
        self.exchange(bencode.write_files(self.here / "box", {f"{n % 20}/{n}": some_bytes(n, n) for n in range(700)}))

    def test_a_folder_in_which_nothing_has_bytes(self):
        self.exchange(bencode.write_files(self.here / "box", {"a": b"", "b/c": b""}))


@expanded
class Places(OneFile):
    sharing = ("--no-local",)

    @for_each(
        new_name=("film.img", "film.img"),
        folder=("films", "films/disk.img"),
        folder_with_a_slash=("films/", "films/disk.img"),
        name_in_a_folder=("films/film.img", "films/film.img"),
        here=(".", "disk.img"),
    )
    def test_output_says_where(self, case):
        output, path = case
        (self.there / "films").mkdir()
        process = self.got(*self.what, "--output", output)
        self.assert_same(self.there / path, self.disk)
        self.assertEqual([os.path.normpath(line) for line in process.stdout], [path])

    @for_each(folder="films/", parent="films/film.img")
    def test_no_folder_is_made_for_it(self, output):
        process = self.got(*self.what, "--output", output, wants=USAGE)
        self.assertIn("make it first", process.stderr)
        self.assertEqual(list(self.there.iterdir()), [])

    def test_standard_output(self):
        with self.prefixed(["sh", "-c", 'exec "$@" >piped', "sh"]):
            self.got(*self.what, "--stdout", "--quiet")
        (result,) = self.there.iterdir()
        self.assertTrue(result.read_bytes() == self.disk.read_bytes())

    def test_a_reader_that_reads_nothing_does_not_keep_it_from_ending(self):
        os.mkfifo(self.there / "pipe")
        reader = os.open(self.there / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        with self.prefixed(["sh", "-c", 'exec "$@" >pipe', "sh"]):
            process = self.get(*self.what, "--stdout")
        ready = poll()
        ready.register(reader)
        wait_until(lambda: ready.poll(0), "something has come")
        process.signal(signal.SIGTERM)
        self.assert_exit(process, INTERRUPTED)

    def test_events_keep_out_of_standard_output(self):
        result = self.there / "piped"
        with self.prefixed(["sh", "-c", 'exec "$@" >piped', "sh"]):
            process = self.got(*self.what, "--stdout", "--json")
        self.assertTrue(result.read_bytes() == self.disk.read_bytes())
        told = [json.loads(line) for line in process.stderr.splitlines()]
        self.assertIn("manifest", [event["event"] for event in told])
        self.assertEqual(told[-1]["event"], "finished")
        self.assertNotIn("path", told[-1])  # what is there no longer

    @for_each(killed=signal.SIGKILL, ctrl_c=signal.SIGINT)
    def test_standard_output_leaves_nothing_behind_whatever_happens(self, number):
        temporary = self.root / "temporary"
        temporary.mkdir()
        with self.prefixed(["env", f"TMPDIR={temporary}"]):
            process = self.get(*self.what, "--stdout", "--json", "--limit-down", "200K")
        wait_until(lambda: '"verified"' in process.stderr, "something has come")
        self.assertEqual(list(temporary.iterdir()), [])
        process.signal(number)
        process.wait()
        self.assertEqual((list(temporary.iterdir()), "are kept" in process.stderr), ([], False))

    def test_a_folder_can_be_given_another_name(self):
        box = bencode.write_files(self.here / "box", NAMES)
        sharer = self.share(box, "--no-local")
        self.got(sharer.shared["magnet"], "--no-local", "--output", "crate")
        self.assert_same(self.there / "crate", box)
        self.assertFalse((self.there / "box").exists())


def select(*patterns):
    return [option for pattern in patterns for option in ("--select", pattern)]


@expanded
class Parts(VerbCase):
    """Some of the files of a folder."""

    def setUp(self):
        super().setUp()
        sizes = {"a.iso": 50_000, "b.txt": 100, "docs/c.txt": 70_000, "docs/more/d.txt": 9, "e.iso": 40_000}
        self.files = {path: some_bytes(size, size) for path, size in sizes.items()}
        self.box = bencode.write_files(self.here / "box", self.files)
        self.sharer = self.share(self.box, "--no-local")
        self.what = (self.sharer.shared["magnet"], "--no-local")

    def assert_there(self, *paths):
        there = {path: content for path, content in self.files.items() if path in paths}
        found = {str(p.relative_to(self.there / "box")): p for p in (self.there / "box").rglob("*") if p.is_file()}
        self.assertEqual(sorted(found), sorted(there))
        for path, content in there.items():
            self.assertTrue(found[path].read_bytes() == content, path)

    @for_each(
        by_ending=(["*.iso"], ["a.iso", "e.iso"]),
        by_folder=(["docs/**"], ["docs/c.txt", "docs/more/d.txt"]),
        by_path=(["docs/more/d.txt"], ["docs/more/d.txt"]),
        several=(["a.iso", "b.txt"], ["a.iso", "b.txt"]),
    )
    def test_only_what_is_selected_is_written(self, case):
        patterns, paths = case
        process = self.got(*self.what, "--json", *select(*patterns))
        self.assert_there(*paths)
        self.assertEqual(events(process, "manifest")[0]["wanted"], len(events(process, "piece")))
        self.assertLess(len(events(process, "piece")), self.sharer.shared["pieces"])

    def begin(self, *patterns):
        """An unfinished download that has some of it; in order: the first piece is one of a.iso."""
        process = self.get(*self.what, *select(*patterns), "--sequential", "--json", "--limit-down", "50K")
        wait_event(process, "piece", status="verified")
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)

    def test_another_selection_loses_nothing(self):
        self.begin("a.iso", "e.iso")
        self.got(*self.what, *select("docs/c.txt"))
        self.assert_there("docs/c.txt")
        self.assertTrue((self.there / ".box.shoal-part" / "a.iso").exists())
        rest = self.got(*self.what, "--json")
        self.assertGreater(events(rest, "manifest")[0]["held"], 70_000 // (16 << 10))
        self.assert_there(*self.files)
        self.assertEqual(leftovers(self.there), [])

    def test_more_can_be_selected_while_it_is_unfinished(self):
        self.begin("a.iso", "e.iso")
        again = self.got(*self.what, *select("a.iso", "docs/c.txt"), "--json")
        manifest = events(again, "manifest")[0]
        self.assertTrue(0 < manifest["held"] == manifest["wanted"] - len(events(again, "piece")), manifest)
        self.assert_there("a.iso", "docs/c.txt")

    @for_each(others=(["docs/c.txt"], ["a.iso", "docs/c.txt"]), everything=([], None))
    def test_what_is_finished_is_added_to(self, case):
        patterns, paths = case
        self.got(*self.what, *select("a.iso"))
        before = (self.there / "box" / "a.iso").stat()
        again = self.got(*self.what, *select(*patterns), "--json")
        self.assert_there(*(paths or self.files))
        after = (self.there / "box" / "a.iso").stat()
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        self.assertLess(len(events(again, "piece")), 2 * self.sharer.shared["pieces"])
        self.assertEqual(leftovers(self.there), [])

    def test_what_was_changed_since_is_not_overwritten(self):
        self.got(*self.what, *select("a.iso"))
        (self.there / "box" / "a.iso").write_bytes(bytes(50_000))
        process = self.got(*self.what, wants=DISK)
        self.assertIn("a.iso is not what the share holds; move it away", process.stderr)
        self.assertEqual((self.there / "box" / "a.iso").read_bytes(), bytes(50_000))


class Ways(OneFile):
    sharing = ("--no-local",)

    def test_in_order(self):
        process = self.got(*self.what, "--sequential", "--json")
        order = [event["piece"] for event in events(process, "piece") if event["status"] == "verified"]
        self.assertEqual(sorted(order), list(range(self.sharer.shared["pieces"])))
        # One whose check takes long is overtaken, but on average they come where they belong.
        self.assertLess(sum(abs(piece - at) for at, piece in enumerate(order)) / len(order), 5)

    def test_limits_hold_in_both_directions(self):
        """Both at once: half the file's size per second; a bucket of a second may be full at the beginning."""
        limited = self.share(self.disk, "--no-local", "--limit-up", str(MIB // 2))
        slow_taker = self.get(*self.what, "--json", "--limit-down", str(MIB // 2))
        slow_giver = self.get(limited.shared["magnet"], "--no-local", "--json", "--output", "second.img")
        for process in (slow_taker, slow_giver):
            self.assert_exit(process, DONE)
            took = finished(process)["seconds"]
            self.assertGreater(took, 0.9)
            self.assertLess(took, 8)
        self.assert_same(self.there / "disk.img", self.disk)

    def test_who_seeds_gives_to_others(self):
        giver = self.get(*self.what, "--seed", "--json", "--port", "7001")
        wait_event(giver, "note", text="disk.img is complete; giving it to others")
        self.sharer.signal(signal.SIGINT)
        self.assert_exit(self.sharer, DONE)
        (self.there / "second").mkdir()
        link = self.what[0].split("&")[0]
        self.got(link, "--no-local", "--peer", "127.0.0.1:7001", "--output", "second")
        self.assert_same(self.there / "second" / "disk.img", self.disk)
        giver.signal(signal.SIGINT)
        self.assert_exit(giver, DONE)
        self.assertEqual(finished(giver)["result"], "done")

    def test_seeding_ends_after_a_time(self):
        process = self.got(*self.what, "--seed-for", "0.3s", "--json")
        (done,) = [event for event in events(process, "note") if "is complete" in event["text"]]
        self.assertGreaterEqual(finished(process)["seconds"] - done["seconds"], 0.3)

    def test_seeding_ends_when_enough_was_given(self):
        giver = self.get(*self.what, "--ratio", "1", "--port", "7001", "--json")
        wait_event(giver, "note", text="disk.img is complete; giving it to others")
        link = self.what[0].split("&")[0]
        self.got(link, "--no-local", "--peer", "127.0.0.1:7001", "--output", "second.img")
        self.assert_exit(giver, DONE)

    def test_a_ratio_of_nothing_is_reached_at_once(self):
        self.got(*self.what, "--ratio", "0")
        self.assertEqual(tree(self.there / "disk.img"), tree(self.disk))  # its journal stays, for those who go on giving
        self.assert_exit(self.verb("share", self.disk, "--no-local", "--ratio", "0"), DONE)


@expanded
class Told(OneFile):
    def test_every_line_of_json_is_an_event(self):
        process = self.got("--json")
        told = [json.loads(line) for line in process.stdout]
        names = [event["event"] for event in told]
        for name in ("tracker_found", "manifest", "source", "piece", "finished"):
            self.assertIn(name, names)
        self.assertEqual(names[-1], "finished")
        times = [event["seconds"] for event in told]
        self.assertEqual(times, sorted(times))
        end = {"event": "finished", "result": "done", "exit_code": 0, "path": "./disk.img", "message": "got disk.img"}
        self.assertEqual(told[-1], end | {"seconds": told[-1]["seconds"]})
        self.assertEqual(process.stderr, "")

    def test_quiet_says_where_it_is_and_nothing_else(self):
        process = self.got("--quiet")
        self.assertEqual((process.stdout, process.stderr), (["./disk.img"], ""))

    def test_what_a_person_reads(self):
        process = self.got()
        self.assertEqual(process.stdout, ["./disk.img"])
        for line in process.stderr.splitlines():
            # Connections that come and go are no news.
            for word in ("given up", "will try again", "connected already"):
                self.assertNotIn(word, line)
        self.assertRegex(process.stderr, r"disk\.img: 1\.0 MiB in \d+\.\d\d s \(.*/s\) from 1 peer\n")

    @for_each(quotes="it's a disk.img", dash="-disk.img", control="disk\t.img", url="http:disk", equals="=ls")
    def test_what_a_sharer_says_to_type_gets_it(self, name):
        sharer = self.verb("share", self.write(name, b"x"))
        wait_until(lambda: "Ctrl-C ends it" in sharer.stderr, "it says everything")
        what = re.search(r"Others on this network: +shoal get (.*)\n", sharer.stderr)[1]
        with self.prefixed(["sh", "-c", f'exec "$@" {what}', "sh"]):
            self.got()
        self.assertEqual((self.there / name).read_bytes(), b"x")

    def test_two_sharers_of_one_name_say_how_each_is_got(self):
        other = self.write("other/disk.img", b"another")
        sharer = self.verb("share", other)
        wait_until(lambda: "Ctrl-C ends it" in sharer.stderr, "it says everything")
        self.got(re.search(r"shoal get (.*)\n", sharer.stderr)[1])
        self.assert_same(self.there / "disk.img", other)

    def test_what_a_sharer_says(self):
        sharer = self.verb("share", self.write("other.img", b"x"))
        link = sharer.wait_matching(lambda line: line.startswith("magnet:?xt=urn:btih:"), "magnet link")
        self.assertEqual(urllib.parse.parse_qs(link.partition("?")[2])["dn"], ["other.img"])
        wait_until(lambda: "Ctrl-C ends it" in sharer.stderr, "it says how it ends")
        self.assertIn("shoal get other.img\n", sharer.stderr)
        self.got("other.img")
        wait_until(lambda: "127.0.0.1 has everything now" in sharer.stderr, "it says who has got it")
        sharer.signal(signal.SIGINT)
        self.assert_exit(sharer, DONE)
        self.assertIn("other.img: 1 B given", sharer.stderr)

    def test_list(self):
        self.share(bencode.write_files(self.here / "box", NAMES))
        process = self.verb("list", "--json")
        self.assert_exit(process, DONE)
        shares = {event["name"]: event for event in events(process, "share")}
        self.assertEqual(sorted(shares), ["box", "disk.img"])
        self.assertEqual(shares["disk.img"]["size"], MIB + 17)
        self.assertEqual(shares["disk.img"]["info_hash"], self.sharer.shared["info_hash"])
        self.assertEqual(shares["box"]["files"], len(NAMES))
        readable = self.verb("list", "--tracker", self.sharer.shared["tracker"])
        self.assert_exit(readable, DONE)
        self.assertEqual(len(readable.stdout), 2)
        url = f"http://{self.sharer.shared['tracker']}/announce"
        by_url = self.verb("list", "--tracker", url, *NOBODY_HEARS)
        self.assert_exit(by_url, DONE)
        self.assertEqual(by_url.stdout, readable.stdout)
        self.assertTrue(any(line.startswith("disk.img ") and "1.0 MiB" in line for line in readable.stdout))

    def test_the_second_sharer_of_a_host_uses_the_firsts_tracker(self):
        second = self.share(self.write("other.img", some_bytes(50_000)))
        self.assertTrue(self.sharer.shared["is_tracker"])
        self.assertFalse(second.shared["is_tracker"])
        self.assertEqual(second.shared["tracker"], self.sharer.shared["tracker"])
        self.got("other.img")
        self.got("disk.img")
        self.assert_same(self.there / "other.img", self.here / "other.img")
        self.assert_same(self.there / "disk.img", self.disk)


if __name__ == "__main__":
    unittest.main()
