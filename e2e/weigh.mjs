// How long every page of a large network takes, and what it weighs. Fails beyond the limits.
// Usage: node weigh.mjs ADDRESS PID NAME PASSWORD
// The page remembers the daemon's answers for two seconds; rounds are further apart, so that every answer is made anew.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { pages } from "./pages.mjs";

const [address, pid, name, password] = process.argv.slice(2);
const ROUNDS = 9;
const APART = 2200;
const MOST = { ms: 100, kB: 200, MB: 60 };
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(path, { method = "GET", headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const from = performance.now();
    const request = http.request(address + path, { method, agent, headers: { "accept-encoding": "gzip", ...headers } }, (answer) => {
      let bytes = 0;
      const parts = [];
      answer.on("data", (part) => { bytes += part.length; parts.push(part); });
      answer.on("end", () => done({ ms: performance.now() - from, bytes, status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
      answer.on("error", fail);
    });
    request.on("error", fail);
    request.end(body);
  });
}

const form = await ask("/login", { headers: { "accept-encoding": "identity" } });
const bound = form.headers["set-cookie"].find((line) => line.startsWith("ln6d_form=")).split(";")[0];
const csrf = /name="csrf" value="([^"]+)"/.exec(form.body.toString())[1];
const entered = await ask("/login", {
  method: "POST",
  headers: { origin: address, cookie: bound, "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams({ csrf, name, password }).toString(),
});
if (entered.status !== 303) throw new Error(`the login answered ${entered.status}`);
const cookie = entered.headers["set-cookie"].find((line) => line.startsWith("ln6d=")).split(";")[0];

// What is done, and to which state of it, is as the pages' own links say.
const plain = { cookie, "accept-encoding": "identity" };
for (const [action, from] of [["approve", "/requests"], ["revoke", "/gateways/arcoiris"]]) {
  const shown = (await ask(from, { headers: plain })).body.toString();
  const link = new RegExp(`href="(/do/${action}\\?[^"]+)"`).exec(shown);
  if (link === null) throw new Error(`${from} has no link to ${action}`);
  pages[action] = link[1].replaceAll("&amp;", "&").replaceAll("&#38;", "&");
}

const seen = Object.fromEntries(Object.keys(pages).map((name) => [name, { took: [], bytes: 0 }]));
for (let round = 0; round < ROUNDS; round += 1) {
  const begin = performance.now();
  for (const [name, path] of Object.entries(pages)) {
    const got = await ask(path, { headers: { cookie } });
    if (got.status !== (name === "nothing" ? 404 : 200)) throw new Error(`${path} answered ${got.status}`);
    if (got.headers["content-encoding"] !== "gzip") throw new Error(`${path} is not compressed`);
    seen[name].took.push(got.ms);
    seen[name].bytes = Math.max(seen[name].bytes, got.bytes);
  }
  const rest = APART - (performance.now() - begin);
  if (rest > 0 && round + 1 < ROUNDS) await new Promise((wake) => setTimeout(wake, rest));
}

let wrong = 0;
console.log("| page | median | weighs |\n|---|---|---|");
for (const [name, { took, bytes }] of Object.entries(seen)) {
  const median = took.sort((a, b) => a - b)[ROUNDS >> 1];
  const kB = bytes / 1000;
  const bad = median >= MOST.ms || kB >= MOST.kB;
  if (bad) wrong += 1;
  console.log(`| ${name} | ${median.toFixed(1)} ms | ${kB.toFixed(1)} kB |${bad ? " TOO MUCH" : ""}`);
}
// The highest it ever was, the login's argon2 included.
const peak = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, "utf8"))[1] * 1024 / 1e6;
console.log(`memory at most ${peak.toFixed(1)} MB`);
if (peak >= MOST.MB) wrong += 1;
console.log(wrong === 0 ? "within all limits" : `${wrong} beyond the limits`);
process.exit(wrong === 0 ? 0 : 1);
