// Runs one suite and prints a line of JSON per test: {name, error, ms}. The
// error is null if the test passed. `node run.mjs openai`

const suite = process.argv[2];
const env = {
  base: process.env.GATEWAY_BASE, // …/ai
  key: process.env.GATEWAY_KEY, // of a user without limits
  few: process.env.GATEWAY_KEY_FEW, // of one who may call gemini/* only
  poor: process.env.GATEWAY_KEY_POOR, // of one whose budget is too small for anything
  upstream: process.env.UPSTREAM, // what stands for all providers
  local: process.env.GATEWAY_NAME === 'local', // the single process
  book: process.env.BOOK,
  pixel: process.env.PIXEL,
  canary: process.env.CANARY,
  models: JSON.parse(process.env.MODELS), // [{provider, name}]
  control: (path) => fetch(`${process.env.UPSTREAM}/control/${path}`, { method: 'POST', signal: AbortSignal.timeout(20_000) }),
  seen: async (marker) => (await fetch(`${process.env.UPSTREAM}/control/seen?marker=${encodeURIComponent(marker)}`)).json(),
};

const tests = [];
const { default: define } = await import(`./${suite}.mjs`);
define((name, run) => tests.push([name, run]), env);

for (const [name, run] of tests) {
  const start = Date.now();
  let error = null, timer;
  try {
    await Promise.race([run(), new Promise((_, no) => { timer = setTimeout(() => no(new Error('took more than 20 s')), 20_000); })]);
  } catch (e) {
    error = e?.stack ?? String(e);
    if (e?.cause) error += `\ncaused by ${e.cause?.stack ?? e.cause}`;
  }
  clearTimeout(timer);
  console.log(JSON.stringify({ name, error, ms: Date.now() - start }));
}
process.exit(0); // idle connections would keep it alive
