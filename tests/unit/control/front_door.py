"""Everything of sign-in, with a clock that only the test moves."""

from datetime import timedelta
from itertools import count

from tests.conformance.ledger_facts import FakeClock
from transferhub.control.journal import Journal
from transferhub.control.passwords import Effort, Passwords
from transferhub.control.people import Accounts
from transferhub.control.signin import SignIn, SignInRules
from transferhub.control.turnstile import Patience
from transferhub.model.people import AuditEntry, Caller, How, Role
from transferhub.state.memory import MemoryAudit, MemoryPeople
from transferhub.state.people import Audit, People

ROOT = Caller(name="root", role=Role.ADMIN, how=How.COMMAND)
HERE = "192.0.2.1"
GOOD = "correct horse battery"
RULES = SignInRules(
    idle=timedelta(hours=1),
    longest=timedelta(hours=5),
    by_name=Patience(free=2, first=timedelta(seconds=10), longest=timedelta(seconds=30)),
    by_address=Patience(free=6),
)


class CountingPasswords(Passwords):
    """As quick as argon2 can be, and counts what it verifies."""

    def __init__(self, effort: Effort | None = None) -> None:
        super().__init__(effort or Effort(passes=1, memory_kib=8, lanes=1))
        self.verified = 0

    def _verify(self, password: str, known: str) -> bool:
        self.verified += 1
        return super()._verify(password, known)


class FrontDoor:
    def __init__(self, people: People | None = None, audit: Audit | None = None) -> None:
        self.clock = FakeClock()
        self.people = people or MemoryPeople()
        self.audit = audit or MemoryAudit()
        self.journal = Journal(self.audit, self.clock)
        self.passwords = CountingPasswords()
        self.sign_in = self.with_passwords(self.passwords)
        self.accounts = Accounts(
            self.people,
            self.passwords,
            self.sign_in,
            self.journal,
            clock=self.clock,
            new_secret=self.new_secret,
        )
        self._numbers = count(1)
        self._prefix = f"secret of {id(self)}"

    def with_passwords(self, passwords: Passwords) -> SignIn:
        return SignIn(
            self.people,
            passwords,
            self.journal,
            clock=self.clock,
            new_secret=self.new_secret,
            rules=RULES,
        )

    def new_secret(self) -> str:
        return f"{self._prefix} {next(self._numbers)}"

    async def user(self, name: str = "ann", role: Role = Role.OPERATOR) -> Caller:
        """Creates a user with the password GOOD."""
        await self.accounts.create_user(ROOT, name, GOOD, role)
        return Caller(name=name, role=role, how=How.SESSION)

    async def noted(self) -> list[AuditEntry]:
        return list(await self.audit.entries())
