"""Runs yosys passes, one a line of the file in the first argument, with the packages in the folder of the second.

The wheel brings yosys as a library without a program. What yosys prints goes to standard output; a pass that fails
ends this program with its message on standard error.
"""

import os
import sys

script, packages = sys.argv[1:]
sys.path.insert(0, packages)

from pyosys import libyosys  # noqa: E402

design = libyosys.Design()
with open(script, encoding="utf-8") as passes:
    for line in passes:
        if line.strip():
            design.run_pass(line.strip())
sys.stdout.flush()
# The library does not survive the interpreter's own end.
os._exit(0)
