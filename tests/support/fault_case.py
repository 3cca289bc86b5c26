"""Scenes of tests in which the client cannot succeed: it ends soon, with the code that fits, and says what happened."""

import hashlib
import time

from support.client_case import ClientCase

SOON_S = 15.0
IMPATIENT = ("--answer-timeout", "0.6", "--stall-timeout", "0.6", "--connect-timeout", "1")


class FaultCase(ClientCase):
    def assert_ends(self, scene, code, *words):
        """In time, with the code and the words; what is there is right, and nothing half-written."""
        begun = time.monotonic()
        scene.assert_gave_up(code)
        self.assertLess(time.monotonic() - begun, SOON_S)
        for word in words:
            self.assertIn(word, scene.client.stderr)
        self.assertEqual(scene.client.stdout, [])
        self.assertFalse(scene.target.exists())
        for path in (scene.home / "chunks" / "charlie").glob("*.bin"):
            self.assertEqual(hashlib.sha1(path.read_bytes()).hexdigest(), path.stem)
