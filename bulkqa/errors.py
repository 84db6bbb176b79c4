"""What can go wrong, as the command line and the Lambdas tell it apart.

    BulkqaError           the program or a service failed             exit code 4
      InputError          what was given cannot be used               exit code 2
        NotFoundError     it names something that is not there        exit code 2
        ConflictError     it contradicts what was given before        exit code 2
      SetupError          a service is not set up for what is asked   exit code 4

A message is one sentence for the person who can mend it: it names the file, line or field.
"""


class BulkqaError(Exception):
    """The program, or a service it needs, failed; the message says how."""

    exit_code = 4


class InputError(BulkqaError):
    """Something given (a file, an option, a submission) cannot be used; the message says which and why."""

    exit_code = 2


class NotFoundError(InputError):
    """Something named does not exist."""


class ConflictError(InputError):
    """What is given contradicts something that was accepted before and stays."""


class SetupError(BulkqaError):
    """A service is not set up for what is asked: a right is missing, or a bucket. Every call will fail."""
