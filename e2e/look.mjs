// Every page in a real browser: light and dark, wide and at 360 px; axe looks at each; pictures are written.
// Usage: node look.mjs ADDRESS FOLDER [ONLY|""] [FOLDER of the pictures in the README]
// Then a request is approved by keys alone without script, and every page is looked at in the other languages.
import { mkdir } from "node:fs/promises";
import { complain, enter, finish, fits, launch, look, open, views } from "./browser.mjs";
import { pages } from "./pages.mjs";

const [address, folder, only, readme] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const browser = await launch();

// What is focused, for who has only keys.
const focused = (page) => page.evaluate(() => {
  const at = document.activeElement;
  return { id: at.id, href: at.getAttribute("href") ?? "", name: at.getAttribute("name") ?? "", kind: at.className, shown: at.matches(":focus-visible") };
});

async function tabTo(page, what, fits) {
  for (let step = 0; step < 80; step += 1) {
    // The first field of a page may have the focus already.
    if (step > 0) await page.keyboard.press("Tab");
    const at = await focused(page);
    if (fits(at)) {
      if (!at.shown) complain(`keyboard: nothing shows that ${what} is focused`);
      return;
    }
  }
  throw new Error(`keyboard: ${what} is not reached by Tab`);
}

// Log in and approve a request with nothing but keys, without script, on a phone.
async function approveByKeys() {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false, locale: "en" });
  const page = await context.newPage();
  const press = async (key) => Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
  await page.goto(`${address}/login`);
  await tabTo(page, "the name", (at) => at.id === "name");
  await page.keyboard.type("luz");
  await tabTo(page, "the password", (at) => at.id === "password");
  await page.keyboard.type("correct horse");
  await press("Enter");
  await page.goto(`${address}/requests`);
  await tabTo(page, "approve", (at) => at.href.startsWith("/do/approve?request=1&"));
  await press("Enter");
  await page.locator(".effects").waitFor();
  await tabTo(page, "the size", (at) => at.name === "size");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("60");
  await tabTo(page, "the effects", (at) => at.name === "preview");
  await press("Enter");
  if (await page.inputValue("[name=size]") !== "60") complain("keyboard: the size that was typed is lost");
  await tabTo(page, "the reason", (at) => at.id === "reason");
  await page.keyboard.type("seen at the assembly");
  await tabTo(page, "the button", (at) => at.kind === "primary");
  await press("Enter");
  await page.locator(".flash", { hasText: "quintana" }).first().waitFor();
  if (new URL(page.url()).pathname !== "/requests") complain(`keyboard: it ends at ${page.url()}`);
  await context.close();
}

// Other languages have longer words.
async function otherLanguages() {
  for (const locale of ["es", "pt"]) {
    const context = await browser.newContext({ viewport: { width: 360, height: 740 }, locale });
    const page = await context.newPage();
    await enter(page, address);
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(address + path);
      if (await page.getAttribute("html", "lang") !== locale) complain(`${name}: not in ${locale}`);
      await fits(page, `${name} in ${locale}`);
    }
    await context.close();
  }
}

for (const [theme, width] of views) {
  const { context, page } = await open(browser, theme, width);
  await page.goto(`${address}/login`);
  if (!only) await look(page, folder, `login-${theme}-${width}`);
  await enter(page, address);
  if (readme && width > 400) await page.screenshot({ path: `${readme}/overview-${theme}.png` });
  for (const [name, path] of Object.entries(pages)) {
    if (only && only !== name) continue;
    await page.goto(address + path);
    await look(page, folder, `${name}-${theme}-${width}`);
  }
  await context.close();
}
if (!only) {
  await approveByKeys();
  await otherLanguages();
}
await browser.close();
finish();
