"""One torrent on libtorrent, as fast as it goes; run by swarm_programs.py with Debian's Python.

  libtorrent_peer.py TORRENT FOLDER ADDRESS:PORT

Prints "ready" when the library is loaded, begins when a line comes on standard input, prints "complete" when it has
everything, and gives until it is ended.
"""
import sys

import libtorrent

WAIT_MS = 1000


def settings(address):
    """What the library's authors advise for a fast giver, and nothing that a taker on a fast link would miss."""
    return libtorrent.high_performance_seed() | {
        "listen_interfaces": address,
        "outgoing_interfaces": address.rpartition(":")[0],
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "in_enc_policy": 2,  # disabled
        "out_enc_policy": 2,
        "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1,
        "send_buffer_watermark": 16 << 20,
        "send_buffer_watermark_factor": 200,
        "max_out_request_queue": 4000,
        "max_allowed_in_request_queue": 4000,
        "request_queue_time": 10,
        "hashing_threads": 2,
        "alert_mask": libtorrent.alert.category_t.status_notification,
    }


def main():
    torrent, folder, address = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    session = libtorrent.session(settings(address), flags=0)
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    session.add_torrent(parameters)
    while True:
        session.wait_for_alert(WAIT_MS)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.torrent_finished_alert):
                print("complete", flush=True)


if __name__ == "__main__":
    main()
