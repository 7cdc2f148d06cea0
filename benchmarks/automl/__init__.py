"""Comparison of the platform's search with FLAML and AutoGluon on public data: equal matrices, one
core, half the CPU time.

Run: ALERTING_REAL_DATA=<folder> python -m benchmarks.automl [--budgets 60,180] [--seeds 3] [--tasks
azure,roasting] [--core 0] FLAML is an extra: pip install -e ".[bench]" -c config/constraints.txt
AutoGluon needs its own environment (pip install
"autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3"); its interpreter is named by --autogluon or
ALERTING_BENCH_AUTOGLUON. It is left out where there is none.

The budget of the peers is in seconds, of which they get only a part as CPU time on a busy machine;
ours gets half of the CPU seconds that FLAML had for the task and budget. Seconds and CPU seconds of
all are shown.

No system sees the test part: the last fifth of the time; for AI4I, which has no time stamps, the
last fifth in the order of UDI, and in addition five stratified folds. Ours fits on the training
part and calibrates on the validation part. Each result is stored as one file for each task, system,
budget and seed below --kept or ALERTING_BENCH_KEPT (.alerting/benchmarks), and not measured again
until the matrix or a version changes.
"""

from benchmarks.automl.comparison import run

__all__ = ["run"]
