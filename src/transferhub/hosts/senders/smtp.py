"""`EmailSender`."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

from transferhub.control.endpoints import Resolve, address_of
from transferhub.control.letters import Letter, shown
from transferhub.errors import SendError
from transferhub.hosts.senders.addresses import addresses_of
from transferhub.model.channel import EmailChannel, Security

_SECONDS = 15.0
_LONGEST = 300
_NAME = "Data Transfer Hub"


class EmailSender:
    """E-mail by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS; certificates are checked.

    Its Message-ID is the same in all attempts. Where a server takes the message for some recipients
    and refuses others, it is sent, and the answer names those.
    """

    def __init__(
        self, resolve: Resolve, *, guarded: bool = True, trust: ssl.SSLContext | None = None
    ) -> None:
        """Args:
        guarded: whether link-local addresses and metadata services are refused.
        trust: None trusts what the system trusts.
        """
        self._resolve = resolve
        self._guarded = guarded
        self._trust = trust or ssl.create_default_context()

    async def send(self, channel: EmailChannel, letter: Letter) -> str:
        addresses = await addresses_of(channel.host, self._resolve, guarded=self._guarded)
        if channel.security is Security.NONE and not all(map(_is_loopback, addresses)):
            raise SendError(f"{channel.host} is not on this machine: e-mail goes there with TLS.")
        try:
            refused = await asyncio.to_thread(self._deliver, channel, letter, addresses)
        except smtplib.SMTPException as error:
            if isinstance(error.__context__, TimeoutError):
                raise _silent(channel) from error
            raise SendError(f"{channel.host} answered {_sentence(error)}") from error
        except ssl.SSLError as error:
            why = error.reason or type(error).__name__
            if isinstance(error, ssl.SSLCertVerificationError):
                why = error.verify_message
            raise SendError(f"{channel.host}: no TLS connection: {why}") from error
        except TimeoutError as error:
            raise _silent(channel) from error
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SendError(f"{channel.host} cannot be reached: {why}") from error
        except UnicodeError as error:
            raise SendError(f"{channel.host} cannot take an address that is not ASCII.") from error
        if refused:
            return f"{channel.host} took it, but not for {', '.join(refused)}"
        return f"{channel.host} took it for {', '.join(channel.recipients)}"

    def _deliver(
        self, channel: EmailChannel, letter: Letter, addresses: Sequence[str]
    ) -> Sequence[str]:
        """The recipients that the server refused, with its answer; runs in a thread."""
        with self._connected(channel, addresses) as server:
            if channel.security is Security.STARTTLS:
                server.starttls(context=self._trust)
            if channel.user:
                server.login(channel.user, channel.password.get_secret_value())
            refused = server.send_message(mail(channel, letter))
        return [f"{name} ({_reply(*reply)})" for name, reply in refused.items()]

    def _connected(self, channel: EmailChannel, addresses: Sequence[str]) -> smtplib.SMTP:
        *others, last = addresses
        for address in others:
            try:
                return self._connected_to(channel, address)
            except OSError:
                continue  # the last one's error is told
        return self._connected_to(channel, last)

    def _connected_to(self, channel: EmailChannel, address: str) -> smtplib.SMTP:
        if channel.security is Security.TLS:
            return _TlsServer(address, channel, self._trust)
        return _Server(address, channel)


class _Server(smtplib.SMTP):
    """Connects to an address that was checked, whatever its name says a moment later."""

    def __init__(self, address: str, channel: EmailChannel) -> None:
        self._address = address
        super().__init__(channel.host, channel.port, local_hostname="localhost", timeout=_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self._address, port), timeout)


class _TlsServer(smtplib.SMTP_SSL):
    """The same, with TLS from the start; the certificate must be the name's."""

    def __init__(self, address: str, channel: EmailChannel, trust: ssl.SSLContext) -> None:
        self._address = address
        self._trust = trust
        super().__init__(
            channel.host, channel.port, local_hostname="localhost", timeout=_SECONDS, context=trust
        )

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return self._trust.wrap_socket(plain, server_hostname=host)


def mail(channel: EmailChannel, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = letter.title
    message["From"] = formataddr((_NAME, channel.sender))
    message["To"] = ", ".join(channel.recipients)
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = f"<{letter.ident}@data-transfer-hub>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    link = f"\n\n{letter.link_text}: {letter.link}" if letter.link else ""
    message.set_content("\n".join(letter.lines) + link)
    return message


def _silent(channel: EmailChannel) -> SendError:
    return SendError(f"{channel.host} did not answer within {_SECONDS:.0f} seconds.")


def _is_loopback(address: str) -> bool:
    known = address_of(address)
    return known is not None and known.is_loopback


def _sentence(error: smtplib.SMTPException) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            return "; ".join(f"{name}: {_reply(*reply)}" for name, reply in recipients.items())
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=text):
            return _reply(code, text)
        case smtplib.SMTPServerDisconnected():
            return "nothing more: it closed the connection."
        case _:
            return shown(str(error), _LONGEST)


def _reply(code: int, text: bytes | str) -> str:
    said = text if isinstance(text, str) else text.decode(errors="replace")
    return f"{code} {shown(' '.join(said.split()), _LONGEST)}"
