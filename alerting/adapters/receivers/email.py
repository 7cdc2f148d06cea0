"""Channel that sends messages by e-mail: text and HTML over SMTP, one address per channel."""

import hashlib
import logging
import re
import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from html import escape
from typing import Any

from alerting.adapters.receivers.egress import Egress
from alerting.definitions.wording.language import language, template, translatable
from alerting.ports import DeliveryFailed, Message, Picture
from alerting.settings.environment import Smtp

TIMEOUT_S = 10.0
WIDTH_PX = 640


_REFUSES = template("mail server {host} refuses it ({code})")
_DEFERS = template("mail server {host} defers it ({code})")


class EmailChannel:
    """Send messages to one address. A key gives one Message-ID: copies can be dropped."""

    def __init__(
        self,
        name: str,
        to: str,
        server: Smtp,
        egress: Egress,
        *,
        password: str | None = None,
        context: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """Store the settings. `context`: trusted authorities, the system's when left out."""
        self.name = name
        self._to = to
        self._server = server
        self._egress = egress
        self._password = password
        self._timeout = timeout
        self._context = context or ssl.create_default_context(cafile=server.ca_file)

    def deliver(self, message: Message) -> None:
        """Send one message. Raises DeliveryFailed: permanent if the server refuses it."""
        mail = compose(message, self._server.sender, self._to)
        try:
            smtp = self._connect()
            try:
                smtp.send_message(mail)
                with suppress(
                    OSError, smtplib.SMTPException
                ):  # the server has accepted the message: later errors do not matter
                    smtp.putcmd("quit")
            finally:
                smtp.close()
        except smtplib.SMTPRecipientsRefused as refused:
            raise self._delivery_failure(
                max((code for code, _ in refused.recipients.values()), default=450)
            ) from None
        except smtplib.SMTPAuthenticationError as refused:
            raise DeliveryFailed(
                translatable(
                    "mail server {host} refuses user or password ({code})",
                    host=self._server.host,
                    code=refused.smtp_code,
                )
            ) from None
        except smtplib.SMTPResponseException as refused:
            raise self._delivery_failure(refused.smtp_code) from None
        except (OSError, smtplib.SMTPException) as fault:
            raise DeliveryFailed(
                translatable(
                    "mail server {host}: {fault}", host=self._server.host, fault=_message(fault)
                )
            ) from None

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        address = self._egress.address(server.host, server.port)
        smtp = (
            _TlsFrom(address, self._context, self._timeout)
            if server.tls == "tls"
            else _From(address, self._timeout)
        )
        try:
            smtp.connect(server.host, server.port)
            if server.tls == "starttls":
                smtp.starttls(context=self._context)
            if server.user is not None and self._password is not None:
                smtp.login(server.user, self._password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _delivery_failure(self, code: int) -> DeliveryFailed:
        permanent = 500 <= code < 600
        return DeliveryFailed(
            translatable(_REFUSES if permanent else _DEFERS, host=self._server.host, code=code),
            permanent,
        )


class _From(smtplib.SMTP):
    """SMTP client that connects to the checked address and verifies the host by its name."""

    def __init__(self, address: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._address = address

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        self._host = host
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - the checked address replaces `host`
        return socket.create_connection((self._address, port), timeout)


class _TlsFrom(_From):
    """The same SMTP client over TLS from the first byte."""

    def __init__(self, address: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(address, timeout)
        self._tls = context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._tls.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


def _transfer_encoding(text: str) -> str | None:
    """Return an encoding for a text in which a line begins with `From `, because smtplib would
    write `>From ` for it. None leaves the choice to the library."""
    return "base64" if re.search(r"^From ", text, re.MULTILINE) else None


def compose(message: Message, sender: str, to: str) -> EmailMessage:
    """Return the e-mail: the text, and the same text as HTML with its chart and links to tap."""
    picture = _picture(message)
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = formatdate(localtime=False)
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail["Message-ID"] = f"<{_digest(message.key)}@{domain}>"
    episode = message.payload.get("episode")
    if episode:  # mail programs show one episode as one thread
        mail["References"] = f"<{_digest(str(episode))}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Alerting-Key"] = " ".join(message.key.split())
    wording = language(message.language)
    captions = (
        [f"\n{wording.say('Figure: {description}', description=picture.description)}"]
        if picture
        else []
    )
    links = [
        wording.say("{name}: {text}", name=link.label, text=link.url) for link in message.links
    ]
    text = "\n".join([message.text, *captions, *(f"\n{link}" for link in links)])
    mail.set_content(f"{text}\n", cte=_transfer_encoding(text))
    cid = f"{_digest(message.key)}.figure@{domain}"
    html_text = _html(message, picture, cid)
    mail.add_alternative(html_text, subtype="html", cte=_transfer_encoding(html_text))
    if picture is not None:
        html = next(part for part in mail.iter_parts() if part.get_content_type() == "text/html")
        html.add_related(
            picture.png, "image", "png", cid=f"<{cid}>", filename="figure.png", disposition="inline"
        )
    return mail


def _picture(message: Message) -> Picture | None:
    """Return the message's chart; None if it cannot be drawn, because an alert is sent without
    it."""
    try:
        return message.draw() if message.draw else None
    except Exception:  # drawing and its data may raise any exception
        logging.getLogger(__name__).exception("no figure for %s", message.key)
        return None


def _html(message: Message, picture: Picture | None, cid: str) -> str:
    first, *others = message.text.splitlines() or [message.subject]
    lines = [f"<h2>{escape(first)}</h2>"]
    for line in filter(str.strip, others):
        style = ' style="color:#555;font-size:90%"' if line.startswith("(") else ""
        lines.append(f"<p{style}>{escape(line)}</p>")
    buttons = [
        f'<a href="{escape(link.url)}" style="display:inline-block;margin:4px 8px 4px '
        "0;padding:12px 18px;border:1px solid #555;"
        f'border-radius:6px;color:#111;text-decoration:none">{escape(link.label)}</a>'
        for link in message.links
    ]
    if picture is not None:
        size = (
            f'width="{WIDTH_PX}" '
            f'style="display:block;width:100%;max-width:{WIDTH_PX}px;height:auto"'
        )
        lines.append(f'<p><img src="cid:{cid}" alt="{escape(picture.description)}" {size}></p>')
    body = "\n".join([*lines, *([f"<p>{' '.join(buttons)}</p>"] if buttons else [])])
    style = f"font-family:sans-serif;color:#111;background:#fff;max-width:{WIDTH_PX}px"
    head = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html>\n<html lang="{message.language}"><head>{head}</head><body '
        f'style="{style}">\n{body}\n</body></html>\n'
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _message(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLError):
        return translatable("no trusted TLS connection")
    if isinstance(fault, TimeoutError):
        return translatable("no answer in time")
    if isinstance(fault, smtplib.SMTPServerDisconnected):
        return translatable("the connection broke, or the server did not answer in time")
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return translatable("the server offers no STARTTLS or no login")
    if isinstance(fault, ConnectionError):
        return translatable("no connection")
    return type(fault).__name__
