"""How the client downloads: one connection per peer, one thread each, with every switch that concerns it."""

import socket
import threading

import course_files
import habits as quirks
import protocol

QUIRKS = quirks.SENDING | {
    "recv-is-message": "whatever one recv() returns is taken for one message",
    "bad-first": "begins each connection with a deliberately bad message and waits for ERROR",
    "connection-per-chunk": "opens a new connection for every chunk",
    "half-close": "shuts its sending side after the request, which needs a connection per chunk",
    "idle-connections": "opens a connection to everybody first, and uses it only after the download",
    "fragile": "dies of anything but CHUNK or ERROR 2 in answer to GET_CHUNK",
    "strict": "dies of an answer with surplus, dirty padding, reserved bits or unasked bytes",
    "pipelines": "offers pipelining, and pipelines when the peer welcomes it",
    "floods": "sends all requests of a connection at once, welcome or not",
    "resets": "first resets a connection in the middle of an answer",
    "stops-inside": "first stops inside a request, and leaves that connection open",
    "never-reads": "first asks for much on a connection it never reads",
}

ANSWER_S = 10.0
BAD_MESSAGE = b"\x01\x09\x00\x00\x00\x00\x00\x02"


class Died(Exception):
    """An answer this client cannot live with."""


class NotCanonical(Exception):
    """An answer that is not byte for byte what the page prescribes."""


class Link:
    """One connection and its framing."""

    def __init__(self, connection, habits):
        self.connection = connection
        self.habits = habits
        self.stream = protocol.Stream(connection)
        self.pipelining = False
        if "bad-first" in habits:
            self.send(BAD_MESSAGE)
            if self.receive() != protocol.encode_error(protocol.INVALID_MESSAGE_FORMAT):
                raise Died("no ERROR 0 for a bad message")

    def send(self, data):
        quirks.send(self.connection, data, self.habits)

    def receive(self):
        self.connection.settimeout(ANSWER_S)
        if "recv-is-message" in self.habits:
            data = self.connection.recv(1 << 20)
        else:
            data = self.stream.next_message(ANSWER_S)
        if not data:
            raise Died("the connection was closed instead of an answer")
        return data

    def ask(self, request):
        self.send(request)
        if "half-close" in self.habits:
            self.connection.shutdown(socket.SHUT_WR)
        return self.receive()

    def require_canonical(self, data, reserved):
        if "strict" not in self.habits:
            return
        if not protocol.is_canonical(data, reserved):
            raise NotCanonical(data[:64].hex())
        if self.stream.buffer or quirks.has_bytes_waiting(self.connection):
            raise NotCanonical("bytes that were not asked for")

    def close(self):
        self.connection.close()


class Download:
    """Shares the chunks out among the peers: first what only a peer has, then the common ones."""

    def __init__(self, plan, directory, name, habits, connect):
        self.directory = directory
        self.name = name
        self.habits = habits
        self.connect = connect
        self.lock = threading.Lock()
        self.owners = {}  # hash -> set of addresses left to ask
        for record in plan.chunks:
            self.owners.setdefault(record.chunk_hash, set()).update(record.peers)
        self.wanted = list(self.owners)
        self.addresses = sorted({address for owners in self.owners.values() for address in owners})
        self.failure = None

    def run(self):
        """Download everything; the hashes that nobody gave are returned."""
        idle = []
        if "idle-connections" in self.habits:
            idle = [Link(self.connect(address), self.habits) for address in self.addresses]
        victims = [self.misbehave(address) for address in self.addresses]
        while any(self.owners[chunk_hash] for chunk_hash in self.wanted) and self.failure is None:
            workers = [threading.Thread(target=self.work, args=(address,)) for address in self.addresses]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        for link, address in zip(idle, self.addresses):
            self.use_idle(link, address)
        for victim in victims:
            if victim is not None:
                victim.close()
        if self.failure is not None:
            raise self.failure
        return self.wanted

    def take(self, address, count=1):
        """The next chunks to ask of a peer, those with the fewest owners first."""
        with self.lock:
            mine = [chunk_hash for chunk_hash in self.wanted if address in self.owners[chunk_hash]]
            mine.sort(key=lambda chunk_hash: len(self.owners[chunk_hash]))
            for chunk_hash in mine[:count]:
                self.wanted.remove(chunk_hash)
            return mine[:count]

    def put_back(self, chunk_hashes, address):
        with self.lock:
            for chunk_hash in chunk_hashes:
                self.owners[chunk_hash].discard(address)
                if chunk_hash not in self.wanted:
                    self.wanted.append(chunk_hash)

    def work(self, address):
        link = None
        try:
            while batch := self.take(address, self.batch_size(link)):
                try:
                    if link is None:
                        link = Link(self.connect(address), self.habits)
                    self.fetch(link, batch, address)
                except (OSError, protocol.CutShort, protocol.Malformed, Died):
                    self.put_back([one for one in batch if not self.has(one)], address)
                    if "fragile" in self.habits:
                        raise
                    link = None
                if link is not None and ("connection-per-chunk" in self.habits or "half-close" in self.habits):
                    link.close()
                    link = None
        except (OSError, protocol.CutShort, protocol.Malformed, Died, NotCanonical) as error:
            self.failure = error

    def batch_size(self, link):
        if "floods" in self.habits:
            return len(self.owners)
        return 8 if link is not None and link.pipelining else 1

    def fetch(self, link, batch, address):
        """Ask for every chunk of a batch at once, then read the answers in the same order."""
        offer = protocol.PIPELINING_BIT if "pipelines" in self.habits else 0
        requests = [protocol.encode_get_chunk(chunk_hash, offer) for chunk_hash in batch]
        if len(requests) == 1:
            answers = iter([link.ask(requests[0])])
        else:
            link.connection.sendall(b"".join(requests))
            answers = (link.receive() for _ in requests)
        for number, (chunk_hash, data) in enumerate(zip(batch, answers)):
            if number + 1 == len(batch):
                link.require_canonical(data, int.from_bytes(data[2:4], "big") & offer)
            link.pipelining = bool(offer and data[3] & offer)
            content = self.judge(chunk_hash, data)
            if content is None:
                self.put_back([chunk_hash], address)
            else:
                course_files.write_chunk(self.directory, self.name, content)

    def judge(self, chunk_hash, data):
        """The content of an answer, or None when it is no use."""
        message = protocol.decode(data)
        value = protocol.parse_body(message)
        if message.msg_type == protocol.CHUNK:
            is_right = value.chunk_hash == chunk_hash and protocol.sha1(value.content) == chunk_hash
            if not is_right and "fragile" in self.habits:
                raise Died("the wrong chunk")
            return value.content if is_right else None
        is_expected = message.msg_type == protocol.ERROR and value == protocol.CHUNK_NOT_FOUND
        if "fragile" in self.habits and not is_expected:
            raise Died(f"{protocol.TYPE_NAMES[message.msg_type]} in answer to GET_CHUNK")
        return None

    def has(self, chunk_hash):
        return course_files.read_chunk(self.directory, self.name, chunk_hash) is not None

    def use_idle(self, link, address):
        """A connection left idle must still answer."""
        data = link.ask(protocol.encode_get_chunk(next(iter(self.owners))))
        if protocol.decode(data).msg_type not in (protocol.CHUNK, protocol.ERROR):
            raise Died(f"{address} forgot an idle connection")
        link.close()

    def misbehave(self, address):
        """Spend a first connection badly; returns it when it is to stay open."""
        a_request = protocol.encode_get_chunk(next(iter(self.owners)))
        if "resets" in self.habits:
            connection = self.connect(address)
            connection.sendall(a_request)
            connection.recv(16)
            quirks.reset(connection)
        if "stops-inside" in self.habits:
            connection = self.connect(address)
            connection.sendall(a_request[:13])
            return connection
        if "never-reads" in self.habits:
            connection = self.connect(address)
            connection.setblocking(False)
            try:
                for _ in range(1000):
                    connection.send(a_request)
            except BlockingIOError:
                pass
            return connection
        return None
