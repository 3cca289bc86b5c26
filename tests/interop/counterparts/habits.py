"""Switches: what existing programs do that the protocol page warns about, and plain faults.

A program names the switches it knows; `--quirk NAME` or `--quirk NAME=VALUE` turns one on, and they combine. This
file also holds the switches that concern how bytes leave, which are the same for every role.
"""

import os
import select
import socket
import struct
import sys
import threading
import time

PAUSE_S = 0.04

SENDING = {
    "two-writes": "header and body leave in two writes, 40 ms apart",
    "split-header": "the 8 header bytes leave as 3 and 5, 40 ms apart",
    "reserved-noise": "the reserved field carries bits nobody knows",
}

ANSWERING = SENDING | {
    "one-connection": "serves one connection at a time, the others wait",
    "recv-is-message": "whatever one recv() returns is taken for one message",
    "dirty-padding": "padding is not zero",
    "surplus": "bodies carry 8 bytes more than their content",
    "dies-of-reset": "exits with 3 when a connection is reset",
    "dies-of-cut": "exits with 4 when a stream ends inside a message",
    "refuse": "the address is taken but connecting is refused",
    "close-on-accept": "closes every connection at once",
    "reset-on-accept": "resets every connection at once",
    "silent": "reads requests and never answers",
    "reset": "resets the connection instead of answering",
    "vanish": "closes the connection inside the answer",
    "vanish-reset": "resets the connection inside the answer",
    "slow": "answers at one byte per second",
    "lying-length": "the answer's msg_length is VALUE: a number of dwords, or little-endian",
    "error": "answers ERROR with code VALUE",
}

NOISE = 0xFFFC  # the two low bits have a meaning
FILL = 0xA5

_print_lock = threading.Lock()


def say(*words):
    """One line on stdout, which a test may wait for."""
    with _print_lock:
        print(*words, flush=True)


def die(code, why):
    """End the whole program at once, as a program does that does not expect this."""
    print(f"died: {why}", file=sys.stderr, flush=True)
    os._exit(code)


class Habits:
    """The switches that are on, with their values."""

    def __init__(self, known, given):
        self._values = {}
        for text in given:
            name, _, value = text.partition("=")
            if name not in known:
                raise SystemExit(f"unknown quirk {name}; known: {', '.join(sorted(known))}")
            self._values[name] = value

    def __contains__(self, name):
        return name in self._values

    def __getitem__(self, name):
        return self._values[name]

    @property
    def fill(self):
        return FILL if "dirty-padding" in self else 0


def add_argument(parser, known):
    text = "; ".join(f"{name}: {what}" for name, what in known.items())
    parser.add_argument("--quirk", action="append", default=[], metavar="NAME[=VALUE]", help=text.replace("%", "%%"))


def disguise(message, habits):
    """The message with the switches applied that change its bytes."""
    data = bytearray(message)
    if "reserved-noise" in habits:
        data[2:4] = struct.pack("!H", struct.unpack_from("!H", data, 2)[0] | NOISE)
    if "surplus" in habits:
        data += bytes([FILL]) * 8
        data[4:8] = struct.pack("!I", len(data) // 4)
    if "lying-length" in habits:
        value = habits["lying-length"]
        data[4:8] = data[4:8][::-1] if value == "little-endian" else struct.pack("!I", int(value))
    return bytes(data)


def pieces(message, habits):
    """The writes that carry a message, each with the pause before the next."""
    if "slow" in habits:
        return [(message[at : at + 1], 1.0) for at in range(len(message))]
    cuts = []
    if "split-header" in habits:
        cuts.append(3)
    if "two-writes" in habits:
        cuts.append(8)
    cuts = [0] + [cut for cut in cuts if cut < len(message)] + [len(message)]
    return [(message[start:end], PAUSE_S) for start, end in zip(cuts, cuts[1:])]


def send(connection, message, habits):
    """Write one message the way the switches say."""
    parts = pieces(disguise(message, habits), habits)
    for number, (part, pause_s) in enumerate(parts):
        connection.sendall(part)
        if number + 1 < len(parts):
            time.sleep(pause_s)  # the pause is the habit


def reset(connection):
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def has_bytes_waiting(connection):
    """Whether the other side sent more than was read; the end of the stream does not count."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0) and connection.recv(1, socket.MSG_PEEK))
