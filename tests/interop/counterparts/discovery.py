"""The UDP side of the tracker: answers DISCOVER_TRACKER, with every switch that concerns it."""

import socket
import threading

import habits as quirks
import protocol

QUIRKS = {
    "split-datagrams": "answers with the header in one datagram and the body in another",
    "whole-then-body": "answers with the whole message and then with the body alone",
    "body-then-whole": "answers with the body alone and then with the whole message",
    "late-tcp": "listens on TCP only one second after it answered discovery",
    "zero-address": "announces 0.0.0.0",
    "loopback-address": "announces 127.0.0.1 to everybody",
    "duplicate-answers": "answers three times",
    "discovery-noise": "sends an ERROR and malformed datagrams before the answer",
    "discovery-error": "answers discovery with an ERROR and nothing else",
    "discovery-silent": "does not answer discovery",
}

LATE_S = 1.0


class Responder:
    def __init__(self, udp, listener, name, habits):
        self.udp = udp
        self.listener = listener
        self.name = name
        self.habits = habits
        self.listening = threading.Event()

    def run(self):
        while True:
            data, source = self.udp.recvfrom(65536)
            quirks.say("datagram", f"{source[0]}:{source[1]}", data.hex())
            for answer in self.answers(data, source):
                self.udp.sendto(answer, source)
            if "late-tcp" in self.habits and not self.listening.is_set():
                threading.Timer(LATE_S, self.listen).start()

    def listen(self):
        self.listener.listen(128)
        self.listening.set()

    def answers(self, data, source):
        """The datagrams that answer one datagram."""
        if "discovery-silent" in self.habits:
            return []
        try:
            request = protocol.decode(data)
            protocol.parse_body(request)
        except protocol.Malformed:
            return [protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT)]
        if request.msg_type in (protocol.TRACKER_INFO, protocol.ERROR):
            return []
        if request.msg_type != protocol.DISCOVER_TRACKER:
            return [protocol.encode_error(protocol.INVALID_REQUEST)]
        if "discovery-error" in self.habits:
            return [protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT)]
        return self.arranged(self.tracker_info(source))

    def tracker_info(self, source):
        ip, port = self.listener.getsockname()
        if "zero-address" in self.habits:
            ip = "0.0.0.0"
        elif "loopback-address" in self.habits:
            ip = "127.0.0.1"
        elif ip == "0.0.0.0":
            ip = local_ip_towards(source)
        info = protocol.TrackerInfo(ip, port, self.name)
        message = protocol.encode_tracker_info(info, fill=self.habits.fill)
        disguises = [name for name in ("reserved-noise", "surplus") if name in self.habits]
        return quirks.disguise(message, quirks.Habits(quirks.ANSWERING, disguises))

    def arranged(self, message):
        head, body = message[: protocol.HEADER_BYTES], message[protocol.HEADER_BYTES :]
        answers = [message]
        if "split-datagrams" in self.habits:
            answers = [head, body]
        if "whole-then-body" in self.habits:
            answers = [message, body]
        if "body-then-whole" in self.habits:
            answers = [body, message]
        if "duplicate-answers" in self.habits:
            answers = answers * 3
        if "discovery-noise" in self.habits:
            answers = noise(message) + answers
        return answers


def noise(message):
    """Datagrams nobody should be impressed by."""
    return [
        b"",
        message[:3],
        message[: len(message) - 4],
        message[:4] + b"\xff\xff\xff\xff" + message[8:],
        message[:4] + message[4:8][::-1] + message[8:],
        b"\x09" + message[1:],
        message[:1] + b"\x63" + message[2:],
        b"\xee" * 50,
        protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT),
        protocol.encode_discover_tracker(),
    ]


def local_ip_towards(source):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(source)
        return probe.getsockname()[0]
