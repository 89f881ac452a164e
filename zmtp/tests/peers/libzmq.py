"""A libzmq peer for the conformance tests: `libzmq.py ROLE ENDPOINT`. It exits 0 when everything went as it should.

Roles that connect to an echoing router: req, correlated, dealer, heartbeat. Role that binds for our dealer: router; it
prints its endpoint first.
"""

import sys
import time

import zmq

PATIENCE_MS = 20_000


def socket(kind, **options):
    made = zmq.Context.instance().socket(kind)
    made.linger = 0
    made.rcvtimeo = made.sndtimeo = PATIENCE_MS
    for name, value in options.items():
        made.setsockopt(getattr(zmq, name.upper()), value)
    return made


def echoed(peer, frames):
    peer.send_multipart(frames)
    answer = peer.recv_multipart()
    assert answer == frames, f"sent {len(frames)} frames, got {len(answer)} others"


def requests(peer, endpoint):
    peer.connect(endpoint)
    for number in range(200):
        echoed(peer, [b"%d" % number, b"", b"x" * number])


def req(endpoint):
    requests(socket(zmq.REQ), endpoint)


def correlated(endpoint):
    """The request id travels in front of the empty frame."""
    requests(socket(zmq.REQ, req_correlate=1, req_relaxed=1), endpoint)


def dealer(endpoint):
    peer = socket(zmq.DEALER, identity=b"from python")
    peer.connect(endpoint)
    echoed(peer, [b""])
    echoed(peer, [b"", b"MDPC01", b"echo", b"hi"])
    echoed(peer, [b"%d" % number for number in range(1024)])
    for size in (254, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 3_000_000):
        echoed(peer, [b"a" * size, b"", b"b" * size])
    for number in range(5000):
        peer.send_multipart([b"%d" % number, b"y" * (number % 300)])
    for number in range(5000):
        assert peer.recv_multipart() == [b"%d" % number, b"y" * (number % 300)]


def heartbeat(endpoint):
    """Silent for many intervals on both sides; the connection must be the same afterwards."""
    peer = socket(zmq.DEALER, heartbeat_ivl=100, heartbeat_timeout=300, heartbeat_ttl=400)
    monitor = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    peer.connect(endpoint)
    echoed(peer, [b"before"])
    time.sleep(1.5)
    assert monitor.poll(0) == 0, "the connection was lost meanwhile"
    echoed(peer, [b"after"])


def router(endpoint):
    peer = socket(zmq.ROUTER, heartbeat_ivl=100, heartbeat_timeout=300, heartbeat_ttl=400)
    peer.bind(endpoint)
    print(peer.last_endpoint.decode(), flush=True)
    while True:
        sender, *frames = peer.recv_multipart()
        peer.send_multipart([sender, *frames])
        if frames == [b"end"]:
            assert sender == b"from rust", sender
            # Lets the last answer leave before the socket goes.
            time.sleep(0.2)
            return


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
