"""The one error for mistakes of a user."""


class UserError(ValueError):
    """Bad input: its text is one sentence that says what is wrong and what to do.

    The command line and the nodes print it without a traceback.
    """


def one_line(text: object) -> str:
    """Text of an error without line breaks, as parsers of YAML put them into theirs.

    Of an error of the system its reason alone: who reports it names the file.
    """
    if isinstance(text, OSError) and text.strerror:
        text = text.strerror
    return " ".join(str(text).split())
