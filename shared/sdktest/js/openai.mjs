// OpenAI's own SDK.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const weather = { type: 'function', function: { name: 'get_weather', description: 'The weather in a city', strict: true,
  parameters: { type: 'object', properties: { city: { type: 'string' }, unit: { type: 'string' } }, required: ['city', 'unit'], additionalProperties: false } } };
const Book = z.object({ title: z.string(), pages: z.number().int(), tags: z.array(z.string()) });
const says = (model, content, more) => ({ model, messages: [{ role: 'user', content }], ...more });

export default function (test, env) {
  const client = new OpenAI({ baseURL: env.base, apiKey: env.key, maxRetries: 0 });
  const versioned = new OpenAI({ baseURL: `${env.base}/v1`, apiKey: env.key, maxRetries: 0 });
  const create = (...args) => client.chat.completions.create(...args);

  for (const { provider, name: model } of env.models) {
    test(`${provider}/plain`, async () => {
      const { data, response, request_id } = await versioned.chat.completions.create({ ...says(model, 'Hello from Node and JavaScript'), gateway: { tags: ['node'] } }).withResponse();
      assert.equal(data.choices[0].message.content, 'You said: Hello from Node and JavaScript');
      assert.equal(data.choices[0].finish_reason, 'stop');
      assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
      assert.equal(response.headers.get('x-gateway-provider'), provider.split('-')[0]);
      assert.equal(data._request_id, request_id);
      assert.match(request_id, /^\S{16}$/);
    });

    test(`${provider}/stream`, async () => {
      const stream = await create({ ...says(model, 'Streaming from Node, word by word'), stream: true, stream_options: { include_usage: true } });
      let text = '', usage, chunks = 0;
      for await (const c of stream) {
        chunks++;
        text += c.choices[0]?.delta?.content ?? '';
        if (c.usage) usage = c.usage;
      }
      assert.equal(text, 'You said: Streaming from Node, word by word');
      assert.ok(chunks > 7, `only ${chunks} chunks`);
      assert.ok(usage.completion_tokens > 0);
    });

    test(`${provider}/tools streamed, then answered`, async () => {
      const ask = says(model, 'What is the weather in Paris and in Oslo now?', { tools: [weather] });
      const first = await client.chat.completions.stream(ask).finalChatCompletion();
      const message = first.choices[0].message;
      assert.equal(first.choices[0].finish_reason, 'tool_calls');
      assert.deepEqual(message.tool_calls.map((c) => JSON.parse(c.function.arguments).city), ['Paris', 'Oslo']);
      assert.equal(new Set(message.tool_calls.map((c) => c.id)).size, 2);
      const second = await create({ ...ask, messages: [...ask.messages, message,
        ...message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: `sun in ${JSON.parse(c.function.arguments).city}` }))] });
      assert.equal(second.choices[0].message.content, 'The tools say: sun in Paris; sun in Oslo');
    });

    test(`${provider}/tools run by the SDK`, async () => {
      const asked = [];
      const runner = client.chat.completions.runTools({ ...says(model, 'The weather in Paris and Oslo, please, by yourself'), stream: true, tools: [{ type: 'function',
        function: { name: 'get_weather', description: 'x', parameters: weather.function.parameters, parse: JSON.parse, function: ({ city }) => { asked.push(city); return `fog in ${city}`; } } }] });
      assert.equal(await runner.finalContent(), 'The tools say: fog in Paris; fog in Oslo');
      assert.deepEqual(asked.sort(), ['Oslo', 'Paris']);
    });

    test(`${provider}/parsed by a schema`, async () => {
      const ask = says(model, `Describe the book as JSON: ${env.book}`, { response_format: zodResponseFormat(Book, 'book') });
      const done = await client.chat.completions.parse(ask);
      assert.deepEqual(done.choices[0].message.parsed, JSON.parse(env.book));
      const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
      assert.deepEqual(streamed.choices[0].message.parsed, JSON.parse(env.book));
      const call = await client.chat.completions.parse(says(model, 'The weather in Oslo, as a parsed call', { tools: [zodFunction({ name: 'get_weather', parameters: z.object({ city: z.string(), unit: z.string() }) })] }));
      assert.deepEqual(call.choices[0].message.tool_calls[0].function.parsed_arguments, { city: 'Oslo', unit: 'celsius' });
    });

    test(`${provider}/image and reasoning`, async () => {
      const image = await create(says(model, [{ type: 'text', text: 'What does this show?' }, { type: 'image_url', image_url: { url: env.pixel } }]));
      assert.equal(image.choices[0].message.content, 'I see image/png of 67 bytes');
      const thought = await create(says(model, 'Reason about the sea', { reasoning_effort: 'low' }));
      assert.equal(thought.choices[0].message.reasoning_content, 'Let me see.');
    });

    test(`${provider}/a broken stream throws`, async () => {
      for (const how of ['reset', 'cut', 'error', 'garbage']) {
        let text = '';
        await assert.rejects(async () => {
          for await (const c of await create({ ...says(model, `From Node: break by #${how} half way`), stream: true })) text += c.choices[0]?.delta?.content ?? '';
        }, (e) => e instanceof OpenAI.APIError && e.type === 'server_error' && e.message.includes(`The provider '${provider.split('-')[0]}'`), how);
        assert.ok(text.startsWith('You said: From Node:'), `${how}: ${text}`);
      }
    });

    test(`${provider}/abort`, async () => {
      const name = `node${provider.replace('-', '')}`, controller = new AbortController();
      const stream = await create({ ...says(model, `In Node I leave at #hold-${name} as you see`), stream: true }, { signal: controller.signal });
      let text = '';
      for await (const c of stream) {
        text += c.choices[0]?.delta?.content ?? '';
        if (text.startsWith('You said:')) controller.abort(); // the SDK ends the loop
      }
      if (env.local) await env.control(`left/${name}`); // else nobody is told
      await env.control(`release/${name}`);
    });

    test(`${provider}/errors are typed`, async () => {
      const fails = (status, check) => assert.rejects(create(says(model, `Node will #fail-${status} here`)), check);
      await Promise.all([
        fails(400, (e) => e instanceof OpenAI.BadRequestError && e.type === 'invalid_request_error' && e.message.includes('Refused with 400') && !e.message.includes('127.0.0.1')),
        fails(404, OpenAI.NotFoundError),
        fails(422, OpenAI.UnprocessableEntityError),
        fails(429, (e) => e instanceof OpenAI.RateLimitError && e.code === 'rate_limit_exceeded' && e.headers.get('retry-after') === '27'),
        fails(500, (e) => e instanceof OpenAI.InternalServerError && e.status === 502 && e.type === 'server_error'),
        fails(401, (e) => e instanceof OpenAI.InternalServerError && e.status === 502 && e.code === 'upstream_credentials'),
      ]);
    });
  }

  test('errors of our own', async () => {
    const model = 'gpt-4o-mini';
    await assert.rejects(create(says(model, env.canary, { temperature: 'hot' })), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature' && /^\S{16}$/.test(e.requestID));
    await assert.rejects(create({ model, messages: [{ role: 'user' }] }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'messages[0].content');
    await assert.rejects(create(says(model, env.canary, { gateway: { cache: { mode: 'exact' } } })), (e) => e.code === 'not_implemented' && e.param === 'gateway.cache');
    await assert.rejects(create(says('who/knows', env.canary)), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found' && e.param === 'model');
    const as = (apiKey, options) => new OpenAI({ baseURL: env.base, apiKey, maxRetries: 0, ...options }).chat.completions;
    await assert.rejects(as('sk-nothing').create(says(model, env.canary)), (e) => e instanceof OpenAI.AuthenticationError && e.code === 'invalid_api_key');
    await assert.rejects(as(env.few).create(says(model, env.canary)), (e) => e instanceof OpenAI.PermissionDeniedError && e.code === 'model_not_allowed');
    // The SDK retries a 429, unless it is told that waiting does not help.
    let sent = 0;
    const counted = { maxRetries: 5, fetch: (...args) => { sent++; return fetch(...args); } };
    await assert.rejects(as(env.poor, counted).create(says(model, env.canary)), (e) => e instanceof OpenAI.RateLimitError && e.code === 'insufficient_quota' && e.headers.get('x-should-retry') === 'false');
    assert.equal(sent, 1, 'insufficient_quota was retried');
  });

  test('fields that nobody knows', async () => {
    await create({ ...says('openai/gpt-4o-mini', 'Node sends a field that nobody knows'), field_of_tomorrow: { a: [1.50, null] }, gateway: { tags: ['x'], timeout_ms: 60000 } });
    const [{ body }] = await env.seen('Node sends a field that nobody knows');
    assert.deepEqual(body.field_of_tomorrow, { a: [1.5, null] });
    assert.equal(body.gateway, undefined);
    assert.equal(body.model, 'gpt-4o-mini');
  });

  test('embeddings', async () => {
    for (const [model, size] of [['text-embedding-3-small', 1536], ['gemini/gemini-embedding-001', 3072]]) {
      const input = ['a first text', 'a second text'];
      const packed = await client.embeddings.create({ model, input }); // base64 on the wire, which is this SDK's default
      const plain = await client.embeddings.create({ model, input, encoding_format: 'float' });
      assert.deepEqual(packed.data.map((d) => d.embedding.length), [size, size]);
      for (const i of [0, 1]) packed.data[i].embedding.forEach((x, k) => assert.ok(Math.abs(x - plain.data[i].embedding[k]) < 1e-6));
      const short = await client.embeddings.create({ model, input: 'one text', dimensions: 12 });
      assert.equal(short.data[0].embedding.length, 12);
      assert.ok(short.usage.prompt_tokens > 0);
    }
  });

  test('partial embeddings', async () => {
    // By default this SDK decodes base64, and a missing vector is none.
    const done = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['good', 'this is too #long', 'fine'], dimensions: 6, encoding_format: 'float', gateway: { partial: true } });
    assert.deepEqual(done.data.map((d) => d.embedding?.length), [6, undefined, 6]);
    assert.deepEqual([done.data[1].error.code, done.data[1].error.param], ['too_long', 'input[1]']);
  });

  test('a template alone', async () => {
    const gateway = { template: { name: 'greet', variables: { who: 'Node' } } };
    for (const own of [{}, { messages: [] }, { model: '', messages: [] }, { model: null, messages: null }, { model: 'gpt-4o-mini', messages: [] }]) {
      const done = await create({ ...own, gateway });
      assert.equal(done.choices[0].message.content, 'You said: Greet Node.', JSON.stringify(own));
      let text = '';
      for await (const c of await create({ ...own, gateway, stream: true })) text += c.choices[0]?.delta?.content ?? '';
      assert.equal(text, 'You said: Greet Node.');
    }
    await assert.rejects(create({ messages: [], gateway: { template: { name: 'greet', variables: {} } } }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'gateway.template.variables.who');
    await assert.rejects(create({ messages: [], gateway: { template: { name: 'nobody' } } }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'template_not_found');
  });

  test('citations', async () => {
    const gateway = { rag: { collection: 'guides' }, context: 'summarize' };
    for (const { name } of env.models) {
      const ask = says(name, 'What is a pump primed with?', { gateway });
      const done = await create(ask);
      const [citation] = done.gateway.citations;
      assert.deepEqual([citation.n, citation.id, citation.text], [1, 'pump.md', 'A pump is primed with water.']);
      let first, text = '';
      for await (const c of await create({ ...ask, stream: true })) {
        first ??= c;
        text += c.choices[0]?.delta?.content ?? '';
      }
      assert.deepEqual(first.gateway.citations, done.gateway.citations);
      assert.equal(text, done.choices[0].message.content);
      const whole = await client.chat.completions.stream(ask).finalChatCompletion();
      assert.equal(whole.choices[0].message.content, text);
    }
  });

  test('a prompt that is too long', async () => {
    for (const stream of [false, true]) {
      await assert.rejects(create(says('gpt-4', 'All work and no play makes it too long. '.repeat(1000), { stream, gateway: { context: 'error' } })),
        (e) => e instanceof OpenAI.BadRequestError && e.code === 'context_length_exceeded' && e.param === 'messages');
    }
  });

  test('models', async () => {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    for (const { name } of env.models) {
      assert.equal((await client.models.retrieve(name)).id, name); // the SDK writes / as %2F
      assert.ok(!name.includes('/') || ids.includes(name), `${name} is not listed`);
    }
    await assert.rejects(client.models.retrieve('openai/nothing'), OpenAI.NotFoundError);
  });

  test('a prompt of 1 MB', async () => {
    const prompt = 'Zwölf Boxkämpfer. '.repeat(52_500);
    for (const { name } of env.models) {
      const done = await create(says(name, prompt));
      assert.equal(done.choices[0].message.content, `You sent ${Buffer.byteLength(prompt)} bytes`);
    }
  });

  test('200 at once', async () => {
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const prompt = `Node asks number ${i} of two hundred`, ask = says(env.models[i % env.models.length].name, prompt);
      const done = i % 2 ? await create(ask) : await client.chat.completions.stream(ask).finalChatCompletion();
      assert.equal(done.choices[0].message.content, `You said: ${prompt}`);
    }));
  });
}
