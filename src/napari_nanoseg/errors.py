"""The one exception that users see."""


class NanosegError(Exception):
    """Something the user can mend, in one sentence that says what, where and what to do.

    Every layer raises it for bad input. The command line prints it and returns 2, the docks show it.
    """
