"""Issues, their labels and comments, and native sub-issues."""

from .access import deny
from .answer import Answer, invalid, not_found, refusal, refuse
from .model import Comment
from .routes import REPOSITORY, route

ISSUES = REPOSITORY + "/issues"
ISSUE = ISSUES + "/{issue_number}"
MOST_CHILDREN = 100
MOST_LEVELS = 8
MOST_TITLE = 256
MOST_BODY = 65536
MOST_LABEL = 50


def the_issue(call):
    """The issue or pull that the path names."""
    issue = call.repository.numbered.get(int(call.parameters["issue_number"]))
    if issue is None:
        not_found()
    if issue.deleted:
        refuse(410, "This issue was deleted")
    return issue


def check_text(resource, title=None, body=None):
    """GitHub's limits of titles and bodies, in characters."""
    if title is not None and not str(title).strip():
        invalid(resource, "missing_field", field_name="title")
    if title is not None and len(str(title)) > MOST_TITLE:
        message = f"title is too long (maximum is {MOST_TITLE} characters)"
        invalid(resource, "custom", field_name="title", message=message)
    if body is not None and len(body) > MOST_BODY:
        message = f"body is too long (maximum is {MOST_BODY} characters)"
        invalid(resource, "custom", field_name="body", message=message)


def label_names(labels):
    return [label if isinstance(label, str) else label["name"] for label in labels]


def labels_of(call, names):
    """Labels by name, each once; the unknown ones are made."""
    found = {}
    for name in label_names(names):
        if len(name) > MOST_LABEL:
            message = f"name is too long (maximum is {MOST_LABEL} characters)"
            invalid("Label", "custom", field_name="name", message=message)
        label = call.state.label(call.repository, name)
        found[label.id] = label
    return list(found.values())


def assignees_of(call):
    """Whoever may be assigned, of those named."""
    named = (call.state.users.get(login.lower()) for login in call.body.get("assignees", []))
    return [user for user in named if user and call.repository.may(user, "write")]


ORDERS = {
    "created": lambda issue: (issue.created_at, issue.number),
    "updated": lambda issue: (issue.updated_at, issue.number),
    "comments": lambda issue: (len(issue.comments), issue.number),
}


@route("GET", ISSUES, area="issues")
def list_issues(call):
    call.unsupported("milestone", "assignee", "type", "mentioned", "issue_field_values")
    query = call.query
    wanted = {name.strip().lower() for name in query.get("labels", "").split(",") if name.strip()}
    state = query.get("state", "open")
    found = [
        issue
        for issue in call.repository.numbered.values()
        if not issue.deleted
        and state in ("all", issue.state)
        and wanted <= {label.name.lower() for label in issue.labels}
        and issue.updated_at >= query.get("since", "")
        and query.get("creator", issue.user.login).lower() == issue.user.login.lower()
    ]
    order = ORDERS[query.get("sort", "created")]
    found.sort(key=order, reverse=query.get("direction", "desc") == "desc")
    return call.page(found, call.render.issue)


@route("POST", ISSUES, area="issues", level="write")
def create_issue(call):
    call.unsupported("milestone", "assignee", "type", "issue_field_values")
    body = call.body
    check_text("Issue", body["title"], body.get("body"))
    more = {}
    if call.may_write:  # of others GitHub drops labels and assignees, and says nothing
        more = {"labels": labels_of(call, body.get("labels", [])), "assignees": assignees_of(call)}
    title, text = str(body["title"]), body.get("body")
    issue = call.state.new_issue(call.repository, title, text, call.user, **more)
    shown = call.render.issue(issue)
    return Answer(201, shown, {"Location": shown["url"]})


@route("GET", ISSUE, area="issues")
def get_issue(call):
    return Answer(200, call.render.issue(the_issue(call)))


@route("PATCH", ISSUE, area="issues", level="write")
def update_issue(call):
    call.unsupported("milestone", "assignee", "type", "issue_field_values", "duplicate_issue_id")
    issue, body = the_issue(call), call.body
    if not call.may_write and issue.user is not call.user:
        deny(call)
    check_text("Issue", body.get("title"), body.get("body"))
    if "labels" in body and call.may_write:
        issue.labels = labels_of(call, body["labels"])
    if body.get("title") is not None:
        issue.title = str(body["title"])
    if "body" in body:
        issue.body = body["body"]
    if "assignees" in body and call.may_write:
        issue.assignees = assignees_of(call)
    if "state" in body:
        issue.set_state(body["state"], call.user, body.get("state_reason"))
    issue.touch()
    return Answer(200, call.render.issue(issue))


@route("POST", ISSUE + "/labels", area="issues", level="write", role="write")
def add_labels(call):
    issue = the_issue(call)
    for label in labels_of(call, call.body.get("labels", [])):
        if label not in issue.labels:
            issue.labels.append(label)
    issue.touch()
    return Answer(200, [call.render.label(label, call.repository) for label in issue.labels])


def check_comment(text):
    problem = None
    if not text.strip():
        problem = "Body cannot be blank"
    elif len(text) > MOST_BODY:
        problem = f"Body is too long (maximum is {MOST_BODY} characters)"
    if problem:
        invalid("IssueComment", "unprocessable", field_name="data", message=problem)


@route("GET", ISSUE + "/comments", area="issues")
def list_comments(call):
    issue = the_issue(call)
    found = [c for c in issue.comments if c.updated_at >= call.query.get("since", "")]
    return call.page(found, lambda comment: call.render.comment(comment, issue))


@route("POST", ISSUE + "/comments", area="issues", level="write")
def create_comment(call):
    issue, text = the_issue(call), call.body["body"]
    check_comment(text)
    comment = Comment(call.state.new_id(), call.user, text)
    issue.comments.append(comment)
    issue.touch()
    shown = call.render.comment(comment, issue)
    return Answer(201, shown, {"Location": shown["url"]})


def the_comment(call):
    number = int(call.parameters["comment_id"])
    issue, comment = call.state.comment_by_id(call.repository, number)
    if comment is None:
        not_found()
    return issue, comment


@route("GET", ISSUES + "/comments/{comment_id}", area="issues")
def get_comment(call):
    issue, comment = the_comment(call)
    return Answer(200, call.render.comment(comment, issue))


@route("PATCH", ISSUES + "/comments/{comment_id}", area="issues", level="write")
def update_comment(call):
    issue, comment = the_comment(call)
    if not call.may_write and comment.user is not call.user:
        deny(call)
    check_comment(call.body["body"])
    comment.body = call.body["body"]
    issue.touch()
    comment.updated_at = issue.updated_at
    return Answer(200, call.render.comment(comment, issue))


@route("GET", ISSUE + "/sub_issues", area="issues")
def list_sub_issues(call):
    return call.page(the_issue(call).children, call.render.issue)


@route("POST", ISSUE + "/sub_issues", area="issues", level="write", role="write")
def add_sub_issue(call):
    """Link by the child's global id. GitHub answers with the parent."""
    parent = the_issue(call)
    child = call.state.issue_by_id(call.body["sub_issue_id"])
    if child is None or child.pull or not child.repository.may(call.user, "read"):
        refuse(404, "The provided sub-issue does not exist")
    if child.parent and call.body.get("replace_parent"):
        child.parent.children.remove(child)
        child.parent = None
    problem = sub_issue_problem(parent, child)
    if problem:
        refuse(422, f"An error occurred while adding the sub-issue to the parent issue. {problem}")
    child.parent = parent
    parent.children.append(child)
    parent.touch()
    child.touch()
    shown = call.render.issue(parent)
    return Answer(201, shown, {"Location": shown["url"]})


def sub_issue_problem(parent, child):
    """Why a child cannot be put below a parent, in GitHub's words."""
    if child.parent is parent:
        return "Issue may not contain duplicate sub-issues and Sub issue may only have one parent"
    if child.parent:
        return "Sub issue may only have one parent"
    above = list(parent.ancestors())
    if child is parent or child in above:
        return "Sub issue may not create a circular dependency"
    if len(parent.children) >= MOST_CHILDREN:
        return f"Parent cannot have more than {MOST_CHILDREN} sub-issues"
    if len(above) + 1 + child.depth_below() >= MOST_LEVELS:
        return f"Parent cannot have more than {MOST_LEVELS - 1} layers of sub-issues"
    return None


@route("GET", ISSUE + "/parent", area="issues")
def get_parent(call):
    parent = the_issue(call).parent
    if parent is None:
        return refusal(404, "Not Found")
    return Answer(200, call.render.issue(parent))
