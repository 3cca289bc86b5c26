"""A host of a torrent swarm on libtorrent, run with Debian's Python: gives and takes one torrent until it is ended.

Prints `listening PORT`, `metadata` when the torrent is known, `has N` with each verified piece that makes it more,
`peer IP:PORT` for each peer it is connected to, `done` when everything is there, and `trouble TEXT` when something
does not work.
"""

import argparse
import os
import time

import libtorrent

POLL_S = 0.05


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", help="a .torrent file or a magnet link")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--local", action="store_true", help="local peer discovery")
    parser.add_argument("--exchange", action="store_true", help="peer exchange")
    parser.add_argument("--limit-down", type=int, default=0)
    parser.add_argument("--limit-up", type=int, default=0)
    return parser.parse_args()


def make_session(options):
    session = libtorrent.session(
        {
            "listen_interfaces": "0.0.0.0:6881",
            "enable_dht": False,
            "enable_lsd": options.local,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": libtorrent.alert.category_t.error_notification
            | libtorrent.alert.category_t.tracker_notification,
        },
        flags=0,  # no plugins: exchange and metadata are added where they are wanted
    )
    session.add_extension("ut_metadata")
    if options.exchange:
        session.add_extension("ut_pex")
    return session


def add_torrent(session, options):
    if options.what.startswith("magnet:"):
        parameters = libtorrent.parse_magnet_uri(options.what)
    else:
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(options.what)
    parameters.save_path = options.folder
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    torrent = session.add_torrent(parameters)
    torrent.set_download_limit(options.limit_down)
    torrent.set_upload_limit(options.limit_up)
    for peer in options.peer:
        ip, _, port = peer.rpartition(":")
        torrent.connect_peer((ip, int(port)))
    return torrent


def say(*words):
    print(*words, flush=True)


def run(session, torrent):
    """Tell what becomes different, until ended."""
    told, peers = set(), set()
    has = -1
    while True:
        for alert in session.pop_alerts():
            if "error" in alert.what() or "failed" in alert.what():
                say("trouble", alert.what(), alert.message())
        status = torrent.status()
        if status.has_metadata and "metadata" not in told:
            told.add("metadata")
            say("metadata")
        if status.num_pieces > has:
            has = status.num_pieces
            say("has", has)
        for peer in torrent.get_peer_info():
            if peer.ip not in peers and not peer.flags & peer.connecting:
                peers.add(peer.ip)
                say("peer", f"{peer.ip[0]}:{peer.ip[1]}")
        if status.is_seeding and "done" not in told:
            told.add("done")
            say("done")
        time.sleep(POLL_S)


def main():
    options = parse_arguments()
    os.makedirs(options.folder, exist_ok=True)
    session = make_session(options)
    torrent = add_torrent(session, options)
    say("listening", session.listen_port())
    run(session, torrent)


if __name__ == "__main__":
    main()
