"""Follows a run as a stream, and ends it with the first task that fails.

    python examples/stop_at_the_first_failure.py plan.md [AGENT]

Leaving the loop cancels the run; its agents are gone when the program goes on.
"""

import asyncio
import sys

from orchestration import stream
from orchestration.events import TaskFinished


async def main() -> None:
    """Runs the plan that is named on the command line."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    agent = sys.argv[2] if len(sys.argv) > 2 else None
    async with stream(sys.argv[1], agent=agent, yes=True) as events:
        async for event in events:
            if isinstance(event, TaskFinished):
                print(f"agent {event.agent}: {'done' if event.success else 'failed'}")
                if not event.success:
                    break


if __name__ == "__main__":
    asyncio.run(main())
