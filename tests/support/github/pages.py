"""A page for people: an issue or a pull as plain text, at the address that its JSON names."""

import re

from .answer import Answer

PAGE = re.compile(r"/([^/]+/[^/]+)/(?:issues|pull)/(\d+)")


def answer(fake, path):
    match = PAGE.fullmatch(path)
    with fake.model.lock:
        repository = fake.model.repositories.get(match[1].lower()) if match else None
        issue = repository.numbered.get(int(match[2])) if repository else None
        text = "There is nothing here.\n" if issue is None else page(issue)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(404 if issue is None else 200, text.encode(), headers)


def page(issue):
    lines = [f"{issue.title} #{issue.number} ({issue.state})", ""]
    if issue.pull:
        lines += [f"{issue.pull.head} into {issue.pull.base}", ""]
    if issue.labels:
        lines += ["labels: " + ", ".join(label.name for label in issue.labels), ""]
    lines.append(issue.body or "")
    if issue.children:
        lines += ["", "sub-issues:"]
        lines += [f"- #{child.number} {child.title} ({child.state})" for child in issue.children]
    for comment in issue.comments:
        lines += ["", f"--- {comment.user.login}:", "", comment.body]
    return "\n".join(lines) + "\n"
