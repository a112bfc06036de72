"""Three agents on three questions, side by side, through the drop-in API.

    python examples/side_by_side.py

Runs ``claude`` (or what AMPLIHACK_DELEGATE names) three times and prints who said how much.
"""

from orchestration import OrchestratorSession, run_parallel

QUESTIONS = {
    "security": "Where does this repository handle untrusted input? Answer in five lines.",
    "tests": "Which part of this repository has the fewest tests? Answer in five lines.",
    "names": "Which names in this repository mislead? Answer in five lines.",
}


def main() -> None:
    """Asks, waits for all answers, and prints them as they came."""
    session = OrchestratorSession("review")
    agents = [
        session.create_process(question, process_id=name, stream_output=False, timeout=600)
        for name, question in QUESTIONS.items()
    ]
    for result in run_parallel(agents, max_workers=3):
        state = "answered" if result.exit_code == 0 else f"failed ({result.exit_code})"
        print(f"{result.process_id} {state} in {result.duration:.0f}s")
        print(result.output or result.stderr)


if __name__ == "__main__":
    main()
