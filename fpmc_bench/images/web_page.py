"""Web pages under the name of an archive: servers answer with one where a login is asked for."""


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
