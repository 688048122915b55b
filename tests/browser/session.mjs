// A session of a real browser with the web pages of one upstream, through the filter. Started by tests/e2e/web_pages.rs with one JSON
// argument; prints one JSON object with what was seen. It judges nothing but that each step finds what it looks for.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { playwright, chromium: executablePath, base, kind, folder, headers } = JSON.parse(process.argv[2]);
const { chromium } = (await import(pathToFileURL(playwright))).default;

const seen = { responses: [], errors: [], failed: [], steps: [], checks: {}, operators: {} };

// How the pages of each kind are used.
const KINDS = {
  prometheus: {
    first: "query",
    operators: ["status", "tsdb-status", "flags", "config", "service-discovery", "alertmanager-discovery"],
    neutral: { targets: /No (scrape pools|targets)/ },
    graph: (page) => page.getByRole("tab", { name: "Graph" }).click(),
    canvas: ".uplot canvas",
    row: "table tbody tr",
    alerts: (page) => page.getByRole("link", { name: "Alerts" }).first().click(),
  },
  thanos: {
    first: "graph",
    operators: ["status", "config", "service-discovery", "tsdb-status"],
    neutral: { stores: "No stores registered", targets: "Unhealthy", flags: "--query.promql-engine" },
    graph: (page) => page.locator(".nav-tabs .nav-link", { hasText: "Graph" }).first().click(),
    canvas: ".graph-chart canvas",
    row: "table.data-table tbody tr, table tbody tr",
    alerts: async (page) => {
      await page.locator("a.dropdown-toggle", { hasText: "Status" }).click();
      await page.locator(".dropdown-item", { hasText: "Alerts" }).click();
    },
  },
};
const how = KINDS[kind];

async function watch(page, name) {
  page.setDefaultTimeout(30000);
  page.on("console", (message) => {
    if (message.type() === "error") seen.errors.push({ page: name, text: message.text(), url: message.location().url });
  });
  page.on("pageerror", (error) => seen.errors.push({ page: name, text: String(error) }));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") seen.failed.push({ page: name, url: request.url(), why });
  });
}

const record = (into) => async (response) => {
  const entry = { at: Date.now(), url: response.url(), status: response.status(), headers: response.headers(), body: null };
  into.push(entry);
  try {
    entry.body = await response.text();
  } catch {
    // A redirection or a 204 has none.
  }
};

async function step(name, run) {
  seen.steps.push(name);
  return await run();
}

const shot = (page, name) => page.screenshot({ path: `${folder}/${kind}-${name}.png` });
const at = (page) => page.url().slice(base.length);

async function type(page, expression) {
  const input = page.locator(".cm-content").first();
  await input.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.type(expression, { delay: 20 });
}

async function execute(page, expression) {
  await type(page, expression);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Execute" }).first().click();
  await page.locator(how.row).first().waitFor();
}

/// A query, a graph, autocompletion, alerts and rules of one tenant.
async function use(page, tenant) {
  const mark = tenant.replace("-", "_");
  await step(`${tenant}: a query`, async () => {
    await execute(page, "temperature");
    await page.getByText(`data of ${tenant}`).first().waitFor();
    await shot(page, `${tenant}-table`);
  });
  await step(`${tenant}: a graph`, async () => {
    await how.graph(page);
    await page.locator(how.canvas).first().waitFor();
    await page.waitForTimeout(700);
    await shot(page, `${tenant}-graph`);
  });
  await step(`${tenant}: autocompletion`, async () => {
    await type(page, "only_");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: `only_${mark}` }).first().waitFor();
    seen.checks[`${tenant} completions`] = await page.locator(".cm-tooltip-autocomplete li").allInnerTexts();
    await shot(page, `${tenant}-completion`);
    await page.keyboard.press("Escape");
  });
  await step(`${tenant}: alerts`, async () => {
    await how.alerts(page);
    await page.waitForURL(`**/t/${tenant}/alerts*`);
    await page.getByText(`AlertOf${mark}`).first().waitFor();
    await shot(page, `${tenant}-alerts`);
  });
  await step(`${tenant}: rules`, async () => {
    await page.goto(`${base}/t/${tenant}/rules`);
    await page.getByText(`${mark}:one`).first().waitFor();
    await shot(page, `${tenant}-rules`);
    // After the page's own scripts have run.
    seen.checks[`${tenant} title`] = await page.title();
  });
}

// Another site: it links here, and tries to read and to frame what is here.
const elsewhere = createServer((request, response) => {
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html><title>elsewhere</title><a id="link" href="${base}/${how.first}?g0.expr=temperature&g0.tab=1">look</a>`);
});
await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
const other = `http://127.0.0.1:${elsewhere.address().port}/`;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, extraHTTPHeaders: headers ?? {} });
  context.on("response", record(seen.responses));
  const page = await context.newPage();
  await watch(page, "team-a");

  await step("the page to choose", async () => {
    await page.goto(`${base}/`);
    await page.getByRole("heading", { level: 1, name: "Choose a tenant" }).waitFor();
    seen.checks.offered = await page.getByRole("navigation", { name: "Tenants" }).getByRole("link").allInnerTexts();
    seen.checks.lang = await page.locator("html").getAttribute("lang");
    seen.checks.styled = await page.locator("a").first().evaluate((link) => getComputedStyle(link).display);
    // What a screen reader is told.
    seen.checks.told = await page.locator("html").ariaSnapshot();
    await shot(page, "choose");
    // Of the page, of a link, and of the outline of one that has the keyboard.
    const colours = () =>
      page.evaluate(() => {
        const link = document.querySelector("a");
        const [body, style] = [getComputedStyle(document.body), getComputedStyle(link)];
        const seen = { page: body.backgroundColor, heading: getComputedStyle(document.querySelector("h1")).color };
        Object.assign(seen, { link: style.color, back: style.backgroundColor });
        link.focus({ focusVisible: true });
        Object.assign(seen, { outline: style.outlineColor, outlined: style.outlineStyle });
        link.blur();
        return seen;
      });
    seen.checks.light = await colours();
    await page.emulateMedia({ colorScheme: "dark" });
    seen.checks.dark = await colours();
    await page.emulateMedia({ colorScheme: null });
  });
  await step("the page to choose on a phone", async () => {
    const phone = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true, colorScheme: "dark" };
    const pocket = await browser.newContext({ ...phone, extraHTTPHeaders: headers ?? {} });
    const small = await pocket.newPage();
    await watch(small, "phone");
    await small.goto(`${base}/`);
    await shot(small, "choose-phone-dark");
    const links = small.getByRole("link");
    // A long name has to break, too.
    await links.last().evaluate((link) => (link.textContent = "x".repeat(150)));
    seen.checks.phone = await small.evaluate(() => ({
      width: innerWidth,
      needs: document.documentElement.scrollWidth,
      heights: [...document.querySelectorAll("a")].map((link) => link.getBoundingClientRect().height),
    }));
    await links.first().tap();
    await small.locator(".cm-content").first().waitFor();
    seen.checks.tapped = at(small);
    await shot(small, "phone-dark");
    await pocket.close();
  });
  await step("chosen by the keyboard", async () => {
    // Anew, so that nothing has had the focus.
    await page.goto(`${base}/`);
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    seen.checks.focused = [];
    for (const key of ["Tab", "Tab", "Shift+Tab"]) {
      await page.keyboard.press(key);
      seen.checks.focused.push(await focused());
    }
    await shot(page, "choose-keyboard");
    await page.keyboard.press("Enter");
    await page.locator(".cm-content").first().waitFor();
    seen.checks.first = at(page);
  });
  await use(page, "team-a");

  const second = await context.newPage();
  await watch(second, "team-b");
  await step("team-b in a second tab", async () => {
    await second.goto(`${base}/${how.first}`);
    await second.getByRole("link", { name: "team-b" }).click();
    await second.locator(".cm-content").first().waitFor();
  });
  await use(second, "team-b");

  await step("the first tab is still team-a's", async () => {
    await page.bringToFront();
    await page.goto(`${base}/t/team-a/${how.first}`);
    await page.locator(".cm-content").first().waitFor();
    await execute(page, "temperature");
    await page.getByText("data of team-a").first().waitFor();
    seen.checks.still = at(page);
    seen.checks.titles = [await page.title(), await second.title()];
  });
  // Between pages that write nothing into the history themselves, as Thanos's first page does.
  await step("back and forward", async () => {
    await how.alerts(page);
    await page.getByText("AlertOfteam_a").first().waitFor();
    await page.goto(`${base}/t/team-a/rules`);
    await page.getByText("team_a:one").first().waitFor();
    await page.goBack();
    await page.getByText("AlertOfteam_a").first().waitFor();
    seen.checks.back = at(page);
    await page.goForward();
    await page.getByText("team_a:one").first().waitFor();
    seen.checks.forward = at(page);
    await page.goBack();
    await page.getByText("AlertOfteam_a").first().waitFor();
    await page.goBack();
    await page.locator(".cm-content").first().waitFor();
    seen.checks.home = at(page);
  });
  await step("no requests are repeated without end", async () => {
    const before = seen.responses.length;
    await page.waitForTimeout(4000);
    seen.checks.idle = seen.responses.slice(before).map((response) => response.url);
  });
  await second.close();

  await step("pages of what has a neutral answer", async () => {
    for (const name of Object.keys(how.neutral)) {
      await page.goto(`${base}/t/team-a/${name}`);
      await page.getByText(how.neutral[name]).first().waitFor();
      await page.waitForTimeout(300);
      await shot(page, `neutral-${name}`);
    }
  });
  // What these pages ask is refused, which the browser notes as errors, so they have a list of their own.
  await step("pages that only operators need", async () => {
    const apart = await browser.newContext({ viewport: { width: 1280, height: 800 }, extraHTTPHeaders: headers ?? {} });
    const open = async (name) => {
      const operator = await apart.newPage();
      operator.setDefaultTimeout(30000);
      const responses = [];
      operator.on("response", record(responses));
      await operator.goto(`${base}/t/team-a/${name}`);
      await operator.getByText(/not served to tenants|: Forbidden|No scrape pools found|Service Discovery/).filter({ visible: true }).first().waitFor();
      // So long that a page that asks again and again would have done so. A page that leaves a refusal unread never comes to rest.
      await operator.waitForTimeout(3000);
      await shot(operator, `operators-${name}`);
      seen.operators[name] = { text: await operator.locator("body").innerText(), responses };
    };
    // At once, since they wait.
    await Promise.all(how.operators.map(open));
    await apart.close();
  });

  // What it tries has errors by intention, so they are not among those of the session.
  const visitor = await context.newPage();
  visitor.setDefaultTimeout(30000);
  await step("a link from another site", async () => {
    await visitor.goto(other);
    await visitor.locator("#link").click();
    await visitor.getByRole("link", { name: "team-a" }).click();
    await visitor.getByText("data of team-a").first().waitFor();
    seen.checks.linked = at(visitor);
  });
  await step("another site reads and frames nothing", async () => {
    await visitor.goto(other);
    const targets = ["/", `/t/team-a/${how.first}`, "/t/team-a/api/v1/query?query=up", "/t/team-a/api/v1/rules"];
    seen.checks.read = await visitor.evaluate(
      async (urls) => {
        const read = [];
        for (const url of urls) {
          for (const credentials of ["include", "omit"]) {
            try {
              read.push(await (await fetch(url, { credentials })).text());
            } catch {
              // Refused by the browser.
            }
          }
        }
        return read;
      },
      targets.map((target) => base + target),
    );
    seen.checks.framed = [];
    // The last one may be framed, which shows that the others could be seen.
    for (const target of [...targets.slice(0, 2), "/t/team-a/api/v1/status/buildinfo"]) {
      await visitor.evaluate((url) => {
        document.body.innerHTML = "";
        const frame = document.createElement("iframe");
        frame.src = url;
        document.body.append(frame);
        return new Promise((resolve) => frame.addEventListener("load", resolve));
      }, base + target);
      // What Chromium says of a frame that it refuses is there only after the frame's load event, in another document.
      const text = async () => {
        const frame = visitor.frames().find((frame) => frame !== visitor.mainFrame());
        return { url: frame?.url(), text: (await frame?.locator("body").innerText({ timeout: 1_000 }).catch(() => "")) ?? "" };
      };
      let shown = await text();
      for (let tries = 0; tries < 60 && !shown.text; tries++) {
        await visitor.waitForTimeout(250);
        shown = await text();
      }
      seen.checks.framed.push({ target, ...shown });
    }
  });
  seen.done = true;
} catch (error) {
  seen.problem = String(error);
  for (const [index, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
    await page.screenshot({ path: `${folder}/${kind}-problem-${index}.png` }).catch(() => {});
  }
} finally {
  await browser.close();
  elsewhere.close();
}
process.stdout.write(JSON.stringify(seen));
