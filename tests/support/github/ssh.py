"""Git over SSH: a scripted `ssh` that leads every host to the bare repositories.

There is no SSH server. What the real one would be asked (`-G`: what does this host stand for?) the
real `ssh` answers, from a configuration of the test's own.
"""

import shlex
import shutil

SCRIPT = """\
#!/bin/sh
printf '%s\\n' "$*" >>{log}
for word; do
    test "$word" = -G && exec {ssh} -F {config} "$@"
done
# The last word is the command, such as git-upload-pack '/octocat/shop.git'.
cd {repositories} && exec sh -c "$(printf %s "$word" | sed "s#'/#'#")"
"""


def install(fake, folder, config):
    """Put the `ssh` into a folder; returns the file with the arguments of its calls, one a line.

    Args:
        fake: Whose repositories it leads to.
        folder: One that is first on the `PATH`.
        config: The text of `~/.ssh/config`.
    """
    real = shutil.which("ssh", path="/usr/local/bin:/usr/bin:/bin")
    log, settings, program = folder / "ssh.log", folder / "ssh_config", folder / "ssh"
    settings.write_text(config)
    log.touch()
    places = {"log": log, "ssh": real, "config": settings, "repositories": fake.folder}
    quoted = {name: shlex.quote(str(place)) for name, place in places.items()}
    program.write_text(SCRIPT.format(**quoted))
    program.chmod(0o755)
    return log
