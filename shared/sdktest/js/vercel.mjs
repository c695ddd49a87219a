// Vercel's AI SDK, with its provider for OpenAI-compatible services.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

const Book = z.object({ title: z.string(), pages: z.number(), tags: z.array(z.string()) });

export default function (test, env) {
  const make = (apiKey) => createOpenAICompatible({ name: 'gw', baseURL: env.base, apiKey, includeUsage: true, supportsStructuredOutputs: true });
  const gateway = make(env.key);
  const once = { maxRetries: 0 };
  const tools = { get_weather: tool({ description: 'The weather', inputSchema: z.object({ city: z.string(), unit: z.string() }), execute: async ({ city }) => `wind in ${city}` }) };
  const drain = async (result) => {
    const parts = [];
    for await (const p of result.fullStream) parts.push(p);
    return parts;
  };

  for (const { provider, name } of env.models) {
    const model = gateway(name);

    test(`${provider}/generate and stream`, async () => {
      const ask = { model, ...once, system: 'Be brief.', prompt: 'Vercel says good night', providerOptions: { gw: { gateway: { tags: ['vercel'] } } } };
      const done = await generateText(ask);
      assert.equal(done.text, 'You said: Vercel says good night');
      assert.equal(done.finishReason, 'stop');
      assert.equal(done.response.headers['x-gateway-provider'], provider.split('-')[0]);
      const streamed = streamText(ask);
      let text = '';
      for await (const part of streamed.textStream) text += part;
      assert.equal(text, done.text);
      assert.deepEqual([(await streamed.usage).inputTokens, (await streamed.usage).outputTokens], [done.usage.inputTokens, done.usage.outputTokens]);
      assert.ok(done.usage.inputTokens > 0);
    });

    test(`${provider}/an agent's loop`, async () => {
      const ask = { model, ...once, tools, stopWhen: stepCountIs(3), prompt: 'Vercel asks for the weather in Paris and Oslo' };
      const done = await generateText(ask);
      assert.equal(done.steps.length, 2);
      assert.equal(done.text, 'The tools say: wind in Paris; wind in Oslo');
      const streamed = streamText(ask);
      const parts = await drain(streamed);
      assert.deepEqual(parts.filter((p) => p.type === 'error'), []);
      assert.deepEqual(parts.filter((p) => p.type === 'tool-call').map((p) => p.input.city), ['Paris', 'Oslo']);
      assert.equal(await streamed.text, 'The tools say: wind in Paris; wind in Oslo');
    });

    test(`${provider}/objects`, async () => {
      const ask = { model, ...once, schema: Book, prompt: `Vercel wants the book as JSON: ${env.book}` };
      assert.deepEqual((await generateObject(ask)).object, JSON.parse(env.book));
      const streamed = streamObject(ask);
      const partial = [];
      for await (const o of streamed.partialObjectStream) partial.push(o);
      assert.ok(partial.length > 1, 'the object came in one piece');
      assert.deepEqual(await streamed.object, JSON.parse(env.book));
    });

    test(`${provider}/reasoning and image`, async () => {
      const ask = { model, ...once, prompt: 'Vercel wants you to think', providerOptions: { gw: { reasoningEffort: 'low' } } };
      const done = await generateText(ask);
      assert.equal(done.reasoningText, 'Let me see.');
      const parts = await drain(streamText(ask));
      assert.equal(parts.filter((p) => p.type === 'reasoning-delta').map((p) => p.text).join(''), 'Let me see.');
      const seen = await generateText({ model, ...once, messages: [{ role: 'user', content: [{ type: 'text', text: 'What do you see here?' }, { type: 'image', image: env.pixel }] }] });
      assert.equal(seen.text, 'I see image/png of 67 bytes');
    });

    test(`${provider}/errors and abort`, async () => {
      await assert.rejects(generateText({ model, ...once, prompt: 'Vercel will #fail-400 now' }), (e) => APICallError.isInstance(e) && e.statusCode === 400 && !e.isRetryable && e.message.includes('Refused with 400'));
      await assert.rejects(generateText({ model, ...once, prompt: 'Vercel will #fail-429 now' }), (e) => APICallError.isInstance(e) && e.statusCode === 429 && e.isRetryable && e.responseHeaders['retry-after'] >= '1');
      await assert.rejects(generateText({ model, ...once, prompt: 'Vercel will #fail-500 now' }), (e) => APICallError.isInstance(e) && e.statusCode === 502 && e.isRetryable);
      const broken = await drain(streamText({ model, ...once, prompt: 'Vercel is broken by #reset half way', onError() {} }));
      assert.ok(broken.some((p) => p.type === 'error'), `a broken stream ended with ${JSON.stringify(broken.at(-1))}`);
      const id = `vercel${provider.replace('-', '')}`, controller = new AbortController();
      let text = '';
      for await (const p of streamText({ model, ...once, prompt: `Vercel leaves at #hold-${id} you know`, abortSignal: controller.signal, onError() {} }).fullStream) {
        if (p.type === 'text-delta') text += p.text;
        if (text.startsWith('You said:')) controller.abort();
      }
      if (env.local) await env.control(`left/${id}`);
      await env.control(`release/${id}`);
    });
  }

  test('prompts of the gateway', async () => {
    const metadataExtractor = {
      extractMetadata: async ({ parsedBody }) => ({ gw: parsedBody.gateway ?? {} }),
      createStreamExtractor: () => {
        let gateway = {};
        return { processChunk: (chunk) => { gateway = { ...chunk.gateway, ...gateway }; }, buildMetadata: () => ({ gw: gateway }) };
      },
    };
    const cited = createOpenAICompatible({ name: 'gw', baseURL: env.base, apiKey: env.key, metadataExtractor });
    for (const { name } of env.models) {
      const ask = { model: cited(name), ...once, prompt: 'What is a pump primed with?', providerOptions: { gw: { gateway: { rag: { collection: 'guides' }, context: 'truncate' } } } };
      const done = await generateText(ask);
      assert.equal(done.providerMetadata.gw.citations[0].id, 'pump.md');
      const streamed = streamText(ask);
      const parts = await drain(streamed);
      assert.deepEqual(parts.filter((p) => p.type === 'error'), []);
      assert.equal(await streamed.text, done.text);
      assert.equal((await streamed.providerMetadata).gw.citations[0].id, 'pump.md');
    }
    // This SDK wants a model and a message: they go beside the template's.
    const greet = { gw: { gateway: { template: { name: 'greet', variables: { who: 'Vercel' } } } } };
    for (const name of ['', 'gpt-4o-mini']) {
      const done = await generateText({ model: gateway(name), ...once, prompt: 'And Vercel, too.', providerOptions: greet });
      assert.equal(done.text, 'You said: And Vercel, too.');
    }
    const long = { model: gateway('gpt-4'), ...once, prompt: 'All work and no play makes it too long. '.repeat(1000), providerOptions: { gw: { gateway: { context: 'error' } } } };
    await assert.rejects(generateText(long), (e) => APICallError.isInstance(e) && e.statusCode === 400 && !e.isRetryable && e.data.error.code === 'context_length_exceeded');
  });

  test('errors of our own', async () => {
    await assert.rejects(generateText({ model: make('gw_x_y')('gpt-4o-mini'), ...once, prompt: env.canary }), (e) => e.statusCode === 401 && !e.isRetryable);
    await assert.rejects(generateText({ model: make(env.few)('gpt-4o-mini'), ...once, prompt: env.canary }), (e) => e.statusCode === 403 && !e.isRetryable);
    await assert.rejects(generateText({ model: gateway('who/knows'), ...once, prompt: env.canary }), (e) => e.statusCode === 404 && e.data.error.code === 'model_not_found');
  });

  test('embeddings', async () => {
    for (const name of ['text-embedding-3-small', 'gemini/gemini-embedding-001']) {
      const done = await embedMany({ model: gateway.textEmbeddingModel(name), ...once, values: ['one', 'two'], providerOptions: { gw: { dimensions: 20 } } });
      assert.deepEqual(done.embeddings.map((v) => v.length), [20, 20]);
      assert.ok(done.usage.tokens > 0);
    }
  });
}
