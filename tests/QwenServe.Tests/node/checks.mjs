// What the suites share: where the servers are (from the environment, see ClientTests.cs) and the running of named checks.
import assert from 'node:assert/strict';
import readline from 'node:readline';

/** Base URLs: the embedded model; the script, which wants the key "key"; a server whose queue is full; one that is still loading. */
export const servers = { embedded: process.env.EMBEDDED, scripted: process.env.SCRIPTED, full: process.env.FULL, loading: process.env.LOADING };
export const models = { embedded: 'qwenserve-demo', scripted: 'org/name' };
export const greeting = 'Hello there, 你好 😀.';
export const person = { name: 'Ada', age: 36, email: 'ada@example.org', skills: ['mathematics', 'poetry'] };
export const average = 'The average is 23 degrees.';

export const weatherParameters = { type: 'object', properties: { city: { type: 'string', description: 'Name of the city' } }, required: ['city'], additionalProperties: false };
export const averageParameters = { type: 'object', properties: { values: { type: 'array', items: { type: 'number' } } }, required: ['values'], additionalProperties: false };
export const degrees = { Paris: 21, Rome: 25 };
export const mean = values => values.reduce((a, b) => a + b, 0) / values.length;

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Tells the test something and waits until it has answered. */
export async function tell(what) {
  console.log(what);
  await lines.next();
}

/** fetch, which tells the test each refusal, so that it makes room before the client tries again. */
export async function tellingFetch(url, init) {
  const response = await fetch(url, init);
  if (response.status === 429 || response.status === 503) {
    assert.ok(Number(response.headers.get('retry-after')) >= 1, 'a refusal says when to come back');
    await tell(`refused ${response.status}`);
  }
  return response;
}

export async function run(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.error(`${name}: well`);
    } catch (e) {
      failed++;
      console.error(`${name}: ${e?.stack ?? e}`);
      for (let cause = e?.cause; cause; cause = cause.cause) console.error(`  because of ${cause?.stack ?? cause}`);
    }
  }
  // Keep-alive connections and the line reader would keep the process.
  process.exit(failed ? 1 : 0);
}
