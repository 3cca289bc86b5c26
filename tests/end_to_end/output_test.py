"""What the program prints: JSON events, silence, progress with and without a terminal, diagrams, refusals."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

from support.cases import expanded, for_each, themselves
from support.course import Course, some_bytes
from support.events import events, verified_pieces
from support.network import enter_fresh_network
from support.paced_peer import PacedPeer
from support.shoal import DISK, DONE, INCOMPLETE, NOTHING_FOUND, USAGE, at, program
from support.split_course import Client, SplitCase

ROLES = ("split", "peer", "tracker", "client", "merge", "check")
ESCAPE = "\x1b"


def setUpModule():
    enter_fresh_network()


class OutputCase(SplitCase):
    def setUp(self):
        super().setUp()
        self.course = self.split(some_bytes(29_500), "1000")

    def run_client(self, step, *arguments, **options):
        client = Client(self, self.course, step, **options)
        client.start(*arguments)
        client.process.wait()
        return client


    def start_paced_peers(self, rate_bytes_per_s):
        pieces = (self.course.content[at : at + 1000] for at in range(0, len(self.course.content), 1000))
        chunks = dict(zip(self.course.hashes, pieces))
        for name in ("alice", "bob"):
            self.course.set_address(name, PacedPeer(self, chunks, rate_bytes_per_s).address)


class Json(OutputCase):
    def test_a_download_is_told_event_by_event(self):
        self.start_servers(self.course)
        for step in (1, 2, 3):
            client = self.run_client(step, "--json")
            client.assert_done()
            process = client.process
            self.assertEqual(process.stderr, "")
            told = events(process)
            self.assertTrue(all(isinstance(event["seconds"], float) for event in told))
            times = [event["seconds"] for event in told]
            self.assertEqual(times, sorted(times))
            self.assertEqual(len(events(process, "tracker_chosen")), int(step > 1))
            (manifest,) = events(process, "manifest")
            self.assertEqual((manifest["file"], manifest["pieces"], manifest["held"]), (self.course.name, 30, 0))
            peers = {at((ip, int(port))) for name, (ip, port) in self.course.addresses.items() if name != "tracker"}
            self.assertEqual({event["source"] for event in events(process, "source")}, peers)
            self.assertEqual(sorted(verified_pieces(process)), list(range(30)))
            given = sum(event["bytes"] for event in events(process, "piece") if event["status"] == "verified")
            self.assertEqual(given, len(self.course.content))
            end = told[-1]
            self.assertEqual((end["event"], end["result"], end["exit_code"]), ("finished", "done", DONE))
            self.assertEqual(end["path"], str(client.target))
            for path in (self.course.root / "chunks" / "charlie").glob("*"):
                path.unlink()

    def test_failures_are_events(self):
        self.start_servers(self.course)
        number = self.course.numbers_of("bob")[0]
        self.course.chunk_path("bob", self.course.hashes[number]).unlink()
        client = self.run_client(2, "--json")
        end = events(client.process)[-1]
        self.assertEqual((end["result"], end["exit_code"], end["missing"]), ("incomplete", INCOMPLETE, [number]))
        nothing = self.shoal("client", "--step", "1", "--dir", self.root / "nothing", "--json")
        self.assert_exit(nothing, USAGE)
        (event,) = events(nothing)
        self.assertEqual((event["event"], event["exit_code"]), ("error", USAGE))
        self.assertIn("peers.ini", event["message"])

    def test_servers_say_where_they_listen(self):
        peer = self.shoal("peer", "alice", "--dir", self.course.root, "--port", "0", "--json")
        peer.wait_matching(lambda line: json.loads(line)["event"] == "listening", "listening event")
        tracker = self.shoal(
            *("tracker", "--dir", self.course.root, "--port", "0", "--discovery-port", "0", "--json"),
        )
        tracker.wait_matching(lambda line: json.loads(line)["event"] == "discovery", "discovery event")
        self.assertEqual([event["event"] for event in events(tracker)], ["listening", "discovery"])

    def test_a_name_that_is_not_text_does_not_break_a_line(self):
        course = Course(self.root / "odd", some_bytes(2000), 1000, name='caf\udce9 "quoted".bin')
        self.python_peer(course, "alice")
        self.python_peer(course, "bob")
        tracker = self.python_tracker(course)
        process = self.shoal_client(
            2, self.root, "--tracker", at(tracker.wait_address()), "--output", self.root / "x", "--json"
        )
        self.assert_exit(process, DONE)
        self.assertEqual(events(process, "manifest")[0]["file"], 'caf\ufffd "quoted".bin')


@expanded
class Plain(OutputCase):
    def test_the_result_is_the_only_line_on_stdout(self):
        self.start_servers(self.course)
        for step in (1, 2, 3):
            client = self.run_client(step)
            self.assertEqual(client.process.stdout, [str(client.target)])
            self.assertIn("30 chunks", client.process.stderr)

    @for_each(done=0, incomplete=1)
    def test_quiet_says_nothing_but_results_and_errors(self, missing):
        peers = self.start_servers(self.course, "--quiet")
        if missing:
            self.course.chunk_path("bob", self.course.hashes[-1]).unlink()
        client = self.run_client(2, "--quiet")
        if missing:
            self.assertEqual(client.process.stdout, [])
            self.assertEqual(len(client.process.stderr.splitlines()), 1)
            self.assertIn(": 29. ", client.process.stderr)
        else:
            self.assertEqual(client.process.stdout, [str(client.target)])
            self.assertEqual(client.process.stderr, "")
        self.assertEqual([peer.stderr for peer in peers.values()], ["", ""])

    def test_quiet_scripts(self):
        self.start_servers(self.course)
        self.run_client(1)
        source = self.root / "course-original" / self.course.name
        for command in (("merge",), ("check",), ("split", source, "--chunk-size", "1000")):
            tool = self.run_tool(*command, "--dir", self.course.root, "--quiet")
            self.assertEqual((tool.stdout, tool.stderr), ([], ""))

    def test_without_a_terminal_there_are_no_escape_codes(self):
        self.start_paced_peers(40_000)
        client = self.run_client(1, "--verbose")
        client.assert_done()
        self.assertNotIn(ESCAPE, client.process.stderr + "".join(client.process.stdout))
        self.assertIn("GET_CHUNK", client.process.stderr)

    @for_each(escape="\x1b[31mred", bell="a\x07b", newline="two\nlines", carriage="over\rwritten", c1="\x9b31mred")
    def test_a_name_from_outside_cannot_write_on_the_terminal(self, name):
        """In progress and in errors; the path on stdout is for scripts, and as it is."""
        for content, code in ((some_bytes(2000), DONE), (b"", DONE), (some_bytes(2000), INCOMPLETE)):
            course = Course(self.root / f"odd-{len(content)}-{code}", content, 1000)
            quirk = ("not-found",) if code == INCOMPLETE else ()
            self.python_peer(course, "alice", quirk)
            self.python_peer(course, "bob", quirk)
            tracker = self.python_tracker(course, (f"filename={name}",))
            process = self.shoal_client(2, course.root, "--tracker", at(tracker.wait_address()), "--verbose")
            self.assert_exit(process, code)
            for letter in process.stderr.replace("\n", ""):
                self.assertTrue(letter.isprintable(), repr(process.stderr))
            expected = [str(course.root / "chunks" / "charlie" / name)] if code == DONE else []
            self.assertEqual("\n".join(process.stdout), "\n".join(expected))


@expanded
class CommandLine(OutputCase):
    @for_each(**themselves(*ROLES))
    def test_an_unknown_option_is_wrong_use(self, role):
        process = self.shoal(role, "--frobnicate")
        self.assert_exit(process, USAGE)
        self.assertEqual(process.stdout, [])
        self.assertTrue(process.stderr.strip())

    @for_each(**themselves(*ROLES))
    def test_help_is_a_result(self, role):
        process = self.run_tool(role, "--help")
        self.assertEqual(process.stderr, "")
        self.assertIn("--dir", "\n".join(process.stdout))

    @for_each(
        nothing=(),
        unknown_role=("frobnicate",),
        no_step=("client",),
        step_0=("client", "--step", "0"),
        step_4=("client", "--step", "4"),
        no_name=("peer",),
        no_file=("split",),
        two_files=("split", "a", "b"),
        port_word=("tracker", "--port", "http"),
        port_65536=("tracker", "--port", "65536"),
        timeout_0=("client", "--step", "2", "--answer-timeout", "0"),
    )
    def test_wrong_use_is_told(self, arguments):
        process = self.shoal(*arguments)
        self.assert_exit(process, USAGE)
        self.assertEqual(process.stdout, [])
        self.assertTrue(process.stderr.strip())

    def test_version(self):
        process = self.start([program(), "--version"])
        self.assert_exit(process, DONE)
        self.assertRegex(process.stdout[0], r"^shoal \d+\.\d+")

    @for_each(one_more=(65_536, "1", "2"), many=(1_000_000, "10", "16"), just_too_big=(131_071, "2", "3"))
    def test_too_many_chunks_name_the_smallest_size_that_fits(self, case):
        size_bytes, chunk_size, fitting = case
        big = self.root / "big"
        big.write_bytes(bytes(size_bytes))
        process = self.shoal("split", big, "--dir", self.root / "out", "--chunk-size", chunk_size)
        self.assert_exit(process, USAGE)
        self.assertIn(f"the smallest --chunk-size that fits is {fitting}\n", process.stderr)
        self.assertFalse((self.root / "out" / "files").exists())
        if size_bytes // int(fitting) < 40_000:  # one that is quickly done
            split = self.shoal("split", big, "--dir", self.root / "out", "--chunk-size", fitting)
            self.assert_exit(split, DONE, timeout=60)

    @for_each(events=("stdout", "--json"), progress=("stderr", "--verbose"))
    def test_output_that_nobody_can_take_is_no_crash(self, output):
        """It is a pipe whose reader is gone."""
        stream, option = output
        self.start_servers(self.course)
        reader, writer = os.pipe()
        os.close(reader)
        command = [program(), "course", "client", "--step", "1", "--dir", self.course.root, option]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
        done = subprocess.run(command, **streams, timeout=20)
        os.close(writer)
        self.assertEqual(done.returncode, DONE, done.stderr)
        client = Client(self, self.course)
        self.assertEqual(client.target.read_bytes(), self.course.content)


class Diagram(OutputCase):
    ARROW = re.compile(r"^    \S[^:]*?(->>|-->>|-\))[^:]+(:\d+)?: \S.*$")

    def draw(self, step, *arguments):
        path = self.root / "drawn" / "diagram.mmd"
        client = self.run_client(step, "--sequence-diagram", path, *arguments)
        client.assert_done()
        return path.read_text().splitlines()

    def assert_mermaid(self, lines):
        """A title, participants, arrows and loops that end."""
        self.assertEqual(lines[0], "sequenceDiagram")
        depth = 0
        for line in lines[1:]:
            words = line.split()
            depth += (words[0] == "loop") - (words[0] == "end")
            self.assertIn(depth, (0, 1), line)
            if words[0] not in ("participant", "loop", "end"):
                self.assertRegex(line, self.ARROW)
                self.assertNotIn(";", re.sub(r"#\d+;", "", line))
        self.assertEqual(depth, 0)

    def test_step_1_is_drawn_with_names_and_folded_runs(self):
        self.start_servers(self.course)
        lines = self.draw(1)
        self.assert_mermaid(lines)
        text = "\n".join(lines)
        ids = {name: short for short, name in re.findall(r"participant (\S+) as (\S+)", text)}
        for name in ("alice", "bob"):
            self.assertRegex(text, rf"{ids['charlie']}->>{ids[name]}: GET_CHUNK \S+")
            self.assertRegex(text, rf"{ids[name]}-->>{ids['charlie']}: CHUNK")
        self.assertRegex(text, r"loop \d+ times")
        self.assertLess(len(lines), 30, "30 chunks are folded")

    def test_step_3_is_drawn_from_the_broadcast_on(self):
        self.start_servers(self.course)
        lines = self.draw(3)
        self.assert_mermaid(lines)
        text = "\n".join(lines)
        places = [text.index(word) for word in ("DISCOVER_TRACKER", "TRACKER_INFO", "GET_FILE_INFO", "GET_CHUNK")]
        self.assertEqual(places, sorted(places))
        self.assertIn(": FILE_INFO", text)

    def test_a_diagram_that_cannot_be_written_is_told(self):
        self.start_servers(self.course)
        (self.root / "file").write_bytes(b"")
        client = self.run_client(1, "--sequence-diagram", self.root / "file" / "diagram.mmd")
        self.assert_exit(client.process, DISK)
        self.assertIn("diagram.mmd", client.process.stderr)

    def test_a_failed_download_is_drawn_too(self):
        path = self.root / "diagram.mmd"
        process = self.shoal(
            *("client", "--step", "3", "--dir", self.root, "--discovery-port", "9"),
            *("--discovery-timeout", "0.5", "--sequence-diagram", path),
        )
        self.assert_exit(process, NOTHING_FOUND)
        self.assert_mermaid(path.read_text().splitlines())


class Terminal(OutputCase):
    def run_on_a_terminal(self, columns):
        """What a client prints on a terminal of a width."""
        self.start_paced_peers(10_000)
        screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [program(), "course", "client", "--step", "1", "--dir", str(self.course.root)]
        child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(screen, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                break
            shown += part
        os.close(screen)
        self.assertEqual(child.wait(20), DONE)
        return shown.decode()

    def test_the_bytes_of_a_share_are_not_written_on_one(self):
        screen, terminal = pty.openpty()
        self.addCleanup(os.close, screen)
        command = [program(), "get", "whatever", "--stdout"]
        done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, timeout=20, check=False)
        os.close(terminal)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"standard output is a terminal", done.stderr)

    def test_progress_is_a_block_with_a_line_for_each_peer(self):
        shown = self.run_on_a_terminal(120)
        blocks = re.split(r"\x1b\[\d+A\x1b\[J", shown)
        self.assertGreater(len(blocks), 3, "redrawn in place")
        drawn = [block for block in blocks if "%" in block]
        self.assertTrue(drawn)
        for block in drawn[1:-1]:
            lines = block.strip().splitlines()
            self.assertEqual(len(lines), 3, block)
            self.assertRegex(lines[0], r"^\s*\d+ %  \d+ of 30 chunks  .*/s")
            self.assertEqual(sorted(line.split()[0] for line in lines[1:]), ["alice", "bob"])
        self.assertRegex(drawn[-1], r"\d+ s left")
        self.assertIn(str(self.course.root / "chunks" / "charlie" / self.course.name), shown.splitlines()[-1])

    def test_the_block_goes_up_as_many_lines_as_it_has(self):
        shown = self.run_on_a_terminal(120)
        at_end = re.split(r"(\x1b\[\d+A\x1b\[J)", shown)
        for before, code in zip(at_end[::2], at_end[1::2]):
            block = before[before.index("%") :] if "%" in before else before
            self.assertEqual(int(re.search(r"\[(\d+)A", code)[1]), block.count("\n"), before)


if __name__ == "__main__":
    unittest.main()
