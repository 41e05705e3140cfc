"""Twilio's own SDK for Python against the sandbox."""

import datetime
import re
import urllib.parse

import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList

from judge import SANDBOX, Webhooks, control, expect, refused

SID = "AC" + "5a" * 16
TOKEN = "7b" * 16
SERVICE = "MG" + "9c" * 16
SMS, WHATSAPP, ANA = "+14155550130", "+14155550131", "+14155550199"


class ToSandbox(TwilioHttpClient):
    """Every host of Twilio's is the sandbox."""

    def request(self, method, url, *args, **more):
        url = re.sub(r"^https://[a-z]+\.twilio\.com", f"{SANDBOX}/twilio", url)
        return super().request(method, url, *args, **more)


hooks = Webhooks()
control("accounts", {
    "provider": "twilio",
    "settings": {"account_sid": SID, "messaging_service_sid": SERVICE},
    "secrets": {"auth_token": TOKEN},
    "signing_secret": TOKEN,
    "routes": [{"channel": "sms", "address": SMS}, {"channel": "whatsapp", "address": WHATSAPP}],
    "webhook_url": f"{hooks.url}/inbound",
})
client = Client(SID, TOKEN, http_client=ToSandbox(timeout=20))
validator = RequestValidator(TOKEN)


def fails(call, status, code):
    what = refused(call, TwilioRestException, lambda error: (error.status, error.code))
    expect(what, (status, code), "the error")


def genuine():
    """The fields of the webhooks that came, each of which the SDK believes, and nobody else's key would make."""
    fields = []
    for url, headers, body in hooks.come():
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        signature = headers["x-twilio-signature"]
        expect(validator.validate(url, form, signature), True, "the signature")
        expect(RequestValidator("0" * 32).validate(url, form, signature), False, "another key's")
        fields.append(form)
    return fields


def send(**fields):
    return client.messages.create(to=ANA, **fields)


def sending():
    callback = f"{hooks.url}/status?message=one"
    sent = send(from_=SMS, body="Hello 👋", status_callback=callback)
    expect((sent.status, sent.direction, sent.date_sent), ("queued", "outbound-api", None), "what was sent")
    statuses = [form["MessageStatus"] for form in genuine()]
    expect(statuses, ["sent", "delivered"], "the statuses")
    found = client.messages(sent.sid).fetch()
    expect((found.status, found.body, found.to), ("delivered", "Hello 👋", ANA), "what was fetched")
    expect(type(found.date_sent), datetime.datetime, "date_sent")
    fails(lambda: client.messages(sent.sid).update(status="canceled"), 409, 30409)
    expect(client.messages(sent.sid).update(body="").body, "", "what was redacted")
    expect(client.messages(sent.sid).fetch().body, "", "what was redacted and fetched")
    fails(lambda: client.messages(sent.sid).update(body="another"), 400, 30400)
    expect(client.messages(sent.sid).delete(), True, "the deletion")
    fails(lambda: client.messages(sent.sid).fetch(), 404, 20404)


def listing():
    sids = [send(from_=SMS, body=f"{number}").sid for number in range(5)]
    control("settle", {})
    listed = [message.sid for message in client.messages.list(to=ANA, page_size=2)]
    expect(sorted(listed), sorted(sids), "all pages")
    expect(len(client.messages.list(to=ANA, page_size=2, limit=3)), 3, "three of them")
    first = client.messages.page(to=ANA, page_size=2)
    second = client.messages.get_page(first.next_page_url)
    shown = {message.sid for message in first} | {message.sid for message in second}
    expect(len(shown), 4, "two pages")
    back = client.messages.get_page(second.previous_page_url)
    expect([message.sid for message in back], listed[:2], "the page before")
    expect(client.messages.list(to="+14155550198"), [], "nobody's")
    today = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    # By the day: at whichever hour it was.
    for bounds, number in [
        ({"date_sent": today.replace(hour=0, minute=0)}, 5),
        ({"date_sent": today.date()}, 5),
        ({"date_sent_after": today.replace(hour=23, minute=59)}, 5),
        ({"date_sent_before": today.replace(hour=0, minute=0)}, 5),
        ({"date_sent_after": today - day, "date_sent_before": today + day}, 5),
        ({"date_sent_after": today + day}, 0),
        ({"date_sent_before": today - day}, 0),
    ]:
        expect(len(client.messages.list(to=ANA, **bounds)), number, f"{bounds}")


def scheduling():
    now = datetime.datetime.now(datetime.timezone.utc)
    later = {"send_at": now + datetime.timedelta(hours=1), "schedule_type": "fixed"}
    callback = f"{hooks.url}/status?message=two"
    service = {"messaging_service_sid": SERVICE, "body": "Soon", "status_callback": callback}
    sent = send(**service, **later)
    expect((sent.status, sent.from_, sent.messaging_service_sid), ("scheduled", None, SERVICE), "scheduled")
    fails(lambda: client.messages(sent.sid).delete(), 409, 20009)
    expect(client.messages(sent.sid).update(status="canceled").status, "canceled", "cancelled")
    fails(lambda: client.messages(sent.sid).update(status="canceled"), 409, 30409)
    expect([form["MessageStatus"] for form in genuine()], ["canceled"], "the status of what was cancelled")

    sent = send(**service, **later)
    control("clock", {"advance_ms": 3_500_000})
    expect(client.messages(sent.sid).fetch().status, "scheduled", "a little too early")
    control("clock", {"advance_ms": 200_000})
    expect([form["MessageStatus"] for form in genuine()], ["sent", "delivered"], "its time has come")
    expect(client.messages(sent.sid).fetch().from_, SMS, "the number that the service chose")

    fails(lambda: send(from_=SMS, body="Soon", **later), 400, 35118)
    fails(lambda: send(**service, schedule_type="fixed"), 400, 35111)
    far = now + datetime.timedelta(days=40)
    for at in [now + datetime.timedelta(minutes=62), far]:
        fails(lambda: send(**service, send_at=at, schedule_type="fixed"), 400, 35114)


def media():
    control("inbound", {
        "provider": "twilio", "account": SID, "channel": "sms", "from": ANA, "text": "Look",
        "media": {"mime_type": "image/png", "data": "iVBORw0KGgo="},
    })
    form = genuine()[0]
    found = client.messages(form["MessageSid"]).fetch()
    expect((found.direction, found.num_media, found.status), ("inbound", "1", "received"), "what came")
    listed = client.messages(found.sid).media.list()
    expect([one.content_type for one in listed], ["image/png"], "its files")
    one = client.messages(found.sid).media(listed[0].sid).fetch()
    expect((one.sid, one.parent_sid), (listed[0].sid, found.sid), "its file")
    file = requests.get(form["MediaUrl0"], auth=(SID, TOKEN), timeout=20)
    expect((file.status_code, file.content[:4]), (200, b"\x89PNG"), "the bytes")
    expect(client.messages(found.sid).media(one.sid).delete(), True, "the file's deletion")
    expect(client.messages(found.sid).media.list(), [], "no files")

    links = [f"{hooks.url}/a.png", "https://files.example/b.pdf"]
    sent = send(from_=SMS, media_url=links[1:])
    expect(sent.num_media, "1", "what was sent with a file")
    listed = client.messages(sent.sid).media.list()
    expect([one.content_type for one in listed], ["application/pdf"], "the files that were sent")


def errors():
    fails(lambda: client.messages.create(to="12", from_=SMS, body="x"), 400, 21211)
    fails(lambda: send(from_="+14155559999", body="x"), 400, 21606)
    fails(lambda: send(body="x"), 400, 21603)
    fails(lambda: send(from_=SMS, body="x" * 1601), 400, 21617)
    fails(lambda: send(from_=SMS, body="x", validity_period=0), 400, 21624)
    fails(lambda: client.messages("SM" + "0" * 32).fetch(), 404, 20404)
    control("faults", {"provider": "twilio", "kind": "status", "status": 429})
    fails(lambda: send(from_=SMS, body="x"), 429, 20429)
    stranger = Client(SID, "wrong", http_client=ToSandbox(timeout=20))
    fails(lambda: stranger.messages("SM" + "0" * 32).fetch(), 401, 20003)


def whatsapp():
    """A template goes at any time, words of our own only for a day after a person wrote."""
    callback = f"{hooks.url}/status?message=three"
    addresses = {"to": f"whatsapp:{ANA}", "from_": f"whatsapp:{WHATSAPP}", "status_callback": callback}
    client.messages.create(body="Hello", **addresses)
    failed = genuine()[0]
    expect((failed["MessageStatus"], failed["ErrorCode"]), ("failed", "63016"), "a closed window")
    templates = client.content.v1.contents.list()
    expect(templates[0].friendly_name, "appointment_reminder", "the templates")
    client.messages.create(
        content_sid=templates[0].sid, content_variables='{"1":"Ana","2":"Friday"}', **addresses)
    expect([form["MessageStatus"] for form in genuine()], ["sent", "delivered", "read"], "a template")
    made = client.content.v1.contents.create(ContentList.ContentCreateRequest({
        "friendly_name": "made", "language": "en",
        "types": {"twilio/text": {"body": "Hi {{1}}"}}, "variables": {"1": "Ana"},
    }))
    expect(client.content.v1.contents(made.sid).fetch().friendly_name, "made", "what was made")
    expect(client.content.v1.contents(made.sid).delete(), True, "its deletion")


for judged in [sending, listing, scheduling, media, errors, whatsapp]:
    judged()
