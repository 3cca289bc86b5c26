"""Shoal's client in step 2 (it has the tracker's address) against every habit of trackers, in both layouts."""

import unittest

from support.client_case import ClientCase
from support.client_matrix import TrackerMatrix


class Step2(TrackerMatrix, ClientCase):
    step = 2


if __name__ == "__main__":
    unittest.main()
