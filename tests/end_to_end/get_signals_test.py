"""`shoal get` that is told to end."""

import signal
import unittest

from support.cases import expanded, for_each
from support.course import some_bytes
from support.events import events, wait_event
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import INTERRUPTED
from support.verbs import MIB, VerbCase, finished


def setUpModule():
    enter_fresh_network()


@expanded
class Told(VerbCase):
    def setUp(self):
        super().setUp()
        sharer = self.share(self.write("disk.img", some_bytes(MIB)), "--no-local")
        self.what = (sharer.shared["magnet"], "--no-local")

    def begin(self, *prefix):
        """One under way that needs a while."""
        with self.prefixed(prefix):
            process = self.get(*self.what, "--json", "--limit-down", "200K")
        wait_event(process, "piece", status="verified")
        return process

    @for_each(ctrl_c=signal.SIGINT, asked=signal.SIGTERM, terminal_closed=signal.SIGHUP)
    def test_it_ends_in_order(self, number):
        process = self.begin()
        process.signal(number)
        self.assert_exit(process, INTERRUPTED)
        self.assertIn("are kept", finished(process)["message"])
        self.assertGreater(events(self.got(*self.what, "--json"), "manifest")[0]["held"], 0)

    def test_under_nohup_a_closed_terminal_is_nothing_to_it(self):
        process = self.begin("nohup")
        process.signal(signal.SIGHUP)
        came = len(events(process, "piece"))
        wait_until(lambda: len(events(process, "piece")) > came + 5, "more pieces come")
        process.signal(signal.SIGINT)
        self.assert_exit(process, INTERRUPTED)


if __name__ == "__main__":
    unittest.main()
