// Every page that is photographed, by who sees it. `place` is an address; `from` and `link` find one with an id in it: the
// first link on the page `from` that matches `link`.

export const pages = {
  // Nobody is signed in.
  anyone: [
    { name: "landing", place: "/" },
    { name: "pricing", place: "/pricing" },
    { name: "errors", place: "/docs/errors" },
    { name: "error", from: "/docs/errors", link: /^\/docs\/errors\/.+/ },
    { name: "sign-up", place: "/sign-up" },
    { name: "check-your-mail", place: "/check-your-mail" },
    { name: "verify", place: "/verify?token=none" },
    { name: "sign-in", place: "/sign-in" },
    { name: "reset", place: "/reset" },
    { name: "reset-choose", place: "/reset/choose?token=none" },
    { name: "invitation", place: "/invitation?token=none" },
    { name: "console-sign-in", place: "/console/sign-in" },
    { name: "console-welcome", place: "/console/welcome?token=none" },
    { name: "inbox", place: "/dev/inbox" },
    { name: "inbox-mail", from: "/dev/inbox", link: /^\/dev\/inbox\/\d+$/ },
    { name: "gallery", place: "/gallery" },
    { name: "not-found", place: "/no-such-page", refused: 404 },
  ],
  // A member of a partner; with the example's data, and of a company that signed up a moment ago.
  member: [
    { name: "home", place: "/home" },
    { name: "products", place: "/products" },
    { name: "product", from: "/products", link: /^\/products\/[^/]+$/ },
    { name: "operation", from: "/products/payments", link: /^\/products\/payments\/(?!openapi)[^/#]+$/, withData: true },
    { name: "apps", place: "/apps" },
    { name: "app", from: "/apps", link: /^\/apps\/[^/]+$/, withData: true },
    { name: "usage", place: "/usage" },
    { name: "requests", place: "/requests" },
    { name: "request", from: "/requests", link: /^\/requests\/[^/?]+$/, withData: true },
    { name: "plan", place: "/plan" },
    { name: "invoices", place: "/invoices" },
    { name: "team", place: "/team" },
    { name: "settings", place: "/settings" },
  ],
  // An operator; with the example's data, and in an installation where nothing was set up.
  operator: [],
};
