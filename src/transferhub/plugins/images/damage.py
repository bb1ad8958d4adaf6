"""What a registry wrote in part."""

from __future__ import annotations

from http import HTTPStatus

from transferhub.errors import StoreError, TransientError


def is_damage(error: StoreError) -> bool:
    """Whether a look at the destination that failed, for as long as patience lasted, may be of what
    has to be written again.

    Docker's registry answers 500, for ever, for a blob, a manifest or a tag that it was writing
    when its disk became full.
    """
    return isinstance(error, TransientError) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR
