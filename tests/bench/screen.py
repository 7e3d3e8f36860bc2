"""The live screen with ten thousand jobs on a terminal of 240x70: the time of a frame, from a key to its frame, and how much is drawn.

May compile and run a test of the plugin. Never takes a terminal.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS = ["13a", "13b", "13c", "13d"]
# Name, figure of the test, most.
ROWS = [
    ("a frame after 100 of 10,000 jobs changed, 99th percentile, ms", "frameMillis", 16),
    ("from a key to its frame with 10,000 jobs, 99th percentile, ms", "inputMillis", 50),
    ("rows of jobs built for a frame / rows visible, at most", "rowsBuiltOfVisible", 1),
    ("cells written for a step of the cursor / cells of the terminal", "cellsWrittenOfAll", 0.25),
]


def measure():
    command = ["cargo", "test", "--release", "--quiet", "--package", "kubectl-av1", "--bin", "kubectl-av1", "--",
               "--ignored", "--exact", "--nocapture", "screen::bench::figures"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"error: measuring the screen failed\n{(done.stdout + done.stderr)[-2000:]}")
    figures = json.loads(lines[0])
    return [{"id": ident, "name": name, "value": round(figures[figure], 3), "bar": f"<= {bar}", "within": figures[figure] <= bar}
            for ident, (name, figure, bar) in zip(IDS, ROWS)]
