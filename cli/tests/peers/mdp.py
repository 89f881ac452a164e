"""Raw MDP peers on pyzmq, so that no library of ours is on either side of the wire.

usage: mdp.py ENDPOINT ROLE SERVICE [BODY...]
Roles: req01 (REQ client of 0.1), correlate01 (the same with REQ_CORRELATE and REQ_RELAXED), dealer01, dealer02 (pure 0.2),
delimited02 (0.2 behind an empty frame); worker01, worker02, workerdelimited02 answer one request and stop.
A client prints the reply's frames, parts separated by lines of "--".
"""
import sys

import zmq

endpoint, role, service, *body = [argument.encode() for argument in sys.argv[1:]]
role = role.decode()
context = zmq.Context()


def client(kind, start):
    socket = context.socket(kind)
    if role == "correlate01":
        socket.setsockopt(zmq.REQ_CORRELATE, 1)
        socket.setsockopt(zmq.REQ_RELAXED, 1)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 200)
    socket.setsockopt(zmq.RCVTIMEO, 20000)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(endpoint.decode())
    socket.send_multipart(start + [service] + body)
    while True:
        frames = socket.recv_multipart()
        if kind == zmq.DEALER and start[0] == b"":
            assert frames.pop(0) == b"", frames
        header = frames.pop(0)
        assert header == start[-1 if start[-1] != b"\x01" else -2], header
        command = frames.pop(0) if header == b"MDPC02" else b"\x03"
        assert frames.pop(0) == service
        for frame in frames:
            print(frame.decode(), flush=True)
        if command == b"\x03":
            return
        assert command == b"\x02", command
        print("--", flush=True)


def worker(start, partial, final, heartbeat):
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 200)
    socket.setsockopt(zmq.RCVTIMEO, 20000)
    socket.connect(endpoint.decode())
    socket.send_multipart(start + [b"\x01", service])
    print("registered", flush=True)
    while True:
        frames = socket.recv_multipart()
        assert frames[:len(start)] == start, frames
        command, rest = frames[len(start)], frames[len(start) + 1:]
        if command == heartbeat:
            socket.send_multipart(start + [heartbeat])
            continue
        assert command == b"\x02", frames
        address, empty, *request = rest
        assert empty == b"", frames
        if partial:
            socket.send_multipart(start + [partial, address, b""] + [b"part"])
        socket.send_multipart(start + [final, address, b""] + [b"from " + role.encode()] + request)
        socket.close(linger=2000)
        return


if role in ("req01", "correlate01"):
    client(zmq.REQ, [b"MDPC01"])
elif role == "dealer01":
    client(zmq.DEALER, [b"", b"MDPC01"])
elif role == "dealer02":
    client(zmq.DEALER, [b"MDPC02", b"\x01"])
elif role == "delimited02":
    client(zmq.DEALER, [b"", b"MDPC02", b"\x01"])
elif role == "worker01":
    worker([b"", b"MDPW01"], None, b"\x03", b"\x04")
elif role == "worker02":
    worker([b"MDPW02"], b"\x03", b"\x04", b"\x05")
elif role == "workerdelimited02":
    worker([b"", b"MDPW02"], b"\x03", b"\x04", b"\x05")
else:
    sys.exit("unknown role " + role)
