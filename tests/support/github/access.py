"""Who asks, and whether they may: tokens, scopes, permissions, roles, and what is switched off."""

from .answer import not_found, refuse
from .routes import REPOSITORY

FOREIGN_TOKEN = "Resource not accessible by personal access token"
NO_ADMIN = "Must have admin rights to Repository."


def authenticate(state, header):
    """The token of an `Authorization` header; `None` without one."""
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    token = state.tokens.get(value.strip())
    if scheme.lower() not in ("bearer", "token") or token is None:
        refuse(401, "Bad credentials")
    return token


def wanted_scopes(call):
    """`x-accepted-oauth-scopes`: what a classic token should have for this."""
    if call.repository is None:
        return ""
    return "repo" if call.repository.private else "public_repo, repo"


def admit(call):
    """Refuse what this token may not do with this repository, in the order in which GitHub does."""
    route, repository, token = call.route, call.repository, call.token
    if repository.role(call.user) == "none":
        not_found()
    if token is None:
        if route.level == "write" or repository.private:
            refuse(401, "Requires authentication")
    elif token.classic:
        admit_classic(call)
    else:
        admit_fine_grained(call)
    if not repository.may(call.user, route.role):
        deny(call)
    if route.level == "write" and repository.archived:
        refuse(403, "Repository was archived so is read-only.")
    if not repository.has_issues and route.area == "issues" and not about_pull(call):
        refuse(410, "Issues has been disabled in this repository.")


def admit_classic(call):
    """A scope that is missing makes GitHub act as if the repository were not there."""
    enough = {"repo"} if call.repository.private else {"repo", "public_repo"}
    needs_scope = call.repository.private or call.route.level == "write"
    if needs_scope and enough.isdisjoint(call.token.scopes):
        not_found(headers={"X-Accepted-OAuth-Scopes": wanted_scopes(call)})


def admit_fine_grained(call):
    route, repository, token = call.route, call.repository, call.token
    chosen = token.repositories
    covered = chosen is None or repository.full_name.lower() in {name.lower() for name in chosen}
    if not covered and repository.private:
        not_found()
    if not covered and route.level == "read":
        return
    granted = token.permissions.get(route.area, "read" if route.area == "metadata" else None)
    readable = not repository.private or granted in ("read", "write")
    enough = granted == "write" if route.level == "write" else readable
    if not (covered and enough):
        accepted = {"X-Accepted-GitHub-Permissions": f"{route.area}={route.level}"}
        refuse(403, FOREIGN_TOKEN, headers=accepted)


def deny(call):
    """The refusal for whoever's role does not suffice."""
    if call.token is None:
        refuse(401, "Requires authentication")
    if call.route.template == REPOSITORY + "/collaborators/{username}/permission":
        refuse(403, "Must have push access to view collaborator permission.")
    refuse(403, NO_ADMIN if call.token.classic else FOREIGN_TOKEN)


def about_pull(call):
    """Pulls have labels and comments where issues are switched off, too."""
    number = call.parameters.get("issue_number")
    issue = call.repository.numbered.get(int(number)) if number else None
    return issue is not None and issue.pull is not None
