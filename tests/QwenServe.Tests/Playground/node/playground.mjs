// Drives the playground in Chromium. Each line of input is {"suite": NAME, "url": ADDRESS}; the answer to it is "passed", or "failed" and why as JSON.
// What a suite says before that is for the test that runs it.
import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const say = line => process.stdout.write(line + '\n');
const sse = (...chunks) => chunks.map(c => `data: ${typeof c === 'string' ? c : JSON.stringify(c)}\n\n`).join('');
const chunk = (delta, more = {}) => ({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: null, logprobs: null, ...more }] });

/** The page with what a test does on it; whatever it is refused, throws or asks another host for is a failure. */
class Playground {
  problems = [];
  requests = [];

  static async open(url, { ready = true, ...options } = {}) {
    const self = new Playground();
    self.url = url;
    self.context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    self.context.setDefaultTimeout(60_000);
    self.page = await self.context.newPage();
    self.page.on('pageerror', e => self.problems.push(e.stack));
    // A refused call is logged by the browser itself; the page shows it.
    self.page.on('console', m => { if (['error', 'warning'].includes(m.type()) && !m.text().startsWith('Failed to load resource')) self.problems.push(m.text()); });
    self.page.on('request', r => {
      if (!r.url().startsWith(url) && !r.url().startsWith('blob:')) self.problems.push('asked for ' + r.url());
      if (r.url().endsWith('/v1/chat/completions')) self.requests.push(r.postDataJSON());
    });
    await self.page.goto(url);
    if (ready) await self.page.waitForSelector('[data-state="ready"]');
    return self;
  }

  $(selector, options) { return this.page.locator(selector, options); }

  /** Waits until the condition holds in the page. */
  until(condition, argument) { return this.page.waitForFunction(condition, argument); }

  async settled(turns) {
    await this.until(n => document.querySelectorAll('.turn').length === n && !document.querySelector('.turn.streaming'), turns);
  }

  async ask(text, turns = 2) {
    await this.$('#prompt').fill(text);
    await this.page.keyboard.press('Control+Enter');
    await this.settled(turns);
  }

  text(selector) { return this.$(selector).innerText(); }

  async open(section) {
    if (await this.$('#panel').isHidden()) await this.$('#settings').click();
    if (!(await this.$(section).evaluate(e => e.open))) await this.$(`${section} > summary`).click();
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, []);
  }
}

/** How the browser of a suite differs. */
const browsers = {
  phone: { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true },
  key: { ready: false },
  loading: { ready: false },
};

const suites = {
  async turns(p) {
    assert.equal(await p.page.evaluate(() => document.activeElement.id), 'prompt');
    await p.ask('one');
    const first = await p.text('.model .answer');
    assert.match(first, /^Answer number \d+\.$/);
    await p.$('.model .after button', { hasText: 'Regenerate' }).first().click();
    await p.until(old => { const a = document.querySelector('.turn.model:not(.streaming) .answer'); return a && a.innerText !== old && a.innerText !== ''; }, first);
    await p.ask('two', 4);
    assert.equal(p.requests.at(-1).messages.length, 3);

    // An edited message takes what followed with it; Escape leaves it as it was.
    await p.$('.user .after button').first().click();
    await p.$('.editing textarea').fill('never');
    await p.page.keyboard.press('Escape');
    assert.equal(await p.text('.user >> nth=0 >> .said'), 'one');
    await p.$('.user .after button').first().click();
    await p.$('.editing textarea').fill('three');
    await p.page.keyboard.press('Control+Enter');
    await p.settled(2);
    assert.deepEqual(p.requests.at(-1).messages, [{ role: 'user', content: 'three' }]);

    await p.$('#new').click();
    await p.settled(0);
    assert.ok(await p.$('#start').isVisible());
    assert.equal(await p.page.evaluate(() => document.activeElement.id), 'prompt');
    // Shift and Enter break a line, Enter alone sends.
    await p.$('#prompt').fill('a');
    await p.page.keyboard.press('Shift+Enter');
    await p.page.keyboard.type('b');
    await p.page.keyboard.press('Enter');
    await p.settled(2);
    assert.equal(p.requests.at(-1).messages[0].content, 'a\nb');
    assert.match(await p.text('.model .figures'), /tok\/s[\s\S]*First token[\s\S]*ms[\s\S]*Answer[\s\S]*tokens[\s\S]*Prompt[\s\S]*Cached/);
  },

  async settings(p) {
    assert.deepEqual(await p.$('#model option').allInnerTexts(), ['org/name', 'short']);
    await p.ask('plain');
    assert.deepEqual(Object.keys(p.requests[0]).sort(), ['messages', 'model', 'stream', 'stream_options']);
    await p.$('#model').selectOption('short');
    await p.$('#system').fill('Be brief.');
    const numbers = { temperature: 0.3, top_p: 0.9, top_k: 20, min_p: 0.05, repetition_penalty: 1.1, max_tokens: 40, seed: 7 };
    for (const [name, value] of Object.entries(numbers)) await p.$(`#sampling-${name}`).fill(String(value));
    await p.$('#stop-strings').fill('END\n\\n\\n');
    await p.ask('all', 4);
    const { model, messages, stop, ...rest } = p.requests.at(-1);
    assert.equal(model, 'short');
    assert.deepEqual(messages[0], { role: 'system', content: 'Be brief.' });
    assert.deepEqual(stop, ['END', '\n\n']);
    for (const [name, value] of Object.entries(numbers)) assert.equal(rest[name], value, name);
    // What is out of range is marked and not sent.
    await p.$('#sampling-temperature').fill('3');
    assert.equal(await p.$('#sampling-temperature').getAttribute('aria-invalid'), 'true');
    await p.ask('again', 6);
    assert.ok(!('temperature' in p.requests.at(-1)));
    await p.$('#sampling-reset').click();
    await p.ask('reset', 8);
    assert.ok(!('seed' in p.requests.at(-1)));
    // All of it is there after a reload.
    await p.$('#sampling-top_p').fill('0.5');
    await p.page.reload();
    await p.page.waitForSelector('[data-state="ready"]');
    assert.equal(await p.$('#sampling-top_p').inputValue(), '0.5');
    assert.equal(await p.$('#system').inputValue(), 'Be brief.');
    assert.equal(await p.$('#model').inputValue(), 'short');
  },

  async tools(p) {
    await p.open('#tools-section');
    await p.$('#tools').fill('[{"type": "function",]');
    assert.match(await p.text('#tools-verdict'), /line 1, column \d+/);
    await p.$('#tools').fill('{"name": "no good"}');
    assert.match(await p.text('#tools-verdict'), /needs a name/);
    // Functions that cannot be sent are not passed over in silence.
    await p.$('#tools-on').check();
    await p.$('#prompt').fill('weather');
    await p.page.keyboard.press('Enter');
    assert.match(await p.text('#announcer'), /cannot be sent/);
    assert.equal(p.requests.length, 0);
    await p.$('#tools').fill('{"name": "get_weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}}, "required": ["city"]}}');
    assert.match(await p.text('#tools-verdict'), /get_weather/);
    assert.deepEqual(await p.$('#tool-choice option').allInnerTexts(), ['The model chooses', 'None', 'At least one', 'Only get_weather']);
    await p.$('.user .after button').first().click();
    await p.page.keyboard.press('Control+Enter');
    await p.settled(2);
    assert.deepEqual(p.requests[0].tools.map(t => [t.type, t.function.name]), [['function', 'get_weather']]);
    assert.ok(!('tool_choice' in p.requests[0]));

    const cards = p.$('.call');
    assert.equal(await cards.count(), 2);
    assert.equal(await cards.nth(0).locator('.given').innerText(), '{"city": "Paris"}');
    assert.match(await cards.nth(0).locator('.fits').innerText(), /fits its parameters/);
    assert.match(await cards.nth(1).locator('.fits').innerText(), /city is none of "Paris", "Oslo"/);
    const send = p.$('.proceed .main');
    assert.ok(await send.isDisabled());
    await cards.nth(0).locator('textarea').fill('{"degrees": 21}');
    assert.ok(await send.isDisabled());
    await p.$('.proceed .plain').click();
    assert.equal(await cards.nth(0).locator('textarea').inputValue(), '{"degrees": 21}');
    assert.match(await cards.nth(1).locator('textarea').inputValue(), /temperature/);
    await cards.nth(1).locator('textarea').fill('24 degrees');
    await p.page.keyboard.press('Control+Enter');
    await p.settled(3);
    assert.equal(await p.text('.turn:last-child .answer'), 'It is 21 degrees in Paris and 24 in Rome.');
    const sent = p.requests[1].messages;
    assert.deepEqual(sent.map(m => m.role), ['user', 'assistant', 'tool', 'tool']);
    assert.deepEqual(sent.slice(2).map(m => m.content), ['{"degrees": 21}', '24 degrees']);
    assert.deepEqual(sent.slice(2).map(m => m.tool_call_id), sent[1].tool_calls.map(c => c.id));
    assert.equal(await cards.nth(1).locator('.result').innerText().then(t => t.includes('24 degrees')), true);

    // Other results, another answer.
    await p.$('.proceed .quiet').click();
    await p.settled(2);
    await cards.nth(0).locator('textarea').fill('0');
    await send.click();
    await p.settled(3);
    assert.equal(p.requests[2].messages[2].content, '0');
    await p.$('#tool-choice').selectOption('get_weather');
    await p.$('#parallel').uncheck();
    await p.ask('weather once more', 5);
    assert.deepEqual(p.requests[3].tool_choice, { type: 'function', function: { name: 'get_weather' } });
    assert.equal(p.requests[3].parallel_tool_calls, false);
    // A call without a result that is passed over gets one that says so, and so the history stays whole.
    await p.$('#tools-on').uncheck();
    const calls = await p.$('.turn:last-child .call').count();
    assert.ok(calls > 0);
    await p.ask('never mind', 7);
    assert.equal(p.requests[4].messages.filter(m => m.content === '{"error": "not run"}').length, calls);
  },

  async schema(p) {
    await p.open('#format-section');
    await p.$('#format label').last().click();
    await p.$('#schema').fill('[]');
    assert.match(await p.text('#schema-verdict'), /A schema is an object/);
    const schema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'] };
    await p.$('#schema').fill(JSON.stringify(schema));
    await p.ask('a person');
    assert.deepEqual(p.requests[0].response_format, { type: 'json_schema', json_schema: { name: 'answer', schema } });
    assert.equal(await p.text('.answer pre'), '{\n  "name": "Ada",\n  "age": 36\n}');
    assert.match(await p.text('.model > .verdict.good'), /Valid against the schema/);

    // The page's own check does not take the server's word for it.
    await p.page.route('**/v1/chat/completions', r => r.fulfill({ contentType: 'text/event-stream', body: sse(chunk({ content: '{"name": 1, "more": true}' }), chunk({}, { finish_reason: 'stop' }), '[DONE]') }));
    await p.ask('a person again', 4);
    assert.match(await p.text('.turn:last-child > .verdict.bad'), /Not valid against the schema[\s\S]*name is a number, not string/);
    await p.page.route('**/v1/chat/completions', r => r.fulfill({ contentType: 'text/event-stream', body: sse(chunk({ content: '{"name": ' }), chunk({}, { finish_reason: 'length' }), '[DONE]') }));
    await p.ask('a third', 6);
    assert.match(await p.text('.turn:last-child > .verdict.bad'), /was cut/);

    const verdicts = await p.page.evaluate(async () => {
      const { check } = await import('/playground/schema.js');
      const tree = { $ref: '#/$defs/node', $defs: { node: { type: 'object', properties: { value: { type: 'number', minimum: 0 }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } }, required: ['value'], additionalProperties: false } } };
      return [
        [tree, { value: 1, next: { value: 2, next: null } }], [tree, { value: 1, next: { value: -2 } }], [tree, { value: 1, other: 2 }],
        [{ type: 'string', pattern: '^a+$', maxLength: 3 }, 'aaa'], [{ type: 'string', pattern: '^a+$', maxLength: 3 }, 'aaaa'], [{ pattern: '^a+$' }, 'b'],
        [{ type: ['integer', 'null'] }, null], [{ type: 'integer' }, 1.5], [{ const: { a: [1] } }, { a: [1] }], [{ enum: [1, '1'] }, true],
        [{ items: { type: 'string' }, minItems: 1, uniqueItems: true }, ['a', 'b']], [{ items: { type: 'string' } }, ['a', 2]], [{ uniqueItems: true }, [{ a: 1 }, { a: 1 }]],
        [{ oneOf: [{ type: 'number' }, { minimum: 3 }] }, 5], [{ oneOf: [{ type: 'number' }, { type: 'string' }] }, 5], [{ not: { type: 'null' } }, null], [false, 1], [true, 1],
      ].map(([s, v]) => check(s, v).length === 0);
    });
    assert.deepEqual(verdicts, [true, false, false, true, false, false, true, false, true, false, true, false, false, false, true, false, false, true]);
  },

  async probabilities(p) {
    await p.open('#logprobs-section');
    await p.$('#logprobs').check();
    await p.$('#top-logprobs').fill('3');
    await p.ask('probabilities');
    assert.equal(p.requests[0].top_logprobs, 3);
    const tokens = p.$('.tokens .token');
    assert.ok(await tokens.count() > 3);
    assert.equal((await p.$('.tokens').innerText()).trim().replace('<|im_end|>', ''), 'Seven is a prime number.');
    // Each was drawn with a log-probability of -0.5, which is 61%.
    assert.match(await tokens.first().getAttribute('class'), /l1/);
    assert.equal(await p.$('.tokens .token[tabindex="0"]').count(), 1);
    await tokens.first().hover();
    assert.ok(await p.$('#odds').isVisible());
    await p.page.mouse.move(5, 5);
    await p.$('#odds').waitFor({ state: 'hidden' });
    await tokens.first().focus();
    assert.match(await p.text('#odds'), /61%[\s\S]*log-probability −0\.500/);
    assert.equal(await p.$('#odds li').count(), 3);
    assert.equal(await tokens.first().getAttribute('aria-describedby'), 'odds');
    await p.page.keyboard.press('ArrowRight');
    assert.ok(await tokens.nth(1).evaluate(t => t === document.activeElement));
    assert.equal(await p.$('.tokens .token[tabindex="0"]').count(), 1);
    await p.page.keyboard.press('End');
    assert.ok(await tokens.last().evaluate(t => t === document.activeElement));
    await p.page.keyboard.press('Escape');
    assert.ok(await p.$('#odds').isHidden());
    await p.$('.looks button', { hasText: 'Text' }).first().click();
    assert.ok(await p.$('.tokens').isHidden());
    assert.equal(await p.text('.answer'), 'Seven is a prime number.');
  },

  async hostile(p) {
    await p.ask('be hostile');
    const said = await p.text('.answer');
    for (const part of ['<script>window.pwned = 1</script>', '<img src=x onerror="window.pwned = 1">', '[a link](javascript:window.pwned=1)', '<a href="javascript:window.pwned=1">raw</a>'])
      assert.ok(said.includes(part), part);
    const found = await p.$('.turns').evaluate(t => ({
      elements: t.querySelectorAll('script, img, iframe, object, embed, style, link, meta, form[action]').length,
      handlers: [...t.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style')).length,
      links: [...t.querySelectorAll('a')].map(a => [new URL(a.href).protocol, a.rel, a.target]),
      pwned: window.pwned ?? null,
    }));
    assert.deepEqual(found, { elements: 0, handlers: 0, links: [['https:', 'noopener noreferrer nofollow', '_blank']], pwned: null });

    // The same in every place that shows what a model wrote: reasoning, names and arguments of calls, tokens, errors.
    const evil = '<img src=x onerror="window.pwned=1">';
    await p.page.route('**/v1/chat/completions', r => r.fulfill({
      contentType: 'text/event-stream',
      body: sse(
        chunk({ role: 'assistant', reasoning_content: evil }),
        chunk({ content: '```html\n' + evil + '\n```\n| ' + evil + ' |\n|--|\n| ' + evil + ' |\n' }, { logprobs: { content: [{ token: evil, logprob: -0.1, bytes: null, top_logprobs: [{ token: evil, logprob: -0.1, bytes: null }] }] } }),
        chunk({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: evil, arguments: JSON.stringify({ [evil]: evil }) } }] }),
        { error: { message: evil, code: evil } }),
    }));
    await p.ask('everywhere', 4);
    await p.page.evaluate(() => document.querySelectorAll('details').forEach(d => { d.open = true; }));
    assert.equal(await p.$('.turns img').count(), 0);
    assert.ok((await p.text('.turn:last-child')).split(evil).length > 6);
    await p.page.reload();
    await p.page.waitForSelector('[data-state="ready"]');
    assert.equal(await p.$('.turns img').count(), 0);
    assert.equal(await p.page.evaluate(() => window.pwned ?? null), null);

    // And the page's policy would stop what got through. Its refusals are not the page's fault.
    await p.page.evaluate(() => new Promise(done => {
      document.addEventListener('securitypolicyviolation', () => done());
      try { document.querySelector('.turns').innerHTML = '<b>x</b>'; } catch { done(); }
    }));
    assert.equal(await p.$('.turns b').count(), 0);
    p.problems = p.problems.filter(text => !/TrustedHTML/.test(text));
  },

  async markdown(p) {
    await p.ask('markdown');
    const shape = await p.$('.answer').evaluate(a => ({
      blocks: [...a.children].map(c => c.tagName),
      title: a.querySelector('h3').innerText,
      bold: a.querySelector('strong').innerText, soft: a.querySelector('em').innerText, code: a.querySelector('p code').innerText,
      link: a.querySelector('a').getAttribute('href'),
      inner: a.querySelector('ul > li > ol > li').innerText,
      items: a.querySelectorAll(':scope > ul > li').length,
      head: [...a.querySelectorAll('th')].map(c => c.innerText), cells: [...a.querySelectorAll('td')].map(c => [c.innerText, getComputedStyle(c).textAlign]),
      language: a.querySelector('figcaption span').innerText, pre: a.querySelector('pre').innerText,
      snake: a.querySelector('p').innerText.includes('snake_case_names'),
    }));
    assert.deepEqual(shape, {
      blocks: ['H3', 'P', 'UL', 'BLOCKQUOTE', 'DIV', 'FIGURE'], title: 'Title', bold: 'bold', soft: 'soft', code: 'inline <b>', link: 'https://example.org/page', inner: 'inner', items: 2,
      head: ['name', 'n'], cells: [['a', 'left'], ['1', 'right']], language: 'python', pre: 'print("<i>hi</i>")', snake: true,
    });
    await p.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await p.$('.code button').click();
    await p.$('.code button', { hasText: 'Copied' }).first().waitFor();
    assert.equal(await p.page.evaluate(() => navigator.clipboard.readText()), 'print("<i>hi</i>")');

    // Nothing a model repeats takes long, and each prefix of a text can be drawn.
    const slow = await p.page.evaluate(async () => {
      const { draw } = await import('/playground/markdown.js');
      const took = [];
      for (const unit of ['*', '_', '`', '[', '[a](', '> ', '- ', '|', '#', '\\', '**a ', '~~', '![', 'https://', '1. ', '  - a\n    ', '|a|\n|-|\n']) {
        const started = performance.now();
        draw(document.createElement('div'), unit.repeat(3000));
        took.push([unit, performance.now() - started]);
      }
      const text = '# T\n\n- a **b** `c`\n  1. d\n\n| a | b |\n|--|--|\n| `c|d` | e |\n\n```js\nx\n```\n[l](https://a.b/c) <x>';
      const parent = document.createElement('div');
      for (let i = 0; i <= text.length; i++) draw(parent, text.slice(0, i));
      const whole = document.createElement('div');
      draw(whole, text);
      if (parent.innerHTML !== whole.innerHTML) took.push(['streamed', Infinity]);
      return took.filter(([, ms]) => ms > 5000);
    });
    assert.deepEqual(slow, []);
  },

  async events(p) {
    const read = await p.page.evaluate(async () => {
      const { events } = await import('/playground/sse.js');
      const text = '\uFEFFdata: {"a": "é😀"}\r\n\r\n: a comment\ndata:two\ndata: lines\n\nevent: x\nid: 1\ndata: [DONE]\r\rdata\n\ndata: never ended';
      const bytes = new TextEncoder().encode(text);
      const all = new Set();
      const cuts = [];
      for (let a = 0; a <= bytes.length; a++) cuts.push([a]);
      cuts.push([...bytes.keys()]);
      for (const cut of cuts) {
        const body = new ReadableStream({
          start(c) {
            let from = 0;
            for (const to of [...cut, bytes.length]) { if (to > from) c.enqueue(bytes.slice(from, to)); from = to; }
            c.close();
          },
        });
        const found = [];
        for await (const data of events(body)) found.push(data);
        all.add(JSON.stringify(found));
      }
      return [...all];
    });
    assert.deepEqual(read, [JSON.stringify(['{"a": "é😀"}', 'two\nlines', '[DONE]', ''])]);
  },

  async reasoning(p) {
    let body = sse(chunk({ role: 'assistant', reasoning_content: 'Let me *see*.' }), chunk({ reasoning_content: ' Yes.' }));
    await p.page.route('**/v1/chat/completions', r => r.fulfill({ contentType: 'text/event-stream', body }));
    await p.$('#prompt').fill('think');
    await p.page.keyboard.press('Enter');
    await p.settled(2);
    // It broke off, and what came is kept.
    assert.match(await p.text('.failure'), /ended before the answer was complete/);
    body += sse(chunk({ content: 'Forty-two.' }), chunk({}, { finish_reason: 'stop' }), '[DONE]');
    await p.$('.failure button').click();
    await p.until(() => document.querySelector('.turn.model:last-child .answer')?.innerText === 'Forty-two.');
    assert.ok(await p.$('.thinking .prose').isHidden());
    await p.$('.thinking summary').click();
    assert.equal(await p.text('.thinking .prose'), 'Let me see. Yes.');
    // It is not sent back.
    await p.ask('more', 4);
    assert.deepEqual(p.requests.at(-1).messages[1], { role: 'assistant', content: 'Forty-two.' });
  },

  async kept(p) {
    await p.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await p.$('#system').fill("It's a test.");
    await p.ask('remember');
    const answer = await p.text('.answer');
    await p.page.reload();
    await p.page.waitForSelector('[data-state="ready"]');
    assert.equal(await p.text('.user .said'), 'remember');
    assert.equal(await p.text('.answer'), answer);
    await p.open('#conversation-section');
    const [download] = await Promise.all([p.page.waitForEvent('download'), p.$('#export').click()]);
    const exported = JSON.parse(readFileSync(await download.path(), 'utf8'));
    assert.deepEqual(exported.messages.map(m => m.content), ["It's a test.", 'remember', answer]);
    await p.$('.model .after button', { hasText: 'Copy as curl' }).last().click();
    await p.$('.model .after button', { hasText: 'Copied' }).first().waitFor();
    const command = await p.page.evaluate(() => navigator.clipboard.readText());
    const { stdout } = await promisify(exec)(command.replace('curl -N', 'curl -sN'));
    assert.match(stdout, /data: \[DONE\]/);
    // Something broken, or of another version, is forgotten rather than shown.
    for (const junk of ['{', '{"turns": [{"role": "assistant"}, 5, null], "settings": {"sampling": 3, "topLogprobs": "x"}}']) {
      await p.context.addInitScript(text => { if (!sessionStorage.getItem(text)) { sessionStorage.setItem(text, '1'); localStorage.setItem('qwenserve.playground', text); } }, junk);
      await p.page.reload();
      await p.page.waitForSelector('[data-state="ready"]');
      assert.equal(await p.$('.turn').count(), 0);
    }
  },

  async themes(p) {
    const page = () => p.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await page();
    await p.page.emulateMedia({ colorScheme: 'dark' });
    const dark = await page();
    assert.notEqual(light, dark);
    assert.equal(await p.$('#theme').getAttribute('aria-pressed'), 'true');
    await p.$('#theme').click();
    assert.equal(await page(), light);
    assert.equal(await p.$('#theme').getAttribute('aria-pressed'), 'false');
    await p.page.reload();
    assert.equal(await page(), light);
    await p.$('#theme').click();
    assert.equal(await page(), dark);
    await p.page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    assert.equal(await page(), dark);
    assert.equal(await p.$('.examples button').first().evaluate(e => getComputedStyle(e).transitionDuration), '0s');
  },

  async phone(phone) {
    const fits = async where => {
      const [content, width] = await phone.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= 360 && width === 360, `${where}: ${content} of ${width}`);
    };
    await fits('start');
    assert.ok(await phone.$('#panel').isHidden());
    await phone.ask('markdown');
    await fits('markdown');
    await phone.ask('a ' + 'very'.repeat(100) + ' long word', 4);
    await fits('long word');
    await phone.$('#settings').tap();
    await fits('settings');
    // What is covered cannot be reached, and Escape uncovers it.
    assert.equal(await phone.$('#main').evaluate(m => m.inert), true);
    for (const s of ['#tools-section', '#format-section', '#logprobs-section']) await phone.open(s);
    await phone.$('#tools-example').tap();
    await phone.$('#logprobs').check();
    await fits('open sections');
    await phone.page.keyboard.press('Escape');
    assert.ok(await phone.$('#panel').isHidden());
    await phone.ask('weather', 6);
    await fits('calls');
    await phone.$('#settings').tap();
    await phone.$('#tools-on').uncheck();
    await phone.$('#close').tap();
    await phone.ask('probabilities', 8);
    await phone.$('.turn:last-child .tokens .token').last().tap();
    await phone.$('#odds').waitFor();
    await fits('odds');
    const odds = await phone.$('#odds').boundingBox();
    assert.ok(odds.x >= 0 && odds.x + odds.width <= 360 && odds.y >= 0 && odds.y + odds.height <= 640);
    // What is tapped is large enough: 24 by 24 CSS pixels (WCAG 2.5.8), text links aside.
    const small = await phone.page.evaluate(() => [...document.querySelectorAll('button, select, input, textarea, summary')]
      .filter(e => e.offsetParent && !e.matches('[type=range], [type=checkbox], [type=radio]')).map(e => [e.outerHTML.slice(0, 60), e.getBoundingClientRect()])
      .filter(([, r]) => r.width < 24 || r.height < 24).map(([name]) => name));
    assert.deepEqual(small, []);
  },

  async keyboard(p) {
    const focused = () => p.page.evaluate(() => {
      const e = document.activeElement;
      const seen = n => { const s = getComputedStyle(n); return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'; };
      return { id: e.id, name: e.innerText?.trim() || e.getAttribute('aria-label') || e.labels?.[0]?.innerText || '', tag: e.tagName,
        visible: e === document.body || seen(e) || (e.closest('.composer') !== null && seen(e.closest('.composer'))) || (e.matches('[type=radio]') && seen(e.nextElementSibling)) };
    });
    const tabTo = async (id, key = 'Tab') => {
      const seen = [];
      for (let i = 0; i < 80; i++) {
        await p.page.keyboard.press(key);
        const at = await focused();
        assert.ok(at.visible, `no visible focus on ${JSON.stringify(at)}`);
        assert.ok(at.tag === 'BODY' || at.name !== '' || at.id !== '', `nothing says what has the focus: ${JSON.stringify(at)}`);
        if (at.id === id || at.name === id) return;
        seen.push(at.id || at.name);
      }
      assert.fail(`${id} is not reached by ${key}: ${seen.join(', ')}`);
    };
    await p.page.keyboard.type('hello');
    await p.page.keyboard.press('Enter');
    await p.settled(2);
    assert.equal((await focused()).id, 'prompt');
    await tabTo('Regenerate', 'Shift+Tab');
    await p.page.keyboard.press('Enter');
    await p.settled(2);
    // Whoever regenerates is not thrown to the top of the page.
    assert.notEqual((await focused()).tag, 'BODY');
    await tabTo('Edit', 'Shift+Tab');
    await p.page.keyboard.press('Enter');
    await p.page.keyboard.type(' again');
    await p.page.keyboard.press('Control+Enter');
    await p.settled(2);
    assert.equal(p.requests.at(-1).messages[0].content, 'hello again');
    await tabTo('Tools');
    await p.page.keyboard.press('Enter');
    await tabTo('tools-example');
    await p.page.keyboard.press('Enter');
    assert.ok(await p.$('#tools-on').isChecked());
    await tabTo('prompt', 'Shift+Tab');
    await p.page.keyboard.type('weather');
    await p.page.keyboard.press('Control+Enter');
    await p.settled(4);
    // The first result is where the typing goes.
    assert.match(await p.page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Result of get_weather/);
    await p.page.keyboard.type('21');
    await p.page.keyboard.press('Tab');
    assert.match(await p.page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Result of get_weather.*Rome/);
    await p.page.keyboard.type('24');
    await p.page.keyboard.press('Control+Enter');
    await p.settled(5);
    // A link past the bar comes first.
    await p.page.reload();
    await p.page.waitForSelector('[data-state="ready"]');
    await tabTo('Skip to the message box', 'Shift+Tab');
    assert.ok(await p.$('.skip').evaluate(s => s.getBoundingClientRect().top >= 0));
    await p.page.keyboard.press('Enter');
    assert.equal((await focused()).id, 'prompt');
  },

  async accessible(p) {
    const cdp = await p.context.newCDPSession(p.page);
    await cdp.send('Runtime.evaluate', { expression: axe });
    const check = async where => {
      // Fades would be measured half-way.
      await p.page.evaluate(() => Promise.all(document.getAnimations().map(a => a.finished.catch(() => {}))));
      const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', {
        expression: `axe.run(document, { resultTypes: ['violations'] }).then(r => JSON.stringify(r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).slice(0, 3)])))`,
        awaitPromise: true, returnByValue: true,
      });
      assert.equal(exceptionDetails, undefined);
      assert.deepEqual(JSON.parse(result.value), [], where);
    };
    await p.page.emulateMedia({ reducedMotion: 'reduce' });
    for (const s of ['#tools-section', '#format-section', '#logprobs-section']) await p.open(s);
    await check('start');
    await p.ask('markdown');
    await check('markdown');
    await p.$('#tools-example').click();
    await p.ask('weather', 4);
    await check('calls');
    await p.$('.proceed .plain').click();
    await p.$('.proceed .main').click();
    await p.settled(5);
    await check('results');
    await p.$('#new').click();
    await p.$('#tools-on').uncheck();
    await p.$('#format label').last().click();
    await p.$('#schema-example').click();
    await p.$('#schema').fill('{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}');
    await p.ask('a person');
    await p.$('#format label').first().click();
    await p.$('#logprobs').check();
    await p.ask('probabilities', 4);
    await p.$('.tokens .token').nth(1).focus();
    await p.$('#sampling-temperature').fill('0.5');
    await check('everything, light');
    await p.page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await check('everything, dark');
  },

  async refusals(p) {
    // The server's own: a schema that cannot be enforced.
    await p.open('#format-section');
    await p.$('#format label').last().click();
    await p.$('#schema').fill('{"type": "nothing"}');
    await p.ask('a person');
    assert.match(await p.text('.failure'), /schema/i);
    assert.match(await p.text('.failure'), /HTTP 400[\s\S]*request req_/);
    await p.$('#format label').first().click();
    await p.$('.failure button').click();
    await p.until(() => /Ada/.test(document.querySelector('.turn.model .answer')?.innerText));
    assert.equal(await p.$('.failure:not(:empty)').count(), 0);
    assert.equal(await p.$('.turn').count(), 2);
    // Too busy, then not.
    let busy = true;
    await p.page.route('**/v1/chat/completions', r => (busy
      ? r.fulfill({ status: 429, headers: { 'retry-after': '3' }, contentType: 'application/json', body: '{"error": {"message": "Too many requests.", "type": "rate_limit", "param": null, "code": "rate_limit_exceeded"}}' })
      : r.continue()));
    await p.ask('now', 4);
    assert.match(await p.text('.turn:last-child .failure'), /Too many requests\.[\s\S]*429[\s\S]*after 3 s/);
    busy = false;
    await p.$('.turn:last-child .failure button').click();
    await p.until(() => /^Answer number/.test(document.querySelector('.turn:last-child .answer')?.innerText));
    // A proxy's page, and no server at all.
    await p.page.unroute('**/v1/chat/completions');
    await p.page.route('**/v1/chat/completions', r => r.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }));
    await p.ask('and now', 6);
    assert.match(await p.text('.turn:last-child .failure'), /502/);
    await p.page.unroute('**/v1/chat/completions');
    await p.context.setOffline(true);
    await p.$('.turn:last-child .failure button').click();
    await p.until(() => document.querySelector('.turn:last-child .failure')?.innerText.includes('cannot be reached'));
    await p.page.waitForSelector('[data-state="offline"]');
    await p.context.setOffline(false);
    await p.page.waitForSelector('[data-state="ready"]');
  },

  async stop(p) {
    await p.$('#prompt').fill('go on');
    await p.page.keyboard.press('Enter');
    // It grows before it is complete.
    await p.until(() => document.querySelector('.turn.streaming .answer')?.innerText.length > 10);
    const before = (await p.text('.answer')).length;
    await p.until(n => document.querySelector('.turn.streaming .answer')?.innerText.length > n, before);
    assert.equal(await p.$('.answer').getAttribute('aria-busy'), 'true');
    assert.ok(await p.$('#send').isHidden());
    await p.page.keyboard.press('Escape');
    await p.settled(2);
    assert.match(await p.text('.model'), /Ended\s+by you/);
    assert.equal(await p.$('.answer').getAttribute('aria-busy'), 'false');
    const kept = await p.text('.answer');
    assert.ok(kept.length > before);
    // By its button, too; and what was written while it streamed is still there.
    await p.$('#prompt').fill('once more');
    await p.page.keyboard.press('Enter');
    await p.until(() => document.querySelector('.turn.streaming .answer')?.innerText.length > 10);
    await p.$('#prompt').fill('not yet');
    await p.page.keyboard.press('Enter');
    assert.equal(await p.$('.turn').count(), 4);
    await p.$('#stop').click();
    await p.settled(4);
    assert.equal(await p.$('#prompt').inputValue(), 'not yet');
    assert.equal(p.requests[1].messages[1].content.trim(), kept.trim());
    // To regenerate, or to begin anew, ends what runs.
    await p.page.keyboard.press('Control+Enter');
    await p.until(() => document.querySelector('.turn.streaming .answer')?.innerText.length > 10);
    await p.$('#new').click();
    await p.settled(0);
    assert.ok(await p.$('#send').isVisible());
  },

  async broken(p) {
    await p.$('#prompt').fill('go on');
    await p.page.keyboard.press('Enter');
    await p.until(() => document.querySelector('.turn.streaming .answer')?.innerText.length > 10);
    say('streaming');
    await p.settled(2);
    assert.ok((await p.text('.answer')).length > 10);
    assert.ok((await p.text('.failure p:first-child')).length > 10);
    assert.ok(await p.$('.failure button').isVisible());
  },

  async key(guarded) {
    const fill = async key => { await guarded.$('#key').fill(key); await guarded.page.keyboard.press('Enter'); };
    await guarded.page.waitForSelector('[data-state="locked"]');
    assert.ok(await guarded.$('#prompt').isHidden());
    assert.equal(await guarded.page.evaluate(() => document.activeElement.id), 'key');
    await fill('wrong');
    await guarded.until(() => document.querySelector('#key-error').textContent !== '');
    assert.match(await guarded.text('#key-error'), /Incorrect API key/);
    await fill('secret');
    await guarded.page.waitForSelector('[data-state="ready"]');
    await guarded.ask('hello');
    assert.match(await guarded.text('.answer'), /^Answer/);
    assert.equal(await guarded.page.evaluate(() => JSON.stringify(localStorage).includes('secret')), false);
    await guarded.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await guarded.$('.model .after button', { hasText: 'Copy as curl' }).last().click();
    await guarded.$('.model .after button', { hasText: 'Copied' }).first().waitFor();
    const command = await guarded.page.evaluate(() => navigator.clipboard.readText());
    assert.ok(command.includes('Bearer $QWENSERVE_API_KEY') && !command.includes('secret'));
    await guarded.page.reload();
    await guarded.page.waitForSelector('[data-state="ready"]');
    await guarded.$('#key-button').click();
    await guarded.page.waitForSelector('[data-state="locked"]');
    await guarded.page.reload();
    await guarded.page.waitForSelector('[data-state="locked"]');
  },

  async loading(early) {
    await early.page.waitForSelector('[data-state="loading"]');
    await early.until(() => document.querySelector('#loading-text').textContent.includes('loading weights (42%)'));
    assert.equal(await early.$('#loading-bar').evaluate(b => b.value), 0.42);
    // One may write, and not yet send.
    await early.$('#prompt').fill('hello');
    await early.page.keyboard.press('Enter');
    assert.ok(await early.$('#send').isDisabled());
    assert.ok(await early.$('#examples button').first().isDisabled());
    assert.equal(early.requests.length, 0);
    say('locked');
    await early.page.waitForSelector('[data-state="ready"]');
    assert.ok(await early.$('#loading').isHidden());
    assert.equal(await early.text('#announcer'), 'The model is ready.');
    assert.equal(await early.$('#prompt').inputValue(), 'hello');
    await early.$('#send').click();
    await early.settled(2);
  },

  async examples(p) {
    const count = await p.$('#examples button').count();
    assert.ok(count >= 4);
    const seen = {};
    for (let i = 0; i < count; i++) {
      const shows = await p.text(`#examples li:nth-child(${i + 1}) .shows`);
      await p.$('#examples button').nth(i).click();
      await p.settled(2);
      assert.equal(await p.$('.failure:not(:empty)').count(), 0);
      seen[shows] = await p.text('.turn.model');
      if (shows === 'Tools') {
        assert.equal(await p.$('.call').count(), 2);
        await p.$('.proceed .plain').click();
        await p.$('.proceed .main').click();
        await p.settled(3);
        seen[shows] = await p.text('.turn:last-child .answer');
      }
      if (shows === 'JSON schema') assert.match(await p.text('.model > .verdict.good'), /Valid/);
      if (shows === 'Probabilities') assert.ok(await p.$('.tokens .token.l2, .tokens .token.l3, .tokens .token.l4').count() > 0);
      await p.$('#new').click();
      await p.settled(0);
    }
    assert.match(seen.Chat, /call functions/);
    assert.match(seen['中文'], /调用函数/);
    assert.match(seen.Tools, /\d/);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { suite, url } = JSON.parse(line);
  let p = null;
  try {
    p = await Playground.open(url, browsers[suite]);
    await suites[suite](p);
    await p.close();
    say('passed');
  } catch (e) {
    await p?.context.close().catch(() => {});
    say('failed ' + JSON.stringify(`${e.stack}\n${(p?.problems ?? []).join('\n')}`));
  }
}
await browser.close();
