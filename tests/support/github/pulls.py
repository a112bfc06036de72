"""Pulls, checked against the real bare repository."""

from . import bare
from .access import deny
from .answer import Answer, invalid, not_found, refuse
from .issues import check_text
from .model import Pull
from .routes import REPOSITORY, route

PULLS = REPOSITORY + "/pulls"
PULL = PULLS + "/{pull_number}"


def the_pull(call):
    call.fake.after_push(call.repository)
    issue = call.repository.numbered.get(int(call.parameters["pull_number"]))
    if issue is None or issue.pull is None:
        not_found()
    return issue


def pulls_of(repository):
    return [issue for issue in repository.numbered.values() if issue.pull]


def shown_alone(call, issue):
    folder = call.fake.git_folder(call.repository)
    figures = bare.figures(folder, issue.pull.base_sha, issue.pull.head_sha)
    return call.render.pull(issue, figures)


def branch_of(repository, head):
    """The branch of a `head`, which may name the owner. Other owners' forks do not exist here."""
    owner, colon, branch = head.rpartition(":")
    if colon and owner.lower() != repository.owner.login.lower():
        invalid("PullRequest", "invalid", field_name="head")
    return branch


@route("GET", PULLS, area="pull_requests")
def list_pulls(call):
    query, repository = call.query, call.repository
    call.fake.after_push(repository)
    if query.get("sort") in ("popularity", "long-running"):
        call.unsupported("sort")
    state, head = query.get("state", "open"), query.get("head")
    if head and ":" not in head:
        head = None  # GitHub ignores a head that does not name its owner
    found = [
        issue
        for issue in pulls_of(repository)
        if state in ("all", issue.state)
        and head in (None, f"{repository.owner.login}:{issue.pull.head}")
        and query.get("base", issue.pull.base) == issue.pull.base
    ]
    key = "updated_at" if query.get("sort") == "updated" else "created_at"
    # Newest first, unless another order than the usual is asked for.
    direction = query.get(
        "direction", "asc" if query.get("sort", "created") != "created" else "desc"
    )
    found.sort(key=lambda i: (getattr(i, key), i.number), reverse=direction == "desc")
    return call.page(found, call.render.pull)


@route("POST", PULLS, area="pull_requests", level="write")
def create_pull(call):
    call.unsupported("head_repo", "issue")
    body, repository = call.body, call.repository
    folder = call.fake.git_folder(repository)
    check_text("PullRequest", body.get("title", ""), body.get("body"))
    head, base = branch_of(repository, body["head"]), body["base"]
    base_sha, head_sha = bare.tip_of(folder, base), bare.tip_of(folder, head)
    if base_sha is None:
        invalid("PullRequest", "invalid", field_name="base")
    if head_sha is None:
        invalid("PullRequest", "invalid", field_name="head")
    if not call.may_write:
        deny(call)  # only whoever could have pushed the branch
    if not bare.commits_over(folder, base_sha, head_sha):
        invalid("PullRequest", "custom", message=f"No commits between {base} and {head}")
    if any(
        issue.state == "open" and (issue.pull.head, issue.pull.base) == (head, base)
        for issue in pulls_of(repository)
    ):
        owner = repository.owner.login
        message = f"A pull request already exists for {owner}:{head}."
        invalid("PullRequest", "custom", message=message)
    if body.get("draft") and not repository.drafts:
        refuse(422, "Draft pull requests are not supported in this repository.")
    pull = Pull(call.state.new_id(), head, head_sha, base, base_sha, bool(body.get("draft")))
    issue = call.state.new_issue(repository, body["title"], body.get("body"), call.user, pull=pull)
    shown = shown_alone(call, issue)
    return Answer(201, shown, {"Location": shown["url"]})


@route("GET", PULL, area="pull_requests")
def get_pull(call):
    return Answer(200, shown_alone(call, the_pull(call)))


@route("PATCH", PULL, area="pull_requests", level="write")
def update_pull(call):
    issue, body = the_pull(call), call.body
    if not call.may_write and issue.user is not call.user:
        deny(call)
    check_text("PullRequest", body.get("title"), body.get("body"))
    if "base" in body:
        base_sha = bare.tip_of(call.fake.git_folder(call.repository), body["base"])
        if base_sha is None:
            invalid("PullRequest", "invalid", field_name="base")
        issue.pull.base, issue.pull.base_sha = body["base"], base_sha
    issue.title = body.get("title", issue.title)
    issue.body = body.get("body", issue.body)
    if "state" in body:
        issue.set_state(body["state"], call.user)
    issue.touch()
    return Answer(200, shown_alone(call, issue))
