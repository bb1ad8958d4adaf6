"""The error tree.

    TransferHubError             code, retryable
    ├── InputError               what the user typed is wrong: field, sentence
    ├── StoreError               one request to a store failed, classed by its adapter
    │   ├── ThrottledError       slow down; not a failure of the object
    │   ├── TransientError       the same request may work later
    │   ├── DeniedError          credentials or permission
    │   ├── NotFoundError        no such bucket, object or upload
    │   ├── ChangedError         the object is not the version that was asked for
    │   ├── UnsupportedError     the store cannot do or hold this
    │   ├── ArchivedError        the object must be restored before it can be read
    │   └── CorruptError         bytes or checksums do not agree
    ├── StateError               the ledger or task store cannot be used
    │   └── ConflictError        the record was changed by another writer since it was read
    ├── LeaseLostError           the lease was given to another worker
    ├── MoveError                a task or run is in a state in which this cannot be done
    ├── RunError                 the run as a whole cannot go on
    │   └── GuardError           a delete guard stopped the run for a person
    ├── AccessError              who asks may not do this
    │   ├── SignInError          who asks is not known: name, password, link, session or token
    │   └── TooManyError         too many sign-ins failed; wait
    ├── VaultError               stored credentials cannot be sealed or opened
    ├── SendError                a receiver of notifications did not accept one
    └── HubError                 a hub elsewhere cannot be reached, or does not answer as one

`code` is stable and documented in docs/errors.md; a message is one sentence that says what, where
and what to do, and never holds a secret.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar


class TransferHubError(Exception):
    """Root of every error that this package raises on purpose."""

    default_code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.__dict__.copy())


def _restore(kind: type[TransferHubError], fields: dict[str, object]) -> TransferHubError:
    error = kind.__new__(kind)
    Exception.__init__(error, fields["message"])
    error.__dict__.update(fields)
    return error


class InputError(TransferHubError):
    """Something that the user gave is wrong; nothing was changed."""

    default_code = "bad_input"

    def __init__(self, field: str, message: str, *, code: str | None = None) -> None:
        super().__init__(f"{field}: {message}", code=code)
        self.field = field


class StoreError(TransferHubError):
    """A request to a store failed.

    Attributes:
        status: HTTP status, or 0 where there was no answer.
        vendor_code: the store's own error code, such as "NoSuchBucket", or "".
        request_id: the store's id of the request, or "".
    """

    default_code = "store"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int = 0,
        vendor_code: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.vendor_code = vendor_code
        self.request_id = request_id


class ThrottledError(StoreError):
    """Attributes:
    retry_after: how long to wait, where that was told.
    """

    default_code = "throttled"
    retryable = True
    retry_after: timedelta | None = None


class TransientError(StoreError):
    default_code = "transient"
    retryable = True


class DeniedError(StoreError):
    default_code = "denied"


class NotFoundError(StoreError):
    """`code` is "not_found" (an object), "no_bucket" or "no_upload"."""

    default_code = "not_found"


class ChangedError(StoreError):
    default_code = "changed"
    retryable = True


class UnsupportedError(StoreError):
    default_code = "unsupported"


class ArchivedError(StoreError):
    default_code = "archived"


class CorruptError(StoreError):
    default_code = "corrupt"
    retryable = True


class StateError(TransferHubError):
    default_code = "state"


class ConflictError(StateError):
    default_code = "conflict"
    retryable = True


class LeaseLostError(TransferHubError):
    default_code = "lease_lost"


class MoveError(TransferHubError):
    default_code = "wrong_state"


class RunError(TransferHubError):
    default_code = "run"


class GuardError(RunError):
    default_code = "guard"


class AccessError(TransferHubError):
    default_code = "forbidden"


class SignInError(AccessError):
    default_code = "sign_in"


class TooManyError(AccessError):
    default_code = "too_many"

    """Attributes:
    wait: until the next try is looked at.
    """

    def __init__(self, message: str, *, wait: timedelta, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.wait = wait


class VaultError(TransferHubError):
    default_code = "vault"


class SendError(TransferHubError):
    default_code = "not_sent"


class HubError(TransferHubError):
    """`code` is "hub_unreachable", "hub_tls", "no_hub" or "hub_newer"."""

    default_code = "hub"
