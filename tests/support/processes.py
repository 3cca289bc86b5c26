"""Start programs in tests, wait for what they print, and always end them, by their own process id.

Every wait has a deadline and fails with the program's output; nothing sleeps for a fixed time.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

READY_TIMEOUT_S = 10.0
END_TIMEOUT_S = 18.0
STOP_TIMEOUT_S = 3.0
POLL_S = 0.01

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent():
    """Runs in the new process: a test run that is killed leaves nothing behind, and one under nohup is like any other."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running program whose stdout is read line by line as it comes."""

    def __init__(self, command, cwd=None, env=None):
        self.command = [str(part) for part in command]
        self._errors = tempfile.TemporaryFile()
        self._changed = threading.Condition()
        self._lines = []
        self._is_ended = False
        self._child = subprocess.Popen(
            self.command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=_end_with_parent,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    @property
    def pid(self):
        return self._child.pid

    @property
    def is_running(self):
        return self._child.poll() is None

    @property
    def stdout(self):
        with self._changed:
            return list(self._lines)

    @property
    def stderr(self):
        # pread leaves the offset alone, which the running program shares
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def lines(self, word):
        """The lines that begin with a word, without it."""
        return [line[len(word) :].strip() for line in self.stdout if line.split(" ", 1)[0] == word]

    def wait_line(self, word, timeout=READY_TIMEOUT_S, count=1):
        """Wait until `count` lines begin with a word; the rest of the last of them is returned."""
        what = f"line {count} beginning with {word!r}"
        return self.wait_matching(lambda line: line.split(" ", 1)[0] == word, what, timeout, count)[len(word) :].strip()

    def wait_matching(self, matches, what, timeout=READY_TIMEOUT_S, count=1):
        """Wait until `count` lines match; the last of them is returned."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    count -= matches(line)
                    if count == 0:
                        return line
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if self._is_ended or left <= 0:
                    break
                self._changed.wait(left)
        raise AssertionError(f"no {what}\n{self.story()}")

    def wait_address(self, word="listening"):
        """The (ip, port) a server printed behind a word."""
        ip, _, port = self.wait_line(word).rpartition(":")
        return ip, int(port)

    def wait(self, timeout=END_TIMEOUT_S):
        """The exit code; fails when the program goes on."""
        try:
            code = self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s\n{self.story()}") from None
        self._reader.join(STOP_TIMEOUT_S)
        return code

    def story(self):
        """What a failing test should show."""
        state = "running" if self.is_running else f"exit code {self._child.returncode}"
        output = ["--- stdout", *self.stdout[-40:], "--- stderr", self.stderr[-4000:]]
        return "\n".join([f"$ {' '.join(self.command)}  [{state}]", *output])

    def signal(self, number):
        self._child.send_signal(number)

    def stop(self):
        """End the program: politely, then not; returns its exit code."""
        if self.is_running:
            self._child.terminate()
            try:
                self._child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join(STOP_TIMEOUT_S)
        self._child.stdout.close()
        self._errors.close()
        return self._child.returncode


def wait_until(condition, what, timeout=READY_TIMEOUT_S):
    """Poll until a condition holds; its value is returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(POLL_S)


class ProcessCase(unittest.TestCase):
    """A test with a directory of its own, whose programs end with it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="shoal-test-", ignore_cleanup_errors=True)
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.processes = []
        self.prefix = []  # goes before every command

    def start(self, command, cwd=None, env=None):
        process = Process([*self.prefix, *command], cwd, env)
        self.addCleanup(process.stop)
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def prefixed(self, prefix):
        """Within it, every program is started with the prefix."""
        self.prefix = prefix
        try:
            yield
        finally:
            self.prefix = []

    def assert_exit(self, process, *codes, timeout=END_TIMEOUT_S):
        """Wait for the end and require one of the exit codes."""
        code = process.wait(timeout)
        if code not in codes:
            self.fail(f"exit code {code}, wanted {' or '.join(map(str, codes))}\n{self.stories()}")
        return code

    def assert_alive(self, *processes):
        for process in processes:
            if not process.is_running:
                self.fail(f"died\n{process.story()}")

    def stories(self):
        return "\n\n".join(process.story() for process in self.processes)
