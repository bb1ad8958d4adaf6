from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.control.front_door import GOOD, HERE, ROOT, FrontDoor
from transferhub.control.people import Accounts
from transferhub.errors import AccessError, InputError, SignInError, TooManyError
from transferhub.model.people import Caller, How, Role, Scope

HOUR = timedelta(hours=1)

Verb = Callable[[Accounts, Caller], Awaitable[object]]
ADMIN_VERBS: dict[str, Verb] = {
    "users": lambda accounts, caller: accounts.users(caller),
    "create_user": lambda accounts, caller: accounts.create_user(caller, "x", GOOD, Role.VIEWER),
    "set_role": lambda accounts, caller: accounts.set_role(caller, "ann", Role.ADMIN),
    "disable_user": lambda accounts, caller: accounts.disable_user(caller, "ann"),
    "enable_user": lambda accounts, caller: accounts.enable_user(caller, "ann"),
    "set_password": lambda accounts, caller: accounts.set_password(caller, "ann", GOOD),
    "create_link": lambda accounts, caller: accounts.create_link(caller, "x", Role.ADMIN),
}


@pytest.fixture
def door() -> FrontDoor:
    return FrontDoor()


@pytest.mark.parametrize("verb", ADMIN_VERBS)
async def test_only_an_administrator_may_change_people(door: FrontDoor, verb: str) -> None:
    await door.user()
    before = (await door.people.users(), await door.noted())
    lower = [Caller(name="me", role=role, how=How.SESSION) for role in (Role.VIEWER, Role.OPERATOR)]
    scoped = Caller(name="me", role=Role.ADMIN, how=How.TOKEN, scopes=frozenset({Scope.TASKS}))
    for caller in (*lower, scoped):
        with pytest.raises(AccessError) as caught:
            await ADMIN_VERBS[verb](door.accounts, caller)
        assert caught.value.code == "forbidden"
    assert (await door.people.users(), await door.noted()) == before
    await ADMIN_VERBS[verb](door.accounts, ROOT)


async def test_every_change_is_noted_without_secrets(door: FrontDoor) -> None:
    await door.user()
    await door.accounts.set_role(ROOT, "ann", Role.ADMIN)
    await door.accounts.set_password(ROOT, "ann", f"{GOOD} new")
    await door.accounts.disable_user(ROOT, "ann")
    created, role, password, disabled = reversed(await door.noted())
    assert (created.who, created.how, created.subject) == ("root", How.COMMAND, "ann")
    assert (created.before, created.after) == ({}, {"role": "operator", "disabled": False})
    assert (role.action, role.before, role.after) == (
        "user.role",
        {"role": "operator"},
        {"role": "admin"},
    )
    assert (password.action, password.after) == ("user.password", {"password": "***"})
    assert (disabled.before, disabled.after) == ({"disabled": False}, {"disabled": True})


@pytest.mark.parametrize("name", ["", "a b", "é", ".a", "a" * 129, "a/b", "a\n", "<script>"])
async def test_a_bad_name_is_refused(door: FrontDoor, name: str) -> None:
    with pytest.raises(InputError, match=r"^name: "):
        await door.accounts.create_user(ROOT, name, GOOD, Role.VIEWER)
    with pytest.raises(InputError, match=r"^name: "):
        await door.accounts.create_link(ROOT, name, Role.VIEWER)
    assert await door.noted() == []


async def test_a_name_is_taken_whatever_its_letters_case(door: FrontDoor) -> None:
    await door.user("ann@example.org")
    with pytest.raises(InputError, match=r"is a user ann@example\.org already"):
        await door.accounts.create_user(ROOT, "Ann@Example.org", GOOD, Role.ADMIN)
    with pytest.raises(InputError, match="no user ben"):
        await door.accounts.set_role(ROOT, "ben", Role.ADMIN)
    with pytest.raises(InputError, match=r"^password: "):
        await door.accounts.create_user(ROOT, "ben", "short", Role.ADMIN)


async def test_nobody_locks_themselves_out(door: FrontDoor) -> None:
    ann = await door.user(role=Role.ADMIN)
    for change in (
        door.accounts.set_role(ann, "ann", Role.VIEWER),
        door.accounts.disable_user(ann, "ANN"),
    ):
        with pytest.raises(InputError, match="another administrator"):
            await change


async def test_a_changed_password_ends_all_other_sessions(door: FrontDoor) -> None:
    ann = await door.user()
    first = await door.sign_in.with_password("ann", GOOD, address=HERE)
    second = await door.sign_in.with_password("ann", GOOD, address=HERE)
    await door.accounts.change_password(ann, GOOD, f"{GOOD} new", session=first.secret)
    assert await door.sign_in.with_session(first.secret) == ann
    with pytest.raises(SignInError):
        await door.sign_in.with_session(second.secret)
    with pytest.raises(SignInError):
        await door.sign_in.with_password("ann", GOOD, address=HERE)
    await door.sign_in.with_password("ann", f"{GOOD} new", address=HERE)


async def test_a_password_that_an_administrator_sets_works_at_once(door: FrontDoor) -> None:
    await door.user()
    for _ in range(3):
        with pytest.raises(SignInError):
            await door.sign_in.with_password("ann", "forgotten", address=HERE)
    await door.accounts.set_password(ROOT, "Ann", f"{GOOD} new")
    await door.sign_in.with_password("ann", f"{GOOD} new", address=HERE)


async def test_a_stolen_session_cannot_guess_the_password(door: FrontDoor) -> None:
    ann = await door.user()
    for _ in range(3):
        with pytest.raises(SignInError):
            await door.accounts.change_password(ann, "guess", f"{GOOD} new")
    with pytest.raises(TooManyError):
        await door.accounts.change_password(ann, GOOD, f"{GOOD} new")


@pytest.mark.parametrize("how", set(How) - {How.SESSION})
async def test_only_who_has_a_password_changes_it(door: FrontDoor, how: How) -> None:
    ann = await door.user()
    with pytest.raises(AccessError):
        await door.accounts.change_password(replace(ann, how=how), GOOD, f"{GOOD} new")


async def test_a_token_is_shown_once_and_acts_for_its_owner(door: FrontDoor) -> None:
    ann = await door.user()
    new = await door.accounts.create_token(
        ann, "nightly", role=Role.VIEWER, duration=HOUR, scopes={Scope.TASKS}
    )
    assert new.secret.startswith("dth_")
    kept = repr([vars(door.people), await door.noted(), new])
    assert new.secret not in kept
    assert await door.sign_in.with_token(new.secret) == Caller(
        name="ann", role=Role.VIEWER, how=How.TOKEN, scopes=frozenset({Scope.TASKS})
    )
    for wrong in ("", new.secret[:-1], new.token.ident, new.token.digest):
        with pytest.raises(SignInError):
            await door.sign_in.with_token(wrong)


async def test_a_token_expires_and_is_revoked(door: FrontDoor) -> None:
    ann = await door.user()
    first, second = [
        await door.accounts.create_token(ann, label, role=Role.VIEWER, duration=HOUR)
        for label in ("first", "second")
    ]
    await door.accounts.revoke_token(ann, first.token.ident)
    await door.accounts.revoke_token(ann, first.token.ident)
    with pytest.raises(SignInError, match="revoked"):
        await door.sign_in.with_token(first.secret)
    assert [at.action for at in await door.noted()].count("token.revoke") == 1
    await door.sign_in.with_token(second.secret)
    door.clock.advance(3_600)
    with pytest.raises(SignInError, match="expired"):
        await door.sign_in.with_token(second.secret)


async def test_a_token_may_do_no_more_than_who_makes_it(door: FrontDoor) -> None:
    ann = await door.user()
    with pytest.raises(AccessError, match="needs the role admin"):
        await door.accounts.create_token(ann, "x", role=Role.ADMIN, duration=HOUR)
    narrow = replace(ann, scopes=frozenset({Scope.PEOPLE}))
    for scopes in (set[Scope](), {Scope.PEOPLE, Scope.TASKS}):
        with pytest.raises(InputError, match=r"^scopes: "):
            await door.accounts.create_token(
                narrow, "x", role=Role.VIEWER, duration=HOUR, scopes=scopes
            )
    with pytest.raises(AccessError, match="cannot make another one"):
        await door.accounts.create_token(
            replace(ann, how=How.TOKEN), "x", role=Role.VIEWER, duration=HOUR
        )
    assert await door.people.tokens() == []


async def test_a_token_is_for_tasks_alone_unless_more_is_asked_for(door: FrontDoor) -> None:
    new = await door.accounts.create_token(ROOT, "x", role=Role.ADMIN, duration=HOUR)
    assert new.token.scopes == {Scope.TASKS}
    wide = await door.accounts.create_token(
        ROOT, "x", role=Role.ADMIN, duration=HOUR, scopes=set(Scope)
    )
    assert (await door.sign_in.with_token(wide.secret)).scopes == set(Scope)


async def test_a_token_follows_its_owner(door: FrontDoor) -> None:
    ann = await door.user()
    new = await door.accounts.create_token(ann, "x", role=Role.OPERATOR, duration=HOUR)
    await door.accounts.set_role(ROOT, "ann", Role.VIEWER)
    assert (await door.sign_in.with_token(new.secret)).role is Role.VIEWER
    await door.accounts.set_role(ROOT, "ann", Role.ADMIN)
    assert (await door.sign_in.with_token(new.secret)).role is Role.OPERATOR
    await door.accounts.disable_user(ROOT, "ann")
    with pytest.raises(SignInError, match="disabled"):
        await door.sign_in.with_token(new.secret)


async def test_a_token_of_someone_from_outside_stands_by_itself(door: FrontDoor) -> None:
    await door.user("ann", Role.VIEWER)
    outside = Caller(name="ann", role=Role.OPERATOR, how=How.OPENID)
    new = await door.accounts.create_token(outside, "x", role=Role.OPERATOR, duration=HOUR)
    assert (await door.sign_in.with_token(new.secret)).role is Role.OPERATOR


async def test_tokens_of_others_are_for_administrators(door: FrontDoor) -> None:
    ann, ben = await door.user("ann"), await door.user("ben")
    mine = await door.accounts.create_token(ann, "x", role=Role.VIEWER, duration=HOUR)
    assert await door.accounts.tokens(ben) == []
    assert await door.accounts.tokens(ann) == [mine.token] == await door.accounts.tokens(ROOT)
    with pytest.raises(InputError, match="no token"):
        await door.accounts.revoke_token(ben, mine.token.ident)
    await door.sign_in.with_token(mine.secret)
    await door.accounts.revoke_token(ROOT, mine.token.ident)


@pytest.mark.parametrize(
    ("label", "hours", "field"),
    [("", 1, "label"), ("x" * 201, 1, "label"), ("a\nb", 1, "label"), ("x", 0, "duration"),
     ("x", -1, "duration"), ("x", 9_000, "duration")],
)  # fmt: skip
async def test_a_bad_token_is_refused(
    door: FrontDoor, label: str, hours: float, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        await door.accounts.create_token(
            ROOT, label, role=Role.VIEWER, duration=timedelta(hours=hours)
        )
    assert caught.value.field == field


async def test_the_audit_log_is_for_administrators(door: FrontDoor) -> None:
    ann = await door.user()
    with pytest.raises(AccessError):
        await door.journal.entries(ann)
    assert [at.action for at in await door.journal.entries(ROOT, subject="ann")] == ["user.create"]


async def test_the_journal_masks_secrets_and_leaves_out_what_is_equal(door: FrontDoor) -> None:
    await door.journal.note(
        ROOT,
        "channel.update",
        "mail",
        before={"url": "smtp://u:s3cr3t@h", "secret": "old", "to": ["x"], "gone": 1},
        after={"url": "smtp://u:n3w@h", "secret": "new", "to": ["x"], "come": None},
    )
    [entry] = await door.noted()
    assert entry.before == {"url": "smtp://***@h", "secret": "***", "gone": 1}
    assert entry.after == {"url": "smtp://***@h", "secret": "***", "come": None}
