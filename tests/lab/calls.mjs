// Calls functions of the lab's modules for the tests: a line of JSON in, {module, name, args}; a line of JSON out.
import { createInterface } from "node:readline";

const folder = new URL("../../static/lab/", import.meta.url);

for await (const line of createInterface({ input: process.stdin })) {
  const { module, name, args } = JSON.parse(line);
  const found = (await import(new URL(`${module}.js`, folder)))[name];
  const value = typeof found === "function" ? found(...args) : found;
  process.stdout.write(`${JSON.stringify(value ?? null)}\n`);
}
