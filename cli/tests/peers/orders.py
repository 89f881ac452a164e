"""A purchasing department on pyzmq: the four operations of service MM by a REQ socket and the frames of MDP 0.1.

usage: orders.py ENDPOINT
Prints each reply as a line: its frames as a JSON array. Two orders are saved, one of them is left at the end.
"""
import json
import sys

import zmq

BOLTS = {"_id": "PO-1", "item": "bolts", "quantity": 40}
NUTS = {"_id": "PO-2", "item": "nuts", "quantity": 5}

REQUESTS = [
    ["POSave", BOLTS],
    ["POSave", NUTS],
    ["POSave", BOLTS],
    ["POSelect", {"quantity": {"$gt": 10}}],
    ["POUpdate", {"_id": "PO-1"}, {"$inc": {"quantity": 2}}],
    ["POSelect", {}],
    ["POSelect", {"item": "none"}],
    ["POSelect", {"quantity": {"$near": 10}}],
    ["PODelete", {"_id": "PO-1"}],
    ["POSelect", {}],
]

socket = zmq.Context().socket(zmq.REQ)
socket.setsockopt(zmq.RCVTIMEO, 20000)
socket.setsockopt(zmq.LINGER, 0)
socket.connect(sys.argv[1])

for operation, *documents in REQUESTS:
    frames = [json.dumps(document).encode() for document in documents]
    socket.send_multipart([b"MDPC01", b"MM", operation.encode()] + frames)
    header, service, *reply = socket.recv_multipart()
    assert (header, service) == (b"MDPC01", b"MM"), (header, service)
    print(json.dumps([frame.decode() for frame in reply]), flush=True)
