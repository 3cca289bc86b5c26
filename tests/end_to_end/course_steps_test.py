"""The course system end to end, with nothing but Shoal: split, peers, tracker, clients of all three steps, check."""

import unittest

from support.cases import expanded, for_each, themselves
from support.course import read_result_ini, some_bytes
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE, INCOMPLETE, WRONG_HASH
from support.split_course import LAYOUTS, STEPS, Client, SplitCase, read_ini

KIB, MIB = 1 << 10, 1 << 20


def setUpModule():
    enter_fresh_network()


class StepsCase(SplitCase):
    def download_everywhere(self, course, steps=STEPS, timeout=60):
        """Every step in both layouts at the same time; every result is the original."""
        clients = [Client(self, course, step, layout) for step in steps for layout in LAYOUTS]
        for client in clients:
            client.start()
        for client in clients:
            client.assert_done(timeout)
        return clients

    def run_shape(self, content, chunk_size, **options):
        course = self.split(content, chunk_size, **options)
        self.start_servers(course)
        return course, self.download_everywhere(course)


@expanded
class Shapes(StepsCase):
    @for_each(
        chunks_of_1_byte=(some_bytes(600), "1"),
        chunks_of_10_bytes=(b"Hello, BITE! 0123456789abc", "10"),
        chunks_of_512_kib=(some_bytes(3 * MIB + 17), "512K"),
        chunks_of_2_mib=(some_bytes(9 * MIB), "2MiB"),
        empty=(b"", "512K"),
        one_chunk=(some_bytes(70_001), "512K"),
        one_byte=(b"x", "512K"),
        exactly_one_chunk=(some_bytes(64 * KIB), "64K"),
        zeros=(bytes(5 * MIB + 100), "1M"),
        zeros_to_the_last=(bytes(640), "64"),
        repeats=((some_bytes(1000, 1) + some_bytes(1000, 2)) * 20 + b"end", "1000"),
    )
    def test_every_step_and_layout_makes_the_file(self, shape):
        course, _ = self.run_shape(*shape)
        self.assertEqual(self.run_tool("check", "--dir", course.root).stderr, "")

    def test_chunks_of_64_mib(self):
        course = self.split(some_bytes(64 * MIB) + b"a last chunk", "64M")
        self.start_servers(course)
        self.download_everywhere(course, steps=(2,), timeout=90)

    @for_each(one=("solo",), three=("alice", "bob", "carol"), five=("a", "b", "c", "d", "e"))
    def test_any_number_of_peers(self, peers):
        course, _ = self.run_shape(some_bytes(40_000), "1000", peers=peers)
        self.assertEqual(set(peers), {name for owners in course.owners for name in owners})

    @for_each(percent="100%.bin", blanks="my  file name.txt", unicode="été ☂.bin", ini="file.ini", dots=".hidden")
    def test_any_file_name(self, name):
        course = self.split(some_bytes(3000), "1000", name=name)
        self.start_servers(course)
        for client in self.download_everywhere(course):
            self.assertEqual(client.target.name, name)


class Split(SplitCase):
    def test_thirds_and_lower_case_names(self):
        course = self.split(some_bytes(1003), "100")
        self.assertEqual(course.owners, [["alice"]] * 4 + [["alice", "bob"]] * 4 + [["bob"]] * 3)
        text = course.file_ini.read_text()
        self.assertIn("\n4 = alice, bob\n", text)
        self.assertEqual(text, text.lower())
        for number, chunk_hash in enumerate(course.hashes):
            piece = course.content[number * 100 : (number + 1) * 100]
            for name in course.owners[number]:
                self.assertEqual(course.chunk_path(name, chunk_hash).read_bytes(), piece)
        stored = [path for name in ("alice", "bob") for path in (course.root / "chunks" / name).iterdir()]
        self.assertEqual(len(stored), 4 + 2 * 4 + 3, "something else was left")

    def test_the_configuration_is_that_of_the_course(self):
        course = self.split(b"abc", "2")
        peers = read_ini(course.peers_ini)
        ports = {name: (peers[name]["ip_address"], peers[name]["port_number"]) for name in peers.sections()}
        expected = {"tracker": "8000", "alice": "8001", "bob": "8002"}
        self.assertEqual(ports, {name: ("127.0.0.1", port) for name, port in expected.items()})
        self.assertEqual((course.root / "files" / course.name).read_bytes(), b"abc")

    def test_peers_ini_of_the_user_stays(self):
        config = self.root / "course" / "config"
        config.mkdir(parents=True)
        text = "# mine\n[alice]\nip_address: 10.1.2.3\nport_number: 77\n[bob]\nip_address=10.1.2.4\nport_number=78"
        (config / "peers.ini").write_text(text)
        self.split(b"abc", "2")
        self.assertEqual((config / "peers.ini").read_text(), text)

    def test_splitting_again_shares_the_new_file(self):
        self.split(some_bytes(500), "100")
        (self.root / "new.bin").write_bytes(b"another")
        self.run_tool("split", self.root / "new.bin", "--dir", self.root / "course", "--chunk-size", "3")
        ini = read_ini(self.root / "course" / "config" / "file.ini")
        self.assertEqual(dict(ini["description"]), {"filename": "new.bin", "chunks_count": "3"})


@expanded
class Results(StepsCase):
    @for_each(**{f"step_{step}": step for step in STEPS})
    def test_merge_and_check_work_on_what_a_client_left(self, step):
        course = self.split(some_bytes(10_500), "1000")
        self.start_servers(course)
        client = Client(self, course, step)
        client.start()
        client.assert_done()
        self.assertEqual(read_result_ini(client.folder), (course.name, course.hashes))
        (client.home / "files").mkdir(exist_ok=True)
        (client.home / "files" / course.name).write_bytes(course.content)
        client.target.unlink()
        self.run_tool("merge", "--dir", client.home)
        self.assertEqual(client.target.read_bytes(), course.content)
        self.run_tool("check", "--dir", client.home)
        damaged = bytearray(course.content)
        damaged[5000] ^= 1
        client.target.write_bytes(damaged)
        told = self.run_tool("check", "--dir", client.home, code=WRONG_HASH).stderr
        self.assertIn("from byte 5000 on", told)
        (client.folder / f"{course.hashes[3]}.bin").unlink()
        self.assertIn(course.hashes[3], self.run_tool("merge", "--dir", client.home, code=INCOMPLETE).stderr)

    def test_another_name_is_another_client(self):
        course = self.split(some_bytes(10_500), "1000")
        self.start_servers(course)
        clients = [Client(self, course, step, name=name) for step in STEPS for name in ("charlie", "dora")]
        for client in clients:
            client.start()
        for client in clients:
            client.assert_done()
            self.run_tool("merge", "--dir", client.home, "--name", client.name, "--output", self.root / "merged")
            self.assertEqual((self.root / "merged").read_bytes(), course.content)

    @for_each(**themselves(*LAYOUTS))
    def test_nobody_is_contacted_when_all_is_there(self, layout):
        course = self.split(some_bytes(10_500), "1000")
        peers = self.start_servers(course)
        clients = [Client(self, course, step, layout) for step in STEPS]
        for client in clients:
            client.start()
            client.assert_done()
        for peer in peers.values():
            self.assertEqual(peer.stop(), DONE)
        for client in clients:
            before = self.state(client)
            client.start("--json")
            client.assert_done()
            self.assertEqual(self.state(client), before)
            self.assertNotIn('"source"', "\n".join(client.process.stdout))

    def state(self, client):
        """The files of a result and when they were written."""
        return {path.name: path.stat().st_mtime_ns for path in client.folder.iterdir() if path.name != "file.ini"}

    def test_a_file_that_changes_in_the_tracker_is_what_the_next_client_gets(self):
        course = self.split(some_bytes(5000), "1000")
        self.start_servers(course)
        first = Client(self, course, 2, name="first")
        first.start()
        first.assert_done()
        (self.root / "new.bin").write_bytes(b"another file")
        self.run_tool("split", self.root / "new.bin", "--dir", course.root, "--chunk-size", "5")

        def is_new():
            client = self.shoal_client(2, self.root, *self.where(2), "--output", self.root / "out.bin")
            self.assert_exit(client, DONE)
            return (self.root / "out.bin").read_bytes() == b"another file"

        wait_until(is_new, "the tracker tells of the new file")


if __name__ == "__main__":
    unittest.main()
