"""pywa against the sandbox: the SDK for WhatsApp's Cloud API that is most used in Python."""

import logging

import httpx
from pywa import WhatsApp, errors, filters, types, utils
from pywa.types.templates import BodyText, TemplateLanguage

from judge import SANDBOX, Webhooks, control, expect, refused

PHONE, WABA = "990000000000001", "990000000000002"
TOKEN, SECRET = "the-judges-token", "0123456789abcdef0123456789abcdef"
LINE, ANA, BEA = "+13125550160", "13125550198", "13125550197"


class ToSandbox(httpx.HTTPTransport):
    """The Graph API is the sandbox."""

    def handle_request(self, request):
        if request.url.host == "graph.facebook.com":
            path = request.url.raw_path.decode()
            request.url = httpx.URL(f"{SANDBOX}/meta{path}")
            request.headers["host"] = request.url.netloc.decode()
        return super().handle_request(request)


hooks = Webhooks()
control("accounts", {
    "provider": "meta",
    "settings": {"waba_id": WABA},
    "secrets": {"access_token": TOKEN, "app_secret": SECRET},
    "signing_secret": SECRET,
    "routes": [{"channel": "whatsapp", "address": LINE, "handle": PHONE}],
    "webhook_url": f"{hooks.url}/hooks",
})
wa = WhatsApp(
    phone_id=PHONE, token=TOKEN, waba_id=WABA, app_secret=SECRET, server=None, verify_token="x",
    session=httpx.Client(transport=ToSandbox(), timeout=20),
)
# The SDK warns of each forged body.
logging.getLogger("pywa").setLevel(logging.ERROR)
heard, told = [], []


@wa.on_message(filters.true)
def on_message(_, message):
    heard.append(message)


@wa.on_message_status(filters.true)
def on_status(_, status):
    told.append(status)


@wa.on_callback_button(filters.true)
def on_button(_, press):
    heard.append(press)


def fails(call, error):
    return refused(call, error, lambda error: (error.code, error.details))


def come():
    """Hands the webhooks that came to the SDK, which must believe each, and none of them with another body."""
    heard.clear()
    told.clear()
    for _, headers, body in hooks.come():
        signature = headers[utils.HUB_SIG.lower()]
        expect(wa.webhook_update_validator(body, signature), None, "the signature")
        forged = wa.webhook_update_validator(body + b" ", signature)
        expect(forged and forged[1], 403, "a forged body")
        expect(wa.webhook_update_handler(body)[1], 200, "the SDK's answer")


def person(**fields):
    control("inbound", {"provider": "meta", "to": LINE, "from": f"+{ANA}", "name": "Ana", "user_id": "US.ANA1", **fields})
    come()
    return heard[0]


def sending():
    fails(lambda: wa.send_message(to=ANA, text="Hello"), errors.ReEngagementMessage)
    message = person(text="Hi 👋")
    expect((message.text, message.from_user.wa_id, message.from_user.name), ("Hi 👋", ANA, "Ana"), "what came")
    sent = wa.send_message(to=ANA, text="Hello", tracker="our-id", reply_to_message_id=message.id)
    come()
    expect([status.status.value for status in told], ["sent", "delivered", "read"], "the statuses")
    expect({(status.id, status.tracker) for status in told}, {(sent.id, "our-id")}, "what they are about")
    wa.send_message(to=ANA, text="Which?", buttons=[types.Button(title="Yes", callback_data="yes")])
    come()
    press = person(button=["yes", "Yes"])
    expect((press.data, press.title), ("yes", "Yes"), "the button")
    wa.send_reaction(to=ANA, emoji="👍", message_id=message.id)
    wa.send_location(to=ANA, latitude=38.7, longitude=-9.1, name="Clinic", address="Rua 1")
    wa.mark_message_as_read(message_id=message.id)
    come()
    place = person(location=[38.7, -9.1], location_name="Clinic").location
    expect((place.latitude, place.name), (38.7, "Clinic"), "the place")


def media():
    uploaded = wa.upload_media(media=b"\x89PNG\r\n\x1a\n", mime_type="image/png", filename="a.png")
    url = wa.get_media_url(uploaded.id)
    expect(url.mime_type, "image/png", "what was uploaded")
    expect(wa.get_media_bytes(url.url)[:4], b"\x89PNG", "the bytes")
    wa.send_image(to=ANA, image=uploaded.id, caption="Look", mime_type="image/png")
    expect(bool(wa.delete_media(uploaded.id)), True, "the deletion")
    refused(lambda: wa.get_media_url(uploaded.id), errors.WhatsAppError, str)
    picture = person(media={"mime_type": "image/png", "data": "iVBORw0KGgo="}).image
    expect(picture.get_bytes()[:4], b"\x89PNG", "the bytes that came")
    come()


def templates():
    names = {template.name for template in wa.get_templates()}
    expect("appointment_reminder" in names, True, f"a template among {names}")
    wa.send_template(to=BEA, name="hello_world", language=TemplateLanguage.ENGLISH_US, params=[])
    come()
    expect(told[-1].status.value, "read", "a template to whom nothing else may be sent")
    words = BodyText.params("Ana")
    few = lambda: wa.send_template(  # noqa: E731
        to=BEA, name="appointment_reminder", language=TemplateLanguage.PORTUGUESE_BR, params=[words])
    fails(few, errors.TemplateParamCountMismatch)
    none = lambda: wa.send_template(  # noqa: E731
        to=BEA, name="no_such_template", language=TemplateLanguage.ENGLISH_US, params=[])
    fails(none, errors.TemplateNotExists)


def faults():
    control("faults", {"provider": "meta", "kind": "status", "status": 400, "code": 131026})
    fails(lambda: wa.send_message(to=ANA, text="x"), errors.MessageUndeliverable)
    control("faults", {"provider": "meta", "kind": "fail_status", "code": 131049})
    wa.send_message(to=ANA, text="x")
    come()
    expect((told[-1].status.value, told[-1].error.code), ("failed", 131049), "a message that failed")


for judged in [sending, media, templates, faults]:
    judged()
