"""A process that writes to a store: ``store_child.py WHAT STORE …``; prints one line for each acknowledged write.

It is run by its path and imports no other test code, which would take a second.
"""

import sys
from contextlib import suppress

import anyio

from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store, TurnConflictError
from databricks_responses_mcp.store.records import ConversationState, Turn

STATE = ConversationState(endpoint="gpt")


def a_turn(number: int, text: str = "") -> Turn:
    """Return a turn with that text."""
    items = [{"text": text}]
    return Turn(
        number=number, endpoint="gpt", model="gpt-5", said=[], items=items, status="completed", created_at=float(number)
    )


async def race(store: Store, turns: int) -> None:
    """Try to get every turn and every key; print those that were obtained."""
    for number in range(1, turns + 1):
        with suppress(TurnConflictError):
            await store.add_turn("conv", a_turn(number), STATE, title="")
            print("turn", number)
        if (await store.claim_key(f"key-{number}", "print", "job", 1.0)).mine:
            print("key", number)


async def append(store: Store, turns: int) -> None:
    """Append turns; print each one once it is stored. Some are large, so that checkpoints happen."""
    read = await store.conversation("conv")
    for number in range(len(read.turns) + 1 if read else 1, turns + 1):
        text = "x" * (number * 7919 % 60_000)
        await store.add_turn("conv", a_turn(number, text), STATE, title="")
        print(number, flush=True)


async def main(what: str, setting: str, turns: int) -> None:
    """Begin when a line arrives on stdin, so that several processes begin at once."""
    store = open_store(setting)
    print("ready", flush=True)
    await anyio.to_thread.run_sync(sys.stdin.readline)
    await {"race": race, "append": append}[what](store, turns)
    await store.aclose()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
