"""A client or a member of zmqnet, as its Go program is one on the wire: REQ and REP, a protocol buffer a message.

python3 zmqnet.py send ENDPOINT TEXT…     says each TEXT, prints type and message of each answer
python3 zmqnet.py serve ENDPOINT          prints type, sender and message of what comes, and acknowledges it
"""
import sys

import zmq


def varint(number):
    octets = b""
    while number > 127:
        octets, number = octets + bytes([number & 127 | 128]), number >> 7
    return octets + bytes([number])


def encode(kind, sender, text):
    head = b"\x08" + varint(kind) if kind else b""
    texts = [(b"\x1a", sender.encode()), (b"\x22", text.encode())]
    return head + b"".join(key + varint(len(text)) + text for key, text in texts)


def decode(octets):
    """Fields by number; numbers and octets, of unknown fields too."""
    fields, place = {}, 0

    def read():
        nonlocal place
        number, shift = 0, 0
        while True:
            octet = octets[place]
            place += 1
            number |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                return number

    while place < len(octets):
        key = read()
        if key & 7 == 0:
            fields[key >> 3] = read()
        else:
            length = 8 if key & 7 == 1 else read()
            fields[key >> 3] = octets[place : place + length]
            place += length
    return fields


def shown(octets):
    fields = decode(octets)
    return f"{fields.get(1, 0)} {fields.get(3, b'').decode()} {fields.get(4, b'').decode()}"


context = zmq.Context()
if sys.argv[1] == "send":
    socket = context.socket(zmq.REQ)
    socket.connect(sys.argv[2])
    for text in sys.argv[3:]:
        socket.send(encode(0, "bravo", text))
        print(shown(socket.recv()), flush=True)
else:
    socket = context.socket(zmq.REP)
    socket.bind(sys.argv[2])
    print("ready", flush=True)
    while True:
        print(shown(socket.recv()), flush=True)
        socket.send(encode(1, "charlie", "ack"))
