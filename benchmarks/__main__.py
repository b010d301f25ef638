"""``python -m benchmarks``, from the root of the repository: run the benchmarks and print their table."""

import argparse
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Run; returns the exit code: 0, met or not."""
    if find_spec("httpx_sse") is None:
        print(
            "The benchmarks measure against httpx-sse, which is not installed: pip install httpx-sse", file=sys.stderr
        )
        return 2
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.catalogue import BENCHMARKS
    from benchmarks.measuring import Curve, Row, load_before
    from benchmarks.report import as_json, print_table, publish
    from benchmarks.running import Run

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the bridge costs beside a floor.")
    parser.add_argument("--quick", action="store_true", help="as little as shows that it works; numbers mean nothing")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="run this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--publish", action="store_true", help="put the results in benchmarks/README.md too")
    options = parser.parse_args()
    if options.publish and (options.quick or options.only):
        parser.error("--publish publishes a whole run: not with --quick or --only")

    load = load_before()
    rows: list[Row] = []
    curves: list[Curve] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        chosen = {name: BENCHMARKS[name] for name in BENCHMARKS if not options.only or name in options.only}
        tasks = {n: progress.add_task(b.about, total=b.steps(options.quick), start=False) for n, b in chosen.items()}
        for name, benchmark in chosen.items():
            progress.start_task(tasks[name])
            with tempfile.TemporaryDirectory(prefix="benchmarks-") as workdir:
                run = Run(options.quick, Path(workdir), partial(progress.advance, tasks[name]), curves)
                rows += benchmark.run(run)
    if options.json:
        print(as_json(rows))
    else:
        print_table(rows)
    if options.publish:
        publish("benchmarks", rows, curves, load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
