"""The module of this name in the installed package ``orchestration``.

It is read where a program imports it flat, from this folder (a pattern from the folder above), or
below another package than ``orchestration``. ``parallel-orchestrate install --amplihack`` wrote
this file, and ``--undo`` brings back what was here.
"""

import sys
from importlib import import_module

_around, _, _name = __name__.rpartition(".")
if _around.rpartition(".")[2] == "patterns":
    _name = f"patterns.{_name}"
sys.modules[__name__] = import_module(f"orchestration.{_name}")
