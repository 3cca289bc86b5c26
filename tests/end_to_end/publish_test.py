"""`shoal share` and `get` with a `shoal tracker` that stands alone: it keeps what was published, and says who may."""

import json
import signal
import unittest
import urllib.error
import urllib.request
from urllib.parse import parse_qs, quote

from support import bencode
from support.cases import expanded, for_each
from support.course import some_bytes
from support.events import events, wait_event
from support.lan import Lan, run
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DISK, DONE, NOTHING_FOUND, REFUSED, USAGE
from support.verbs import MIB, VerbCase

TAKES_PLACE_S = 40.0  # until somebody is the tracker instead, on a busy machine
ELSEWHERE = "203.0.113.5"  # an address of no local network


def setUpModule():
    enter_fresh_network()
    run("ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo")


def link_of(sharer):
    """{key: values} of the magnet link that it printed."""
    return parse_qs(sharer.shared["magnet"].partition("?")[2])


class TrackerCase(VerbCase):
    def setUp(self):
        super().setUp()
        self.disk = self.write("disk.img", some_bytes(MIB))

    def ask(self, tracker, path, method="GET"):
        """(status, body) of an HTTP answer."""
        request = urllib.request.Request(f"http://{tracker.at}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def shares(self, tracker):
        return {share["name"]: share for share in json.loads(self.ask(tracker, "/shares")[1])}

    def end(self, process, number=signal.SIGTERM):
        process.signal(number)
        self.assert_exit(process, DONE)


@expanded
class Standing(TrackerCase):
    def test_sharers_publish_at_the_one_that_is_there(self):
        self.tracker()
        sharer = self.share(self.disk)
        self.assertEqual(sharer.shared["tracker"], "127.0.0.1:8000")
        self.assertFalse(sharer.shared["is_tracker"])
        self.got()
        self.assert_same(self.there / "disk.img", self.disk)

    @for_each(asked_to_end=signal.SIGTERM, ctrl_c=signal.SIGINT, terminal_closed=signal.SIGHUP)
    def test_shares_and_swarms_outlive_a_restart(self, number):
        """Somebody gets the share before anybody has announced himself again."""
        tracker = self.tracker()
        self.share(self.disk)
        wait_until(lambda: self.shares(tracker)["disk.img"]["seeds"] == 1, "the sharer has announced itself")
        self.end(tracker, number)
        tracker = self.tracker()
        self.assertEqual(self.shares(tracker)["disk.img"]["seeds"], 1)
        self.got("disk.img")
        self.assert_same(self.there / "disk.img", self.disk)

    def test_state_has_its_folder(self):
        tracker = self.tracker("--state", self.root / "state")
        self.share(self.disk)
        self.end(tracker)
        self.assertTrue(any((self.root / "state").iterdir()))
        self.assertEqual(self.shares(self.tracker()), {})

    def test_state_that_cannot_be_read_is_told(self):
        (self.root / "state").write_bytes(b"a file")
        process = self.verb("tracker", "--state", self.root / "state")
        self.assert_exit(process, DISK)
        self.assertIn(str(self.root / "state"), process.stderr)

    def test_a_state_folder_that_cannot_be_made_is_told_at_once(self):
        process = self.verb("tracker", "--state", "/proc/nowhere")
        self.assert_exit(process, DISK)
        for word in ("/proc/nowhere", "--state"):
            self.assertIn(word, process.stderr)

    def test_a_state_folder_is_for_one_tracker(self):
        state = ("--state", self.root / "state")
        first = self.tracker(*state)
        process = self.verb("tracker", *state, "--port", "0", "--discovery-port", "0")
        self.assert_exit(process, USAGE)
        for word in (str(self.root / "state"), "in use", "--state"):
            self.assertIn(word, process.stderr)
        first.signal(signal.SIGKILL)
        first.wait()
        self.tracker(*state)

    @for_each(
        usual=((), "home/.local/state/shoal/tracker-8000"), of_one_address=(("--bind", "127.0.0.1"), "tracker-127.0.0.1-8000"),
        named=(("--state", "kept here"), "kept here"),
    )
    def test_it_says_where_it_keeps_its_state(self, case):
        arguments, folder = case
        tracker = self.tracker(*arguments)
        wait_until(lambda: f"{folder}; Ctrl-C ends it" in tracker.stderr, "it says where")

    @for_each(usual=((), "tracker"), empty=(("--name", ""), "tracker"), named=(("--name", "hall"), "tracker hall"))
    def test_it_says_its_name_once(self, case):
        arguments, name = case
        tracker = self.tracker(*arguments)
        wait_until(lambda: f": {name} listens on 0.0.0.0:8000 " in tracker.stderr, "it says its name")

    def test_a_port_that_is_taken_is_told(self):
        self.tracker()
        process = self.verb("tracker")
        self.assert_exit(process, USAGE)
        for word in ("8000", "--port"):
            self.assertIn(word, process.stderr)

    def test_a_course_client_is_told_when_nothing_is_shared(self):
        tracker = self.tracker()
        process = self.verb("course", "client", "--step", "2", "--tracker", tracker.at)
        self.assert_exit(process, NOTHING_FOUND)
        self.assertIn(f"tracker {tracker.at} has no file for course clients", process.stderr)

    def test_a_course_client_gets_the_share_that_was_chosen_for_it(self):
        tracker = self.tracker("--course-share", "disk.img")
        self.share(self.disk)
        self.share(self.write("newer.img", b"newer"))
        wait_until(lambda: all(share["seeds"] for share in self.shares(tracker).values()), "both have announced themselves")
        client = self.verb("course", "client", "--step", "2", "--tracker", tracker.at, "--output", "got.img")
        self.assert_exit(client, DONE)
        self.assert_same(self.there / "got.img", self.disk)

    def test_it_knows_who_is_getting_what(self):
        tracker = self.tracker()
        self.share(self.disk)
        slow = self.get("disk.img", "--limit-down", "200K", "--json")
        wait_event(slow, "piece", status="verified")
        wait_until(lambda: self.shares(tracker)["disk.img"]["leechers"] == 1, "one is getting it")
        slow.signal(signal.SIGINT)
        slow.wait()
        wait_until(lambda: self.shares(tracker)["disk.img"]["leechers"] == 0, "nobody is getting it")

    @for_each(ctrl_c=signal.SIGINT, terminal_closed=signal.SIGHUP)
    def test_what_nobody_gives_any_more_is_not_listed(self, number):
        tracker = self.tracker()
        first = self.share(self.disk)
        wait_until(lambda: self.shares(tracker)["disk.img"]["seeds"] == 1, "the sharer has announced itself")
        self.end(first, number)
        self.assertEqual(self.shares(tracker), {})
        self.share(self.write("other.img", b"other"))
        self.got()
        self.assert_same(self.there / "other.img", self.here / "other.img")

    def test_what_others_give_stays_listed(self):
        tracker = self.tracker()
        first, second = self.share(self.disk), self.share(self.disk)
        wait_until(lambda: self.shares(tracker)["disk.img"]["seeds"] == 2, "both have announced themselves")
        self.end(first, signal.SIGINT)
        self.assertEqual(self.shares(tracker)["disk.img"]["seeds"], 1)
        self.got()
        self.assert_same(self.there / "disk.img", self.disk)
        self.end(second, signal.SIGINT)
        self.assertEqual(self.shares(tracker), {})

    def test_what_a_killed_sharer_left_is_not_in_the_way(self):
        """Here it never announced itself: a tracker believes for some minutes that somebody is there."""
        tracker = self.tracker()
        with urllib.request.urlopen(self.torrent_request(tracker, "left.img", b"left"), timeout=5):
            self.assertEqual(self.shares(tracker)["left.img"]["seeds"], 0)
        self.share(self.disk)
        wait_until(lambda: self.shares(tracker)["disk.img"]["seeds"] == 1, "the sharer has announced itself")
        self.got()
        self.assert_same(self.there / "disk.img", self.disk)

    def torrent_request(self, tracker, name, content):
        info = {"length": len(content), "name": name, "piece length": 1 << 15}
        torrent = bencode.encode({"info": info | {"pieces": bencode.piece_hashes(content, 1 << 15)}})
        return urllib.request.Request(f"http://{tracker.at}/shares/{name}.torrent", torrent, method="PUT")

    def test_without_it_the_link_is_enough(self):
        tracker = self.tracker()
        sharer = self.share(self.disk)
        self.end(tracker)
        self.got(sharer.shared["magnet"])
        self.assert_same(self.there / "disk.img", self.disk)
        self.assert_alive(sharer)


@expanded
class WhenTheTrackerGoes(TrackerCase):
    """Whoever gives something goes on being found."""

    def setUp(self):
        super().setUp()
        self.first = self.share(self.disk)
        self.assertTrue(self.first.shared["is_tracker"])
        self.other = self.write("other.img", some_bytes(300_000))

    def listed(self):
        process = self.verb("list", "--json", "--patience", "0.3")
        process.wait()
        return {event["name"]: event["seeds"] for event in events(process, "share")}

    def assert_got(self, name, path):
        folder = self.there / f"{name}-{len(list(self.there.iterdir()))}"
        folder.mkdir()
        self.got(name, cwd=folder)
        self.assert_same(folder / name, path)

    @for_each(ctrl_c=signal.SIGINT, killed=signal.SIGKILL)
    def test_another_takes_its_place(self, number):
        second = self.share(self.other)
        self.assertFalse(second.shared["is_tracker"])
        third = self.share(self.write("third.img", b"third"))
        self.first.signal(number)
        self.first.wait()
        wait_until(
            lambda: self.listed() == {"other.img": 1, "third.img": 1}, "both are listed, and given", TAKES_PLACE_S
        )
        self.assert_got("other.img", self.other)
        wait_until(
            lambda: any("does not answer any more" in note["text"] for note in events(second, "note")), "it is told"
        )
        third.signal(signal.SIGINT)
        self.assert_exit(third, DONE)
        wait_until(lambda: self.listed() == {"other.img": 1}, "the third one is not", TAKES_PLACE_S)

    def test_it_may_come_back_without_its_memory(self):
        self.end(self.first, signal.SIGINT)
        tracker = self.tracker()
        second = self.share(self.disk)
        self.assertFalse(second.shared["is_tracker"])
        wait_until(lambda: self.listed() == {"disk.img": 1}, "it is listed")
        tracker.signal(signal.SIGKILL)
        tracker.wait()
        tracker = self.tracker("--state", self.root / "nothing")
        wait_until(lambda: self.listed() == {"disk.img": 1}, "it is listed again", TAKES_PLACE_S)
        text = "tracker 127.0.0.1:8000 does not list the share any more; it is listed there again"
        wait_event(second, "note", text=text)
        self.end(second, signal.SIGINT)
        self.assertEqual(self.listed(), {})

    def test_who_must_not_be_a_tracker_waits_for_one(self):
        second = self.share(self.other, "--no-own-tracker")
        self.end(self.first, signal.SIGINT)
        wait_until(lambda: self.listed() == {}, "nobody lists anything")
        self.share(self.disk)
        wait_until(lambda: self.listed() == {"disk.img": 1, "other.img": 1}, "both are listed", TAKES_PLACE_S)
        self.end(second, signal.SIGINT)
        self.assertEqual(self.listed(), {"disk.img": 1})


class Links(TrackerCase):
    """The magnet link is for other hosts."""

    def test_it_names_the_tracker_as_others_reach_it(self):
        lan = Lan(self)
        self.tracker()
        found = self.share(self.disk)
        self.assertFalse(found.shared["is_tracker"])
        named = self.share(self.write("named.img", b"named"), "--tracker", "127.0.0.1:8000")
        for sharer in (found, named):
            self.assertEqual(link_of(sharer)["tr"], [f"http://{lan.here}:8000/announce"])
            with self.prefixed(lan.add_host().prefix):
                name = sharer.shared["name"]
                link = f"magnet:?xt={link_of(sharer)['xt'][0]}&tr={quote(link_of(sharer)['tr'][0])}"
                self.got(link, "--no-local")
                self.assert_same(self.there / name, self.here / name)

    def test_whoever_named_the_tracker_tells_others_to(self):
        """As it was typed, or as others reach it."""
        lan = Lan(self)
        self.tracker()
        for typed, told in (("127.0.0.1:8000", f"{lan.here}:8000"), (f"{lan.here}:8000", f"{lan.here}:8000")):
            sharer = self.verb("share", self.disk, "--tracker", typed)
            wait_until(lambda: "Ctrl-C ends it" in sharer.stderr, "it says everything")
            self.assertIn(f"shoal get disk.img --tracker {told}\n", sharer.stderr)
            self.assertNotIn("on this network", sharer.stderr)
        with self.prefixed(lan.add_host().prefix):
            self.got("disk.img", "--tracker", told)
        self.assert_same(self.there / "disk.img", self.disk)

    def test_it_names_this_host_on_each_of_its_networks(self):
        """A tunnel comes last: few are behind it."""
        run("ip", "link", "add", "tunnel", "type", "veth", "peer", "name", "far-end")
        self.addCleanup(run, "ip", "link", "delete", "tunnel")
        run("ip", "address", "add", "10.8.0.2/32", "dev", "tunnel")
        run("ip", "link", "set", "tunnel", "up")
        lans = [Lan(self, network) for network in ("10.81.0", "10.82.0")]
        sharer = self.share(self.disk)
        here = [lan.here for lan in lans] + ["10.8.0.2"]
        port = sharer.shared["address"].rpartition(":")[2]
        self.assertEqual(link_of(sharer)["x.pe"], [f"{ip}:{port}" for ip in here])
        self.assertEqual(link_of(sharer)["tr"], [f"http://{ip}:8000/announce" for ip in here])
        for lan in lans:
            with self.prefixed(lan.add_host().prefix):
                output = f"at-{lan.here}"
                self.got(sharer.shared["magnet"], "--no-local", "--output", output)
                self.assert_same(self.there / output, self.disk)


class Private(TrackerCase):
    def private_torrent(self, **more):
        content = self.disk.read_bytes()
        info = {"length": len(content), "name": "disk.img", "piece length": 1 << 15, "private": 1}
        torrent = bencode.encode({"info": info | {"pieces": bencode.piece_hashes(content, 1 << 15)}} | more)
        return self.write("private.torrent", torrent)

    def test_it_is_told_to_its_own_trackers_only(self):
        """Where there is a tracker on this network, and where there is none."""
        elsewhere = "http://127.0.0.1:9/announce"
        torrent = self.private_torrent(announce=elsewhere)
        for tracker in (self.tracker(), None):
            sharer = self.share(torrent, "--data", self.disk)
            self.assertNotIn("tracker", sharer.shared)
            self.assertFalse(sharer.shared["is_tracker"])
            self.assertEqual(link_of(sharer).get("tr"), [elsewhere])
            if tracker:
                self.assertEqual(self.shares(tracker), {})
                self.end(tracker)
            self.end(sharer, signal.SIGINT)

    def test_a_share_is_made_private(self):
        tracker = self.tracker()
        self.share(self.disk, "--private")
        torrent = bencode.decode(self.ask(tracker, "/shares/disk.img.torrent")[1])
        self.assertEqual(torrent["info"]["private"], 1)
        self.got()
        self.assert_same(self.there / "disk.img", self.disk)

    def test_one_without_trackers_is_for_this_network(self):
        self.share(self.private_torrent(), "--data", self.disk)
        self.got()
        self.assert_same(self.there / "disk.img", self.disk)


class Publishing(TrackerCase):
    """From an address that belongs to no local network."""

    def setUp(self):
        super().setUp()
        self.token = self.write("token", b"s3cret\n", self.root)
        self.wrong = self.write("wrong", b"guess\n", self.root)

    def refused(self, tracker, *arguments):
        process = self.verb("share", self.disk, "--tracker", tracker.at, "--bind", ELSEWHERE, *arguments)
        self.assert_exit(process, NOTHING_FOUND, REFUSED)
        self.assertIn("--token-file", process.stderr)
        self.assertEqual(self.shares(tracker), {})

    def test_a_token_is_needed_and_enough(self):
        tracker = self.tracker("--bind", ELSEWHERE, "--token-file", self.token)
        self.refused(tracker)
        self.refused(tracker, "--token-file", self.wrong)
        sharer = self.share(self.disk, "--tracker", tracker.at, "--bind", ELSEWHERE, "--token-file", self.token)
        self.assertEqual(sharer.shared["tracker"], tracker.at)
        self.got("disk.img", "--tracker", tracker.at, "--bind", ELSEWHERE)
        self.assert_same(self.there / "disk.img", self.disk)

    def test_without_one_only_the_local_network_may(self):
        tracker = self.tracker("--bind", ELSEWHERE)
        self.refused(tracker, "--token-file", self.token)
        self.assertEqual(self.ask(tracker, "/shares/disk.img.torrent", "DELETE")[0], 403)

    def test_a_network_of_public_addresses_is_local_to_its_hosts(self):
        lan = Lan(self, "198.51.100")
        tracker = self.tracker()
        with self.prefixed(lan.add_host().prefix):
            sharer = self.share(self.disk)
        self.assertEqual(sharer.shared["tracker"], f"{lan.here}:8000")
        self.assertEqual(list(self.shares(tracker)), ["disk.img"])

    def test_a_token_file_has_to_be_there(self):
        # Said before anything is looked at, for hashing may take minutes.
        for verb in (("tracker",), ("share", self.here / "missing.img")):
            process = self.verb(*verb, "--token-file", "nowhere")
            self.assert_exit(process, USAGE)
            self.assertIn("nowhere", process.stderr)
            process = self.verb(*verb, "--token-file", self.write("empty", b"\n"))
            self.assert_exit(process, USAGE)
            self.assertIn("the file is empty", process.stderr)


if __name__ == "__main__":
    unittest.main()
