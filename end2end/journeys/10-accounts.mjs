// Ways in and out, team and settings: each once with JavaScript and once without. Nobody learns whether an account exists,
// links survive being opened, and whoever leaves is out at once.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openBrowser, signUp, startWorld } from "../harness.mjs";
import { password } from "../harness/people.mjs";

let browser;
let world;
before(async () => {
  browser = await openBrowser();
  world = await startWorld();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

for (const javaScript of [true, false]) {
  const tag = javaScript ? "script" : "plain";
  describe(`JavaScript ${javaScript ? "on" : "off"}`, () => {
    const email = (name) => `${name}@${tag}.example`;
    const visitor = async () => {
      const person = await browser.visitor(world, { javaScript });
      // With scripts off Chromium refuses what the page announces for them, and says so.
      if (!javaScript) person.expect(/\/pkg\//);
      return person;
    };

    test("a company signs up, and a mail scanner that opens the link does not use it up", async () => {
      const owner = await visitor();
      await owner.go("/sign-up");
      await fill(owner, { company: `Toll & Sons ${tag}`, name: "Ada Owner", email: email("ada"), password });
      await submit(owner, "/do/sign-up");
      assert.equal(path(owner), "/check-your-mail");
      await says(owner, `We have sent a mail to ${email("ada")}.`);
      const link = await world.linkTo(email("ada"));
      for (let scan = 0; scan < 2; scan += 1) assert.equal((await fetch(link)).status, 200);
      await owner.go(link);
      await fill(owner, { password: "what a stranger might have chosen" });
      await submit(owner, "/do/verify");
      assert.equal(path(owner), "/verify", "the link alone opens nothing");
      await says(owner, "This is not the password that was chosen at sign-up");
      await fill(owner, { password });
      await submit(owner, "/do/verify");
      assert.equal(path(owner), "/home");
      await says(owner, "Welcome.");
      const other = await visitor();
      await other.go(link);
      await fill(other, { password });
      await submit(other, "/do/verify");
      assert.equal(path(other), "/verify");
      await says(other, "This link was already used");
      await other.close();
      await owner.close();
    });

    test("whoever begins with a plan on the price list is led to it after the mail", async () => {
      const chooser = await visitor();
      await chooser.go("/pricing");
      await chooser.page.getByRole("link", { name: "Start with Pro" }).click();
      await chooser.page.waitForURL("**/sign-up**");
      await fill(chooser, { company: `Choosers ${tag}`, name: "Cho", email: email("cho"), password });
      await submit(chooser, "/do/sign-up");
      await chooser.go(await world.linkTo(email("cho")));
      await fill(chooser, { password });
      await submit(chooser, "/do/verify");
      assert.equal(chooser.page.url(), `${world.portal}/plan/change?to=pro`);
      await chooser.close();
    });

    test("signing up with a known address looks the same, and its owner is told", async () => {
      const stranger = await visitor();
      await stranger.go("/sign-up");
      await fill(stranger, { company: "Somebody else", name: "Eve", email: email("ada").toUpperCase(), password });
      await submit(stranger, "/do/sign-up");
      assert.equal(path(stranger), "/check-your-mail");
      await says(stranger, `We have sent a mail to ${email("ada").toUpperCase()}.`);
      const { text } = await world.mailTo(email("ada").toUpperCase());
      assert.match(text, /already have an account/);
      assert.doesNotMatch(text, /token=/);
      await stranger.close();
    });

    test("what is wrong with the form stands beside its fields, and what was typed is kept", async () => {
      const newcomer = await visitor();
      await newcomer.go("/sign-up");
      await fill(newcomer, { company: "Acme", name: "Ben", email: "ben@nowhere", password: "password1" });
      await submit(newcomer, "/do/sign-up");
      assert.equal(path(newcomer), "/sign-up");
      await says(newcomer, "Enter an address like name@company.com");
      await says(newcomer, "among the commonest");
      assert.equal(await newcomer.page.inputValue('input[name="company"]'), "Acme");
      assert.equal(await newcomer.page.inputValue('input[name="password"]'), "");
      await newcomer.close();
    });

    test("a sign-in fails with the same words whoever it is, and goes where it was meant to when it is right", async () => {
      const member = await visitor();
      const words = [];
      for (const who of [email("ada"), email("nobody")]) {
        await member.go("/sign-in");
        await fill(member, { email: who, password: "not the password" });
        await submit(member, "/do/sign-in");
        assert.equal(path(member), "/sign-in");
        words.push(await member.page.locator(".notice").innerText());
      }
      assert.equal(words[0], words[1]);
      await member.go("/team");
      assert.equal(path(member), "/sign-in", "a page of members leads to the sign-in");
      await fill(member, { email: email("ada"), password });
      await submit(member, "/do/sign-in");
      assert.equal(path(member), "/team", "and from there to the page");
      await member.close();
    });

    test("no address sends people away after the sign-in", async () => {
      for (const next of ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)"]) {
        const member = await visitor();
        await enter(member, email("ada"), `/sign-in?next=${encodeURIComponent(next)}`);
        assert.equal(member.page.url(), `${world.portal}/home`, next);
        await member.close();
      }
    });

    test("signing in gives a fresh session, and signing out ends it everywhere", async () => {
      const member = await visitor();
      const planted = "AAAAAAAAAAAAAAAAAAAAAA";
      await member.context.addCookies([
        { name: "__Host-session", value: planted, url: world.portal.replace("http:", "https:"), secure: true },
      ]);
      await enter(member, email("ada"));
      const session = await cookie(member, "__Host-session");
      assert.notEqual(session.value, planted);
      assert.ok(session.httpOnly && session.secure && session.sameSite === "Lax");
      await submit(member, "/do/sign-out");
      assert.equal(path(member), "/sign-in");
      const again = await fetch(`${world.portal}/team`, { headers: { cookie: `__Host-session=${session.value}` }, redirect: "manual" });
      assert.equal(again.status, 303, "the old session opens nothing");
      await member.close();
    });

    test("an address that is not confirmed gets its mail again, after the right password only", async () => {
      const slow = await visitor();
      await slow.go("/sign-up");
      await fill(slow, { company: "Slow Ltd", name: "Slow", email: email("slow"), password });
      await submit(slow, "/do/sign-up");
      const first = await world.linkTo(email("slow"));
      await enter(slow, email("slow"));
      assert.equal(path(slow), "/check-your-mail");
      await says(slow, "we have sent a new link");
      await world.linkTo(email("slow")).then((second) => assert.notEqual(first, second));
      await slow.go("/home");
      assert.equal(path(slow), "/sign-in");
      await slow.close();
    });

    test("a forgotten password is replaced by a link, and other sessions end", async () => {
      const elsewhere = await visitor();
      await signUp(elsewhere, { company: "Forgetful", email: email("fay") });
      const member = await visitor();
      const answers = [];
      for (const who of [email("fay"), email("nobody")]) {
        await member.go("/reset");
        await fill(member, { email: who });
        await submit(member, "/do/reset");
        assert.equal(path(member), "/check-your-mail");
        answers.push((await member.page.locator("main").innerText()).replaceAll(who, "ADDRESS"));
      }
      assert.equal(answers[0], answers[1]);
      const link = await world.linkTo(email("fay"));
      await member.go(link);
      await fill(member, { password: "short" });
      await member.page.locator('input[name="password"]').evaluate((input) => input.removeAttribute("minlength")).catch(() => {});
      if (javaScript) {
        await submit(member, "/do/reset/choose");
        await says(member, "Use at least 8 characters");
      }
      await fill(member, { password: "another long walk" });
      await submit(member, "/do/reset/choose");
      assert.equal(path(member), "/home");
      await elsewhere.go("/home");
      assert.equal(path(elsewhere), "/sign-in", "the other browser is signed out");
      await member.go(link);
      await says(member, "already used");
      await member.close();
      await elsewhere.close();
    });

    test("a colleague is invited, joins, gets another role and is removed, and the last owner stays", async () => {
      const owner = await visitor();
      await enter(owner, email("ada"), "/team");
      await says(owner, "The last owner stays.");
      await fill(owner, { email: email("dev") });
      await owner.page.locator('input[name="role"][value="viewer"]').check({ force: true });
      await submit(owner, "/do/members/invite");
      await says(owner, `Invitation sent to ${email("dev")}.`);
      await fill(owner, { email: email("dev") });
      await submit(owner, "/do/members/invite");
      await says(owner, "already has an account");
      const first = await world.linkTo(email("dev"));
      await submit(owner, "/do/members/invite-again");
      const second = await world.linkTo(email("dev"));

      const colleague = await visitor();
      await colleague.go(first);
      await says(colleague, "already used, withdrawn or is older");
      await colleague.go(second);
      await fill(colleague, { name: "Dev <b>Eloper</b>", password });
      await submit(colleague, "/do/invitation");
      assert.equal(path(colleague), "/home");
      await colleague.go("/team");
      assert.equal(await colleague.page.locator('form[action^="/do/members"]').count(), 0, "a viewer decides nothing");
      const forged = await colleague.page.request.post("/do/members/invite", {
        form: { email: "x@y.example", role: "viewer" },
        maxRedirects: 0,
      });
      assert.equal(forged.status(), 403);

      await owner.go("/team");
      const row = owner.page.getByRole("row", { name: /Dev <b>Eloper<\/b>/ });
      await row.getByRole("combobox").selectOption("owner");
      await Promise.all([owner.page.waitForNavigation(), row.getByRole("button", { name: /Change/ }).click()]);
      await says(owner, "is now owner");
      await colleague.go("/team");
      assert.ok((await colleague.page.locator('form[action="/do/members/invite"]').count()) === 1, "an owner may");

      await owner.page.getByRole("row", { name: /Dev <b>Eloper<\/b>/ }).getByRole("link", { name: /Remove/ }).click();
      await owner.page.waitForURL("**/remove");
      await fill(owner, { password: "not mine" });
      await submit(owner, "/do/members/remove");
      await says(owner, "This is not your password");
      await fill(owner, { password });
      await submit(owner, "/do/members/remove");
      assert.equal(path(owner), "/team");
      await says(owner, "was removed");
      await colleague.go("/team");
      assert.equal(path(colleague), "/sign-in", "the colleague is out at once");
      await colleague.close();
      await owner.close();
    });

    test("company, name, password and sessions are kept in the settings", async () => {
      const elsewhere = await visitor();
      await enter(elsewhere, email("ada"));
      const owner = await visitor();
      await enter(owner, email("ada"), "/settings");
      await fill(owner, { name: `Toll & Daughters ${tag}` });
      await owner.page.locator('select[name="time_zone"]').selectOption("Pacific/Auckland");
      await submit(owner, "/do/settings/company");
      await says(owner, "Company saved.");
      assert.equal(await owner.page.inputValue('input[name="name"]'), `Toll & Daughters ${tag}`);
      assert.equal(await owner.page.inputValue('select[name="time_zone"]'), "Pacific/Auckland");
      await fill(owner, { own_name: "Ada O." });
      await submit(owner, "/do/settings/name");
      await says(owner, "Name saved.");
      await submit(owner, "/do/settings/end-other-sessions");
      await says(owner, "signed out.");
      await elsewhere.go("/home");
      assert.equal(path(elsewhere), "/sign-in");
      await owner.go("/settings");
      await says(owner, "This one");
      await fill(owner, { current: "not it", new: "a third long walk" });
      await submit(owner, "/do/settings/password");
      await says(owner, "This is not your password");
      await fill(owner, { current: password, new: "a third long walk" });
      await submit(owner, "/do/settings/password");
      await says(owner, "Password saved.");
      await fill(owner, { current: "a third long walk", new: password });
      await submit(owner, "/do/settings/password");
      await says(owner, "Password saved.");
      await elsewhere.close();
      await owner.close();
    });

    test("after ten wrong passwords the right one waits too, for this address only", async () => {
      const guesser = await visitor();
      await signUp(guesser, { company: "Guessed", email: email("gus") });
      await submit(guesser, "/do/sign-out");
      for (let guess = 0; guess < 10; guess += 1) {
        await enter(guesser, email("gus"), "/sign-in", `guess number ${guess}`);
        assert.equal(path(guesser), "/sign-in");
      }
      await enter(guesser, email("gus"));
      assert.equal(path(guesser), "/sign-in");
      await says(guesser, "too many attempts");
      await enter(guesser, email("ada"));
      assert.equal(path(guesser), "/home", "others are not shut out");
      await guesser.close();
    });
  });
}

test("an operator comes in by a link once, and then by password", async () => {
  const operator = await browser.visitor(world);
  const link = await world.operatorLink();
  await operator.go(link);
  await fill(operator, { name: "Olga Operator", password });
  await submit(operator, "/do/console/welcome");
  assert.equal(path(operator), "/console");
  await operator.go(link);
  await fill(operator, { name: "Mallory", password });
  await submit(operator, "/do/console/welcome");
  await says(operator, "already used or is too old");
  await operator.close();
});

test("what the gateway refuses is explained, with a link that the answer itself holds", async () => {
  const reader = await browser.visitor(world);
  const answer = await world.call("/payments/payments", "tp_test_not_a_key");
  assert.equal(answer.status, 401);
  const problem = await answer.json();
  assert.ok(problem.type.startsWith(`${world.portal}/docs/errors/`), problem.type);
  assert.equal((await reader.go(problem.type)).status(), 200);
  await says(reader, problem.code);
  await reader.go("/docs/errors");
  const places = await reader.page.locator('a[href^="/docs/errors/"]').evaluateAll((links) => links.map((one) => one.getAttribute("href")));
  assert.ok(places.length >= 20, `${places.length} codes`);
  for (const place of places) assert.equal((await reader.page.request.get(place)).status(), 200, place);
  reader.expect(/404/);
  assert.equal((await reader.go("/docs/errors/no-such-code")).status(), 404);
  await reader.close();
});

const path = (visitor) => new URL(visitor.page.url()).pathname;

async function says(visitor, words) {
  const text = await visitor.page.locator("body").innerText();
  assert.ok(text.includes(words), `${visitor.page.url()} says "${words}", among:\n${text}`);
}

async function fill(visitor, fields) {
  for (const [name, value] of Object.entries(fields)) {
    await visitor.page.locator(`main input[name="${name}"]:not([type=hidden]):not([readonly])`).fill(value);
  }
}

async function submit(visitor, action) {
  const button = visitor.page.locator(`form[action="${action}"] button`);
  await Promise.all([visitor.page.waitForNavigation({ waitUntil: "networkidle" }), button.first().click()]);
}

async function enter(visitor, email, from = "/sign-in", word = password) {
  await visitor.go(from);
  await fill(visitor, { email, password: word });
  await submit(visitor, "/do/sign-in");
}

async function cookie(visitor, name) {
  const all = await visitor.context.cookies();
  return all.find((one) => one.name === name) ?? { value: "" };
}
