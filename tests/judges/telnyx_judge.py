"""Telnyx's own SDK for Python against the sandbox."""

import datetime
import json

import telnyx

from judge import SANDBOX, Webhooks, control, expect, refused

KEY = "KEY-of-the-judge"
PROFILE = "6a1f0a3e-7c55-4b0a-9d1e-3f2b8c4d5e6f"
# The first test vector of RFC 8032.
SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
NUMBERS, WHATSAPP, ANA = ["+13125550150", "+13125550151"], "+13125550152", "+13125550199"

hooks = Webhooks()
control("accounts", {
    "provider": "telnyx",
    "settings": {"messaging_profile_ids": PROFILE},
    "secrets": {"api_key": KEY, "public_key": PUBLIC},
    "signing_secret": SEED,
    "routes": [{"channel": "sms", "address": number} for number in NUMBERS]
    + [{"channel": "whatsapp", "address": WHATSAPP}],
    "webhook_url": f"{hooks.url}/hooks",
})
options = {"base_url": f"{SANDBOX}/telnyx/v2", "public_key": PUBLIC, "max_retries": 0, "timeout": 20}
client = telnyx.Telnyx(api_key=KEY, **options)


def fails(call, status, code):
    def codes(error):
        return error.status_code, error.body["errors"][0]["code"]

    expect(refused(call, telnyx.APIStatusError, codes), (status, code), "the error")


def genuine():
    """The events that came, each of which the SDK believes, and none of them with another body.

    They are returned as they came, since the SDK has no types for WhatsApp's and none for a message that was cancelled. Of
    all others it must read the same status.
    """
    events = []
    for _, headers, body in hooks.come():
        event = client.webhooks.unwrap(body.decode(), headers=headers)
        forged = body.decode() + " "
        refused(lambda: client.webhooks.unwrap(forged, headers=headers), ValueError, str)
        data = json.loads(body)["data"]
        status = data["payload"]["to"][0]["status"]
        if data["payload"]["type"] in ["SMS", "MMS"] and status != "cancelled":
            expect(event.data.payload.to[0].status, status, "the status that the SDK reads")
        events.append(data)
    return events


def told():
    """The events that came, and the status that each tells."""
    return [(event["event_type"], event["payload"]["to"][0]["status"]) for event in genuine()]


SENT = [("message.sent", "sent"), ("message.finalized", "delivered")]


def sending():
    sent = client.messages.send(from_=NUMBERS[0], to=ANA, text="Hello 👋").data
    expect((sent.to[0].status, sent.encoding, sent.type), ("queued", "UCS-2", "SMS"), "what was sent")
    expect(told(), SENT, "the events")
    found = client.messages.retrieve(sent.id).data
    expect((found.to[0].status, found.direction), ("delivered", "outbound"), "what was fetched")
    expect(type(found.sent_at), datetime.datetime, "sent_at")
    picture = client.messages.send(
        from_=NUMBERS[0], to=ANA, media_urls=["https://files.example/a.png"], webhook_url=f"{hooks.url}/own").data
    expect((picture.type, picture.media[0].url), ("MMS", "https://files.example/a.png"), "a picture")
    expect(told(), SENT, "a picture's events")


def pool():
    profile = client.messaging_profiles.retrieve(PROFILE).data
    expect(profile.number_pool_settings.sticky_sender, True, "the pool's settings")
    members = client.messaging_profiles.list_phone_numbers(PROFILE)
    expect([number.phone_number for number in members], NUMBERS, "the pool")
    people = [f"+1312555{number:04}" for number in range(200, 208)]
    numbers = {}
    for person in people * 2:
        sent = client.messages.send_number_pool(messaging_profile_id=PROFILE, to=person, text="Hi").data
        numbers.setdefault(person, set()).add(sent.from_.phone_number)
    expect({len(used) for used in numbers.values()}, {1}, "one number for one person")
    expect(set.union(*numbers.values()), set(NUMBERS), "all numbers of the pool")
    expect(len(told()), 32, "the events")
    own = client.messages.send_long_code(from_=NUMBERS[1], to=ANA, text="Hi").data
    expect(own.from_.phone_number, NUMBERS[1], "a number of our own choice")
    fails(lambda: client.messages.send_number_pool(messaging_profile_id="nobody's", to=ANA, text="x"), 400, "10015")
    told()


def scheduling():
    now = datetime.datetime.now(datetime.timezone.utc)
    later = (now + datetime.timedelta(hours=1)).isoformat()
    for schedule in [client.messages.schedule, client.messages.send]:
        sent = schedule(from_=NUMBERS[0], to=ANA, text="Soon", send_at=later).data
        expect(sent.to[0].status, "scheduled", "scheduled")
        cancelled = client.messages.cancel_scheduled(sent.id)
        expect((cancelled.id, cancelled.to[0].status), (sent.id, "cancelled"), "cancelled")
        fails(lambda: client.messages.cancel_scheduled(sent.id), 403, "10010")
        expect(told(), [("message.finalized", "cancelled")], "the event of what was cancelled")
        expect(client.messages.retrieve(sent.id).data.to[0].status, "cancelled", "cancelled and fetched")
    sent = client.messages.schedule(messaging_profile_id=PROFILE, to=ANA, text="Soon", send_at=later).data
    control("clock", {"advance_ms": 3_570_000})
    fails(lambda: client.messages.cancel_scheduled(sent.id), 403, "10010")
    control("clock", {"advance_ms": 60_000})
    expect(told(), SENT, "its time has come")
    for at in [later, (now + datetime.timedelta(days=7)).isoformat(), "tomorrow"]:
        fails(lambda: client.messages.schedule(from_=NUMBERS[0], to=ANA, text="x", send_at=at), 400, "10015")
    fails(lambda: client.messages.schedule(from_=NUMBERS[0], to=ANA, text="x"), 422, "10004")
    fails(lambda: client.messages.cancel_scheduled("0f3b1d4e-0000-4000-8000-000000000000"), 404, "10005")


def whatsapp():
    def send(message, to=ANA):
        return client.messages.whatsapp(from_=WHATSAPP, to=to, type="WHATSAPP", whatsapp_message=message).data

    hello = {"type": "text", "text": {"body": "Hello"}}
    send(hello)
    failed = genuine()[0]["payload"]
    expect((failed["to"][0]["status"], failed["errors"][0]["code"]), ("delivery_failed", "41000"), "a closed window")
    template = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}
    sent = send(template)
    expect((sent.type, sent.body.template.name, sent.to[0].status), ("WHATSAPP", "hello_world", "queued"), "a template")
    read = [*SENT, ("message.read", "read")]
    expect(told(), read, "a template's events")
    control("inbound", {"provider": "telnyx", "to": WHATSAPP, "from": ANA, "text": "Hi"})
    heard = genuine()[0]
    expect((heard["event_type"], heard["payload"]["type"]), ("message.received", "WHATSAPP"), "what a person wrote")
    expect(client.messages.retrieve(heard["payload"]["id"]).data.direction, "inbound", "what a person wrote, fetched")
    send(hello)
    expect(told(), read, "an open window")
    send(template, to="US.13491208655302741918")
    expect(told(), read, "a person without a number")
    fails(lambda: send({"type": "text"}), 422, "10004")
    fails(lambda: send({"type": "fax", "fax": {}}), 400, "10015")
    fails(lambda: client.messages.whatsapp(from_=NUMBERS[0], to=ANA, whatsapp_message=hello), 400, "40305")


def errors():
    fails(lambda: client.messages.send(from_=NUMBERS[0], to="12", text="x"), 400, "40310")
    fails(lambda: client.messages.send(from_="+13125559999", to=ANA, text="x"), 400, "40305")
    fails(lambda: client.messages.send(from_=NUMBERS[0], to=ANA), 400, "40316")
    control("faults", {"provider": "telnyx", "kind": "status", "status": 429})
    fails(lambda: client.messages.send(from_=NUMBERS[0], to=ANA, text="x"), 429, "10011")
    stranger = telnyx.Telnyx(api_key="wrong", **options)
    fails(lambda: stranger.balance.retrieve(), 401, "10009")
    expect(client.balance.retrieve().data.currency, "USD", "the balance")


for judged in [sending, pool, scheduling, whatsapp, errors]:
    judged()
