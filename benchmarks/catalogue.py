"""The benchmarks by name."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import (
    calls,
    continuing,
    deltas,
    endurance,
    growth,
    instructions,
    over_http,
    peers,
    picture,
    start_up,
    store,
    sweep,
)
from benchmarks.measuring import Row
from benchmarks.running import Run


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark.

    Attributes:
        about: what it does, in a few words.
        steps: how many times it tells progress, by whether it is quick.
        run: runs it.
    """

    about: str
    steps: Callable[[bool], int]
    run: Callable[[Run], list[Row]]


BENCHMARKS = {
    "start-up": Benchmark("start-up to tools/list", start_up.steps, start_up.run),
    "warm-call": Benchmark("a warm call", calls.steps_one_by_one, calls.one_by_one),
    "instructions": Benchmark("instructions of a warm call", instructions.steps, instructions.run),
    "store-off": Benchmark("a warm call without a store", calls.steps_one_by_one, calls.without_store),
    "in-flight": Benchmark(f"{calls.IN_FLIGHT} calls in flight", calls.steps_in_flight, calls.in_flight),
    "http": Benchmark("calls over HTTP", over_http.steps, over_http.run),
    "http-instructions": Benchmark("instructions of a call over HTTP", over_http.steps_counted, over_http.run_counted),
    "deltas": Benchmark("reading a stream", deltas.steps, deltas.run),
    "picture": Benchmark("a 20 MB picture", picture.steps, picture.run),
    "store": Benchmark("conversations kept and read", store.steps, store.run),
    "continue": Benchmark("going on with a long conversation", continuing.steps, continuing.run),
    "growth": Benchmark("growth curves", growth.steps, growth.run),
    "sweep": Benchmark("deleting from a large store", sweep.steps, sweep.run),
    "endurance": Benchmark("20,000 calls", endurance.steps, endurance.run),
    "peers": Benchmark("two other servers", peers.steps, peers.run),
}
