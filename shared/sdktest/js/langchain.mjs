// LangChain, as agents use it.
import assert from 'node:assert/strict';
import { ContextOverflowError } from '@langchain/core/errors';
import { AIMessageChunk, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';

const Book = z.object({ title: z.string(), pages: z.number(), tags: z.array(z.string()) });

export default function (test, env) {
  const configuration = { baseURL: env.base };
  const chat = (model, more) => new ChatOpenAI({ model, apiKey: env.key, configuration, maxRetries: 0, ...more });
  const getWeather = tool(async ({ city }) => `snow in ${city}`, { name: 'get_weather', description: 'The weather', schema: z.object({ city: z.string(), unit: z.string() }) });

  const gather = async (stream) => {
    let sum = new AIMessageChunk('');
    for await (const chunk of await stream) sum = sum.concat(chunk);
    return sum;
  };

  for (const { provider, name: model } of env.models) {
    test(`${provider}/invoke and stream`, async () => {
      const messages = [new SystemMessage('Be brief.'), new HumanMessage('LangChain says good day')];
      const done = await chat(model).invoke(messages);
      assert.equal(done.content, 'You said: LangChain says good day');
      assert.ok(done.usage_metadata.input_tokens > 0 && done.usage_metadata.output_tokens > 0);
      const sum = await gather(chat(model).stream(messages));
      assert.equal(sum.content, 'You said: LangChain says good day');
      assert.deepEqual([sum.usage_metadata.input_tokens, sum.usage_metadata.output_tokens], [done.usage_metadata.input_tokens, done.usage_metadata.output_tokens]);
      assert.equal(sum.response_metadata.finish_reason, 'stop');
    });

    test(`${provider}/tools`, async () => {
      for (const streaming of [false, true]) {
        const bound = chat(model).bindTools([getWeather]);
        const messages = [new HumanMessage('LangChain asks for the weather in Paris and Oslo')];
        const first = streaming ? await gather(bound.stream(messages)) : await bound.invoke(messages);
        assert.deepEqual(first.tool_calls.map((c) => [c.name, c.args.city]), [['get_weather', 'Paris'], ['get_weather', 'Oslo']]);
        messages.push(first);
        for (const call of first.tool_calls) messages.push(await getWeather.invoke(call));
        assert.ok(messages.at(-1) instanceof ToolMessage);
        assert.equal((await bound.invoke(messages)).content, 'The tools say: snow in Paris; snow in Oslo');
      }
    });

    test(`${provider}/structured output`, async () => {
      const prompt = `LangChain wants the book as JSON: ${env.book}`;
      for (const method of ['jsonSchema', 'functionCalling']) {
        assert.deepEqual(await chat(model).withStructuredOutput(Book, { name: 'extract', method }).invoke(prompt), JSON.parse(env.book), method);
      }
    });

    test(`${provider}/image, tags and abort`, async () => {
      const seen = await chat(model, { modelKwargs: { gateway: { tags: ['langchain'] } } }).invoke([new HumanMessage({ content: [{ type: 'text', text: 'What can you see?' }, { type: 'image_url', image_url: { url: env.pixel } }] })]);
      assert.equal(seen.content, 'I see image/png of 67 bytes');
      const name = `langchain${provider.replace('-', '')}`, controller = new AbortController();
      let text = '';
      await assert.rejects(async () => {
        for await (const c of await chat(model).stream(`LangChain leaves at #hold-${name} you know`, { signal: controller.signal })) {
          text += c.content;
          if (text.startsWith('You said:')) controller.abort();
        }
      }, /abort/i);
      if (env.local) await env.control(`left/${name}`);
      await env.control(`release/${name}`);
    });

    test(`${provider}/errors`, async () => {
      await assert.rejects(chat(model).invoke('LangChain will #fail-400 now'), (e) => e.status === 400 && e.message.includes('Refused with 400'));
      await assert.rejects(chat(model).invoke('LangChain will #fail-500 now'), (e) => e.status === 502);
      await assert.rejects(chat(model, { apiKey: 'gw_x_y' }).invoke(env.canary), (e) => e.status === 401 && e.lc_error_code === 'MODEL_AUTHENTICATION');
      await assert.rejects(chat(`${model}-of-nobody/x`.replace(/^[^/]*/, 'nobody')).invoke(env.canary), (e) => e.status === 404 && e.lc_error_code === 'MODEL_NOT_FOUND');
      await assert.rejects(async () => {
        for await (const _ of await chat(model).stream('LangChain is broken by #reset in the middle'));
      }, /The provider '/);
    });
  }

  test('prompts of the gateway', async () => {
    const greet = { template: { name: 'greet', variables: { who: 'LangChain' } } };
    for (const name of ['', 'gpt-4o-mini']) {
      assert.equal((await chat(name, { modelKwargs: { gateway: greet } }).invoke([])).content, 'You said: Greet LangChain.');
      assert.equal((await gather(chat(name, { modelKwargs: { gateway: greet } }).stream([]))).content, 'You said: Greet LangChain.');
    }
    for (const { name } of env.models) {
      const rag = chat(name, { modelKwargs: { gateway: { rag: { collection: 'guides' }, context: 'truncate' } }, __includeRawResponse: true });
      const done = await rag.invoke('What is a pump primed with?');
      assert.equal(done.additional_kwargs.__raw_response.gateway.citations[0].id, 'pump.md');
      const parts = [];
      for await (const chunk of await rag.stream('What is a pump primed with?')) parts.push(chunk);
      assert.equal(parts.map((p) => p.content).join(''), done.content);
      assert.equal(parts[0].additional_kwargs.__raw_response.gateway.citations[0].id, 'pump.md');
    }
    const long = chat('gpt-4', { modelKwargs: { gateway: { context: 'error' } } });
    await assert.rejects(long.invoke('All work and no play makes it too long. '.repeat(1000)), ContextOverflowError.isInstance);
  });

  test('embeddings', async () => {
    for (const model of ['text-embedding-3-small', 'gemini/gemini-embedding-001']) {
      const embeddings = new OpenAIEmbeddings({ model, apiKey: env.key, configuration, dimensions: 24, batchSize: 2 });
      const list = await embeddings.embedDocuments(['one', 'two', 'three']);
      assert.deepEqual(list.map((v) => v.length), [24, 24, 24]);
      assert.deepEqual((await embeddings.embedQuery('two')).map((x) => x.toFixed(5)), list[1].map((x) => x.toFixed(5)));
    }
  });

  test('batch', async () => {
    const prompts = Array.from({ length: 40 }, (_, i) => `LangChain in a batch, number ${i}`);
    const done = await chat('anthropic/claude-sonnet-4-5').batch(prompts, { maxConcurrency: 20 });
    assert.deepEqual(done.map((m) => m.content), prompts.map((p) => `You said: ${p}`));
  });
}
