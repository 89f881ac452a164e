"""czmq's zgossip, from Debian's libczmq.

python3 zgossip.py ENDPOINT                binds a hub there, prints an object, and runs until its input ends
python3 zgossip.py ENDPOINT KEY VALUE      connects there, publishes, and prints an object for each value that is told
"""
import ctypes
import json
import sys

czmq = ctypes.CDLL("libczmq.so.4")
czmq.zactor_new.restype = czmq.zstr_recv.restype = ctypes.c_void_p
actor = ctypes.c_void_p(czmq.zactor_new(ctypes.cast(czmq.zgossip, ctypes.c_void_p), b"test"))


def say(*texts):
    czmq.zstr_sendx(actor, *[text.encode() for text in texts], None)


def heard():
    return ctypes.string_at(czmq.zstr_recv(actor)).decode()


if len(sys.argv) == 2:
    say("BIND", sys.argv[1])
    print(json.dumps({"event": "READY"}), flush=True)
    sys.stdin.read()
else:
    say("CONNECT", sys.argv[1])
    say("PUBLISH", sys.argv[2], sys.argv[3])
    while True:
        event, key, value = heard(), heard(), heard()
        print(json.dumps({"event": event, "key": key, "value": value}), flush=True)
