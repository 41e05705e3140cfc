// What the judges in JavaScript share: the sandbox's control API, a place for webhooks, and checks that say what is wrong.
//
// A judge is run as `node NAME.mjs SANDBOX`, where SANDBOX is the sandbox's address and JUDGES_MODULES names the folder in
// which the SDKs are installed. It fails with what it expected.

import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';

export const SANDBOX = process.argv[2];

/** Loads an SDK from where it is installed. */
export const load = createRequire(`${process.env.JUDGES_MODULES}/package.json`);

/** Asks the control API: a GET, or a POST where there is a body. */
export async function control(path, body) {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await fetch(`${SANDBOX}/control/${path}`, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

export const expect = (actual, wanted, what) => assert.deepEqual(actual, wanted, what);

/** Fails unless `call` fails; `code` says what of the error is compared with `wanted`. */
export async function fails(call, wanted, code) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    assert.deepEqual(code(error), wanted, `the error: ${error}`);
    return;
  }
  assert.fail(`not refused: ${JSON.stringify(answer)}`);
}

/** A server that keeps every webhook: its URL, its headers and its body. */
export class Webhooks {
  static async open() {
    const hooks = new Webhooks();
    hooks.kept = [];
    hooks.server = http.createServer(async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      const body = Buffer.concat(parts).toString();
      hooks.kept.push({ url: `http://${request.headers.host}${request.url}`, headers: request.headers, body });
      response.end();
    });
    await new Promise((ready) => hooks.server.listen(0, '127.0.0.1', ready));
    // The judge ends when it is done.
    hooks.server.unref();
    hooks.url = `http://127.0.0.1:${hooks.server.address().port}`;
    return hooks;
  }

  /** Those that came since the last time, once all have come. */
  async come() {
    await control('settle', {});
    return this.kept.splice(0);
  }
}

/** Runs the parts of a judge one after the other. */
export async function judge(...parts) {
  for (const part of parts) await part();
  process.exit(0);
}
