"""The benchmark: what mcdist promises about speed, measured on the machine it runs on.

A **row** is one promise: a ratio of two contenders timed in turns within one run (A B A B ...), so that what the
machine does besides slows both, or a number of its own with a unit; with its spread over the rounds, its aim, and
whether that was met. A **suite** is a file in `mcdist/bench/suites/` that gives one or several rows, and a line in
`SUITES` in `mcdist/bench/registry.py`:

    def rows(repeats: int) -> Iterator[Row]:
        if not torch.cuda.is_available():
            raise Skipped("no GPU")
        taken = interleaved({"one by one": stopwatch(one_by_one), "stacked": stopwatch(stacked)}, repeats, warm_up=1)
        yield compared("16 networks", taken, "one by one", "stacked", aim=at_least(4.0))

    SUITES["pack_mlp"] = Suite("16 networks trained as one stack / one by one", repeats=5, rows=rows)

`stopwatch` times a function with `time.perf_counter`; a contender may as well return the seconds that it measured
itself. `compared(..., numbers=(Number("one by one", 1.2, "s"), ...))` adds what else is worth knowing. torch runs on
one thread; a suite that changes that (`threads`, a context) says so in its rows. A suite that raises is a row
"failed", one that needs what is not there a row "skipped", and the others go on.
"""
