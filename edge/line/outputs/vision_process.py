"""The process that an OPC UA server has to itself, so that no client of it can take time from an inspection.

It hears on its standard input what a line port says to those who listen, and answers on its standard output: `open`
once it listens, `done` for each line heard, `failed WHY` before its end. It ends with its input: no station's end is
outlived by it.
"""

import asyncio
import os
import sys

from edge.domain.errors import OutputError
from edge.line.outputs.vision_server import VisionServer
from edge.line.outputs.vision_states import PREOPERATIONAL, states_on
from edge.line.said import Readiness, Told, parse_said

_NICENESS = 5
_LINE_LIMIT_BYTES = 1 << 20


async def serve(host: str, port: int, station: str) -> None:
    """Listen, and show what is heard until the input ends. Raises OSError, OutputError."""
    lines = await _input()
    server = await VisionServer.started(host, port, station)
    _answer("open")
    state = PREOPERATIONAL
    while line := await lines.readline():
        state = await _show(server, state, line)
        _answer("done")
    await server.stop()


async def _show(server: VisionServer, state: str, line: bytes) -> str:
    match parse_said(line):
        case Told() as told:
            await server.tell(told)
        case Readiness(ready, why):
            await server.show_ready(why, ready=ready)
            for state in states_on(state, why, ready=ready):  # noqa: B020, PLR1704 - the last one stays
                await server.show_state(state)
    return state


async def _input() -> asyncio.StreamReader:
    lines = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    return lines


def _answer(word: str) -> None:
    os.write(sys.stdout.fileno(), word.encode() + b"\n")


def main() -> None:
    """Serve at HOST PORT for STATION, as the arguments say."""
    host, port, station = sys.argv[1:]
    os.nice(_NICENESS)
    try:
        asyncio.run(serve(host, int(port), station))
    except OSError as error:
        _answer(f"failed cannot listen: {error}")
    except OutputError as error:
        _answer(f"failed {error}")


if __name__ == "__main__":
    main()
