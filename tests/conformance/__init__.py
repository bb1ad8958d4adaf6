"""One suite for each port; every adapter passes it."""

import pkgutil

import pytest

# pytest explains the asserts of test modules only, unless it is told of others.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module.name}"
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("test_")
    )
)
