"""Runs coding agents side by side: a drop-in for amplihack's package of the same name.

This page is the public face and nothing else. Each name is imported when it is first asked for
(PEP 562), so ``import orchestration`` costs next to nothing; a new public name is one line in
``_HOMES``, one in the block for type checkers and one in ``__all__``.

    >>> from orchestration import OrchestratorSession, run_parallel
    >>> session = OrchestratorSession("review")
    >>> agents = [session.create_process(f"Review {area}") for area in ("api", "docs")]
    >>> failed = [r.process_id for r in run_parallel(agents, max_workers=2) if r.exit_code]
"""

from importlib import import_module

# `typing.TYPE_CHECKING` would load typing, which takes longer than everything else here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from . import claude_process as claude_process
    from . import events as events
    from . import execution as execution
    from . import patterns as patterns
    from . import session as session
    from ._core import (
        EngineError,
        ForgeError,
        OrchestrationError,
        PlanError,
        UsageError,
        ValidationError,
    )
    from ._core import __version__ as __version__
    from .claude_process import ClaudeProcess, ProcessResult
    from .execution import (
        run_batched,
        run_batched_async,
        run_parallel,
        run_parallel_async,
        run_sequential,
        run_sequential_async,
        run_with_fallback,
        run_with_fallback_async,
    )
    from .plan import Plan, Task, Validation, parse_plan, validate
    from .report import Report
    from .runner import orchestrate
    from .session import OrchestratorSession
    from .streaming import stream

# Public name -> the module of this package that defines it; "" for a module itself.
_HOMES = {
    "ClaudeProcess": "claude_process",
    "EngineError": "_core",
    "ForgeError": "_core",
    "OrchestrationError": "_core",
    "OrchestratorSession": "session",
    "Plan": "plan",
    "PlanError": "_core",
    "ProcessResult": "claude_process",
    "Report": "report",
    "Task": "plan",
    "UsageError": "_core",
    "Validation": "plan",
    "ValidationError": "_core",
    "__version__": "_core",
    "claude_process": "",
    "events": "",
    "execution": "",
    "orchestrate": "runner",
    "parse_plan": "plan",
    "patterns": "",
    "run_batched": "execution",
    "run_batched_async": "execution",
    "run_parallel": "execution",
    "run_parallel_async": "execution",
    "run_sequential": "execution",
    "run_sequential_async": "execution",
    "run_with_fallback": "execution",
    "run_with_fallback_async": "execution",
    "session": "",
    "stream": "streaming",
    "validate": "plan",
}

__all__ = [
    "ClaudeProcess",
    "EngineError",
    "ForgeError",
    "OrchestrationError",
    "OrchestratorSession",
    "Plan",
    "PlanError",
    "ProcessResult",
    "Report",
    "Task",
    "UsageError",
    "Validation",
    "ValidationError",
    "orchestrate",
    "parse_plan",
    "run_batched",
    "run_batched_async",
    "run_parallel",
    "run_parallel_async",
    "run_sequential",
    "run_sequential_async",
    "run_with_fallback",
    "run_with_fallback_async",
    "stream",
    "validate",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message) from None
    if not home:
        return import_module(f"{__name__}.{name}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
