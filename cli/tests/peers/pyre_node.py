"""A node of PyPI's zeromq-pyre or pyre-gevent: python3 pyre_node.py pyre|pyre_gevent NAME [HEADER=VALUE…].

Prints a JSON object for each event; does what it is told by lines: join G, leave G, shout G TEXT, whisper NAME TEXT, stop.
"""
import importlib
import json
import os
import sys
import uuid

zmq = importlib.import_module("zmq.green" if sys.argv[1] == "pyre_gevent" else "zmq")
node = importlib.import_module(sys.argv[1]).Pyre(sys.argv[2])
for header in sys.argv[3:]:
    node.set_header(*header.split("=", 1))
node.start()
names = {}

poller = zmq.Poller()
poller.register(node.socket(), zmq.POLLIN)
poller.register(sys.stdin.fileno(), zmq.POLLIN)


def told(event):
    kind, peer, name = event[0].decode(), uuid.UUID(bytes=event[1]), event[2].decode()
    said = {"event": kind, "uuid": peer.hex.upper(), "name": name}
    if kind == "ENTER":
        names[name] = peer
        said["headers"], said["endpoint"] = json.loads(event[3]), event[4].decode()
    elif kind in ("JOIN", "LEAVE"):
        said["group"] = event[3].decode()
    elif kind == "SHOUT":
        said["group"], said["body"] = event[3].decode(), event[4].decode()
    elif kind == "WHISPER":
        said["body"] = event[3].decode()
    print(json.dumps(said), flush=True)


while True:
    ready = dict(poller.poll())
    if node.socket() in ready:
        told(node.recv())
    if sys.stdin.fileno() in ready:
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(sys.stdin.fileno(), 1) or b"stop\n"
        word, _, rest = line.decode().strip().partition(" ")
        first, _, text = rest.partition(" ")
        if word == "join":
            node.join(first)
        elif word == "leave":
            node.leave(first)
        elif word == "shout":
            node.shouts(first, text)
        elif word == "whisper":
            node.whispers(names[first], text)
        else:
            node.stop()
            break
