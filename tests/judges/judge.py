"""What the judges in Python share: the sandbox's control API, a place for webhooks, and checks that say what is wrong.

A judge is run as `python NAME.py SANDBOX`, where SANDBOX is the sandbox's address. It fails with what it expected.
"""

import http.server
import json
import sys
import threading
import urllib.request

SANDBOX = sys.argv[1]


def control(path, body=None):
    """Asks the control API: a GET, or a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SANDBOX}/control/{path}", data=data)
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def expect(actual, wanted, what):
    """Fails unless both are the same."""
    if actual != wanted:
        raise AssertionError(f"{what}: {actual!r} instead of {wanted!r}")


def refused(call, errors, code):
    """The error of a call that must fail with one of `errors`, of which `code(error)` is (status, code)."""
    try:
        answer = call()
    except errors as error:
        return code(error)
    raise AssertionError(f"not refused: {answer!r}")


class Webhooks:
    """A server that keeps every webhook: its URL, its headers and its body."""

    def __init__(self):
        kept = self.kept = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                kept.append((f"http://{self.headers['host']}{self.path}", dict(self.headers), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def come(self):
        """Those that came since the last time, once all have come. A header is found by its name in lower case."""
        control("settle", {})
        came = [
            (url, {name.lower(): value for name, value in headers.items()}, body)
            for url, headers, body in self.kept
        ]
        self.kept.clear()
        return came
