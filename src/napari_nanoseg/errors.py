"""The one exception that users see."""


class NanosegError(Exception):
    """Something the user can mend, in one sentence that says what, where and what to do.

    Every layer raises it for bad input. The command line prints it and returns 2, the docks show it.
    """


class WorkerGoneError(NanosegError):
    """A process that prepares training patches is gone."""

    def __init__(self, how: str = "was ended from outside, as the system does when memory runs out"):
        super().__init__(
            f"A process that prepares training patches {how}; resume the training, with fewer workers or none if it "
            "happens again."
        )
