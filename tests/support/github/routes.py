"""Which function answers which request, and what it asks of a token. Knows no handler by name."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .answer import Answer

REPOSITORY = "/repos/{owner}/{repo}"


@dataclass
class Route:
    """`template` is a path of GitHub's description; `area` and `level` are a token's permission."""

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Any
    area: str = "metadata"
    level: str = "read"
    role: str = "read"

    @property
    def of_repository(self):
        return self.template.startswith(REPOSITORY)


@dataclass
class Call:
    """A request on its way to its handler."""

    fake: Any
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: Any = None
    token: Any = None
    user: Any = None
    route: Route | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    repository: Any = None

    @property
    def state(self):
        return self.fake.model

    @property
    def render(self):
        return self.fake.render

    @property
    def may_write(self):
        return self.repository.may(self.user, "write")

    def unsupported(self, *names):
        """Fail loudly where a request asks for what this fake leaves out."""
        for name in names:
            if self.query.get(name) is not None or (self.body or {}).get(name) is not None:
                message = f"{self.method} {self.route.template} with {name!r}"
                raise NotImplementedError(message)

    def page(self, items, show):
        """One page of a list, with GitHub's `Link`: by the repository's id, not by its name."""
        size = min(int(self.query.get("per_page", 30)), 100)
        page = max(int(self.query.get("page", 1)), 1)
        last = max(-(-len(items) // size), 1)
        _, _, rest = self.path.partition(REPOSITORY.format(**self.parameters))
        address = f"{self.fake.api_url}/repositories/{self.repository.id}{rest}"

        def link(number, name):
            query = urlencode(self.query | {"page": number})
            return f'<{address}?{query}>; rel="{name}"'

        links = []
        if page > 1:
            links.append(link(min(page - 1, last), "prev"))
        if page < last:
            links += [link(page + 1, "next"), link(last, "last")]
        if page > 1:
            links.append(link(1, "first"))
        shown = [show(item) for item in items[(page - 1) * size : page * size]]
        return Answer(200, shown, {"Link": ", ".join(links)} if links else {})


ROUTES: list[Route] = []


def route(method, template, *, area="metadata", level="read", role="read"):
    """Register the function below as what answers this."""
    pattern = re.compile(
        re.sub(r"\{(\w*(?:number|_id))\}", r"(?P<\1>[0-9]+)", template)
        .replace("{", "(?P<")
        .replace("}", ">[^/]+)")
        + "$"
    )

    def register(handler):
        ROUTES.append(Route(method, template, pattern, handler, area, level, role))
        return handler

    return register


def find(method, path):
    """The route of a request and the parameters in its path, or nothing."""
    for candidate in ROUTES:
        if candidate.method == method and (match := candidate.pattern.match(path)):
            return candidate, match.groupdict()
    return None, {}
