"""Speak with a tracker by hand: HTTP on a kept connection, and BEP 15 over UDP."""

import http.client
import socket
import struct
from urllib.parse import quote, urlencode

from support import bencode

ANSWER_TIMEOUT_S = 20.0
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
_PROTOCOL_ID = 0x41727101980
_EVENTS = {"": 0, "completed": 1, "started": 2, "stopped": 3}


def endpoints(compact):
    """The (ip, port) pairs of compact peers."""
    return [
        (socket.inet_ntoa(compact[at : at + 4]), struct.unpack(">H", compact[at + 4 : at + 6])[0])
        for at in range(0, len(compact), 6)
    ]


def announce_query(info_hash, peer_id, port, left, **more):
    fields = {"port": port, "left": left, "uploaded": 0, "downloaded": 0, "compact": 1, **more}
    return f"/announce?info_hash={quote(info_hash, safe='')}&peer_id={quote(peer_id, safe='')}&{urlencode(fields)}"


class Http:
    """One kept connection; a request is one call that returns (status, body)."""

    def __init__(self, case, address):
        self.connection = http.client.HTTPConnection(*address, timeout=ANSWER_TIMEOUT_S)
        case.addCleanup(self.connection.close)

    def ask(self, method, target, body=None, headers=None):
        self.connection.request(method, target, body, headers or {})
        response = self.connection.getresponse()
        return response.status, response.read()

    def get(self, target):
        status, body = self.ask("GET", target)
        assert status == 200, (target, status, body)
        return body

    def announce(self, info_hash, peer_id, port, left, **more):
        return bencode.decode(self.get(announce_query(info_hash, peer_id, port, left, **more)))


class Udp:
    """One client of BEP 15."""

    def __init__(self, case, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.settimeout(ANSWER_TIMEOUT_S)
        self.socket.connect(address)
        self.transaction = 0
        self.connection = struct.unpack(">Q", self.ask(CONNECT, b"", connection=_PROTOCOL_ID))[0]

    def ask(self, action, body, connection=None):
        """What stands behind action and transaction in the answer."""
        self.transaction += 1
        connection = self.connection if connection is None else connection
        self.socket.send(struct.pack(">QII", connection, action, self.transaction) + body)
        answer = self.socket.recv(65536)
        assert struct.unpack(">II", answer[:8]) == (action, self.transaction), answer
        return answer[8:]

    def announce(self, info_hash, peer_id, port, left, event="", wanted=-1):
        """(interval, leechers, seeds, peers)"""
        numbers = struct.pack(">QQQIIIiH", 0, left, 0, _EVENTS[event], 0, 1, wanted, port)
        answer = self.ask(ANNOUNCE, info_hash + peer_id + numbers)
        return (*struct.unpack(">III", answer[:12]), endpoints(answer[12:]))

    def scrape(self, *info_hashes):
        """(seeds, downloads, leechers) of each"""
        answer = self.ask(SCRAPE, b"".join(info_hashes))
        return [struct.unpack(">III", answer[at : at + 12]) for at in range(0, len(answer), 12)]
