"""A tracker of the course protocol: tells over TCP who owns which chunk, and over UDP where it is.

Prints `listening IP:PORT` and `discovery IP:PORT` when ready. With `late-tcp` the first line names the address that
starts to listen only after discovery was answered.
"""

import argparse
import os
import socket
import threading

import course_files
import discovery
import habits as quirks
import protocol
import server

QUIRKS = (
    quirks.ANSWERING
    | discovery.QUIRKS
    | {
        "silent-while-busy": "accepts while another is being served, and never answers that connection",
        "file-info-as-5": "sends FILE_INFO under type 5",
        "nobody": "lists no peer for any chunk",
        "dead-peers": "lists a peer that refuses connections, before the others",
        "only-dead-peers": "lists nothing but a peer that refuses connections",
        "repeat-peers": "lists every peer twice",
        "count-overrun": "chunks_count says more chunks than there are",
        "peers-overrun": "the last peers_count says 65535",
        "filename-overrun": "filename_length says 65535, with the real name behind it",
        "filename": "the file name is VALUE",
        "nul-filename": "the file name holds a NUL",
        "long-filename": "the file name has 65535 bytes",
    }
)


class Tracker:
    def __init__(self, directory, habits):
        self.directory = directory
        self.habits = habits
        self.dead = server.make_listener("127.0.0.1", 0, listening=False)

    def answer(self, data, _source):
        fill = self.habits.fill
        try:
            request = protocol.decode(data)
            protocol.parse_body(request)
        except protocol.Malformed:
            return protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT, fill=fill)
        if request.msg_type != protocol.GET_FILE_INFO:
            return protocol.encode_error(protocol.INVALID_REQUEST, fill=fill)
        msg_type = protocol.CHUNK if "file-info-as-5" in self.habits else protocol.FILE_INFO
        return self.spoil(bytearray(protocol.encode_file_info(self.file_info(), fill=fill, msg_type=msg_type)))

    def file_info(self):
        addresses = course_files.read_addresses(self.directory)
        name, chunks = course_files.read_description(self.directory)
        records = []
        for chunk_hash, owners in chunks:
            peers = tuple(addresses[owner] for owner in owners if owner in addresses)
            records.append(protocol.ChunkRecord(chunk_hash, self.listed(peers)))
        return protocol.FileInfo(self.filename(os.fsencode(name)), tuple(records))

    def listed(self, peers):
        if "nobody" in self.habits:
            return ()
        if "only-dead-peers" in self.habits:
            return (self.dead.getsockname(),)
        if "dead-peers" in self.habits:
            peers = (self.dead.getsockname(),) + peers
        return peers * 2 if "repeat-peers" in self.habits else peers

    def filename(self, name):
        if "filename" in self.habits:
            return os.fsencode(self.habits["filename"])
        if "nul-filename" in self.habits:
            return name + b"\0" + name
        if "long-filename" in self.habits:
            return b"x" * 65535
        return name

    def spoil(self, data):
        if "count-overrun" in self.habits:
            data[8:10] = (int.from_bytes(data[8:10], "big") + 3).to_bytes(2, "big")
        if "filename-overrun" in self.habits:
            data[10:12] = b"\xff\xff"
        if "peers-overrun" in self.habits:
            _, chunks = course_files.read_description(self.directory)
            at = data.rindex(chunks[-1][0]) + protocol.HASH_BYTES
            data[at : at + 2] = b"\xff\xff"
        return bytes(data)


def main():
    parser = argparse.ArgumentParser(description="a tracker of the course protocol")
    parser.add_argument("--dir", default=".")
    parser.add_argument("--bind", help="default: the address in peers.ini")
    parser.add_argument("--port", type=int, help="default: the port in peers.ini; 0: any free one")
    parser.add_argument("--discovery-bind", default="0.0.0.0")
    parser.add_argument("--discovery-port", type=int, default=9000)
    parser.add_argument("--name", default="tracker")
    quirks.add_argument(parser, QUIRKS)
    options = parser.parse_args()
    habits = quirks.Habits(QUIRKS, options.quirk)

    ip, port = options.bind, options.port
    if ip is None or port is None:
        configured = course_files.read_addresses(options.dir)["tracker"]
        ip = configured[0] if ip is None else ip
        port = configured[1] if port is None else port
    listener = server.make_listener(ip, port, not ("refuse" in habits or "late-tcp" in habits))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind((options.discovery_bind, options.discovery_port))
    responder = discovery.Responder(udp, listener, os.fsencode(options.name), habits)
    threading.Thread(target=responder.run, daemon=True).start()
    server.say_address("listening", listener)
    server.say_address("discovery", udp)

    if "refuse" in habits:
        threading.Event().wait()
    if "late-tcp" in habits:
        responder.listening.wait()
    server.Server(habits, Tracker(options.dir, habits).answer, listener).run()


if __name__ == "__main__":
    main()
