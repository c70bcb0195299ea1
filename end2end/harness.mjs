// What every browser journey stands on. A journey is a file in `journeys/`, run by `node --test`; `cargo xtask test` runs
// two of them at a time, or one alone:
//
//   cargo xtask test                                     everything
//   node --test end2end/journeys/00-pages.mjs            one journey, on what was built last
//
// A journey:
//
//   import { startWorld, openBrowser } from "../harness.mjs";
//   const world = await startWorld();                    the server on free ports with fresh data and the example
//   const browser = await openBrowser();                 a fresh Chromium
//   const visitor = await browser.visitor(world);        a person with a window of their own: visitor.page is Playwright's
//   await visitor.go("/sign-up");
//   ...
//   await visitor.photograph("sign-up");                 light and dark, 360 and 1440 px, axe-core (in dark its rules of colours) and overflow on each
//   await visitor.close();                               fails on any console error, page error or failed request
//   await browser.close(); await world.stop();           or once, in `after`
//
// Where a page is meant to refuse, say so beforehand: visitor.expect(/429/) lets matching problems pass.
//
// world      portal, gateway, admin, payments, stripe: addresses, as http://localhost:PORT
//            applied: what `turnpike apply` answered; key(environment), invitation(email): out of that
//            operatorLink(): a link that signs an operator in once;  turnpike(...arguments): any command
//            mails(), mailTo(address), linkTo(address): the dev inbox;  log(): what the server wrote
// startWorld options: example (true), stripe (false: no stand-in), settings ({}: variables for the server)
// browser.visitor options: javaScript (true), width (1280), height (800)
//
// Programs come from TURNPIKE_BIN, PAYMENTS_API_BIN, STRIPE_STAND_IN_BIN, else from the debug build; the browser from
// TURNPIKE_CHROMIUM, else /usr/bin/chromium; the site from TURNPIKE_SITE_DIR.
export { startWorld } from "./harness/world.mjs";
export { openBrowser } from "./harness/browser.mjs";
export { acceptInvitation, becomeOperator, signUp } from "./harness/people.mjs";
