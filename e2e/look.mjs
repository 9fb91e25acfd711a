// Every page in a real browser: light and dark, wide and at 360 px; axe looks at each; pictures are written.
// Usage: node look.mjs ADDRESS FOLDER [only a path]
import { mkdir, readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const [address, folder, only] = process.argv.slice(2);
const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
await mkdir(folder, { recursive: true });

const pages = {
  overview: "/",
  requests: "/requests",
  prefixes: "/prefixes",
  map: "/prefixes?view=map",
  deeper: "/prefixes?view=map&block=2001:db8:4800::/48",
  table: "/prefixes?view=table",
  history: "/prefixes/history?prefix=2001:db8:4812::1",
  gateways: "/gateways",
  gateway: "/gateways/arcoiris",
  revoked: "/gateways/barranco",
  topology: "/topology",
  traffic: "/traffic",
  activity: "/activity",
  health: "/health",
  settings: "/settings",
  invitations: "/settings?tab=invitations",
  reservations: "/settings?tab=reservations",
  people: "/settings?tab=people",
  tokens: "/settings?tab=tokens",
  backup: "/settings?tab=backup",
  account: "/account",
  approve: "/do/approve?request=1&expect=1&name=nuevo-1&size=56&back=/requests",
  revoke: "/do/revoke?name=arcoiris&expect=3&back=/gateways/arcoiris",
  policy: "/do/policy?grace_seconds=90&back=/settings",
  nothing: "/nothing",
};

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
let wrong = 0;

async function look(page, name) {
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) {
    wrong += 1;
    console.log(`${name}: ${wide} px too wide`);
  }
  // The policy of our pages lets nothing in; axe is put in past it, by the tool and not by the page.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const violation of violations) {
    wrong += 1;
    console.log(`${name}: ${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  }
}

for (const [theme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]]) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: width > 400 ? 860 : 740 }, locale: "en" });
  const page = await context.newPage();
  page.on("pageerror", (error) => { wrong += 1; console.log(`script: ${error.message}`); });
  page.on("console", (message) => {
    if (message.type() === "error" && !/404|401/.test(message.text())) { wrong += 1; console.log(`console: ${message.text()}`); }
  });
  await page.goto(`${address}/login`);
  if (!only) await look(page, `login-${theme}-${width}`);
  await page.fill("#name", "luz");
  await page.fill("#password", "correct horse");
  await page.click("button.primary");
  await page.waitForURL(`${address}/`);
  for (const [name, path] of Object.entries(pages)) {
    if (only && only !== name) continue;
    await page.goto(address + path);
    await look(page, `${name}-${theme}-${width}`);
  }
  await context.close();
}
await browser.close();
console.log(wrong === 0 ? "nothing is wrong" : `${wrong} things are wrong`);
process.exit(wrong === 0 ? 0 : 1);
