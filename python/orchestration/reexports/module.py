"""The module of this name in the installed package ``orchestration``.

It is read where a program imports it flat, from this folder, or below another package than
``orchestration``. ``parallel-orchestrate install --amplihack`` wrote this file, and ``--undo``
brings back what was here.
"""

import sys
from importlib import import_module

sys.modules[__name__] = import_module(f"orchestration.{__name__.rpartition('.')[2]}")
