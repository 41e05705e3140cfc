// Twilio's own SDK for JavaScript against the sandbox.

import { SANDBOX, Webhooks, control, expect, fails as refused, judge, load } from './judge.mjs';

const twilio = load('twilio');
const SID = `AC${'5a'.repeat(16)}`;
const TOKEN = '7b'.repeat(16);
const SERVICE = `MG${'9c'.repeat(16)}`;
const [SMS, ANA] = ['+14155550130', '+14155550199'];

/** Every host of Twilio's is the sandbox. */
class ToSandbox extends twilio.RequestClient {
  request(options) {
    const uri = options.uri.replace(/^https:\/\/[a-z]+\.twilio\.com/, `${SANDBOX}/twilio`);
    return super.request({ ...options, uri });
  }
}

const hooks = await Webhooks.open();
await control('accounts', {
  provider: 'twilio',
  settings: { account_sid: SID, messaging_service_sid: SERVICE },
  secrets: { auth_token: TOKEN },
  signing_secret: TOKEN,
  routes: [{ channel: 'sms', address: SMS }],
  webhook_url: `${hooks.url}/inbound`,
});
const client = twilio(SID, TOKEN, { httpClient: new ToSandbox({ timeout: 20_000 }) });
const fails = (call, ...wanted) => refused(call, wanted, (error) => [error.status, error.code]);
const send = (fields) => client.messages.create({ to: ANA, ...fields });

/** The fields of the webhooks that came, each of which the SDK believes, and nobody else's key would make. */
async function genuine() {
  const forms = [];
  for (const { url, headers, body } of await hooks.come()) {
    const form = Object.fromEntries(new URLSearchParams(body));
    const signature = headers['x-twilio-signature'];
    expect(twilio.validateRequest(TOKEN, signature, url, form), true, 'the signature');
    expect(twilio.validateRequest('0'.repeat(32), signature, url, form), false, "another key's");
    forms.push(form);
  }
  return forms;
}
const statuses = async () => (await genuine()).map((form) => form.MessageStatus);

async function sending() {
  const statusCallback = `${hooks.url}/status?message=one`;
  const sent = await send({ from: SMS, body: 'Hello 👋', statusCallback });
  expect([sent.status, sent.dateSent], ['queued', null], 'what was sent');
  expect(await statuses(), ['sent', 'delivered'], 'the statuses');
  const found = await client.messages(sent.sid).fetch();
  expect([found.status, found.body, found.dateSent instanceof Date], ['delivered', 'Hello 👋', true], 'fetched');
  expect((await client.messages(sent.sid).update({ body: '' })).body, '', 'what was redacted');
  await fails(() => client.messages(sent.sid).update({ body: 'another' }), 400, 30400);
  expect(await client.messages(sent.sid).remove(), true, 'the deletion');
  await fails(() => client.messages(sent.sid).fetch(), 404, 20404);
}

async function listing() {
  const sids = [];
  for (let number = 0; number < 5; number += 1) sids.push((await send({ from: SMS, body: `${number}` })).sid);
  await control('settle', {});
  const listed = await client.messages.list({ to: ANA, pageSize: 2 });
  expect(listed.map((message) => message.sid).sort(), sids.sort(), 'all pages');
  const today = new Date();
  const day = 86_400_000;
  const count = async (bounds) => (await client.messages.list({ to: ANA, ...bounds })).length;
  expect(await count({ dateSent: new Date(today.toISOString().slice(0, 10)) }), 5, 'today');
  expect(await count({ dateSentAfter: new Date(today.getTime() + day) }), 0, 'after today');
  expect(await count({ dateSentBefore: new Date(today.getTime() - day) }), 0, 'before today');
}

async function scheduling() {
  const later = { sendAt: new Date(Date.now() + 3_600_000), scheduleType: 'fixed' };
  const soon = { messagingServiceSid: SERVICE, body: 'Soon', statusCallback: `${hooks.url}/status?message=two` };
  const sent = await send({ ...soon, ...later });
  expect([sent.status, sent.from], ['scheduled', null], 'scheduled');
  expect((await client.messages(sent.sid).update({ status: 'canceled' })).status, 'canceled', 'cancelled');
  await fails(() => client.messages(sent.sid).update({ status: 'canceled' }), 409, 30409);
  expect(await statuses(), ['canceled'], 'the status of what was cancelled');
  await send({ ...soon, ...later });
  await control('clock', { advance_ms: 3_700_000 });
  expect(await statuses(), ['sent', 'delivered'], 'its time has come');
  await fails(() => send({ from: SMS, body: 'Soon', ...later }), 400, 35118);
  await fails(() => send({ ...soon, ...later }), 400, 35114);
}

async function media() {
  const file = { mime_type: 'image/png', data: 'iVBORw0KGgo=' };
  await control('inbound', { provider: 'twilio', account: SID, from: ANA, text: 'Look', media: file });
  const [form] = await genuine();
  const files = client.messages(form.MessageSid).media;
  const [one] = await files.list();
  expect([one.contentType, one.parentSid], ['image/png', form.MessageSid], 'its file');
  expect(await files(one.sid).remove(), true, "the file's deletion");
  expect(await files.list(), [], 'no files');
}

async function errors() {
  await fails(() => client.messages.create({ to: '12', from: SMS, body: 'x' }), 400, 21211);
  await fails(() => send({ from: SMS, body: 'x'.repeat(1601) }), 400, 21617);
  await control('faults', { provider: 'twilio', kind: 'status', status: 503 });
  await fails(() => send({ from: SMS, body: 'x' }), 503, 20503);
  const stranger = twilio(SID, 'wrong', { httpClient: new ToSandbox({ timeout: 20_000 }) });
  await fails(() => stranger.messages(`SM${'0'.repeat(32)}`).fetch(), 401, 20003);
}

await judge(sending, listing, scheduling, media, errors);
