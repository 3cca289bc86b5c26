"""Broken configuration: every program that reads it ends with exit code 2 and says file, line and key on one line."""

import unittest

from support.cases import expanded, for_each
from support.course import some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE, USAGE
from support.split_course import Client, SplitCase

CLIENT, PEER, TRACKER = "client", "peer", "tracker"
HASH = "0ff54d8f53a4b321b098b601a70d7408b0422f70"

PEERS = """[tracker]
ip_address = 127.0.0.1
port_number = 8000
[alice]
ip_address = 127.0.0.1
port_number = 8001
"""

FILE = f"""[description]
filename = a.bin
chunks_count = 2
[chunks]
0 = {HASH}
1 = {HASH}
[chunks_peers]
0 = alice
1 = alice, alice
"""


def setUpModule():
    enter_fresh_network()


class ConfigCase(SplitCase):
    def configure(self, peers=PEERS, file=FILE):
        config = self.root / "config"
        config.mkdir(exist_ok=True)
        for name, text in (("peers.ini", peers), ("file.ini", file)):
            if text is None:
                (config / name).unlink(missing_ok=True)
            else:
                (config / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def command(self, role):
        return {
            CLIENT: ("client", "--step", "1"),
            PEER: ("peer", "alice", "--port", "0"),
            TRACKER: ("tracker", "--port", "0", "--discovery-port", "0"),
        }[role]

    def assert_told(self, arguments, *words):
        """Exit code 2, nothing on stdout, and one line on stderr that holds every word."""
        process = self.shoal(*arguments, "--dir", self.root)
        self.assert_exit(process, USAGE)
        self.assertEqual(process.stdout, [])
        lines = process.stderr.splitlines()
        self.assertEqual(len(lines), 1, process.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertFalse((self.root / "chunks" / "charlie").exists(), "something was begun")


@expanded
class PeersIni(ConfigCase):
    """All three roles read peers.ini."""

    @for_each(
        missing=(None, "peers.ini: cannot be read: No such file"),
        no_header=("ip_address = 1.2.3.4\n", "peers.ini:1: ip_address:"),
        half_a_header=(PEERS + "[bob\n", "peers.ini:7:"),
        not_a_line=(PEERS + "\nwhat is this\n", "peers.ini:8:"),
        no_address=("[alice]\nport_number = 1\n", "peers.ini:1: alice.ip_address:"),
        no_port=(PEERS + "[bob]\nip_address = 1.2.3.4\n", "peers.ini:7: bob.port_number:"),
        bad_address=(PEERS.replace("127.0.0.1", "127.0.0.256", 1), "peers.ini:2: tracker.ip_address: '127.0.0.256'"),
        name_for_address=(PEERS + "[bob]\nip_address = localhost\nport_number = 1\n", "peers.ini:8: bob.ip_address:"),
        port_0=(PEERS.replace("8001", "0"), "peers.ini:6: alice.port_number: '0'"),
        port_65536=(PEERS.replace("8001", "65536"), "peers.ini:6: alice.port_number: '65536'"),
        port_negative=(PEERS.replace("8001", "-1"), "peers.ini:6: alice.port_number: '-1'"),
        port_word=(PEERS.replace("8001", "http"), "peers.ini:6: alice.port_number: 'http'"),
        twice=(PEERS + "[alice]\nip_address = 1.2.3.4\nport_number = 5\n", "peers.ini:7: alice:"),
        key_twice=(PEERS + "port_number = 9\n", "peers.ini:7: alice.port_number:"),
        path_for_name=(PEERS + "[../bob]\nip_address = 1.2.3.4\nport_number = 5\n", "peers.ini:7: ../bob:"),
        binary=(bytes(range(1, 200)), "peers.ini:"),
    )
    def test_every_role_says_where(self, case):
        peers, place = case
        self.configure(peers=peers)
        for role in (CLIENT, PEER, TRACKER):
            self.assert_told(self.command(role), place)

    def test_a_folder_in_its_place(self):
        self.configure(peers=None)
        (self.root / "config" / "peers.ini").mkdir()
        for role in (CLIENT, PEER, TRACKER):
            self.assert_told(self.command(role), "peers.ini: cannot be read: Is a directory")

    def test_a_peer_that_is_not_listed(self):
        self.configure()
        self.assert_told(("peer", "bob", "--port", "0"), "peers.ini: [bob]", "alice")
        self.assert_told(("peer", "tracker", "--port", "0"), "peers.ini: [tracker]")

    def test_a_tracker_that_is_not_listed(self):
        self.configure(peers=PEERS[PEERS.index("[alice]") :])
        self.assert_told(self.command(TRACKER), "peers.ini: [tracker]")
        self.assert_told(("client", "--step", "2"), "peers.ini: [tracker]", "--tracker")

    def test_split_wants_its_peers_listed(self):
        self.configure()
        (self.root / "some").write_bytes(b"abc")
        self.assert_told(("split", self.root / "some"), "peers.ini: [bob]")


@expanded
class FileIni(ConfigCase):
    """The tracker and the client of step 1 read file.ini."""

    @for_each(
        missing=(None, "file.ini: cannot be read: No such file"),
        empty=("", "file.ini: description:"),
        no_name=(FILE.replace("filename", "name"), "file.ini:1: description.filename:"),
        no_count=(FILE.replace("chunks_count", "count"), "file.ini:1: description.chunks_count:"),
        count_word=(FILE.replace("count = 2", "count = two"), "file.ini:3: description.chunks_count: 'two'"),
        count_short=(FILE.replace("count = 2", "count = 1"), "file.ini:4: chunks: has 2 chunks"),
        count_long=(FILE.replace("count = 2", "count = 3"), "file.ini:4: chunks: has 2 chunks"),
        count_huge=(FILE.replace("count = 2", "count = 65536"), "file.ini:3: description.chunks_count: 65536"),
        count_huger=(FILE.replace("count = 2", f"count = 1{'0' * 30}"), "file.ini:3: description.chunks_count: 1000"),
        no_chunks=(FILE.replace("[chunks]", "[pieces]"), "file.ini: chunks:"),
        gap=(FILE.replace("\n1 =", "\n2 ="), "file.ini:4: chunks.1:"),
        number_word=(FILE.replace(f"\n1 = {HASH}", f"\none = {HASH}"), "file.ini:6: chunks.one:"),
        number_twice=(FILE.replace(f"\n1 = {HASH}", f"\n0 = {HASH}"), "file.ini:6: chunks.0:"),
        hash_short=(FILE.replace(f"1 = {HASH}", f"1 = {HASH[:-1]}"), "file.ini:6: chunks.1: not a SHA-1"),
        hash_long=(FILE.replace(f"1 = {HASH}", f"1 = {HASH}0"), "file.ini:6: chunks.1: not a SHA-1"),
        hash_odd=(FILE.replace(f"1 = {HASH}", f"1 = {HASH[:-1]}g"), "file.ini:6: chunks.1: not a SHA-1"),
        owner_gap=(FILE.replace("1 = alice, alice", "2 = alice"), "file.ini:7: chunks_peers.1:"),
        owner_lacks=(FILE.replace("1 = alice, alice\n", ""), "file.ini:7: chunks_peers:"),
        owner_unknown=(FILE.replace("1 = alice, alice", "1 = alice, eve"), "file.ini:9: chunks_peers.1:"),
        owner_nameless=(FILE.replace("1 = alice, alice", "1 = alice,,"), "file.ini:9: chunks_peers.1:"),
        no_owners=(FILE[: FILE.index("[chunks_peers]")], "file.ini: chunks_peers:"),
        path_up=(FILE.replace("a.bin", "../a.bin"), "file.ini:2: description.filename: '../a.bin'"),
        path_absolute=(FILE.replace("a.bin", "/etc/passwd"), "file.ini:2: description.filename: '/etc/passwd'"),
        path_down=(FILE.replace("a.bin", "a/b.bin"), "file.ini:2: description.filename: 'a/b.bin'"),
        name_dots=(FILE.replace("a.bin", ".."), "file.ini:2: description.filename: '..'"),
        name_empty=(FILE.replace("a.bin", ""), "file.ini:2: description.filename: ''"),
        name_nul=(FILE.replace("a.bin", "a\0b"), "file.ini:2: description.filename:"),
        name_long=(FILE.replace("a.bin", "x" * 256), "file.ini:2: description.filename:"),
    )
    def test_tracker_and_client_say_where(self, case):
        file, place = case
        self.configure(file=file)
        for role in (CLIENT, TRACKER):
            self.assert_told(self.command(role), place)

    @for_each(merge="merge", check="check")
    def test_the_scripts_say_where(self, role):
        self.configure(file=FILE.replace("count = 2", "count = 3"))
        self.assert_told((role,), "file.ini:4: chunks: has 2 chunks")
        self.configure(file=None)
        self.assert_told((role,), "file.ini: cannot be read: No such file")

    def test_what_is_merely_unusual_is_read(self):
        """A BOM, CRLF, colons, comments, capitals, unknown keys and no final newline."""
        course = self.split(some_bytes(2500), "1000")
        self.start_servers(course)
        text = course.file_ini.read_text().replace(" = ", ":", 2).replace("= alice, bob", "= alice,bob")
        text = "\ufeff; by hand\n" + text.replace("[chunks]", "author = me\n# hashes\n[chunks]").rstrip()
        for chunk_hash in course.hashes:
            text = text.replace(chunk_hash, chunk_hash.upper())
        course.file_ini.write_bytes(text.replace("\n", "\r\n").encode())
        client = Client(self, course)
        client.start()
        client.assert_done()

    def test_a_running_tracker_keeps_the_last_good_configuration(self):
        course = self.split(some_bytes(2500), "1000")
        self.start_servers(course)
        good = course.file_ini.read_text()
        course.file_ini.write_text(good.replace("chunks_count = 3", "chunks_count = 4"))

        def is_told():
            client = Client(self, course, step=2)
            client.start()
            client.assert_done()
            return "file.ini:5: chunks: has 3 chunks" in self.tracker.stderr

        wait_until(is_told, "the tracker warns of the broken file")
        self.assert_alive(self.tracker)


@expanded
class Options(ConfigCase):
    @for_each(
        tracker_no_port=("--step", "2", "--tracker", "127.0.0.1"),
        tracker_port_0=("--step", "2", "--tracker", "127.0.0.1:0"),
        tracker_port_big=("--step", "2", "--tracker", "127.0.0.1:65536"),
        peer=("--step", "1", "--peer", "alice"),
        bind=("--step", "3", "--bind", "1.2.3"),
        bind_elsewhere=("--step", "3", "--bind", "203.0.113.77"),
        client_path=("--step", "1", "--name", "../charlie"),
        client_nothing=("--step", "1", "--name", ""),
        chunk_limit=("--step", "1", "--chunk-limit", "much"),
        chunk_limit_big=("--step", "1", "--chunk-limit", "5G"),
    )
    def test_a_bad_value_is_named(self, arguments):
        self.configure()
        self.assert_told(("client", *arguments), *arguments[2:])

    @for_each(peer=("peer", "alice"), tracker=("tracker",))
    def test_a_server_says_which_address_it_cannot_have(self, command):
        self.configure()
        self.assert_told((*command, "--port", "0", "--bind", "nowhere"), "--bind nowhere")
        self.assert_told((*command, "--port", "0", "--bind", "203.0.113.77"), "203.0.113.77")

    @for_each(peer=("peer", "alice"), tracker=("tracker", "--discovery-port", "0"))
    def test_an_address_that_is_taken_is_named(self, command):
        self.configure()
        first = self.shoal(*command, "--port", "0", "--dir", self.root)
        port = first.wait_address()[1]
        self.assert_told((*command, "--port", str(port)), f":{port}", "another program uses it")
        self.assertEqual(first.stop(), DONE)

    @for_each(zero="0", negative="-1", word="big", nothing="", huge="4G", unit="10X", overflow="99999999999999999999")
    def test_a_bad_chunk_size_is_named(self, size):
        (self.root / "some").write_bytes(b"abc")
        process = self.shoal("split", self.root / "some", "--dir", self.root, f"--chunk-size={size}")
        self.assert_exit(process, USAGE)
        self.assertIn("--chunk-size", process.stderr)
        self.assertEqual([path.name for path in self.root.iterdir()], ["some"])

    @for_each(repeated="alice,alice", tracker="alice,tracker", path="alice,../bob", empty="")
    def test_bad_peer_names_are_named(self, peers):
        (self.root / "some").write_bytes(b"abc")
        process = self.shoal("split", self.root / "some", "--dir", self.root, "--peers", peers)
        self.assert_exit(process, USAGE)
        self.assertIn("--peers", process.stderr)

    def test_a_file_that_is_not_there(self):
        self.assert_told(("split", self.root / "nothing"), str(self.root / "nothing"))
        self.assert_told(("split", "/dev/null"), "/dev/null")
        self.assert_told(("split", self.root), str(self.root))

    def test_split_of_nothing_leaves_nothing(self):
        before = sorted(self.root.iterdir())
        self.assert_told(("split", self.root / "nothing"), "nothing")
        self.assertEqual(sorted(self.root.iterdir()), before)


if __name__ == "__main__":
    unittest.main()
