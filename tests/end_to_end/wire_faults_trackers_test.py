"""Hostile trackers that nobody makes up for: the client ends soon, with the code that fits, and says what happened."""

import hashlib
import struct
import unittest

from interop.counterparts import protocol
from support.cases import expanded, for_each, named
from support.course import missing_chunks, some_bytes
from support.fault_case import IMPATIENT, FaultCase
from support.network import enter_fresh_network
from support.scripted_server import ScriptedServer
from support.shoal import DISK, DONE, INCOMPLETE, NOTHING_FOUND, REFUSED, TIMED_OUT, at


def setUpModule():
    enter_fresh_network()


@expanded
class Trackers(FaultCase):
    step = 2

    @for_each(
        refuse=("refuse", REFUSED, "refused the connection"),
        close_on_accept=("close-on-accept", NOTHING_FOUND, ""),
        reset_on_accept=("reset-on-accept", NOTHING_FOUND, ""),
        reset=("reset", NOTHING_FOUND, ""),
        vanish=("vanish", NOTHING_FOUND, ""),
        one_byte_per_second=("slow", TIMED_OUT, ""),
        error_0=("error=0", NOTHING_FOUND, "INVALID_MESSAGE_FORMAT"),
        error_1=("error=1", NOTHING_FOUND, "INVALID_REQUEST"),
        error_77=("error=77", NOTHING_FOUND, "ERROR"),
        no_length=("lying-length=0", NOTHING_FOUND, "impossible length"),
        all_the_length=("lying-length=4294967295", NOTHING_FOUND, "more than is allowed"),
        little_endian=("lying-length=little-endian", NOTHING_FOUND, "more than is allowed"),
        count_overrun=("count-overrun", NOTHING_FOUND, ""),
        peers_overrun=("peers-overrun", NOTHING_FOUND, ""),
        filename_overrun=("filename-overrun", NOTHING_FOUND, ""),
        filename_empty=("filename=", NOTHING_FOUND, "cannot be created here"),
        filename_dots=("filename=..", NOTHING_FOUND, "cannot be created here"),
        filename_slash=("filename=a/", NOTHING_FOUND, "cannot be created here"),
        filename_nul=("nul-filename", NOTHING_FOUND, "cannot be created here"),
        filename_65535=("long-filename", NOTHING_FOUND, "cannot be created here"),
        nobody=("nobody", INCOMPLETE, "Nobody is listed"),
        dead_peers=("only-dead-peers", INCOMPLETE, "refused the connection"),
    )
    def test_the_client_says_what_is_wrong(self, case):
        quirk, code, word = case
        scenes = self.scenes()
        for scene in scenes:
            scene.start_servers(tracker=(quirk,))
            scene.start_client(*IMPATIENT)
        for scene in scenes:
            self.assert_ends(scene, code, word)

    @for_each(**named("filename=../../x", "filename=/etc/shoal-x", "filename=a\\..\\x"))
    def test_of_a_path_only_the_name_is_used(self, quirk):
        scene = self.scene()
        scene.start_servers(tracker=quirk)
        scene.start_client()
        self.assert_exit(scene.client, DONE)
        name = quirk[0].replace("\\", "/").rpartition("/")[2]
        folder = scene.home / "chunks" / "charlie"
        self.assertEqual(scene.client.stdout, [str(folder / name)])
        self.assertEqual((folder / name).read_bytes(), scene.course.content)
        self.assertEqual(missing_chunks(scene.course, scene.home), [])

    @for_each(lock=".shoal.lock", temporary=".shoal-0.part", chunk="0" * 40 + ".bin", ini="file.ini")
    def test_a_name_of_the_clients_own_files_does_no_harm(self, name):
        """Refused, or written as any other file."""
        scene = self.scene()
        scene.start_servers(tracker=(f"filename={name}",))
        scene.start_client()
        code = scene.client.wait()
        self.assertIn(code, (DONE, DISK), scene.client.story())
        if code == DONE:
            self.assertEqual((scene.home / "chunks" / "charlie" / name).read_bytes(), scene.course.content)
            self.assertEqual(missing_chunks(scene.course, scene.home), [])
        else:
            self.assertIn(name, scene.client.stderr)

    def test_a_list_over_the_limit_is_refused(self):
        scene = self.scene(content=some_bytes(5000), chunk_bytes=10)
        scene.start_servers()
        scene.start_client("--file-info-limit", "8K")
        self.assert_ends(scene, NOTHING_FOUND, "more than is allowed")

    def test_a_tracker_that_never_stops_sending(self):
        server = None

        def flood(connection):
            connection.recv(8)
            connection.sendall(struct.pack("!BBHI", 1, protocol.FILE_INFO, 0, 1 << 28))
            while not server.is_ended.is_set():
                connection.sendall(bytes(65536))

        server = ScriptedServer(self, flood)
        process = self.shoal_client(2, self.root, "--tracker", at(server.address), *IMPATIENT)
        self.assert_exit(process, NOTHING_FOUND)
        self.assertIn("more than is allowed", process.stderr)

    def test_hashes_of_nothing_that_exists(self):
        """Every chunk of the list is unknown to the peers."""
        scene = self.scene()
        scene.start_servers()
        scene.course.hashes = [hashlib.sha1(one.encode()).hexdigest() for one in scene.course.hashes]
        scene.course.write_file_ini()
        scene.start_client(*IMPATIENT)
        self.assert_ends(scene, INCOMPLETE, "did not give")


if __name__ == "__main__":
    unittest.main()
