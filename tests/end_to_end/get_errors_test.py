"""`shoal get` and `shoal share` that cannot do what they were asked end in time, with the right code, and say why."""

import os
import re
import signal
import socket
import sys
import time
import unittest
import urllib.parse

from support import bencode
from support.cases import expanded, for_each
from support.course import Course, some_bytes
from support.disks import as_nobody
from support.events import events, wait_event
from support.network import enter_fresh_network
from support.processes import READY_TIMEOUT_S, wait_until
from support.shoal import (
    DISK,
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    NOTHING_FOUND,
    USAGE,
    WRONG_HASH,
    at,
)
from support.verbs import MIB, VerbCase, finished, leftovers, peer_of

NOBODY_HAS_IT = "magnet:?xt=urn:btih:" + "ab" * 20
ONE_PIECE = {"name": "x", "length": 1, "piece length": 1 << 14, "pieces": b"x" * 20}
WAITING = "waiting up to 600 s for somebody"
UNHEARD_OF = ("--peer", "127.0.0.1:1")  # nobody listens there


def setUpModule():
    enter_fresh_network()


class ErrorCase(VerbCase):
    def assert_refused(self, code, *arguments, words=(), verb="get"):
        """One line that says what is wrong; nothing was made."""
        process = self.verb(verb, *arguments)
        self.assert_exit(process, code)
        for word in words:
            self.assertIn(word, process.stderr)
        self.assertEqual(process.stdout, [])
        self.assertTrue(process.stderr.strip(), "nothing was said")
        return process

    def sharer(self, *arguments, content=some_bytes(MIB), name="disk.img"):
        path = self.write(name, content)
        return self.share(path, "--no-local", *arguments)

    def course_tracker(self, is_peer_known=True):
        """The address of one that is found; its peer has all of `course`."""
        self.course = Course(self.root / "course", some_bytes(50_000), 10_000, owners=[["alice"]] * 5)
        peer = self.shoal_peer(self.course, "alice")
        self.peer_address = peer.wait_address()
        if not is_peer_known:
            self.course.set_address("alice", ("127.0.0.1", 1))
        tracker = self.shoal_tracker(self.course, bind="0.0.0.0", discovery_port=9000)
        return f"127.0.0.1:{tracker.wait_address()[1]}"

    def torrent(self, content, name="disk.img", piece_bytes=1 << 14):
        """A .torrent of a content, whether anybody has it or not."""
        info = {"length": len(content), "name": name, "piece length": piece_bytes}
        info["pieces"] = bencode.piece_hashes(content, piece_bytes)
        return self.write(f"{name}.torrent", bencode.encode({"info": info}), self.root)


@expanded
class NothingFound(ErrorCase):
    def test_no_tracker(self):
        self.assert_refused(NOTHING_FOUND, words=["no Shoal tracker answered", "9000", "shoal share"])
        self.assert_refused(NOTHING_FOUND, words=["no Shoal tracker answered"], verb="list")

    def test_no_such_share(self):
        self.share(self.write("disk.img", b"x"))
        self.assert_refused(NOTHING_FOUND, "film.img", words=["film.img", "disk.img"])

    def test_several_shares_and_none_named(self):
        self.share(self.write("disk.img", b"x"))
        self.share(self.write("film.img", b"y"))
        self.assert_refused(NOTHING_FOUND, words=["say which", "disk.img", "film.img"])

    def test_nothing_is_shared(self):
        tracker = self.tracker("--port", "0")
        self.assert_refused(NOTHING_FOUND, words=["nothing is shared"])
        listed = self.verb("list", "--tracker", tracker.at)
        self.assert_exit(listed, NOTHING_FOUND)

    def test_a_course_tracker_is_no_place_to_look_for_a_name(self):
        tracker = self.course_tracker()
        words = ["no Shoal tracker answered", f"a course tracker did, {tracker}", "shoal get --output FILE"]
        self.assert_refused(NOTHING_FOUND, "disk.img", words=words)
        self.assert_refused(NOTHING_FOUND, words=words, verb="list")

    @for_each(
        file=("nowhere.torrent", "no file nowhere.torrent"), path=("x/y.img", "no file x/y.img"),
        name=("nowhere", "no share is called nowhere"),
    )
    def test_neither_a_file_nor_a_share(self, case):
        what, word = case
        self.share(self.write("disk.img", b"x"))
        self.assert_refused(NOTHING_FOUND, what, words=[word, f"no share is called {what}", "disk.img"])

    def test_nobody_says_what_a_magnet_link_is(self):
        process = self.assert_refused(INCOMPLETE, NOBODY_HAS_IT, "--no-local", *UNHEARD_OF, "--patience", "0.5")
        for word in ("ab" * 20, "127.0.0.1:1", "refused"):
            self.assertIn(word, process.stderr)

    def test_nothing_selected(self):
        sharer = self.sharer()
        words = ["--select", "no file of disk.img", "it holds disk.img"]
        self.assert_refused(USAGE, sharer.shared["magnet"], "--no-local", "--select", "*.zip", words=words)


@expanded
class Usage(ErrorCase):
    @for_each(
        short="magnet:?xt=urn:btih:abcd", no_hash="magnet:?dn=x", wrong_letters="magnet:?xt=urn:btih:" + "g" * 40,
        not_a_torrent_hash="magnet:?xt=urn:sha1:" + "ab" * 20, version_2="magnet:?xt=urn:btmh:1220" + "ab" * 32,
    )
    def test_magnet_links(self, link):
        self.assert_refused(USAGE, link, words=[link])

    @for_each(
        empty=b"", text=b"hello", cut=b"d4:infod6:lengthi5e", no_info=b"de", deep=b"l" * 100_000,
        out_of_folder=bencode.encode({"info": ONE_PIECE | {"name": "../x"}}),
        pieces_missing=bencode.encode({"info": ONE_PIECE | {"length": 99_999}}),
    )
    def test_torrent_files(self, content):
        path = self.write("bad.torrent", content, self.there)
        self.assert_refused(USAGE, path, words=["bad.torrent"])
        self.assertEqual(list(self.there.iterdir()), [path])

    def test_a_file_that_is_no_torrent(self):
        self.write("notes", b"hello", self.there)
        self.assert_refused(USAGE, "./notes", words=["notes", "it is not a .torrent file"])

    @for_each(
        peer=("--peer", "nowhere"), tracker=("--tracker", "host:99999"), bind=("--bind", "1.2.3"),
        foreign_bind=("--bind", "192.0.2.7"), limit=("--limit-down", "fast"), zero=("--limit-up", "0"),
        time=("--seed-for", "soon"), no_time=("--seed-for", "nan"), ratio=("--ratio", "-1"),
        no_ratio=("--ratio", "nan"), patience=("--patience", "0"), endless=("--patience", "inf"),
        web_seed=("--web-seed", "ftp://127.0.0.1/x"), port=("--port", "70000"), no_port=("--discovery-port", "x"), unknown=("--fast",),
    )
    def test_options(self, options):
        self.assert_refused(USAGE, NOBODY_HAS_IT, "--no-local", *options, words=[options[0]])

    @for_each(bytes="10MB", fraction="1.5M")
    def test_rates_name_their_units(self, rate):
        words = [f"--limit-down {rate}", "K (1024)", "M (1024 K)", "G (1024 M)"]
        self.assert_refused(USAGE, NOBODY_HAS_IT, "--no-local", "--limit-down", rate, words=words)

    def test_the_help_of_list_tells_its_patience(self):
        process = self.verb("list", "--help")
        self.assert_exit(process, DONE)
        self.assertRegex("\n".join(process.stdout), r"--patience \S+=2 ")

    def test_a_url_that_leads_nowhere(self):
        sharer = self.share(self.write("disk.img", b"x"))
        tracker = sharer.shared["tracker"]
        self.assert_refused(NOTHING_FOUND, "http://127.0.0.1:1/x.torrent", words=["127.0.0.1:1", "refused"])
        self.assert_refused(NOTHING_FOUND, f"http://{tracker}/shares/nothing.torrent", words=["404"])
        self.assert_refused(USAGE, f"http://{tracker}/healthz", words=["healthz", "it is not a .torrent file"])

    def test_standard_output_is_for_one_file(self):
        box = bencode.write_files(self.here / "box", {"a": b"a", "b": b"b"})
        sharer = self.share(box, "--no-local")
        what = (sharer.shared["magnet"], "--no-local", "--stdout")
        self.assert_refused(USAGE, *what, words=["box is a folder", "without --stdout"])
        self.assert_refused(USAGE, *what, "--output", "box", words=["--stdout", "--output"])

    def test_what_is_wrong_is_told_before_anybody_is_asked(self):
        """By a search it would be told that nobody answers."""
        for options in (("--limit-up", "fast"), ("--seed-for", "soon"), ("--output", "no/such/place")):
            self.assert_refused(USAGE, "disk.img", *options, words=[options[0]])
        for patience in ("0", "nan"):
            self.assert_refused(USAGE, "--patience", patience, words=["--patience"], verb="list")

    def test_where_nobody_can_be_asked(self):
        for verb in (("get", "disk.img"), ("get",), ("list",)):
            self.assert_refused(USAGE, *verb[1:], "--bind", "192.0.2.7", words=["--bind 192.0.2.7"], verb=verb[0])
        self.assert_refused(USAGE, "disk.img", "--no-local", words=["--no-local", "--tracker"])
        self.assert_refused(USAGE, "--no-local", words=["--no-local", "--tracker"])
        for verb in (("get", "disk.img"), ("list",)):
            words = ["--tracker udp://127.0.0.1:80", "HOST:PORT"]
            self.assert_refused(USAGE, *verb[1:], "--tracker", "udp://127.0.0.1:80", words=words, verb=verb[0])

    @for_each(ftp="ftp://127.0.0.1/x.torrent", udp="udp://127.0.0.1:80", file="FILE:///x.torrent")
    def test_other_urls(self, url):
        self.assert_refused(USAGE, url, words=[url, "only http:// and https://"])

    def test_a_file_that_never_ends(self):
        endless = self.there / "endless.torrent"
        endless.symlink_to("/dev/zero")
        with self.prefixed(["sh", "-c", 'ulimit -v 4000000; exec "$@"', "sh"]):
            self.assert_refused(USAGE, endless, words=["endless.torrent"])
            self.assert_refused(USAGE, "--token-file", "/dev/zero", words=["/dev/zero"], verb="tracker")

    def test_a_port_that_is_taken(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        options = ("--no-local", "--bind", "127.0.0.1", "--port", str(port))
        self.assert_refused(USAGE, NOBODY_HAS_IT, *options, words=[f"127.0.0.1:{port}", "another --port"])

    def test_commands_that_are_none(self):
        for command in (("bogus",), ("bogus", "--json"), ("course", "bogus")):
            name = " ".join(word for word in command if not word.startswith("-"))
            self.assert_refused(USAGE, *command[1:], words=[f"shoal {name}: there is no such command"], verb=command[0])
        self.assert_refused(USAGE, "--json", words=["subcommand is required"], verb="course")

    def test_a_token_file_that_is_missing(self):
        process = self.assert_refused(USAGE, "--token-file", "nowhere", words=["nowhere"], verb="tracker")
        self.assertNotIn("course", process.stderr)
        nothing = self.assert_refused(USAGE, "merge", words=["shoal course split"], verb="course")
        self.assertIn("file.ini", nothing.stderr)

    def test_share_of_what_is_not_there(self):
        process = self.verb("share", "nowhere.img")
        self.assertIn(process.wait(), (USAGE, DISK))
        self.assertIn("nowhere.img", process.stderr)


class WrongData(ErrorCase):
    def test_who_gives_wrong_bytes_is_found_out(self):
        content = some_bytes(MIB)
        sharer = self.sharer(content=content)
        torrent = self.torrent(content[:500_000] + b"?" + content[500_001:])
        link = bencode.decode(torrent.read_bytes())["info"]
        self.assertNotEqual(bencode.info_hash({"info": link}), sharer.shared["info_hash"])
        liar = self.share(torrent, "--data", self.lying_data(content, torrent), "--no-local")
        self.spoil()
        process = self.assert_refused(
            WRONG_HASH, torrent, *peer_of(liar), "--patience", "1", words=["disk.img", "wrong bytes"]
        )
        self.assertIn("missing", process.stderr)

    def lying_data(self, content, torrent):
        """What the torrent says; spoil() makes it something else where a sharer does not look any more."""
        self.lie = self.write("lie.img", content[:500_000] + b"?" + content[500_001:])
        return self.lie

    def spoil(self):
        times = os.stat(self.lie)
        with open(self.lie, "r+b") as file:
            file.write(b"lies")
        os.utime(self.lie, ns=(times.st_atime_ns, times.st_mtime_ns))

    def test_data_that_is_not_the_torrents_is_not_shared(self):
        content = some_bytes(100_000)
        torrent = self.torrent(content)
        data = self.write("odd folder/disk.img", content[:-1] + bytes([content[-1] ^ 1]))
        words = ["6 of 7", f"shoal verify {torrent} '{data}' says"]
        self.assert_refused(WRONG_HASH, torrent, "--data", data, words=words, verb="share")

    def test_of_a_file_that_changes_what_is_right_is_given_still(self):
        sharer = self.sharer(content=some_bytes(MIB))
        disk = self.here / "disk.img"
        with open(disk, "r+b") as file:
            file.write(b"changed")
        wait_until(lambda: time.time() - disk.stat().st_ctime > 2.1, "nobody writes to it")
        process = self.get(sharer.shared["magnet"], "--no-local", "--patience", "1")
        self.assert_exit(process, INCOMPLETE)
        self.assertIn(f"1 of {sharer.shared['pieces']} pieces of disk.img are missing (0)", process.stderr)
        self.assertFalse((self.there / "disk.img").exists())
        wait_event(sharer, "note", level="warning")
        with open(disk, "r+b") as file:
            file.write(some_bytes(MIB)[:7])
        self.got(sharer.shared["magnet"], "--no-local")


@expanded
class Places(ErrorCase):
    def setUp(self):
        super().setUp()
        self.running = self.sharer()
        self.what = (self.running.shared["magnet"], "--no-local")

    @for_each(another="other.img", outside="../outside.img", absolute="/outside.img", hidden=".bashrc")
    def test_a_links_name_is_not_believed(self, name):
        link = re.sub("&dn=[^&]*", "&dn=" + urllib.parse.quote(name, safe=""), self.what[0])
        self.assertIn("&dn=", link)
        self.got(link, "--no-local")
        self.assertEqual(os.listdir(self.there), ["disk.img"])

    def got_in_the_end(self):
        self.got(*self.what)
        self.assert_same(self.there / "disk.img", self.here / "disk.img")

    def put(self, how):
        path = self.there / "disk.img"
        if how == "folder":
            path.mkdir()
            (path / "precious").write_bytes(b"precious")
        elif how == "link":
            path.symlink_to(self.here / "disk.img")
        elif how == "pipe":
            os.mkfifo(path)
        else:
            path.write_bytes({"other": b"x", "same_size": bytes(MIB)}[how])
        return path

    @for_each(folder="folder", link="link", pipe="pipe", other="other", same_size="same_size")
    def test_what_stands_there_is_left_alone(self, how):
        path = self.put(how)
        before = os.lstat(path)
        process = self.assert_refused(DISK, *self.what, words=["disk.img"])
        self.assertIn("way", process.stderr)  # "in the way", or "move it away"
        self.assertEqual(os.lstat(path).st_ino, before.st_ino)
        self.assertEqual(list(self.there.iterdir()), [path])
        path.rename(self.root / "elsewhere")
        self.got_in_the_end()

    def test_a_folder_that_cannot_be_written_to(self):
        self.root.chmod(0o755)
        with self.prefixed(as_nobody()):
            self.assert_refused(DISK, *self.what, words=["Permission denied", "disk.img"])
        self.assertEqual(list(self.there.iterdir()), [])

    def test_two_in_one_folder(self):
        slow = self.get(*self.what, "--limit-down", "200K", "--json")
        wait_event(slow, "piece", status="verified")
        self.assert_refused(DISK, *self.what, words=["in use by another command"])
        slow.signal(signal.SIGKILL)
        slow.wait()
        self.got_in_the_end()

    def test_an_unfinished_download_of_another_share_of_the_name(self):
        slow = self.get(*self.what, "--limit-down", "200K", "--json")
        wait_event(slow, "piece", status="verified")
        slow.signal(signal.SIGINT)
        self.assert_exit(slow, INTERRUPTED)
        other = self.sharer(name="other/disk.img", content=some_bytes(MIB, 2))
        process = self.assert_refused(DISK, other.shared["magnet"], "--no-local")
        self.assertIn("another share of this name", process.stderr)
        self.got_in_the_end()


class CourseTracker(ErrorCase):
    """Nothing but a course tracker is there."""

    REFUSED = (
        ("--select", "*"), ("--sequential",), ("--seed",), ("--seed-for", "1s"), ("--ratio", "1"),
        ("--limit-down", "500K"), ("--limit-up", "500K"), ("--patience", "5"), ("--port", "7001"),
        ("--web-seed", "http://127.0.0.1:1/"),
    )

    def test_its_file_is_got(self):
        self.course_tracker()
        self.assert_refused(USAGE, words=["the only tracker here", "--output FILE"])
        self.got("--output", "c.bin")
        self.assertTrue((self.there / "c.bin").read_bytes() == self.course.content)

    def test_what_it_cannot_do_is_refused(self):
        self.course_tracker()
        for options in self.REFUSED:
            self.assert_refused(USAGE, "--output", "c.bin", *options, words=[options[0], "leave that out"])
        self.assert_refused(USAGE, "--stdout", "--seed", words=["--stdout, --seed"])
        self.assertEqual(list(self.there.iterdir()), [])

    def test_peers_that_are_named_are_asked(self):
        """The one that the tracker names is not there."""
        self.course_tracker(is_peer_known=False)
        self.got("--peer", at(self.peer_address), "--output", "c.bin")
        self.assertTrue((self.there / "c.bin").read_bytes() == self.course.content)


class Waiting(ErrorCase):
    def test_how_long_it_waits_is_told(self):
        """Without a terminal it has an end."""
        link = self.get(NOBODY_HAS_IT, "--no-local", *UNHEARD_OF, "--json")
        text = f"nobody who can say what {'ab' * 20} is is there at the moment; waiting up to 600 s for somebody"
        wait_event(link, "note", text=text)
        link.signal(signal.SIGINT)
        self.assert_exit(link, INTERRUPTED)
        self.assertEqual(finished(link)["message"], "interrupted before anything had arrived")
        spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"
        with self.prefixed([sys.executable, "-c", spawn]):
            watched = self.get(NOBODY_HAS_IT, "--no-local", *UNHEARD_OF)
        watched.wait_matching(lambda line: "at the moment; waiting for somebody" in line, "waiting")
        self.assertIn("default: never on a terminal, else 600", " ".join(" ".join(self.help()).split()))

    def help(self):
        process = self.get("--help")
        self.assert_exit(process, DONE)
        return process.stdout

    def test_patience_is_for_those_who_have_nothing(self):
        content = some_bytes(MIB)
        torrent = self.torrent(content)
        process = self.assert_refused(INCOMPLETE, torrent, "--no-local", *UNHEARD_OF, "--patience", "0.5")
        for word in ("64 of 64 pieces", "0-63", "127.0.0.1:1", "run this again"):
            self.assertIn(word, process.stderr)
        self.assertEqual(process.stderr.count("127.0.0.1:1: refused"), 1)

    def test_who_comes_back_goes_on_giving(self):
        """The only source ends in the middle; that is said, and when it is there again the rest comes."""
        disk = self.write("disk.img", some_bytes(MIB))
        sharer = self.share(disk, "--limit-up", "500K")
        process = self.get(sharer.shared["magnet"], "--json")
        wait_event(process, "piece", 4, status="verified")
        sharer.signal(signal.SIGKILL)
        sharer.wait()
        wait_event(process, "note", text=f"nobody who has the rest is there at the moment; {WAITING}")
        self.share(disk)
        self.assert_exit(process, DONE)
        self.assertEqual(len(events(process, "manifest")), 1)
        self.assert_same(self.there / "disk.img", self.here / "disk.img")

    def test_ctrl_c_while_trackers_of_this_network_are_looked_for(self):
        """By a magnet link, before anything of the swarm is asked."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("", 9000))
            silent.settimeout(READY_TIMEOUT_S)
            process = self.get(NOBODY_HAS_IT)
            silent.recv(2048)
            process.signal(signal.SIGINT)
            self.assert_exit(process, INTERRUPTED)

    def test_ctrl_c_and_on(self):
        sharer = self.sharer()
        what = (sharer.shared["magnet"], "--no-local")
        process = self.get(*what, "--limit-down", "300K", "--json")
        wait_event(process, "piece", status="verified")
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)
        self.assertIn("run this again", finished(process)["message"])
        self.assertEqual(leftovers(self.there), [".disk.img.shoal-journal", ".disk.img.shoal-part", ".disk.img.shoal-torrent"])
        again = self.got(*what, "--json")
        held = events(again, "manifest")[0]["held"]
        self.assertGreater(held, 0)
        self.assertEqual(len([e for e in events(again, "piece") if e["status"] == "verified"]), 64 - held)
        self.assertEqual(finished(again)["result"], "done")
        self.assert_same(self.there / "disk.img", self.here / "disk.img")


if __name__ == "__main__":
    unittest.main()
