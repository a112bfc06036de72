"""The package ``patterns`` of the installed package ``orchestration``.

It is read where a program imports it flat, from the folder above, or below another package than
``orchestration``. Its modules are re-exports of their own, and what amplihack alone has is found
beside them. ``parallel-orchestrate install --amplihack`` wrote this file, and ``--undo`` brings
back what was here.
"""

from importlib import import_module

_package = import_module("orchestration.patterns")
__all__ = _package.__all__


def __getattr__(name: str) -> object:
    return getattr(_package, name)
