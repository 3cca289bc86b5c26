"""Shoal's client in step 2 (it has the tracker's address) against every fault of trackers, in both layouts."""

import unittest

from support.client_case import ClientCase
from support.client_matrix import HostileTrackerMatrix


class Step2(HostileTrackerMatrix, ClientCase):
    step = 2


if __name__ == "__main__":
    unittest.main()
