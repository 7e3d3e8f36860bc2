"""A terminal of a given size, as a user has one: a shell in tmux, in which commands are typed, keys are pressed and the picture is read.

May start a tmux server of its own. Never touches another.
"""

import itertools
import os
import re
import subprocess
import time

import kube

NUMBERS = itertools.count()


class Terminal:
    """One shell in one window; the server's name keeps it apart from every other."""

    def __init__(self, name, columns, rows, **environment):
        # A server that was told to end may still be there.
        self.socket = f"av1-{name}-{os.getpid()}-{next(NUMBERS)}"
        env = dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", TERM="xterm-256color", PS1="ready> ", **environment)
        env.pop("TMUX", None)
        subprocess.run(["tmux", "-L", self.socket, "-u", "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                        "bash", "--noprofile", "--norc", "-i"], env=env, check=True, timeout=30)
        self.wait_for("ready>")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server", check=False)

    def tmux(self, *args, check=True):
        return kube.run("tmux", "-L", self.socket, *args, check=check, timeout=30)

    def type(self, text):
        """Types a line and presses Enter."""
        self.write(text)
        self.press("Enter")

    def write(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, *keys):
        """Presses keys by their names, such as Enter, Escape, Down, q."""
        for key in keys:
            self.tmux("send-keys", key)

    def picture(self):
        return self.tmux("capture-pane", "-p")

    def ask(self, format):
        """What tmux knows of the window, such as `#{alternate_on}`."""
        return self.tmux("display-message", "-p", format).strip()

    def wait_for(self, *words, timeout=30, without=()):
        """Waits for a picture with all the words; gives it."""
        end = time.monotonic() + timeout
        while True:
            picture = self.picture()
            if all(word in picture for word in words) and not any(word in picture for word in without):
                return picture
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout} s for {words} on the screen; it shows:\n{picture}")
            time.sleep(0.1)

    def program(self):
        """Process id of what the shell runs now."""
        shell = self.ask("#{pane_pid}")
        return int(kube.wait_for("the program", lambda: kube.run("ps", "--ppid", shell, "-o", "pid=", check=False).split(), timeout=10)[0])

    def settings(self):
        """The modes of the terminal, read while no program runs."""
        self.type("clear; echo modes $(stty -g | cksum) end")
        return kube.wait_for("the modes", lambda: re.search(r"^modes (\d+ \d+) end$", self.picture(), re.M), timeout=10)[1]

    def is_sane(self, settings):
        """Whether it is as it was found: no other screen, a cursor, the same modes, and typing is seen."""
        assert (self.ask("#{alternate_on}"), self.ask("#{cursor_flag}")) == ("0", "1"), self.picture()
        self.type("echo seen $((40 + 2))")
        self.wait_for("echo seen $((40 + 2))", "seen 42")
        after = self.settings()
        assert after == settings, f"{after} instead of {settings}"
