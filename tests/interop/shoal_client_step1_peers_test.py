"""Shoal's client in step 1 (it has the configuration) against every habit and fault of peers, in both layouts."""

import unittest

from support.client_case import ClientCase
from support.client_matrix import PeerMatrix


class Step1(PeerMatrix, ClientCase):
    step = 1


if __name__ == "__main__":
    unittest.main()
