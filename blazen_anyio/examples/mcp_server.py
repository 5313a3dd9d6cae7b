"""An MCP server whose tool runs a workflow, and reports its progress to the client.

Run it with ``python -m blazen_anyio.examples.mcp_server``; it speaks MCP over standard input and
output. The run belongs to the tool's call: a client that cancels the call, or goes away, cancels
the run, and everything of it has been cleaned up when the server goes on.
"""

from __future__ import annotations

import sys
from typing import Any

from mcp.server.mcpserver import Context as ToolContext
from mcp.server.mcpserver import MCPServer

from blazen_anyio import Context, Event, StartEvent, StopEvent, Workflow, step

__all__ = ["main", "make_server", "reading"]


class Read(StartEvent, event_type="reading.Read"):
    """Starts with the texts to read."""

    texts: tuple[str, ...]


class Text(Event, event_type="reading.Text"):
    """One of the texts."""

    text: str


class Count(Event, event_type="reading.Count"):
    """How many words a text has."""

    words: int


class Reading(StopEvent, event_type="reading.Reading"):
    """How many words each text has, in the order of the texts."""

    words: tuple[int, ...]


@step
async def split(read: Read) -> list[Text]:
    """Fan out to one event for each text."""
    return [Text(text) for text in read.texts]


@step(max_concurrency=2)
def count(text: Text, ctx: Context) -> Count:
    """Count the words of one text, in a worker thread."""
    counted = Count(len(text.text.split()))
    ctx.write_event_to_stream(counted)
    return counted


@step
async def gather(counts: list[Count]) -> Reading:
    """Fires once, when all texts have been read."""
    return Reading(words=tuple(count.words for count in counts))


reading = Workflow("reading", [split, count, gather], stop=Reading)


def make_server() -> MCPServer:
    """Make the server."""
    server = MCPServer("reading")

    @server.tool()
    async def count_words(texts: list[str], context: ToolContext[Any, Any]) -> list[int]:
        """Count the words of each text."""
        async with reading.start(Read(tuple(texts))) as run:
            done = 0
            async with run.stream_events(overflow="block") as stream:  # a client may be slow
                async for event in stream:
                    assert isinstance(event, Count), "no other is written to the stream"
                    done += 1
                    await context.report_progress(done, len(texts), f"{event.words} words")
            return list((await run.result()).words)

    return server


def main() -> int:
    """Serve over standard input and output."""
    make_server().run("stdio")
    return 0


if __name__ == "__main__":
    sys.exit(main())
