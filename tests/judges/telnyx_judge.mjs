// Telnyx's own SDK for JavaScript against the sandbox.

import { SANDBOX, Webhooks, control, expect, fails as refused, judge, load } from './judge.mjs';

const { Telnyx } = load('telnyx');
const KEY = 'KEY-of-the-judge';
const PROFILE = '6a1f0a3e-7c55-4b0a-9d1e-3f2b8c4d5e6f';
// The first test vector of RFC 8032.
const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
const PUBLIC = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';
const [NUMBER, WHATSAPP, ANA] = ['+13125550150', '+13125550152', '+13125550199'];

const hooks = await Webhooks.open();
await control('accounts', {
  provider: 'telnyx',
  settings: { messaging_profile_ids: PROFILE },
  secrets: { api_key: KEY, public_key: PUBLIC },
  signing_secret: SEED,
  routes: [
    { channel: 'sms', address: NUMBER },
    { channel: 'whatsapp', address: WHATSAPP },
  ],
  webhook_url: `${hooks.url}/hooks`,
});
const options = { baseURL: `${SANDBOX}/telnyx/v2`, publicKey: PUBLIC, maxRetries: 0, timeout: 20_000 };
const client = new Telnyx({ apiKey: KEY, ...options });
const code = (error) => [error.status, error.error.errors[0].code];
const fails = (call, ...wanted) => refused(call, wanted, code);

/** The events that came, each of which the SDK believes, and none of them with another body. */
async function told() {
  const events = [];
  for (const { headers, body } of await hooks.come()) {
    const { data } = await client.webhooks.unwrap(body, { headers });
    const forged = () => client.webhooks.unwrap(`${body} `, { headers });
    await refused(forged, 'TelnyxWebhookVerificationError', (error) => error.name);
    events.push([data.event_type, data.payload.to[0].status]);
  }
  return events;
}
const SENT = [['message.sent', 'sent'], ['message.finalized', 'delivered']];

async function sending() {
  const { data: sent } = await client.messages.send({ from: NUMBER, to: ANA, text: 'Hello 👋' });
  expect([sent.to[0].status, sent.encoding], ['queued', 'UCS-2'], 'what was sent');
  expect(await told(), SENT, 'the events');
  const { data: found } = await client.messages.retrieve(sent.id);
  expect(found.to[0].status, 'delivered', 'what was fetched');
  const pool = { messaging_profile_id: PROFILE, to: ANA, text: 'Hi' };
  expect((await client.messages.sendNumberPool(pool)).data.from.phone_number, NUMBER, 'a number of the pool');
  expect(await told(), SENT, "the pool's events");
}

async function scheduling() {
  const send_at = new Date(Date.now() + 3_600_000).toISOString();
  const soon = { from: NUMBER, to: ANA, text: 'Soon', send_at };
  const { data: sent } = await client.messages.schedule(soon);
  expect(sent.to[0].status, 'scheduled', 'scheduled');
  expect((await client.messages.cancelScheduled(sent.id)).to[0].status, 'cancelled', 'cancelled');
  await fails(() => client.messages.cancelScheduled(sent.id), 403, '10010');
  expect(await told(), [['message.finalized', 'cancelled']], 'the event of what was cancelled');
  await client.messages.send(soon);
  await control('clock', { advance_ms: 3_700_000 });
  expect(await told(), SENT, 'its time has come');
  await fails(() => client.messages.schedule(soon), 400, '10015');
}

async function whatsapp() {
  const send = (whatsapp_message) => client.messages.whatsapp({ from: WHATSAPP, to: ANA, whatsapp_message });
  const hello = { type: 'text', text: { body: 'Hello' } };
  await send(hello);
  expect(await told(), [['message.finalized', 'delivery_failed']], 'a closed window');
  await control('inbound', { provider: 'telnyx', to: WHATSAPP, from: ANA, text: 'Hi' });
  expect(await told(), [['message.received', 'webhook_delivered']], 'what a person wrote');
  expect((await send(hello)).data.body.text.body, 'Hello', 'what was sent');
  expect(await told(), [...SENT, ['message.read', 'read']], 'an open window');
  await fails(() => send({ type: 'text' }), 422, '10004');
}

async function errors() {
  await fails(() => client.messages.send({ from: NUMBER, to: '12', text: 'x' }), 400, '40310');
  await fails(() => client.messages.send({ from: NUMBER, to: ANA }), 400, '40316');
  await control('faults', { provider: 'telnyx', kind: 'status', status: 429 });
  await fails(() => client.messages.send({ from: NUMBER, to: ANA, text: 'x' }), 429, '10011');
  const stranger = new Telnyx({ apiKey: 'wrong', ...options });
  await fails(() => stranger.balance.retrieve(), 401, '10009');
}

await judge(sending, scheduling, whatsapp, errors);
