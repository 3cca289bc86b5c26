"""Shoal's client in step 3 (it has nothing but a broadcast) against every fault of trackers, in both layouts."""

import unittest

from support.client_case import ClientCase
from support.client_matrix import HostileTrackerMatrix
from support.network import enter_fresh_network


def setUpModule():
    enter_fresh_network()


class Step3(HostileTrackerMatrix, ClientCase):
    step = 3


if __name__ == "__main__":
    unittest.main()
