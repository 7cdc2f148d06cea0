"""`python -m benchmarks.automl`: one JSON line for each task and budget on standard output, then a
table on standard error."""

import argparse
import json
import sys
from pathlib import Path

import benchmarks.automl
from benchmarks.automl.comparison import AUTOGLUON, KEPT, compare, table
from benchmarks.automl.tasks import TASKS


def main() -> None:
    """Run the comparison with the options of the package's description."""
    parser = argparse.ArgumentParser(
        description=benchmarks.automl.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budgets", default="60,180", help="seconds for each search (60,180)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument(
        "--systems", default="ours,flaml,autogluon", help="of ours, flaml, autogluon (all)"
    )
    parser.add_argument(
        "--share", type=float, default=0.5, help="of FLAML's CPU seconds that ours is given (0.5)"
    )
    parser.add_argument(
        "--core", type=int, default=0, help="the one core that each search runs on (0)"
    )
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of what was measured")
    parser.add_argument(
        "--autogluon", default=AUTOGLUON, help="interpreter of the environment that has AutoGluon"
    )
    options = parser.parse_args()
    results = []
    for task in options.tasks.split(","):
        for budget in options.budgets.split(","):
            result = compare(
                task,
                float(budget),
                options.seeds,
                tuple(options.systems.split(",")),
                kept=options.kept,
                core=options.core,
                share=options.share,
                autogluon=options.autogluon,
            )
            print(json.dumps(result), flush=True)
            results.append(result)
    print(table(results), file=sys.stderr)


if __name__ == "__main__":
    main()
