"""Sessions: one id, one log folder and one set of defaults for a group of agents."""

import os
import time
from pathlib import Path

from .claude_process import ClaudeProcess, append_text, say


class OrchestratorSession:
    """What a group of agents shares: an id, a folder for their logs, and defaults.

    The folder is ``{base_log_dir}/{session_id}/``, with ``session.log`` in it and one
    ``{process_id}.log`` for each process.
    """

    def __init__(
        self,
        pattern_name: str,
        working_dir: Path | None = None,
        base_log_dir: Path | None = None,
        model: str | None = None,
    ) -> None:
        """Create the session's folder and the head of its log.

        Args:
            pattern_name: What the group does; the session's id begins with it.
            working_dir: Where the agents work. Default: the current folder.
            base_log_dir: Where session folders are made. Default: ``.claude/runtime/logs``
                below ``working_dir``.
            model: The model of processes that name none. Default: the agent's own default.
        """
        self.pattern_name = pattern_name
        self.working_dir = working_dir or Path.cwd()
        if base_log_dir is None:
            base_log_dir = Path(self.working_dir) / ".claude" / "runtime" / "logs"
        self.session_id, self.log_dir = _claim_folder(Path(base_log_dir), pattern_name)
        self.model = model
        self._process_counter = 0
        self._write_metadata()

    def create_process(
        self,
        prompt: str,
        process_id: str | None = None,
        model: str | None = None,
        stream_output: bool = True,  # noqa: FBT001, FBT002 - amplihack's signature
        timeout: float | None = None,
    ) -> ClaudeProcess:
        """Return a process that works in this session's folder and logs into it.

        Args:
            prompt: What the agent is asked to do.
            process_id: Its name. Default: ``process_001`` and so on; only processes without a
                name of their own are counted.
            model: Its model; ``None`` takes the session's, an empty string takes none at all.
            stream_output: Whether its output is also written to ``sys.stdout`` and
                ``sys.stderr``.
            timeout: Its limit in seconds; ``None`` and ``0`` mean none.
        """
        if process_id is None:
            self._process_counter += 1
            process_id = f"process_{self._process_counter:03d}"
        return ClaudeProcess(
            prompt=prompt,
            process_id=process_id,
            working_dir=self.working_dir,
            log_dir=self.log_dir,
            model=self.model if model is None else model,
            stream_output=stream_output,
            timeout=timeout,
        )

    def get_session_log_path(self) -> Path:
        """Return the path of this session's own log."""
        return self.log_dir / "session.log"

    def get_process_log_path(self, process_id: str) -> Path:
        """Return the path of the log of the process with that id."""
        return self.log_dir / f"{process_id}.log"

    def log(self, msg: object, level: str = "INFO") -> None:
        """Print a line and append it to the session's log."""
        line = f"[{time.strftime('%H:%M:%S')}] [{level}] {msg}"
        say(f"[SESSION] {line}")
        append_text(self.get_session_log_path(), line + "\n")

    def _write_metadata(self) -> None:
        """Begin the session's log anew with what is known of the session."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        head = (
            f"Session ID: {self.session_id}\n"
            f"Pattern: {self.pattern_name}\n"
            f"Working Directory: {self.working_dir}\n"
            f"Log Directory: {self.log_dir}\n"
            f"Model: {self.model or 'default'}\n"
            f"Started: {started}\n"
            f"{'-' * 80}\n"
        )
        append_text(self.get_session_log_path(), head, truncate=True)

    def summarize(self) -> str:
        """Return a few lines about the session; they count processes without a name."""
        return (
            "Session Summary:\n"
            f"  ID: {self.session_id}\n"
            f"  Pattern: {self.pattern_name}\n"
            f"  Working Dir: {self.working_dir}\n"
            f"  Log Dir: {self.log_dir}\n"
            f"  Processes Created: {self._process_counter}"
        )


def _claim_folder(base: Path, pattern_name: str) -> tuple[str, Path]:
    """Return the first ``{pattern_name}_{unix second}`` that nobody has, and its new folder.

    A second session of the same second takes the next free second, so that the id keeps the
    shape which programs take apart. Creating the folder is the claim.
    """
    second = int(time.time())
    while True:
        session_id = f"{pattern_name}_{second}"
        folder = base / session_id
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mkdir(folder)  # noqa: PTH102 - Path.mkdir forgives an existing folder no less
        except FileExistsError:
            second += 1
        else:
            return session_id, folder
