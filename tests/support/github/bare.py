"""The bare repositories: made, asked, and served over HTTP by `git http-backend`.

Runs git with an environment of its own, so that nobody's configuration shows.
"""

import os
import subprocess

from .answer import Answer, refusal

WHO = "Octocat <octocat@example.org> 1700000000 +0000"


def environment(**more):
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    } | more


def git(folder, *arguments, stdin=None):
    """Standard output of git in a folder, or `None` where it failed."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    return done.stdout.decode() if done.returncode == 0 else None


def create(folder, branch, files):
    """A bare repository with one commit of these files."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
    with (folder / "config").open("a") as config:
        config.write("[http]\n\treceivepack = true\n[gc]\n\tauto = 0\n")
    commit(folder, branch, files, "Begin")


def commit(folder, branch, files, message):
    """Put a commit of these files on top of a branch, without a work tree."""
    tip = git(folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    stream = [f"commit refs/heads/{branch}\n".encode()]
    stream += [f"author {WHO}\ncommitter {WHO}\n".encode(), data(message)]
    if tip:
        stream.append(f"from {tip}".encode())
    for name, text in files.items():
        stream += [f"M 100644 inline {name}\n".encode(), data(text)]
    if git(folder, "fast-import", "--quiet", stdin=b"".join(stream)) is None:
        message = f"cannot commit to {branch} in {folder}"
        raise RuntimeError(message)
    return tip_of(folder, branch)


def data(text):
    raw = text.encode()
    return b"data %d\n%s\n" % (len(raw), raw)


def tip_of(folder, branch):
    """The commit that a branch is at, or `None`."""
    tip = git(folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
    return tip.strip() if tip else None


def branches(folder):
    listed = git(folder, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    return dict(line.rsplit(" ", 1) for line in (listed or "").splitlines())


def commits_over(folder, base, head):
    return int(git(folder, "rev-list", "--count", f"{base}..{head}") or 0)


def figures(folder, base, head):
    """What a pull brings: commits, and lines by the difference to where it branched off."""
    counted = (git(folder, "diff", "--numstat", f"{base}...{head}") or "").splitlines()
    pairs = [line.split("\t")[:2] for line in counted]
    return {
        "commits": commits_over(folder, base, head),
        "additions": sum(int(added) for added, _ in pairs if added != "-"),
        "deletions": sum(int(deleted) for _, deleted in pairs if deleted != "-"),
        "changed_files": len(pairs),
    }


def serve(root, method, path, query, headers, body, user):
    """One request of a git client, answered by git itself."""
    variables = {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_USER": user.login if user else "",
    }
    done = subprocess.run(
        ["git", "http-backend"],
        input=body,
        capture_output=True,
        check=False,
        env=environment(**variables),
        timeout=120,
    )
    head, separator, content = done.stdout.partition(b"\r\n\r\n")
    if not separator:
        return refusal(500, f"git http-backend: {done.stderr.decode(errors='replace')}")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(fields.pop("Status", "200").split()[0])
    return Answer(status, content, fields)
