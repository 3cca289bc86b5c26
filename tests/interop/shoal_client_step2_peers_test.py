"""Shoal's client in step 2 (it has the tracker's address) against every habit and fault of peers, in both layouts."""

import unittest

from support.client_case import ClientCase
from support.client_matrix import PeerMatrix


class Step2(PeerMatrix, ClientCase):
    step = 2


if __name__ == "__main__":
    unittest.main()
