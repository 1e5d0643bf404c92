"""What can go wrong on one machine, said so that a person knows what happened and what to do."""


class StackError(Exception):
    """The platform cannot do what was asked. `what` says what happened, `advice` what to do about it."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what} {advice}".strip())
        self.what = what
        self.advice = advice


class UnsupportedPlatformError(StackError):
    """A wheel that the platform is made of has no programs for this kind of machine."""


class DownloadError(StackError):
    """Kafka's jars are not here yet, and cannot be fetched."""


class NoSpaceError(StackError):
    """The disk has no room for the platform."""


class PortTakenError(StackError):
    """Somebody else listens on a port that the platform is to have."""


class ProcessDiedError(StackError):
    """A process of the platform ended when it should not have."""


class NotReadyError(StackError):
    """A process runs, and does not become ready."""


class FolderLockedError(StackError):
    """Another command is working on the same data folder, or its platform already runs."""


class NotRunningError(StackError):
    """There is no platform in this data folder, or it is not running."""
