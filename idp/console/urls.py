"""Where a page of the console is for browsers."""

from idp import runtime


def page_url(path: str) -> str:
    """Return the URL of a page for links, forms and redirects, all of which name pages by it: below the path of the public URL.

    :param path: the page's own, which begins with `/console`.
    """
    return runtime.current().settings.public_path + path
