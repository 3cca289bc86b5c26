"""A web server inside the test that gives ranges of one file (RFC 9110), and lacks some of its bytes."""

import http.server
import re
import threading


class RangeServer:
    """`has` is a range of the offsets that it can give; what reaches out of it is not found."""

    def __init__(self, case, content, has=None):
        self.given = []  # the ranges it gave, as (first, last)
        self._content = content
        self._has = range(len(content)) if has is None else has
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        case.addCleanup(self._server.server_close)
        case.addCleanup(self._server.shutdown)
        self.url = f"http://127.0.0.1:{self._server.server_port}/lecture.bin"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, wanted):
        """(status, headers, body) for the value of a Range header, or for none."""
        size = len(self._content)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "bytes=0-")
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if first not in self._has or last not in self._has:
            return 404, {}, b"not here"
        self.given.append((first, last))
        headers = {"Content-Range": f"bytes {first}-{last}/{size}"} if wanted else {}
        return 206 if wanted else 200, headers, self._content[first : last + 1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def do_GET(self):
        status, headers, body = self.owner.answer(self.headers.get("Range"))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
