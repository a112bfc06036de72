"""Git over HTTP: who may fetch and push, and the way to `git http-backend`."""

import base64
import gzip
import re

from . import bare
from .access import authenticate
from .answer import Refused, refusal, refuse

ADDRESS = re.compile(
    r"/(?P<repo>[^/]+/[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-(?:upload|receive)-pack)"
)


def answer(fake, method, match, query, headers, body):
    """The answer, and the user who asked."""
    token = None
    try:
        with fake.model.lock:
            token = basic(fake.model, headers.get("Authorization", ""))
            name = match["repo"].lower()
            repository = fake.model.repositories.get(name)
            writes = "receive-pack" in match["rest"] or "receive-pack" in query
            if repository is None and name in fake.model.moved:
                rest = f"{match['rest']}?{query}" if query else match["rest"]
                address = f"{fake.url}/{fake.model.moved[name].full_name}.git/{rest}"
                refuse(301, "Moved Permanently", headers={"Location": address})
            admit(fake, repository, token, writes=writes)
    except Refused as refused:
        return refused.answer, token.user if token else None
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    user = token.user if token else None
    path = f"/{repository.folder}/{match['rest']}"
    given = bare.serve(fake.folder, method, path, query, headers, body, user)
    if writes and method == "POST":
        fake.after_push(repository)
    return given, user


def basic(model, header):
    """The token that is the password of Basic authentication, whoever is named as its user."""
    if header.lower().startswith("basic "):
        _, _, password = base64.b64decode(header[6:]).decode().partition(":")
        header = f"token {password}"
    try:
        return authenticate(model, header)
    except Refused:
        raise Refused(unauthorized()) from None


def unauthorized():
    return refusal(401, "Bad credentials", headers={"WWW-Authenticate": 'Basic realm="GitHub"'})


def admit(fake, repository, token, *, writes):
    """Refuse whoever may not; nobody learns which private repositories there are."""
    user = token.user if token else None
    if repository is None or repository.role(user) == "none":
        if user is None:
            raise Refused(unauthorized())
        refuse(404, "Repository not found.")
    if not writes:
        return
    if repository.archived:
        refuse(403, "This repository was archived so it is read-only.")
    if token is None:
        if not fake.anonymous_push:
            raise Refused(unauthorized())
    elif not (repository.may(user, "write") and may_push(token, repository)):
        refuse(403, f"Permission to {repository.full_name}.git denied to {user.login}.")


def may_push(token, repository):
    if not token.classic:
        return token.permissions.get("contents") == "write"
    enough = {"repo"} if repository.private else {"repo", "public_repo"}
    return not enough.isdisjoint(token.scopes)
