"""The broker of PyPI's majortomo on a free port: prints `ready ENDPOINT` once it listens."""

import zmq
from majortomo.broker import Broker


class Announced(Broker):
    def bind(self):
        super().bind()
        print("ready", self._socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0"), flush=True)


if __name__ == "__main__":
    Announced(bind="tcp://127.0.0.1:*", heartbeat_interval=0.25, heartbeat_timeout=25.0).run()
