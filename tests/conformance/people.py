"""The suites of the ports People, Audit and Vault: a test for each of their guarantees.

A subclass gives the fixture `people`, `audit` or `vault`, an empty one.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from transferhub.errors import ConflictError
from transferhub.model.people import (
    ApiToken,
    AuditEntry,
    Credential,
    CredentialKind,
    How,
    Link,
    Role,
    Scope,
    Sealed,
    Session,
    Strikes,
    User,
)
from transferhub.state.people import Audit, People, Vault

NOW = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)
HOUR = timedelta(hours=1)


def user(name: str, role: Role = Role.VIEWER) -> User:
    return User(name=name, role=role, created_at=NOW, password="$argon2id$hash")


def session(digest: str, name: str = "ann", *, ends_at: datetime = NOW + HOUR) -> Session:
    return Session(
        digest=digest,
        name=name,
        role=Role.OPERATOR,
        how=How.LINK,
        created_at=NOW,
        used_at=NOW,
        ends_at=ends_at,
    )


def link(digest: str, *, ends_at: datetime = NOW + HOUR) -> Link:
    return Link(digest=digest, name="ann é", role=Role.ADMIN, ends_at=ends_at)


def token(ident: str, owner: str = "ann") -> ApiToken:
    return ApiToken(
        ident=ident,
        digest=f"digest of {ident}",
        label="nightly \x00é😀",
        owner=owner,
        of_user=True,
        role=Role.OPERATOR,
        scopes=frozenset({Scope.TASKS}),
        created_at=NOW,
        ends_at=NOW + HOUR,
    )


class PeopleSuite:
    """Every test of the port People."""

    async def test_a_user_comes_back_as_it_was(self, people: People) -> None:
        await people.create_user(user("ann@example.org", Role.ADMIN))
        assert await people.get_user("ann@example.org") == user("ann@example.org", Role.ADMIN)
        assert await people.get_user("ann") is None

    async def test_the_name_of_a_user_is_given_once(self, people: People) -> None:
        await people.create_user(user("ann"))
        with pytest.raises(ConflictError, match="User ann exists"):
            await people.create_user(user("ann", Role.ADMIN))
        assert await people.users() == [user("ann")]

    async def test_one_of_many_writers_of_a_user_wins(self, people: People) -> None:
        await people.create_user(user("ann"))
        changed = replace(user("ann"), role=Role.ADMIN, disabled=True, password="other")
        results = await asyncio.gather(
            *(people.update_user(changed) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 4
        assert await people.get_user("ann") == replace(changed, version=2)

    async def test_an_unknown_user_is_not_updated(self, people: People) -> None:
        with pytest.raises(ConflictError, match="User ann was changed"):
            await people.update_user(user("ann"))
        assert await people.users() == []

    async def test_users_are_paged_by_the_bytes_of_their_names(self, people: People) -> None:
        for name in ("b", "C", "a_", "a.b", "é"):
            await people.create_user(user(name))
        assert [at.name for at in await people.users()] == ["C", "a.b", "a_", "b", "é"]
        assert [at.name for at in await people.users(after="a.b", limit=2)] == ["a_", "b"]

    async def test_a_session_comes_back_until_it_is_ended(self, people: People) -> None:
        await people.create_session(session("x"))
        assert await people.get_session("x") == session("x")
        await people.end_session("x")
        assert await people.get_session("x") is None

    async def test_the_use_of_a_session_moves_forward_only(self, people: People) -> None:
        await people.create_session(session("x"))
        for minutes in (5, 3):
            await people.touch_session("x", NOW + timedelta(minutes=minutes))
        await people.touch_session("unknown", NOW)
        assert await people.get_session("x") == replace(
            session("x"), used_at=NOW + timedelta(minutes=5)
        )

    async def test_all_other_sessions_of_a_name_are_ended(self, people: People) -> None:
        for digest, name in (("x", "ann"), ("y", "ann"), ("z", "ben")):
            await people.create_session(session(digest, name))
        assert await people.end_sessions("ann", but="y") == 1
        assert [await people.get_session(at) is None for at in "xyz"] == [True, False, False]
        assert await people.end_sessions("ann") == 1

    async def test_one_of_many_takers_gets_a_link(self, people: People) -> None:
        await people.create_link(link("x"))
        taken = await asyncio.gather(*(people.take_link("x", NOW) for _ in range(5)))
        assert [at for at in taken if at] == [link("x")]
        assert await people.take_link("x", NOW) is None

    async def test_a_link_that_ended_is_not_given(self, people: People) -> None:
        await people.create_link(link("x", ends_at=NOW))
        assert await people.take_link("x", NOW) is None

    async def test_a_token_is_found_by_its_digest(self, people: People) -> None:
        await people.create_token(token("a"))
        assert await people.get_token("digest of a") == token("a")
        assert await people.get_token("a") is None

    async def test_a_revocation_stays_as_it_was_first(self, people: People) -> None:
        await people.create_token(token("a"))
        revoked = replace(token("a"), revoked_at=NOW)
        assert await people.revoke_token("a", NOW) == revoked
        assert await people.revoke_token("a", NOW + HOUR) == revoked
        assert await people.get_token("digest of a") == revoked
        assert await people.revoke_token("b", NOW) is None

    async def test_tokens_are_listed_by_owner(self, people: People) -> None:
        for ident, owner in (("c", "ann"), ("a", "ben"), ("b", "ann")):
            await people.create_token(token(ident, owner))
        assert [at.ident for at in await people.tokens(owner="ann")] == ["b", "c"]
        assert [at.ident for at in await people.tokens()] == ["a", "b", "c"]
        assert await people.tokens(owner="an") == []

    async def test_of_many_strikes_at_once_one_counts(self, people: People) -> None:
        first, second = Strikes(count=1, at=NOW), Strikes(count=2, at=NOW + HOUR)
        for was, now in ((None, first), (first, second)):
            put = await asyncio.gather(
                *(people.replace_strikes("name \x00", was, now) for _ in range(5))
            )
            assert sorted(put) == [False, False, False, False, True]
        assert await people.strikes("name \x00") == second
        assert await people.strikes("other") is None

    async def test_strikes_are_taken_away_as_they_were_read(self, people: People) -> None:
        strikes = Strikes(count=1, at=NOW)
        assert await people.replace_strikes("k", None, None)
        assert await people.replace_strikes("k", None, strikes)
        assert not await people.replace_strikes("k", None, None)
        assert not await people.replace_strikes("k", replace(strikes, count=2), None)
        assert await people.replace_strikes("k", strikes, None)
        assert await people.strikes("k") is None

    async def test_what_ended_is_purged(self, people: People) -> None:
        await people.create_session(session("old", ends_at=NOW))
        await people.create_session(session("new"))
        await people.create_link(link("old", ends_at=NOW))
        await people.create_link(link("new"))
        await people.replace_strikes("old", None, Strikes(count=1, at=NOW - HOUR))
        await people.replace_strikes("new", None, Strikes(count=1, at=NOW))
        assert await people.purge(NOW, strikes_before=NOW) == 3
        assert await people.purge(NOW, strikes_before=NOW) == 0
        assert await people.get_session("new") is not None
        assert await people.strikes("new") is not None
        assert await people.take_link("new", NOW) is not None


def entry(who: str, action: str = "user.create", subject: str = "x") -> AuditEntry:
    return AuditEntry(
        at=NOW,
        who=who,
        how=How.SESSION,
        action=action,
        subject=subject,
        before={"role": "viewer", "of": [1, None]},
        after={"role": "é\x00😀"},
    )


class AuditSuite:
    """Every test of the port Audit."""

    async def test_an_entry_comes_back_as_it_was(self, audit: Audit) -> None:
        numbered = await audit.append(entry("ann \x00"))
        assert numbered == replace(entry("ann \x00"), number=numbered.number)
        assert await audit.entries() == [numbered]

    async def test_entries_are_paged_newest_first(self, audit: Audit) -> None:
        numbers = [(await audit.append(entry(who))).number for who in "abcde"]
        assert numbers == sorted(set(numbers))
        page = await audit.entries(limit=2)
        assert [at.who for at in page] == ["e", "d"]
        rest = await audit.entries(before=page[-1].number)
        assert [at.who for at in rest] == ["c", "b", "a"]
        assert await audit.entries(before=rest[-1].number) == []

    async def test_entries_are_chosen_by_all_filters_together(self, audit: Audit) -> None:
        for who, action, subject in (
            ("ann", "user.create", "ben"),
            ("ann", "user.disable", "ben"),
            ("ben", "user.create", "cid"),
            ("ann", "user.create", "dan"),
        ):
            await audit.append(entry(who, action, subject))
        assert [at.subject for at in await audit.entries(who="ann")] == ["dan", "ben", "ben"]
        assert [at.action for at in await audit.entries(subject="ben")] == [
            "user.disable",
            "user.create",
        ]
        found = await audit.entries(who="ann", action="user.create", limit=1)
        assert [at.subject for at in found] == ["dan"]
        assert await audit.entries(who="an") == []

    async def test_many_writers_lose_nothing(self, audit: Audit) -> None:
        written = await asyncio.gather(*(audit.append(entry(str(n))) for n in range(20)))
        assert len({at.number for at in written}) == 20
        assert {at.who for at in await audit.entries()} == {str(n) for n in range(20)}


def sealed(name: str, *, version: int = 1, key_id: str = "k1", box: str = "box") -> Sealed:
    credential = Credential(
        name=name,
        kind=CredentialKind.KEYS,
        described="AKIA…7Q",
        created_at=NOW,
        updated_at=NOW + HOUR,
        version=version,
    )
    return Sealed(credential=credential, key_id=key_id, box=box)


class VaultSuite:
    """Every test of the port Vault."""

    async def test_a_credential_comes_back_as_it_was(self, vault: Vault) -> None:
        await vault.create(sealed("a"))
        assert await vault.get("a") == sealed("a")
        assert await vault.get("b") is None

    async def test_a_name_is_given_once(self, vault: Vault) -> None:
        await vault.create(sealed("a"))
        with pytest.raises(ConflictError, match="Credential a exists"):
            await vault.create(sealed("a", box="other"))
        assert await vault.get("a") == sealed("a")

    async def test_one_of_many_writers_replaces_it(self, vault: Vault) -> None:
        await vault.create(sealed("a"))
        second = sealed("a", version=2, box="second")
        results = await asyncio.gather(
            *(vault.replace(second, sealed("a")) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 4
        assert await vault.get("a") == second

    async def test_what_was_sealed_anew_meanwhile_is_not_replaced(self, vault: Vault) -> None:
        await vault.create(sealed("a"))
        await vault.replace(sealed("a", key_id="k2"), sealed("a"))
        with pytest.raises(ConflictError, match="was changed by another writer"):
            await vault.replace(sealed("a", version=2), sealed("a"))
        assert await vault.get("a") == sealed("a", key_id="k2")

    async def test_a_deleted_one_is_gone(self, vault: Vault) -> None:
        await vault.create(sealed("a"))
        assert await vault.delete("a")
        assert not await vault.delete("a")
        with pytest.raises(ConflictError):
            await vault.replace(sealed("a", version=2), sealed("a"))
        assert await vault.all() == []

    async def test_credentials_are_paged_by_the_bytes_of_their_names(self, vault: Vault) -> None:
        for name in ("b", "C", "a-b", "a"):
            await vault.create(sealed(name))
        assert [at.credential.name for at in await vault.all()] == ["C", "a", "a-b", "b"]
        assert [at.credential.name for at in await vault.all(after="a", limit=1)] == ["a-b"]
