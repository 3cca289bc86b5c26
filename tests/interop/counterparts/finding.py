"""How the client finds a tracker by broadcast, with every switch that concerns it."""

import socket
import time

import protocol

QUIRKS = {
    "one-address": "sends discovery from an unbound socket to the discovery address only, once",
    "tracker-name": "accepts no other tracker name than `tracker`",
    "split-datagrams-only": "reads the header of the first datagram and the body from a second",
    "bad-datagram-first": "begins with a deliberately bad datagram and waits for ERROR",
}

REPEAT_S = 0.3
GIVE_UP_S = 3.0
SECOND_S = 1.0


def find_tracker(local_ip, address, port, habits):
    """The first acceptable TRACKER_INFO, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.bind(("0.0.0.0" if "one-address" in habits else local_ip, 0))
        if "bad-datagram-first" in habits and not is_refused(udp, (address, port)):
            return None
        deadline = time.monotonic() + GIVE_UP_S
        udp.sendto(protocol.encode_discover_tracker(), (address, port))
        while time.monotonic() < deadline:
            udp.settimeout(REPEAT_S)
            try:
                found = receive(udp, habits)
            except TimeoutError:
                if "one-address" not in habits:
                    udp.sendto(protocol.encode_discover_tracker(), (address, port))
                continue
            if found is not None:
                return found
        return None


def is_refused(udp, target):
    """Whether a bad datagram is answered by ERROR 0."""
    udp.sendto(b"\x01\x00\x00\x00\x00\x00\x00\x09", target)
    udp.settimeout(GIVE_UP_S)
    try:
        return udp.recv(65536) == protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT)
    except TimeoutError:
        return False


def receive(udp, habits):
    """One acceptable answer out of one datagram, or two; None when it is not acceptable."""
    try:
        if "split-datagrams-only" in habits:
            head = udp.recv(protocol.HEADER_BYTES)  # the rest of the datagram is lost
            udp.settimeout(SECOND_S)
            data = head + udp.recv(protocol.length_in_header(head) - protocol.HEADER_BYTES)
        else:
            data = udp.recv(65536)
        message = protocol.decode(data)
        if message.msg_type != protocol.TRACKER_INFO:
            return None
        found = protocol.parse_tracker_info(message.body)
    except protocol.Malformed:
        return None
    if "tracker-name" in habits and found.name != b"tracker":
        return None
    return found
