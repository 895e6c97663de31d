"""Places among the active requests, of which a worker has a few: giving one back before the answer is there."""

from idp.web.body import Environ

GIVE_BACK = "realmgate.give_back_place"
"""Where the environment of a request has what gives its place back."""


def give_back_place(environ: Environ) -> None:
    """Let another request be at work in the place of this one, which is going to wait long, and has little to do after that."""
    if GIVE_BACK in environ:
        environ[GIVE_BACK]()
