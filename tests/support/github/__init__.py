"""A fake GitHub: REST API, git over HTTP, state, and faults on demand. `fake` is the way in.

`server` reads and writes sockets; `api` makes answers of requests; `issues`, `pulls` and
`repositories` hold what each address does; `model` is the state, `render` shows it as GitHub does,
`contract` compares both directions with GitHub's own description. `ssh` is git's way
past HTTP.
"""

from .fake import OWNER, TOKEN, FakeGitHub

__all__ = ["OWNER", "TOKEN", "FakeGitHub"]
