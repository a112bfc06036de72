"""The installed package ``orchestration``, found from where amplihack keeps its own.

Programs put the folder above this one first on ``sys.path``, which hides the installed package of
the same name. So this looks for it in all other places, and lets it run in here: what is imported
is the installed package, by its own name, from its own files. ``parallel-orchestrate install
--amplihack`` wrote this file, and ``--undo`` brings back what was here.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder

_NAME = "orchestration"


def _find_installed() -> ModuleSpec:
    """The package of that name that has an engine. This one has none, nor has amplihack's."""
    for entry in sys.path:
        found = PathFinder.find_spec(_NAME, [entry])
        if (
            found is not None
            and found.loader is not None
            and PathFinder.find_spec(f"{_NAME}._core", found.submodule_search_locations)
        ):
            return found
    message = (
        f"amplihack-orchestration is not installed for {sys.executable}, and {__file__} only leads "
        "to it: install it there, or bring back amplihack's own modules with "
        "'parallel-orchestrate install --amplihack --undo'"
    )
    raise ImportError(message, name=_NAME)


def _become(installed: ModuleSpec) -> None:
    module = sys.modules[_NAME]
    # First the installed package's files; then this folder, for what amplihack alone has.
    module.__path__[:0] = installed.submodule_search_locations or []
    module.__file__ = installed.origin
    installed.loader.exec_module(module)  # type: ignore[union-attr]  # _find_installed() saw it
    module.__loader__, module.__spec__ = installed.loader, installed


if __name__ == _NAME:
    _become(_find_installed())
else:  # a package in a package, say `amplihack.orchestration`: the same objects under its name
    _package = import_module(_NAME)
    __all__ = _package.__all__

    def __getattr__(name: str) -> object:
        return getattr(_package, name)
