import pytest

from transferhub.control.passwords import Effort, Passwords, check_password
from transferhub.errors import InputError

QUICK = Effort(passes=1, memory_kib=8, lanes=1)


async def test_a_password_fits_its_own_hash_only() -> None:
    passwords = Passwords(QUICK)
    first, second = await passwords.hash("pass é😀"), await passwords.hash("pass é😀")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.verify("pass é😀", first)
    assert not await passwords.verify("pass é", first)


async def test_a_password_is_the_same_however_it_is_typed() -> None:
    passwords = Passwords(QUICK)
    assert await passwords.verify("e\u0301\uff21", await passwords.hash("\u00e9A"))


@pytest.mark.parametrize("known", ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y"])
async def test_nothing_fits_what_is_no_hash(known: str) -> None:
    passwords = Passwords(QUICK)
    assert not await passwords.verify("the password of nobody", known)
    assert not await passwords.verify("\udcff", known)


async def test_a_hash_of_another_effort_is_stale() -> None:
    known = await Passwords(QUICK).hash("x")
    assert not Passwords(QUICK).is_stale(known)
    assert Passwords(Effort(passes=2, memory_kib=8, lanes=1)).is_stale(known)


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 1_025, "aaaaaaaaaaaaaaa", "annabella.12", "abababababab"]
)
def test_a_weak_password_is_refused_without_being_quoted(password: str) -> None:
    with pytest.raises(InputError, match=r"^new: ") as caught:
        check_password(password, name="Annabella", field="new")
    assert not password or password not in caught.value.message


def test_a_passphrase_is_taken() -> None:
    check_password("correct horse battery of annabella", name="annabella")
