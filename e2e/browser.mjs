// What every look at a page needs: the browser, axe, widths, pictures, and the list of what is wrong.
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
let wrong = 0;

export const launch = () => chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

export function complain(text) {
  wrong += 1;
  console.log(text);
}

// Prints how it went, and ends with 0 if nothing is wrong.
export function finish() {
  console.log(wrong === 0 ? "nothing is wrong" : `${wrong} things are wrong`);
  process.exit(wrong === 0 ? 0 : 1);
}

export async function fits(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) complain(`${name}: ${wide} px too wide`);
}

// Both themes, wide and on a phone.
export const views = [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]];

export async function open(browser, theme, width) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: width > 400 ? 860 : 740 }, locale: "en" });
  const page = await context.newPage();
  page.on("pageerror", (error) => complain(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/404|401/.test(message.text())) complain(`console: ${message.text()}`);
  });
  return { context, page };
}

export async function enter(page, address) {
  await page.goto(`${address}/login`);
  await page.fill("#name", "luz");
  await page.fill("#password", "correct horse");
  await page.click("button.primary");
  await page.waitForURL(`${address}/`);
}

export async function look(page, folder, name) {
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await fits(page, name);
  // The policy of our pages lets nothing in; axe is put in past it, by the tool and not by the page.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const violation of violations) {
    complain(`${name}: ${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  }
}
