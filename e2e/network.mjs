// The page of a real broker in a real browser, with real gateways: what is decided on the page is looked for in the kernels'
// routes. Runs in the server's namespace; told by one JSON argument where everything is.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const world = JSON.parse(process.argv[2]);
const PATIENCE = 60_000;
mkdirSync(world.pictures, { recursive: true });
const begin = Date.now();
const children = [];

const inside = (namespace, ...words) => ["ip", ["netns", "exec", namespace, ...words]];
const run = (namespace, ...words) => execFileSync(...inside(namespace, ...words), { encoding: "utf8" });
const daemon = (machine, ...words) => run(machine.namespace, world.binary, "--dir", machine.state, ...words);
const routes = (machine) => run(machine.namespace, "ip", "-6", "route", "show", "table", "all");

function start(machine) {
  const child = spawn(...inside(machine.namespace, world.binary, "--dir", machine.state, "run"), { stdio: "ignore" });
  children.push(child);
}

async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  let last;
  for (;;) {
    last = await holds();
    if (last === true) return;
    if (Date.now() > end) throw new Error(`not within a minute: ${what}\n${last}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

// A gateway's kernel keeps an unreachable route for the whole of what it holds, so that the rest of it cannot loop.
const holds = (machine, size) => until(`${machine.name} holds a /${size}`, () => {
  const text = routes(machine);
  return new RegExp(`unreachable 2001:db8:48[0-9a-f:]*/${size} `).test(text) || text;
});
const holdsNothing = (machine) => until(`${machine.name} holds nothing`, () => {
  const text = routes(machine);
  return !/unreachable 2001:db8:48/.test(text) || text;
});
const reaches = (machine) => until(`the client of ${machine.name} reaches the Internet`, () => {
  try {
    run(machine.client, "ping", "-n", "-c", "1", "-W", "1", world.internet);
    return true;
  } catch (error) {
    return String(error.stdout);
  }
});
const isCutOff = (machine) => until(`the client of ${machine.name} is cut off`, () => {
  try {
    run(machine.client, "ping", "-n", "-c", "1", "-W", "1", world.internet);
    return "it still has answers";
  } catch {
    return true;
  }
});

async function step(what, does) {
  const from = Date.now();
  await does();
  console.log(`${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s  ✓ ${what} (${Date.now() - from} ms)`);
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const wide = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en" });
const page = await wide.newPage();
page.setDefaultTimeout(20_000);
const faults = [];
page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
const picture = (name, of = page) => of.screenshot({ path: `${world.pictures}/network-${name}.png`, fullPage: true });
const heading = (text, of = page) => of.waitForSelector(`h1:has-text("${text}")`);

async function invite(fields) {
  await page.goto(`${world.address}/do/invite?back=/`);
  for (const [name, value] of Object.entries(fields)) {
    if (value === true) await page.check(`input[type=checkbox][name=${name}]`);
    else await page.fill(`[name=${name}]`, value);
  }
  await page.click("button[name=preview]");
  await page.click("button.primary");
  return (await page.innerText("code.link >> nth=0")).trim();
}

// A change that a gateway's own page offers: its effects first, then why, then done.
async function change(holder, action, fill = async () => {}) {
  await page.goto(`${world.address}/gateways/${holder}`);
  await page.click(`a[href^="/do/${action}?"]`);
  await fill();
  if (await page.locator("button[name=preview]").count()) await page.click("button[name=preview]");
  await page.waitForSelector(".effects");
  if (await page.locator("#reason").count()) await page.fill("#reason", `e2e: ${action}`);
  if (await page.locator("#retyped").count()) await page.fill("#retyped", holder);
  await picture(action);
  await page.click("main form .row button.primary, main form .row button.grave");
  await heading(holder);
}

const [moreno, quintana, serrano] = world.gateways;
try {
  await step("the link of init makes the first administrator", async () => {
    await page.goto(world.link);
    await page.fill("#name", "ana");
    await page.fill("#password", "correct horse battery");
    await page.fill("#repeated", "correct horse battery");
    await page.click("button.primary");
    await heading("altermundi");
    await picture("overview");
  });
  await step("an invitation made on the page lets a gateway in", async () => {
    const link = await invite({ name: "moreno", size: "56" });
    daemon(moreno, "join", link, "--lan", world.lan);
    start(moreno);
    await holds(moreno, 56);
    await reaches(moreno);
  });
  await step("an open invitation lets one ask", async () => {
    const link = await invite({ open: true });
    for (const [gateway, size] of [[quintana, "60"], [serrano, "64"]]) {
      daemon(gateway, "join", link, "--name", gateway.name, "--size", size, "--lan", world.lan);
      start(gateway);
    }
    // The page follows by itself.
    await page.goto(`${world.address}/requests`);
    await page.waitForSelector('h2:has-text("quintana")', { timeout: PATIENCE });
    await page.waitForSelector('h2:has-text("serrano")', { timeout: PATIENCE });
    await holdsNothing(quintana);
    await picture("requests");
  });
  await step("approved on the page, it holds a prefix", async () => {
    await page.click('article:has(h2:has-text("quintana")) a.primary');
    await page.waitForSelector(".effects");
    await page.fill("#reason", "known from the assembly");
    await page.click("main form .row button.primary");
    await heading("Requests");
    await holds(quintana, 60);
    await reaches(quintana);
  });
  await step("approved by keyboard alone, without JavaScript, on a small screen", async () => {
    const small = await browser.newContext({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false, locale: "en" });
    const phone = await small.newPage();
    phone.setDefaultTimeout(20_000);
    await phone.goto(`${world.address}/requests`);
    // Login: name and password, then Enter; nothing is clicked from here on.
    await phone.focus("#name");
    await phone.keyboard.type("ana");
    await phone.keyboard.press("Tab");
    await phone.keyboard.type("correct horse battery");
    await phone.keyboard.press("Enter");
    await heading("Requests", phone);
    const tabTo = async (selector) => {
      for (let presses = 0; presses < 80; presses += 1) {
        await phone.keyboard.press("Tab");
        if (await phone.locator(`${selector}:focus`).count()) return;
      }
      throw new Error(`no way to ${selector} by keyboard`);
    };
    await tabTo('article:has(h2:has-text("serrano")) a.primary');
    await phone.keyboard.press("Enter");
    await phone.waitForSelector(".effects");
    await tabTo("#reason");
    await phone.keyboard.type("by keyboard");
    await picture("keyboard-360", phone);
    await tabTo("main form .row button.primary");
    await phone.keyboard.press("Enter");
    await heading("Requests", phone);
    await holds(serrano, 64);
    await reaches(serrano);
    await small.close();
  });
  await step("resized, the kernel has the new length", async () => {
    await change("moreno", "resize", async () => page.fill("[name=size]", "52"));
    await holds(moreno, 52);
    await reaches(moreno);
  });
  await step("suspended, it holds nothing and its client is cut off", async () => {
    await change("moreno", "suspend");
    await holdsNothing(moreno);
    await isCutOff(moreno);
  });
  await step("resumed, it holds what it held", async () => {
    await change("moreno", "resume");
    await holds(moreno, 52);
    await reaches(moreno);
  });
  await step("revoked, it holds nothing and its client is cut off", async () => {
    await change("moreno", "revoke");
    await holdsNothing(moreno);
    await isCutOff(moreno);
  });
  await step("undone, it holds what it held", async () => {
    await change("moreno", "undo");
    await holds(moreno, 52);
    await reaches(moreno);
  });
  await step("the others noticed nothing of it", async () => {
    await holds(quintana, 60);
    await reaches(quintana);
  });
  await step("the journal says who did what, and why", async () => {
    await page.goto(`${world.address}/activity`);
    const text = await page.innerText("main");
    for (const word of ["resize", "suspend", "resume", "revoke", "undo"]) {
      if (!text.includes(`e2e: ${word}`)) throw new Error(`the activity does not tell of ${word}:\n${text}`);
    }
    if (!text.includes("admin:ana")) throw new Error(`the activity does not name ana:\n${text}`);
    await picture("activity");
  });
  if (faults.length) throw new Error(faults.join("\n"));
  console.log("all held");
} catch (error) {
  await picture("failed").catch(() => {});
  console.error(error);
  console.error(await page.innerText("main").catch(() => "no page"));
  process.exitCode = 1;
} finally {
  await browser.close();
  for (const child of children) child.kill("SIGTERM");
}
