"""The golden handshake: every octet of a CURVE handshake (RFC 26), computed with libsodium and nothing of ours.

`python curve.py > curve.txt`, with PyNaCl. All keys and long nonces are fixed, so the output never changes. The cookie
is opaque to the client and our server's own affair, so it is fixed, too.

A line is a name and octets in hex.
"""

import struct

from nacl.bindings import crypto_box, crypto_scalarmult_base

# Permanent and transient secret keys of both sides, and the long nonces.
CLIENT, SERVER = bytes(range(1, 33)), bytes(range(101, 133))
CLIENT_TRANSIENT, SERVER_TRANSIENT = bytes([0x31]) * 32, bytes([0x53]) * 32
WELCOME_NONCE, VOUCH_NONCE = bytes([0x77]) * 16, bytes([0x76]) * 16
COOKIE = bytes(range(96))
READY_OF_CLIENT = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me"
READY_OF_SERVER = b"\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0"

public = crypto_scalarmult_base


def short(prefix, count):
    return prefix + struct.pack(">Q", count)


def box(content, nonce, to, secret):
    return crypto_box(content, nonce, public(to), secret)


def command(name, body):
    data = bytes([len(name)]) + name + body
    return (bytes([4, len(data)]) if len(data) < 256 else b"\x06" + struct.pack(">Q", len(data))) + data


def message(side, to, secret, count, flags, body):
    sealed = box(bytes([flags]) + body, short(b"CurveZMQMESSAGE" + side, count), to, secret)
    data = b"\x07MESSAGE" + struct.pack(">Q", count) + sealed
    return (bytes([0, len(data)]) if len(data) < 256 else b"\x02" + struct.pack(">Q", len(data))) + data


hello = command(
    b"HELLO",
    b"\1\0" + bytes(72) + public(CLIENT_TRANSIENT) + struct.pack(">Q", 1)
    + box(bytes(64), short(b"CurveZMQHELLO---", 1), SERVER, CLIENT_TRANSIENT),
)
welcome = command(
    b"WELCOME",
    WELCOME_NONCE + box(public(SERVER_TRANSIENT) + COOKIE, b"WELCOME-" + WELCOME_NONCE, CLIENT_TRANSIENT, SERVER),
)
vouch = box(public(CLIENT_TRANSIENT) + public(SERVER), b"VOUCH---" + VOUCH_NONCE, SERVER_TRANSIENT, CLIENT)
initiate = command(
    b"INITIATE",
    COOKIE + struct.pack(">Q", 2)
    + box(public(CLIENT) + VOUCH_NONCE + vouch + READY_OF_CLIENT, short(b"CurveZMQINITIATE", 2),
          SERVER_TRANSIENT, CLIENT_TRANSIENT),
)
ready = command(
    b"READY",
    struct.pack(">Q", 1)
    + box(READY_OF_SERVER, short(b"CurveZMQREADY---", 1), CLIENT_TRANSIENT, SERVER_TRANSIENT),
)
of_client = [(3, 1, b""), (4, 0, b"hello"), (5, 2, b"\4PING\0\0"), (6, 0, b"x" * 300)]
of_server = [(2, 0, b"hello"), (3, 2, b"\4PONG")]

for name, octets in [
    ("client", CLIENT), ("client-public", public(CLIENT)), ("server", SERVER), ("server-public", public(SERVER)),
    ("client-transient", CLIENT_TRANSIENT), ("server-transient", SERVER_TRANSIENT),
    ("welcome-nonce", WELCOME_NONCE), ("vouch-nonce", VOUCH_NONCE), ("cookie", COOKIE),
    ("hello", hello), ("welcome", welcome), ("initiate", initiate), ("ready", ready),
    *[("message-of-client", message(b"C", SERVER_TRANSIENT, CLIENT_TRANSIENT, *each)) for each in of_client],
    *[("message-of-server", message(b"S", CLIENT_TRANSIENT, SERVER_TRANSIENT, *each)) for each in of_server],
]:
    print(name, octets.hex())
