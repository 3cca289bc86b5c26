"""A client of the course protocol, steps 1, 2 and 3: downloads the file into chunks/NAME of its directory.

Exits with 0 when every chunk is there and merged, 3 without a tracker, 4 with chunks missing, 9 when it died of an
answer it did not expect (`fragile`), 10 when an answer was not exactly what the page prescribes (`strict`).
"""

import argparse
import os
import socket
import sys
import time
from pathlib import Path

import course_files
import downloading
import finding
import habits as quirks
import protocol

QUIRKS = downloading.QUIRKS | finding.QUIRKS

CONNECT_S = 3.0
ANSWER_S = 10.0


def connect(address):
    """A connection; refusals are retried for a while, as the tracker may start to listen late."""
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            connection = socket.create_connection(address, timeout=ANSWER_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def ask_tracker(address, habits):
    """The FILE_INFO of a tracker, and the connection, which is closed unless idle ones are kept."""
    connection = connect(address)
    link = downloading.Link(connection, habits)
    data = link.ask(protocol.encode_get_file_info())
    link.require_canonical(data, 0)
    message = protocol.decode(data)
    if message.msg_type not in (protocol.FILE_INFO, protocol.CHUNK):
        raise downloading.Died(f"the tracker answered type {message.msg_type}")
    if "idle-connections" not in habits:
        connection.close()
    return protocol.parse_file_info(message.body), link


def plan_of_files(directory):
    addresses = course_files.read_addresses(directory)
    name, chunks = course_files.read_description(directory)
    records = (protocol.ChunkRecord(chunk, tuple(addresses[owner] for owner in owners)) for chunk, owners in chunks)
    return protocol.FileInfo(os.fsencode(name), tuple(records))


def make_plan(options, habits):
    """Which chunks there are and who owns them, and a tracker link to leave idle."""
    if options.step == 1:
        return plan_of_files(options.dir), None
    if options.step == 2:
        ip, _, port = options.tracker.rpartition(":")
        return ask_tracker((ip, int(port)), habits)
    found = finding.find_tracker(options.bind, options.discovery_address, options.discovery_port, habits)
    if found is None:
        print("no tracker answered", file=sys.stderr)
        raise SystemExit(3)
    quirks.say("tracker", f"{found.ip}:{found.port}", found.name.decode())
    return ask_tracker((found.ip, found.port), habits)


def merge(directory, name, plan):
    """Join the chunks; the name is only trusted as far as its last part."""
    base = os.fsdecode(plan.filename.rsplit(b"/", 1)[-1])
    target = Path(directory) / "chunks" / name / base
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as merged:
        for record in plan.chunks:
            merged.write(course_files.read_chunk(directory, name, record.chunk_hash))


def main():
    parser = argparse.ArgumentParser(description="a client of the course protocol")
    parser.add_argument("--step", type=int, choices=(1, 2, 3), required=True)
    parser.add_argument("--dir", default=".")
    parser.add_argument("--name", default="charlie")
    parser.add_argument("--tracker", metavar="IP:PORT")
    parser.add_argument("--bind", default="127.0.0.1", help="the local address discovery goes out from")
    parser.add_argument("--discovery-port", type=int, default=9000)
    parser.add_argument("--discovery-address", default="255.255.255.255")
    quirks.add_argument(parser, QUIRKS)
    options = parser.parse_args()
    habits = quirks.Habits(QUIRKS, options.quirk)

    try:
        plan, tracker_link = make_plan(options, habits)
        download = downloading.Download(plan, options.dir, options.name, habits, connect)
        missing = download.run()
        if tracker_link is not None and "idle-connections" in habits:
            tracker_link.ask(protocol.encode_get_file_info())
    except downloading.NotCanonical as error:
        print(f"not as prescribed: {error}", file=sys.stderr)
        raise SystemExit(10) from error
    except (downloading.Died, protocol.Malformed, protocol.CutShort, OSError) as error:
        print(f"died: {error!r}", file=sys.stderr)
        raise SystemExit(9) from error
    if missing:
        print("missing:", " ".join(chunk_hash.hex() for chunk_hash in missing), file=sys.stderr)
        raise SystemExit(4)
    merge(options.dir, options.name, plan)


if __name__ == "__main__":
    main()
