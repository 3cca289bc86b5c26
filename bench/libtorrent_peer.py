"""One torrent on libtorrent, as fast as it goes; run by swarm_programs.py with Debian's Python.

  libtorrent_peer.py TORRENT FOLDER ADDRESS:PORT

Prints "ready" when the library is loaded, begins when a line comes on standard input, prints "complete" when it has
everything, and gives until it is ended.
"""
import sys

import libtorrent

WAIT_MS = 1000


def settings(address):
    """As they come, but for what costs time. The rest of the library's preset for fast givers, and longer queues of
    requests, make the spread slower and the pair no faster."""
    return {
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
        "send_not_sent_low_watermark": 512 << 10,
        "send_buffer_low_watermark": 1 << 20,
        "send_buffer_watermark": 3 << 20,
        "send_buffer_watermark_factor": 150,
        "max_peer_recv_buffer_size": 5 << 20,
        "max_queued_disk_bytes": 7 << 20,
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
