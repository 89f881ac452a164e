"""PyPI's majortomo as worker or client of our broker.

usage: majortomo_echo.py ENDPOINT worker|client SERVICE [BODY...]
The worker answers with one PARTIAL and a FINAL, for ever; the client prints a line a frame of the reply.
"""
import sys

from majortomo.client import Client
from majortomo.worker import Worker

endpoint, role, service, *body = sys.argv[1:]

if role == "worker":
    worker = Worker(endpoint, service.encode())
    worker.connect()
    print("registered", flush=True)
    while True:
        client, frames = worker.wait_for_request()
        worker.send_reply_partial(client, [b"part"])
        worker.send_reply_final(client, frames)
else:
    client = Client(endpoint)
    client.connect()
    client.send(service, *[frame.encode() for frame in body])
    for frame in client.recv_all_as_list(timeout=20.0):
        print(frame.decode(), flush=True)
    client.close()
