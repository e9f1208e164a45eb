// The AI SDK with its provider for OpenAI-compatible servers.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { average, degrees, greeting, mean, models, person, run, servers, tell, tellingFetch } from './checks.mjs';

const provider = (baseURL, more) => createOpenAICompatible({ name: 'qwenserve', baseURL, apiKey: 'key', includeUsage: true, supportsStructuredOutputs: true, ...more });
const embedded = provider(servers.embedded)(models.embedded), scripted = provider(servers.scripted)(models.scripted);
const Person = z.object({ name: z.string(), age: z.number(), email: z.email(), skills: z.array(z.string()).max(3) });
const toolsOf = asked => ({
  get_weather: tool({ description: 'Weather of a city', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => { asked?.push(city); return `${degrees[city] ?? 19} degrees`; } }),
  average: tool({ description: 'Average of numbers', inputSchema: z.object({ values: z.array(z.number()) }), execute: async ({ values }) => { asked?.push(values); return mean(values); } }),
});

await run({
  async chat() {
    const { text, finishReason, usage } = await generateText({ model: scripted, prompt: 'Hi' });
    assert.equal(text, greeting);
    assert.equal(finishReason, 'stop');
    assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
    for (const model of [scripted, embedded]) {
      const whole = await generateText({ model, prompt: 'Hello! What can you do?', temperature: 0, maxOutputTokens: 60 });
      const stream = streamText({ model, prompt: 'Hello! What can you do?', temperature: 0, maxOutputTokens: 60 });
      let streamed = '';
      for await (const piece of stream.textStream) streamed += piece;
      assert.equal(streamed, whole.text);
      assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
      assert.equal(await stream.finishReason, whole.finishReason);
    }
  },

  async 'tools that are demanded'() {
    for (const toolChoice of ['required', { type: 'tool', toolName: 'average' }]) {
      const { toolCalls, finishReason } = await generateText({ model: embedded, prompt: 'Hello', tools: toolsOf(), toolChoice, seed: 3, maxOutputTokens: 300, providerOptions: { qwenserve: { parallel_tool_calls: false } } });
      assert.equal(finishReason, 'tool-calls');
      assert.ok(toolCalls.length >= 1 && !toolCalls[0].invalid);
      if (toolChoice !== 'required') assert.equal(toolCalls[0].toolName, 'average');
    }
  },

  async 'a loop of several steps, whole and streamed'() {
    for (const start of [generateText, streamText]) {
      const asked = [];
      const result = await start({ model: scripted, prompt: 'What is the average of the temperatures in Paris and Rome?', tools: toolsOf(asked), stopWhen: stepCountIs(5) });
      assert.equal(await result.text, average);
      assert.deepEqual(asked, ['Paris', 'Rome', [21, 25]]);
      assert.equal((await result.steps).length, 3);
      assert.deepEqual((await result.steps).map(s => s.finishReason), ['tool-calls', 'tool-calls', 'stop']);
    }
  },

  async 'structured output with zod'() {
    assert.deepEqual((await generateText({ model: scripted, prompt: 'Describe Ada as JSON.', output: Output.object({ schema: Person }) })).output, person);
    const stream = streamText({ model: scripted, prompt: 'Describe Ada as JSON.', output: Output.object({ schema: Person }) });
    let last;
    for await (const partial of stream.partialOutputStream) last = partial;
    assert.deepEqual(last, person);
    const Order = z.object({ size: z.enum(['small', 'large']), count: z.int().min(1).max(9), gift: z.boolean() });
    const { output } = await generateText({ model: embedded, prompt: 'Two large boxes.', output: Output.object({ schema: Order }), temperature: 1.5, seed: 1, maxOutputTokens: 200 });
    assert.ok(Order.safeParse(output).success);
  },

  async errors() {
    await assert.rejects(generateText({ model: scripted, prompt: 'x', temperature: 9, maxRetries: 0 }),
      e => APICallError.isInstance(e) && e.statusCode === 400 && !e.isRetryable && /decimal above maximum value/.test(e.message));
    await assert.rejects(generateText({ model: provider(servers.scripted, { apiKey: 'wrong' })(models.scripted), prompt: 'x', maxRetries: 0 }), e => e.statusCode === 401);
    await assert.rejects(generateText({ model: provider(servers.scripted)('nothing'), prompt: 'x', maxRetries: 0 }), e => e.statusCode === 404);
  },

  async abort() {
    const controller = new AbortController();
    const stream = streamText({ model: scripted, prompt: 'Count for ever.', abortSignal: controller.signal, onError: () => {} });
    let pieces = 0, aborted = false;
    for await (const part of stream.fullStream) {
      if (part.type === 'text-delta' && ++pieces === 3) controller.abort();
      aborted ||= part.type === 'abort';
    }
    assert.ok(aborted);
  },

  async retries() {
    await tell('fill');
    const full = provider(servers.full, { fetch: tellingFetch })(models.scripted);
    await assert.rejects(generateText({ model: provider(servers.full)(models.scripted), prompt: 'x', maxRetries: 0 }), e => e.statusCode === 429 && e.isRetryable);
    assert.equal((await generateText({ model: full, prompt: 'x', maxOutputTokens: 3 })).finishReason, 'length');
    const loading = provider(servers.loading, { fetch: tellingFetch })(models.scripted);
    assert.equal((await generateText({ model: loading, prompt: 'x' })).text, greeting);
  },
});
