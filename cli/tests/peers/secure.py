"""Raw MDP 0.1 peers on pyzmq over CURVE or PLAIN, so that no library of ours is on either side of the wire.

usage: secure.py ENDPOINT ROLE SERVICE [--server FILE.pub --keys FILE.key | --plain NAME:FILE] [--domain NAME]
Roles:
  call    reads bodies from standard input, a line each, and prints each reply's frames in one line; between two lines it
          notices the loss of its connection. Prints "refused STATUS" or "cut off" and ends when it is one of them
  offer   says READY and prints "dismissed" when the broker says DISCONNECT, or "kept" when it says HEARTBEAT
"""
import argparse
import sys

import zmq
from zmq.utils.monitor import recv_monitor_message

parser = argparse.ArgumentParser()
parser.add_argument("endpoint")
parser.add_argument("role", choices=["call", "offer"])
parser.add_argument("service")
parser.add_argument("--server")
parser.add_argument("--keys")
parser.add_argument("--plain")
parser.add_argument("--domain")
arguments = parser.parse_args()
service = arguments.service.encode()


def key(path):
    """The one line of a key file that is no comment."""
    lines = open(path, encoding="ascii").read().splitlines()
    (line,) = [line for line in lines if line and not line.startswith("#")]
    return line.encode()


socket = zmq.Context().socket(zmq.DEALER)
socket.setsockopt(zmq.LINGER, 0)
if arguments.server:
    socket.curve_serverkey = key(arguments.server)
    secret = key(arguments.keys)
    socket.curve_secretkey = secret
    socket.curve_publickey = zmq.curve_public(secret)
if arguments.plain:
    name, path = arguments.plain.split(":", 1)
    socket.plain_username = name.encode()
    socket.plain_password = open(path, "rb").readline().strip()
if arguments.domain:
    socket.setsockopt_string(zmq.METADATA, "X-Domain:" + arguments.domain)
monitor = socket.get_monitor_socket()
socket.connect(arguments.endpoint)


def end(word):
    print(word, flush=True)
    sys.exit(0)


def on_event(event):
    kind, value = event["event"], event["value"]
    if kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        end(f"refused {value}")
    if kind in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
        end("refused")
    if kind == zmq.EVENT_DISCONNECTED:
        end("cut off")


def receive():
    """The next message; the end of the program when the connection goes first."""
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    while True:
        ready = dict(poller.poll(20000))
        if socket in ready:
            return socket.recv_multipart()
        if monitor not in ready:
            end("silence")
        on_event(recv_monitor_message(monitor))


def call():
    poller = zmq.Poller()
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    while True:
        ready = dict(poller.poll(60000))
        if not ready:
            end("silence")
        if monitor in ready:
            on_event(recv_monitor_message(monitor))
        if sys.stdin.fileno() in ready:
            line = sys.stdin.buffer.readline().strip()
            if not line:
                return
            socket.send_multipart([b"", b"MDPC01", service, line])
            print(b" ".join(receive()[3:]).decode(), flush=True)


def offer():
    socket.send_multipart([b"", b"MDPW01", b"\x01", service])
    while True:
        frames = receive()
        if frames[2] == b"\x05":
            end("dismissed")
        if frames[2] == b"\x04":
            end("kept")


{"call": call, "offer": offer}[arguments.role]()
