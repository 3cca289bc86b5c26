"""A peer of the course protocol: serves the chunks in its own directory.

Prints `listening IP:PORT` when ready. It looks for a chunk when asked, checks nothing, and answers as the switches say.
"""

import argparse
import threading

import course_files
import habits as quirks
import protocol
import server

QUIRKS = quirks.ANSWERING | {
    "not-found": "answers ERROR 2 to every GET_CHUNK",
    "wrong-chunk": "answers with another chunk than the one asked for",
    "wrong-bytes": "answers with the right hash and length but wrong bytes",
    "long-content": "chunk_content_length reaches beyond the message",
    "wrong-type": "sends a chunk under the type FILE_INFO",
    "welcomes-pipelining": "sets bit 0 in answers to requests that carry it",
}


class Peer:
    def __init__(self, directory, name, habits):
        self.directory = directory
        self.name = name
        self.habits = habits

    def answer(self, data, _source):
        try:
            request = protocol.decode(data)
            asked = protocol.parse_body(request)
        except protocol.Malformed:
            return protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT, fill=self.habits.fill)
        reserved = 0
        if "welcomes-pipelining" in self.habits:
            reserved = request.reserved & protocol.PIPELINING_BIT
        if request.msg_type != protocol.GET_CHUNK:
            return protocol.encode_error(protocol.INVALID_REQUEST, fill=self.habits.fill)
        content = course_files.read_chunk(self.directory, self.name, asked)
        if content is None or "not-found" in self.habits:
            return protocol.encode_error(protocol.CHUNK_NOT_FOUND, reserved, self.habits.fill)
        chunk = self.spoil(protocol.Chunk(asked, content))
        return self.spoil_message(protocol.encode_chunk(chunk, reserved, self.habits.fill))

    def spoil(self, chunk):
        if "wrong-chunk" in self.habits:
            content = self.another_content(chunk.chunk_hash)
            return protocol.Chunk(protocol.sha1(content), content)
        if "wrong-bytes" in self.habits and chunk.content:
            return protocol.Chunk(chunk.chunk_hash, bytes([chunk.content[0] ^ 0xFF]) + chunk.content[1:])
        return chunk

    def another_content(self, chunk_hash):
        own = course_files.chunk_path(self.directory, self.name, chunk_hash)
        for path in sorted(own.parent.glob("*.bin")):
            if path != own:
                return path.read_bytes()
        return b"not what was asked for"

    def spoil_message(self, message):
        data = bytearray(message)
        if "long-content" in self.habits:
            data[28:32] = (len(data) + 1000).to_bytes(4, "big")
        if "wrong-type" in self.habits:
            data[1] = protocol.FILE_INFO
        return bytes(data)


def main():
    parser = argparse.ArgumentParser(description="a peer of the course protocol")
    parser.add_argument("--dir", default=".")
    parser.add_argument("--name", required=True)
    parser.add_argument("--bind", help="default: the address in peers.ini")
    parser.add_argument("--port", type=int, help="default: the port in peers.ini; 0: any free one")
    quirks.add_argument(parser, QUIRKS)
    options = parser.parse_args()
    habits = quirks.Habits(QUIRKS, options.quirk)

    ip, port = options.bind, options.port
    if ip is None or port is None:
        configured = course_files.read_addresses(options.dir)[options.name]
        ip = configured[0] if ip is None else ip
        port = configured[1] if port is None else port
    listener = server.make_listener(ip, port, "refuse" not in habits)
    server.say_address("listening", listener)
    if "refuse" in habits:
        threading.Event().wait()
    server.Server(habits, Peer(options.dir, options.name, habits).answer, listener).run()


if __name__ == "__main__":
    main()
