"""Calls of AWS: many at once, again after a passing failure, and their errors as bulkqa's."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from bulkqa.aws.clients import THREADS
from bulkqa.errors import BulkqaError, SetupError

T = TypeVar("T")
Result = TypeVar("Result")

# DynamoDB's names for "later, please", of a call and (without "Exception") of a statement in a batch.
_PASSING = {
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingError",
    "TransactionConflict",
}


# Names of what no further call will mend, beside everything that is forbidden.
_SETUP = {"AccessDenied", "AccessDeniedException", "NoSuchBucket", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Patience:
    """How often to try what fails in passing, and how long to wait in between, in seconds.

    Waits are drawn at random between 0 and a bound that doubles from `first` to `most`, so that those who
    failed together do not come back together.
    """

    tries: int = 12
    first: float = 0.05
    most: float = 5.0

    def wait(self, failures: int) -> bool:
        """Wait after so many failures in a row, at least 1; return False, at once, where patience ends."""
        if failures >= self.tries:
            return False
        # No secrets here: any randomness will do.
        time.sleep(random.uniform(0, min(self.most, self.first * 2 ** (failures - 1))))  # noqa: S311
        return True


class Threads:
    """Threads that make an adapter's calls, `number` at once however many callers there are.

    They start when there is work, and end with the object.
    """

    def __init__(self, number: int = THREADS) -> None:
        self._number = number
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="bulkqa-aws")

    def map(self, work: Callable[[T], Result], things: Iterable[T]) -> Iterator[Result]:
        """Yield what `work` makes of each thing, in order, while at most 2 x `number` of them are held.

        After an error nothing more begins; what is under way ends, then the error is raised.
        """
        pending: deque[Future[Result]] = deque()
        try:
            for thing in things:
                if len(pending) == 2 * self._number:
                    yield pending.popleft().result()
                pending.append(self._pool.submit(work, thing))
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            wait(pending)


def code_of(error: ClientError) -> str:
    """Return the error's code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the error's HTTP status."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_passing_code(code: str) -> bool:
    """Say whether what failed with this code may go through if tried again.

    >>> is_passing_code("ThrottlingException"), is_passing_code("DuplicateItem")
    (True, False)
    """
    return code.removesuffix("Exception") in _PASSING


def is_passing(error: Exception) -> bool:
    """Say whether the call may go through if made again; it may have been carried out nevertheless."""
    if isinstance(error, ClientError):
        return status_of(error) >= 500 or is_passing_code(code_of(error))
    return isinstance(error, HTTPClientError | IncompleteReadError)


def explained(error: Exception, where: str) -> BulkqaError:
    """Return the failure of a call as bulkqa's own error, which says where."""
    if isinstance(error, ClientError):
        message: Any = error.response.get("Error", {}).get("Message") or f"status {status_of(error)}"
        kind = SetupError if status_of(error) == 403 or code_of(error) in _SETUP else BulkqaError
        return kind(f"{where}: {code_of(error)}: {message}")
    return BulkqaError(f"{where}: {error}")


FAILURES = (ClientError, BotoCoreError)
"""What botocore raises where a call failed."""
