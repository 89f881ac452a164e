"""A libzmq peer for the tests of PLAIN and CURVE: `security.py ROLE ENDPOINT`. It exits 0 when all went as it should.

Keys are those of tests/common/secure.rs: 32 times the same octet. The server has number 1.

Roles that connect: curve, unknown, wrong_server, null, wrong_mechanism, plain, plain_wrong, metadata, reconnects (with
a count).
Roles that bind and echo until they hear "end": curve_router, plain_router, null_router; they print their endpoint.
"""

import sys
import time

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

PATIENCE_MS = 20_000


def keys(number):
    secret = z85.encode(bytes([number]) * 32)
    return zmq.curve_public(secret), secret


def socket(kind, **options):
    made = zmq.Context.instance().socket(kind)
    made.linger = 0
    made.rcvtimeo = made.sndtimeo = PATIENCE_MS
    for name, value in options.items():
        made.setsockopt(getattr(zmq, name.upper()), value)
    return made


def curve_client(number, server=1, **options):
    public, secret = keys(number)
    return socket(
        zmq.DEALER, curve_publickey=public, curve_secretkey=secret, curve_serverkey=keys(server)[0], **options
    )


def echoed(peer, frames):
    peer.send_multipart(frames)
    answer = peer.recv_multipart()
    assert answer == frames, f"sent {len(frames)} frames, got {len(answer)} others"


def outcome(peer, endpoint):
    """The first of libzmq's events that ends a handshake, and its value. A reason that is no status has no event."""
    names = {
        zmq.EVENT_HANDSHAKE_SUCCEEDED: "succeeded",
        zmq.EVENT_HANDSHAKE_FAILED_AUTH: "auth",
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "protocol",
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "closed",
        zmq.EVENT_DISCONNECTED: "disconnected",
    }
    monitor = peer.get_monitor_socket(sum(names))
    monitor.rcvtimeo = PATIENCE_MS
    peer.connect(endpoint)
    event, _ = monitor.recv_multipart()
    number, value = int.from_bytes(event[:2], "little"), int.from_bytes(event[2:], "little")
    return names[number], value


def curve(endpoint):
    """Messages of every size, a batch, and silence that only encrypted heartbeats survive."""
    peer = curve_client(2, heartbeat_ivl=100, heartbeat_timeout=1500, heartbeat_ttl=1500)
    monitor = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    peer.connect(endpoint)
    for size in (0, 1, 222, 223, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 1_000_000, 16 << 20):
        echoed(peer, [b"", b"a" * size, b"b" * (size // 2)])
    for number in range(5000):
        peer.send_multipart([b"%d" % number, b"y" * (number % 300)])
    for number in range(5000):
        assert peer.recv_multipart() == [b"%d" % number, b"y" * (number % 300)]
    time.sleep(2.5)
    assert monitor.poll(0) == 0, "the connection was lost meanwhile"
    echoed(peer, [b"after"])


def unknown(endpoint):
    assert outcome(curve_client(3), endpoint) == ("auth", 400)


def wrong_server(endpoint):
    assert outcome(curve_client(2, server=9), endpoint)[0] == "closed"


def null(endpoint):
    assert outcome(socket(zmq.DEALER), endpoint)[0] == "protocol"


def wrong_mechanism(endpoint):
    assert outcome(curve_client(2), endpoint)[0] == "protocol"


def plain(endpoint):
    peer = socket(zmq.DEALER, plain_username=b"admin", plain_password=b"secret")
    peer.connect(endpoint)
    for size in (0, 255, 256, 65_536):
        echoed(peer, [b"a" * size])


def plain_wrong(endpoint):
    """libzmq's client does not know the ERROR of RFC 24: see plain.rs."""
    peer = socket(zmq.DEALER, plain_username=b"admin", plain_password=b"wrong")
    assert outcome(peer, endpoint)[0] == "protocol"


def metadata(endpoint):
    """A domain, set the way that libzmq offers."""
    peer = curve_client(2, metadata=b"X-Domain:prod")
    peer.connect(endpoint)
    echoed(peer, [b"hi"])
    stranger = curve_client(2, metadata=b"X-Domain:test")
    assert outcome(stranger, endpoint)[0] == "disconnected"


def reconnects(endpoint, count):
    for number in range(int(count)):
        peer = curve_client(2)
        peer.connect(endpoint)
        echoed(peer, [b"%d" % number])
        peer.close()


def echo(peer, endpoint):
    peer.bind(endpoint)
    print(peer.last_endpoint.decode(), flush=True)
    peer.rcvtimeo = 4 * PATIENCE_MS
    while True:
        frames = peer.recv_multipart()
        peer.send_multipart(frames)
        if frames[1:] == [b"end"]:
            # Lets the last answer leave before the socket goes.
            time.sleep(0.2)
            return


def curve_router(endpoint):
    """Lets in the keys 2 and 4."""

    class Known:
        def callback(self, domain, key):
            return key in (keys(2)[0], keys(4)[0])

    guard = ThreadAuthenticator(zmq.Context.instance())
    guard.start()
    guard.configure_curve_callback(domain="*", credentials_provider=Known())
    heartbeat = dict(heartbeat_ivl=100, heartbeat_timeout=1500, heartbeat_ttl=1500)
    echo(socket(zmq.ROUTER, curve_server=1, curve_secretkey=keys(1)[1], **heartbeat), endpoint)
    guard.stop()


def plain_router(endpoint):
    guard = ThreadAuthenticator(zmq.Context.instance())
    guard.start()
    guard.configure_plain(domain="*", passwords={"admin": "secret"})
    echo(socket(zmq.ROUTER, plain_server=1), endpoint)
    guard.stop()


def null_router(endpoint):
    echo(socket(zmq.ROUTER), endpoint)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
