"""A repository, who may do what in it, and what a token is told of itself."""

from .answer import Answer, not_found, refuse
from .routes import REPOSITORY, route


@route("GET", REPOSITORY)
def get_repository(call):
    return Answer(200, call.render.repository(call.repository, call.user, full=True))


@route("GET", REPOSITORY + "/collaborators/{username}/permission", role="write")
def get_permission(call):
    user = call.state.users.get(call.parameters["username"].lower())
    if user is None:
        not_found()
    return Answer(200, call.render.permission(call.repository, user))


@route("GET", "/user")
def get_user(call):
    if call.user is None:
        refuse(401, "Requires authentication")
    return Answer(200, call.render.account(call.user))


@route("GET", "/rate_limit")
def get_rate_limit(call):
    core = call.fake.quota(call.user).shown()
    search = core | {"limit": 30, "used": 0, "remaining": 30}
    return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})
