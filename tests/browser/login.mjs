// A browser that signs in at an identity provider. Started by tests/e2e/web_login.rs like session.mjs.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { playwright, chromium: executablePath, base, folder } = JSON.parse(process.argv[2]);
const { chromium } = (await import(pathToFileURL(playwright))).default;

const seen = { steps: [], checks: {} };
const { checks } = seen;

const elsewhere = createServer((request, response) => response.end("elsewhere"));
await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  seen.steps.push("an address leads to the identity provider, and back to what was asked for");
  await page.goto(`${base}/alerts?x=1`);
  checks.landed = page.url().slice(base.length);
  if (checks.landed === "/alerts?x=1") {
    const links = page.getByRole("navigation", { name: "Tenants" }).getByRole("link");
    checks.offered = await links.allInnerTexts();
    checks.links = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    await page.screenshot({ path: `${folder}/choose.png` });
    const status = async (path) => (await context.request.get(base + path)).status();
    checks.own = await status("/t/team-a/api/v1/query?query=up");
    checks.other = await status("/t/team-c/api/v1/query?query=up");
    checks.cookies = await context.cookies(base);

    seen.steps.push("another site's page has no use of the session");
    checks.sent = [];
    context.on("request", async (request) => {
      const { cookie } = await request.allHeaders();
      if (cookie) checks.sent.push(request.url());
    });
    const visitor = await context.newPage();
    await visitor.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
    checks.read = await visitor.evaluate(async (url) => {
      try {
        return [await (await fetch(url, { credentials: "include" })).text()];
      } catch {
        return [];
      }
    }, `${base}/t/team-a/api/v1/query?query=up`);
    await visitor.waitForTimeout(300);
  }
  seen.done = true;
} catch (error) {
  seen.problem = String(error);
} finally {
  await browser.close();
  elsewhere.close();
}
process.stdout.write(JSON.stringify(seen));
