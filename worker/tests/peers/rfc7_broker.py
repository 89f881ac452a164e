"""A small MDP 0.1 broker on pyzmq, as strict as brokers in the field are.

It takes frame 0 of every message to be empty, so an envelope breaks it; it sends nothing to a worker that is busy; it
answers whatever it did not expect with DISCONNECT. What a peer does against RFC 7 ends it, with a line that says what.

Prints `ready ENDPOINT` once it listens, then a line for each worker that comes and goes. `--interval MS` is how often
it heartbeats idle workers.
"""

import argparse
import time
from collections import OrderedDict, defaultdict, deque

import zmq

CLIENT, WORKER = b"MDPC01", b"MDPW01"
READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT = (bytes([code]) for code in range(1, 6))


class Broker:
    def __init__(self, interval):
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.bind("tcp://127.0.0.1:*")
        self.interval = interval
        self.service_of = {}
        self.idle = defaultdict(OrderedDict)
        self.busy = {}
        self.queues = defaultdict(deque)

    def run(self):
        print("ready", self.socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0"), flush=True)
        beat = time.monotonic()
        while True:
            if self.socket.poll(max(0, (beat - time.monotonic()) * 1000)):
                self.on_message(*self.socket.recv_multipart())
            if time.monotonic() >= beat:
                beat = time.monotonic() + self.interval
                for workers in self.idle.values():
                    for worker in workers:
                        self.to_worker(worker, HEARTBEAT)

    def on_message(self, peer, empty, header, *frames):
        if empty != b"":
            raise SystemExit(f"violation: frame 0 is {empty!r}")
        if header == CLIENT:
            service, *body = frames
            if not body:
                raise SystemExit("violation: a request without body")
            self.queues[service].append((peer, body))
            self.dispatch(service)
        elif header == WORKER:
            self.on_worker(peer, *frames)
        else:
            raise SystemExit(f"violation: header {header!r}")

    def on_worker(self, worker, command, *frames):
        service = self.service_of.get(worker)
        if command == READY and service is None:
            self.service_of[worker], = frames
            print("worker", frames[0].decode(), flush=True)
            self.wait(worker)
        elif command == REPLY and worker in self.busy:
            client, empty, *body = frames
            if client != self.busy.pop(worker) or empty != b"" or not body:
                raise SystemExit(f"violation: reply {frames!r}")
            self.socket.send_multipart([client, b"", CLIENT, service, *body])
            self.wait(worker)
        elif command == HEARTBEAT and service is not None and not frames:
            pass
        elif command == DISCONNECT:
            self.forget(worker)
        else:
            self.to_worker(worker, DISCONNECT)
            self.forget(worker)

    def wait(self, worker):
        service = self.service_of[worker]
        self.idle[service][worker] = True
        self.dispatch(service)

    def dispatch(self, service):
        while self.queues[service] and self.idle[service]:
            worker, _ = self.idle[service].popitem(last=False)
            client, body = self.queues[service].popleft()
            self.busy[worker] = client
            self.to_worker(worker, REQUEST, client, b"", *body)

    def forget(self, worker):
        service = self.service_of.pop(worker, None)
        if service is not None:
            self.idle[service].pop(worker, None)
            self.busy.pop(worker, None)
            print("gone", service.decode(), flush=True)

    def to_worker(self, worker, command, *frames):
        self.socket.send_multipart([worker, b"", WORKER, command, *frames])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--interval", type=float, default=1000)
    Broker(arguments.parse_args().interval / 1000).run()
