// The page of a gateway in a real browser, in several of its states: as a guest sees it, and as an administrator does.
// Usage: node gateway.mjs FOLDER STATE=ADDRESS…
// Then, without script on a phone: joining, another size and leaving, each to its end.
import { mkdir } from "node:fs/promises";
import { complain, enter, finish, fits, launch, look, open, views } from "./browser.mjs";

const [folder, ...given] = process.argv.slice(2);
const gateways = Object.fromEntries(given.map((pair) => pair.split("=")));
await mkdir(folder, { recursive: true });
const browser = await launch();

const shown = { peers: "/peers", traffic: "/traffic", health: "/health" };
const inside = { settings: "/settings", size: "/size", leave: "/leave" };

for (const [theme, width] of views) {
  for (const [state, address] of Object.entries(gateways)) {
    const { context, page } = await open(browser, theme, width);
    const name = (what) => `gateway-${state}${what}-${theme}-${width}`;
    await page.goto(`${address}/`);
    await look(page, folder, name("-guest"));
    if (state === "connected") {
      for (const [what, path] of Object.entries(shown)) {
        await page.goto(address + path);
        await look(page, folder, name(`-${what}`));
      }
    }
    await enter(page, address);
    await look(page, folder, name(""));
    const more = state === "connected" ? inside : state === "no_network" ? { join: "/join" } : {};
    for (const [what, path] of Object.entries(more)) {
      await page.goto(address + path);
      await look(page, folder, name(`-${what}`));
    }
    if (state === "connected") {
      await page.goto(`${address}/health`);
      await Promise.all([page.waitForNavigation(), page.click("form[action='/test'] button")]);
      await look(page, folder, name("-test"));
    }
    await context.close();
  }
}

async function withoutScript(address, steps) {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false, locale: "en" });
  const page = await context.newPage();
  await enter(page, address);
  for (const [path, fields, said] of steps) {
    await page.goto(address + path);
    for (const [name, value] of Object.entries(fields)) await page.fill(`[name=${name}]`, value);
    await Promise.all([page.waitForNavigation(), page.click(`form[action="${path}"] button`)]);
    const flash = await page.locator(".flash").first().textContent();
    if (!flash.includes(said)) complain(`without script: ${path} says ${flash}`);
    if (new URL(page.url()).pathname !== "/") complain(`without script: ${path} ends at ${page.url()}`);
  }
  await context.close();
}

await withoutScript(gateways.no_network, [["/join", { link: "ln6://join/x", lans: "br-lan" }, "asks to be let in"]]);
await withoutScript(gateways.connected, [
  ["/size", { size: "52" }, "The broker is told"],
  ["/leave", { retyped: "quintana" }, "given back"],
]);

for (const locale of ["es", "pt"]) {
  for (const [state, address] of Object.entries(gateways)) {
    const context = await browser.newContext({ viewport: { width: 360, height: 740 }, locale });
    const page = await context.newPage();
    await enter(page, address);
    for (const path of ["/", "/peers", "/health", ...(state === "no_network" ? ["/join"] : ["/size", "/leave"])]) {
      await page.goto(address + path);
      if (await page.getAttribute("html", "lang") !== locale) complain(`${state} ${path}: not in ${locale}`);
      await fits(page, `${state} ${path} in ${locale}`);
    }
    await context.close();
  }
}
await browser.close();
finish();
