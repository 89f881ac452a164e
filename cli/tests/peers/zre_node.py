"""A node of PyPI's zre, which holds elections: python3 zre_node.py NAME UUID GROUP; it stands for election in GROUP.

Prints a JSON object for each event; the end of its input is its end. It numbers its messages for all nodes together, so
it can be in a mesh with one other node only.
"""
import asyncio
import json
import sys

from zre import ZreNode


async def main():
    node = ZreNode(sys.argv[1])
    node.set_port(5670)
    node.set_uuid(sys.argv[2])
    node.set_contest_in_group(sys.argv[3])
    await node.start()
    await node.join(sys.argv[3])
    running = asyncio.create_task(node.run())
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: running.cancel())

    async def tell():
        async for event in node.events():
            said = {"event": event["type"], "uuid": event["peer_id"].upper(), "name": event["peer_name"]}
            if "group" in event:
                said["group"] = event["group"]
            print(json.dumps(said), flush=True)

    telling = asyncio.create_task(tell())
    await asyncio.wait([running])
    telling.cancel()
    await node.stop()


asyncio.run(main())
