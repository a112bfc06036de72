"""A small server that runs plans, two at once; the others wait for their turn.

    python examples/two_at_once.py [AGENT]          # says at which port it listens
    echo plan.md | nc 127.0.0.1 PORT

A client sends the path of a plan, and gets each event as a line of JSON. One that hangs up ends
its run, and so does the end of the server: nothing is left running.
"""

import asyncio
import json
import sys

from orchestration import OrchestrationError, stream

AT_ONCE = 2


async def main() -> None:
    """Serves until it is interrupted."""
    agent = sys.argv[1] if len(sys.argv) > 1 else None
    turns = asyncio.Semaphore(AT_ONCE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = (await reader.readline()).decode().strip()
        try:
            async with turns, stream(source, agent=agent, yes=True) as events:
                async for event in events:
                    writer.write(f"{json.dumps(event.to_dict())}\n".encode())
                    await writer.drain()
        except OrchestrationError as error:
            told = {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}
            writer.write(f"{json.dumps(told)}\n".encode())
        except ConnectionError:
            print(f"{source}: the client is gone", file=sys.stderr)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("listening at port", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
